import functools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pigeon_recsys.alignment import embedder_training
from pigeon_recsys.alignment.augmentation import MAX_SHIFT, augment
from pigeon_recsys.alignment.caption_tower import CaptionTower, text_buckets
from pigeon_recsys.alignment.embedder_data import EmbedderData, draw_batch, item_text
from pigeon_recsys.alignment.embedder_loss import content_loss, manner_loss, taste_loss
from pigeon_recsys.alignment.embedder_training import EmbedderSettings, train_embedder
from pigeon_recsys.alignment.loop import LoopSettings
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import DatasetError, SettingsError
from pigeon_recsys.model.image_encoder import ImageEncoderConfig
from pigeon_recsys.records import Item
from tests.alignment.embedder_dataset import colour_fans, likes_of_colour, some_users, write_dataset

TINY = EmbedderSettings(
    steps=4,
    batch=16,
    encoder=ImageEncoderConfig(image_size=16, channels=(8, 16), content_dim=8, taste_dim=8),
)
ONE = torch.tensor(1.0)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    users = some_users("train", 9) + some_users("validation", 3) + some_users("test", 3)
    return write_dataset(tmp_path_factory.mktemp("colours") / "data", colour_fans(users))


def test_the_weights_do_not_depend_on_what_other_users_than_those_of_the_train_split_did(
    dataset: DatasetFolder, tmp_path: Path
) -> None:
    """The second dataset has the same train users; validation and test users are others and
    like other things."""
    likes = colour_fans(some_users("train", 9))
    likes |= {user_id: likes_of_colour("red")[:2] for user_id in some_users("validation", 6)}
    likes |= {user_id: likes_of_colour("blue")[2:] for user_id in some_users("test", 5)}
    other = write_dataset(tmp_path / "data", likes)
    first = train_embedder(dataset, tmp_path / "first", TINY)
    second = train_embedder(other, tmp_path / "second", TINY)
    assert first["dataset_fingerprint"] != second["dataset_fingerprint"]
    assert first["weights_sha256"] == second["weights_sha256"]


