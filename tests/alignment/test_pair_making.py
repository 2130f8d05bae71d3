"""Making preference pairs: scores, splits, and a job that is killed and goes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from pigeon_recsys.alignment.examples import EMPTY, Examples
from pigeon_recsys.alignment.pair_making import CHUNKS_FOLDER, PairMaker, PairSettings, make_pairs
from pigeon_recsys.alignment.same_content import SameContent
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.model.image_encoder import ImageEncoder, ImageEncoderConfig
from tests.alignment.tiny_pigeon import NUM_ITEMS, SIDE, tiny_items, tiny_pigeon

TRAIN = np.array([[EMPTY, EMPTY, 0, 1, 2, 3], [0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]])
VALIDATION = np.array([[6, 7, 8, 9, 10, 11]])
SETTINGS = PairSettings(windows=3, validation_windows=1, batch_size=2, steps=0, temperature=1.0)
SOURCE = {"weights": "abc"}


@pytest.fixture
def maker() -> PairMaker:
    pigeon = tiny_pigeon()
    torch.manual_seed(4)
    config = ImageEncoderConfig(image_size=SIDE, channels=(8,), content_dim=4, taste_dim=4)
    pixels = np.random.default_rng(5).integers(256, size=(NUM_ITEMS, SIDE, SIDE, 3), dtype=np.uint8)
    return PairMaker(pigeon, ImageEncoder(config).eval(), tiny_items(pigeon), pixels, SETTINGS)


class PlantedEncoder:
    """Reads both halves off a picture's first pixel: content by red, taste by green, as angles."""

    config = ImageEncoderConfig(image_size=SIDE)

    def halves(self, pixels_BHWC: Tensor) -> tuple[Tensor, Tensor]:
        angle = pixels_BHWC[:, 0, 0] * 255 * torch.pi / 180
        content, taste = angle[:, 0], angle[:, 1]
        return (
            torch.stack([content.cos(), content.sin()], dim=1),
            torch.stack([taste.cos(), taste.sin()], dim=1),
        )


def plain(red: int, green: int) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), (red, green, 0), np.uint8)


def test_history_counts_by_taste_and_the_reference_by_content(maker: PairMaker) -> None:
    """History tastes lie at 60° and 90°, the reference's content at 0°; empty places are out.

    A picture of content 0° and taste 90° scores (cos 30° + 1)/2 and 1; one of content 60° and
    taste 60° scores (1 + cos 30°)/2 and ½.
    """
    known = np.stack([plain(200, 60), plain(100, 90), plain(0, 0)])
    planted = replace(maker, encoder=PlantedEncoder(), pixels=known)
    window = np.array([[EMPTY, EMPTY, EMPTY, 0, 1, 2]])
    history, reference = planted.scores(np.stack([plain(0, 90), plain(60, 60)]), window)
    half = (1 + np.cos(np.pi / 6)) / 2
    assert history.tolist() == [pytest.approx([half, half])]
    assert reference.tolist() == [pytest.approx([1.0, 0.5])]


def make(maker: PairMaker, run: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pq.read_table(
        make_pairs(maker, Examples(maker.items, TRAIN, VALIDATION), run, SOURCE)
    ).to_pylist()
    return rows


def test_every_window_gives_a_pair_of_its_split(maker: PairMaker, tmp_path: Path) -> None:
    rows = make(maker, tmp_path)
    assert [row["split"] for row in rows] == ["train"] * 3 + ["validation"]
    assert {len(row["history"]) for row in rows} == {3, 5}
    assert rows[-1]["history"] == ["i6", "i7", "i8", "i9", "i10"]
    assert rows[-1]["reference"] == "i11"
    for row in rows:
        assert len(row["ratios"]) == len(row["history_scores"]) == 11
        assert row["chosen_score"] == max(row["history_scores"])
        assert row["rejected_score"] == min(row["history_scores"])
        assert row["margin"] == pytest.approx(row["chosen_score"] - row["rejected_score"])


def test_a_killed_job_goes_on_and_ends_with_the_same_pairs(
    maker: PairMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kill comes in the second of two chunks; the first is not generated again."""
    whole = make(maker, tmp_path / "whole")
    sweeps, seen = PairMaker.sweeps, []

    def killed(self: PairMaker, *args: object) -> object:
        seen.append(args[-1])
        if seen == [0, 2]:
            raise KeyboardInterrupt
        return sweeps(self, *args)

    monkeypatch.setattr(PairMaker, "sweeps", killed)
    with pytest.raises(KeyboardInterrupt):
        make(maker, tmp_path / "killed")
    assert make(maker, tmp_path / "killed") == whole
    assert seen == [0, 2, 2]
    assert not (tmp_path / "killed" / CHUNKS_FOLDER).exists()


def test_finished_pairs_are_made_again_only_for_other_settings(
    maker: PairMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(maker, tmp_path)
    heavier = replace(maker, settings=replace(SETTINGS, reference_weight=0.5))
    make(heavier, tmp_path)
    monkeypatch.setattr(PairMaker, "sweeps", None)
    make(heavier, tmp_path)
    with pytest.raises(TypeError):
        make(maker, tmp_path)


def test_how_windows_are_batched_does_not_change_the_pairs(
    maker: PairMaker, tmp_path: Path
) -> None:
    together = make(replace(maker, settings=replace(SETTINGS, batch_size=4)), tmp_path / "a")
    alone = make(replace(maker, settings=replace(SETTINGS, batch_size=1)), tmp_path / "b")
    assert [row["chosen_tokens"] for row in together] == [row["chosen_tokens"] for row in alone]


def test_data_without_windows_is_refused(maker: PairMaker, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no training user of this data likes two items"):
        make_pairs(maker, Examples(maker.items, TRAIN[:0], VALIDATION), tmp_path, SOURCE)


def test_other_references_come_from_windows_of_the_same_split(
    maker: PairMaker, tmp_path: Path
) -> None:
    rows = make(replace(maker, settings=replace(SETTINGS, references="other")), tmp_path)
    references = [row["reference"] for row in rows]
    assert sorted(references[:3]) == ["i3", "i5", "i6"]
    assert references[3] == "i11"


def test_references_of_the_same_content_are_other_pictures_of_it(
    maker: PairMaker, tmp_path: Path
) -> None:
    """Items 0 and 1 show the same, so do 2 and 3, and so on."""
    others = (np.arange(NUM_ITEMS) ^ 1)[:, None]
    same = SameContent(others, np.ones(NUM_ITEMS, dtype=np.int64))
    examples = Examples(maker.items, TRAIN, VALIDATION, same)
    wanted = replace(maker, settings=replace(SETTINGS, references="same"))
    rows = pq.read_table(make_pairs(wanted, examples, tmp_path, SOURCE)).to_pylist()
    assert sorted(row["reference"] for row in rows[:3]) == ["i2", "i4", "i7"]
    assert rows[3]["reference"] == "i10"


def test_references_of_the_same_content_need_data_that_knows_them(
    maker: PairMaker, tmp_path: Path
) -> None:
    wanted = replace(maker, settings=replace(SETTINGS, references="same"))
    with pytest.raises(SettingsError, match="Name the attribute that tells as content"):
        make_pairs(wanted, Examples(maker.items, TRAIN, VALIDATION), tmp_path, SOURCE)