def test_users_of_the_test_split_are_never_looked_up(
    dataset: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[str] = set()
    history = DatasetFolder.history

    def watched(self: DatasetFolder, user_id: str) -> Any:
        asked.add(user_id)
        return history(self, user_id)

    monkeypatch.setattr(DatasetFolder, "history", watched)
    train_embedder(dataset, tmp_path / "run", TINY)
    assert asked == {*some_users("train", 9), *some_users("validation", 3)}


def test_training_tells_colours_by_likes_and_shapes_by_titles(
    dataset: DatasetFolder, tmp_path: Path
) -> None:
    """Users like one colour; titles name one of two shapes. Two likes of a user then come close
    in the taste half, and the content loss falls well below that of guessing, ln 24 = 3.18,
    towards the least that twelve equal titles in a batch allow, ln 12 = 2.48."""
    report: Any = train_embedder(dataset, tmp_path / "run", replace(TINY, steps=60, batch=24))
    quality = report["validation"]
    assert quality["same_user_taste_cosine"] > quality["random_taste_cosine"] + 0.5
    assert report["train"]["content_loss"] < 3.0
    assert quality["caption_recall_at_10"] == 1


def test_an_interrupted_run_ends_with_the_same_weights(
    dataset: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_embedder(dataset, tmp_path / "whole", TINY)
    often = functools.partial(LoopSettings, save_every=2)
    monkeypatch.setattr(embedder_training, "LoopSettings", often)
    interrupt_at_step(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train_embedder(dataset, tmp_path / "halves", TINY)
    monkeypatch.setattr(embedder_training, "draw_batch", draw_batch)
    resumed = train_embedder(dataset, tmp_path / "halves", TINY)
    assert resumed["weights_sha256"] == whole["weights_sha256"]


def interrupt_at_step(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(1, step + 1))

    def draw(*arguments: Any) -> Any:
        if next(calls) == step:
            raise KeyboardInterrupt
        return draw_batch(*arguments)

    monkeypatch.setattr(embedder_training, "draw_batch", draw)


def test_the_report_says_how_to_make_the_weights_again(
    dataset: DatasetFolder, tmp_path: Path
) -> None:
    train_embedder(dataset, tmp_path / "run", TINY)
    report = json.loads((tmp_path / "run" / "embedder.json").read_text())
    assert report["settings"]["steps"] == 4
    assert report["num_train_users"] == 9
    assert report["dataset_fingerprint"] == dataset.fingerprint
    assert (tmp_path / "run" / "embedder.safetensors").is_file()


def test_without_validation_users_their_numbers_are_unknown(tmp_path: Path) -> None:
    lonely = write_dataset(tmp_path / "data", colour_fans(some_users("train", 4)))
    report: Any = train_embedder(lonely, tmp_path / "run", TINY)
    assert report["validation"]["colike_recall_at_10"] is None
    assert report["validation"]["caption_recall_at_10"] is not None


def test_too_few_train_users_are_refused(tmp_path: Path) -> None:
    likes = colour_fans(some_users("validation", 5)) | {
        some_users("train", 2)[0]: ["red-square-0", "red-square-1"],
        some_users("train", 2)[1]: ["red-square-0"],
    }
    dataset = write_dataset(tmp_path / "data", likes)
    with pytest.raises(DatasetError, match="1 users of the train split like 2 items or more"):
        train_embedder(dataset, tmp_path / "run", TINY)


def test_an_unknown_attribute_lists_the_known_ones(dataset: DatasetFolder, tmp_path: Path) -> None:
    fault = "has no attribute 'style'. Its attributes: colour, thing"
    with pytest.raises(SettingsError, match=fault):
        train_embedder(dataset, tmp_path / "run", replace(TINY, caption_attributes=("style",)))


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"batch": 7}, "batch must be at least 8 pictures, got 7"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, got 0.0"),
    ],
)
def test_impossible_settings_are_refused(fields: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        EmbedderSettings(**fields)


def test_a_batch_pairs_two_different_likes_of_each_of_different_users(
    dataset: DatasetFolder,
) -> None:
    data = EmbedderData.read(dataset, 16, ())
    for seed in range(20):
        batch = draw_batch(data, 16, torch.Generator().manual_seed(seed))
        assert (batch.liked_shape, len(batch.row_B)) == ((2, 6, 1), 16)
        first, second = batch.row_B[:6].tolist(), batch.row_B[6:12].tolist()
        for one, other in zip(first, second, strict=True):
            assert one != other
            colour = data.item_ids[one].split("-")[0]
            assert data.item_ids[other].startswith(colour)


def test_a_batch_within_contents_has_likes_and_the_same_things_in_any_colour(
    dataset: DatasetFolder,
) -> None:
    """24 pictures a user: six likes, each with three others; the rest is any items."""
    data = EmbedderData.read(dataset, 16, content="thing")
    batch = draw_batch(data, 64, torch.Generator().manual_seed(0))
    assert (batch.liked_shape, len(batch.row_B)) == ((6, 2, 4), 64)
    for likes_LK in batch.liked(batch.row_B).unbind(dim=1):
        ids = [[data.item_ids[row] for row in rows] for rows in likes_LK.tolist()]
        assert len({liked.split("-")[0] for liked, *_ in ids}) == 1  # a fan of one colour
        assert len({liked for liked, *_ in ids}) == 6
        for liked, *others in ids:
            things = {other.split("-", 1)[1] for other in others}
            assert things == {liked.split("-", 1)[1]}
            assert liked not in others


def test_a_user_with_few_likes_repeats_some(tmp_path: Path) -> None:
    two_each = {user_id: likes_of_colour("red")[:2] for user_id in some_users("train", 3)}
    data = EmbedderData.read(write_dataset(tmp_path / "data", two_each), 16, content="thing")
    batch = draw_batch(data, 24, torch.Generator().manual_seed(0))
    assert batch.liked_shape == (6, 1, 4)
    assert len(set(batch.liked(batch.row_B)[:, 0, 0].tolist())) == 2


def test_training_within_contents_tells_colours_and_lets_go_of_shapes(
    dataset: DatasetFolder, tmp_path: Path
) -> None:
    """Users like eight things in one colour: of the same thing in three colours the older likes
    prefer the newest one; by chance they would in one of three cases."""
    settings = replace(TINY, steps=60, batch=48, content="thing")
    report: Any = train_embedder(dataset, tmp_path / "run", settings)
    assert report["validation"]["manner_accuracy"] == 1
    assert report["train"]["taste_loss"] < 0.5
    assert report["settings"]["content"] == "thing"


def test_without_a_content_nothing_is_said_of_the_manner(
    dataset: DatasetFolder, tmp_path: Path
) -> None:
    report: Any = train_embedder(dataset, tmp_path / "run", TINY)
    assert report["validation"]["manner_accuracy"] is None


def test_a_content_that_no_two_items_share_is_refused(
    dataset: DatasetFolder, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="alike in content: 'mood'"):
        train_embedder(dataset, tmp_path / "run", replace(TINY, content="mood"))


def test_a_like_is_told_from_its_content_by_the_users_other_likes() -> None:
    """One user, two likes that point east, an other of each: east again costs ln 2, west at
    scale 10 costs ln(1 + e^-20), nothing; a like that repeats is no anchor of itself."""
    east, west = [1.0, 0.0], [-1.0, 0.0]
    row_LUK = torch.tensor([[[0, 1]], [[2, 3]]])
    same_LUKD = torch.tensor([[[east, east]], [[east, east]]])
    assert manner_loss(same_LUKD, row_LUK, 10.0).item() == pytest.approx(math.log(2))
    apart_LUKD = torch.tensor([[[east, west]], [[east, west]]])
    assert manner_loss(apart_LUKD, row_LUK, 10.0).item() == pytest.approx(0, abs=1e-6)
    crossed_LUKD = torch.tensor([[[east, west]], [[west, east]]])
    assert manner_loss(crossed_LUKD, row_LUK, 10.0).item() == pytest.approx(20)
    repeated_LUK = torch.tensor([[[0, 1]], [[0, 1]], [[2, 3]]])
    repeated_LUKD = torch.tensor([[[east, west]], [[east, west]], [[west, east]]])
    assert manner_loss(repeated_LUKD, repeated_LUK, 10.0).item() == pytest.approx(20)


def test_a_like_without_others_of_its_content_costs_nothing() -> None:
    """A content of one picture is drawn as its own other: one answer, which is right."""
    row_LUK = torch.tensor([[[0, 0]], [[2, 2]]])
    loss = manner_loss(torch.ones(2, 1, 2, 2), row_LUK, 10.0)
    assert loss.item() == pytest.approx(0)


def test_guessing_costs_the_logarithm_of_the_choices() -> None:
    """Equal embeddings give equal logits over four texts, or over three pairs."""
    same = torch.ones(4, 2)
    loss = content_loss(same, same, torch.arange(4), ONE)
    assert loss.item() == pytest.approx(math.log(4))
    pairs = torch.ones(3, 2)
    loss = taste_loss(pairs, pairs, torch.arange(3), torch.arange(3, 6), ONE)
    assert loss.item() == pytest.approx(math.log(3))


def test_pictures_with_the_same_text_are_all_right_answers() -> None:
    """Two pictures and one text: probability ½ each, target ½ each, so ln 2, the least there is;
    taken for different texts, a perfect match costs less."""
    same = torch.ones(2, 2)
    assert content_loss(same, same, torch.zeros(2), ONE).item() == pytest.approx(math.log(2))
    apart = torch.eye(2)
    assert content_loss(apart, apart, torch.zeros(2), 10 * ONE).item() > math.log(2)
    assert content_loss(apart, apart, torch.arange(2), 10 * ONE).item() < 0.01


def test_an_item_liked_by_two_users_of_a_batch_is_no_wrong_answer() -> None:
    """Both users like item 7, and both pairs are equal: with the cells of the other user left
    out, each pair has one answer, which costs nothing."""
    pairs = torch.ones(2, 2)
    shared = torch.tensor([7, 7])
    loss = taste_loss(pairs, pairs, shared, torch.tensor([8, 9]), ONE)
    assert loss.item() == pytest.approx(0)


def test_an_augmented_picture_keeps_its_colours() -> None:
    plain_BHWC = torch.full((8, 16, 16, 3), 200, dtype=torch.uint8)
    changed_BHWC = augment(plain_BHWC, torch.Generator().manual_seed(0))
    assert changed_BHWC.shape == plain_BHWC.shape
    torch.testing.assert_close(
        changed_BHWC.mean(dim=(1, 2)), torch.full((8, 3), 200 / 255), atol=0.01, rtol=0
    )


def test_a_shift_moves_a_dot_by_a_few_pixels_and_keeps_it() -> None:
    dots_BHWC = torch.zeros(32, 16, 16, 3, dtype=torch.uint8)
    dots_BHWC[:, 8, 8] = 255
    changed_BHWC = augment(dots_BHWC, torch.Generator().manual_seed(0))
    brightest_B = changed_BHWC.sum(dim=3).flatten(1).argmax(dim=1)
    rows, columns = brightest_B // 16, brightest_B % 16
    assert ((rows - 8).abs() <= MAX_SHIFT + 1).all()
    assert ((columns - 8).abs() <= MAX_SHIFT + 1).all()
    assert rows.unique().numel() > 2


def test_the_same_generator_state_changes_a_picture_in_the_same_way() -> None:
    pixels_BHWC = torch.randint(0, 256, (4, 8, 8, 3), dtype=torch.uint8)
    first = augment(pixels_BHWC, torch.Generator().manual_seed(5))
    assert torch.equal(first, augment(pixels_BHWC, torch.Generator().manual_seed(5)))


def test_a_text_shares_buckets_with_its_misspelling() -> None:
    """`happy` and `hapy` share <ha, hap and py> of five and four trigrams."""
    assert len(set(text_buckets("happy")) & set(text_buckets("Hapy"))) == 3


def test_the_hash_of_a_text_is_the_same_in_every_process() -> None:
    """CRC-32 modulo 8192 of `cat`, `<ca`, `cat` and `at>`."""
    assert text_buckets("cat") == [936, 3148, 936, 6492]


def test_an_empty_text_has_a_vector_too() -> None:
    texts_BD = CaptionTower(4)([text_buckets(""), text_buckets("a cat")])
    torch.testing.assert_close(texts_BD.norm(dim=1), torch.ones(2))


def test_the_text_of_an_item_repeats_nothing() -> None:
    item = Item("i", "cat", "cat", {"mood": "calm", "tags": ("pet", "soft"), "style": "flat"})
    assert item_text(item) == "cat"
    assert item_text(item, ("mood", "tags", "absent")) == "cat calm pet soft"
