"""The dataset folder as a catalog and as the source of histories."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import DatasetError, UnknownItem, UnknownUser
from pigeon_recsys.ports import ItemCatalog
from pigeon_recsys.records import LIKE, NEUTRAL, SKIP, Interaction, ScoredItem
from pigeon_recsys.testing.catalog_contract import ItemCatalogContract

DAY_MS = 86_400_000
JAN_1 = 1_735_689_600_000  # 2025-01-01T00:00Z

MakeFolder = Callable[..., Path]


class TestDatasetFolderIsACatalog(ItemCatalogContract):
    @pytest.fixture(autouse=True)
    def _folder(self, make_folder: MakeFolder) -> None:
        self.folder = make_folder()

    def make_catalog(self) -> ItemCatalog:
        return DatasetFolder.open(self.folder)


@pytest.fixture
def dataset(make_folder: MakeFolder) -> DatasetFolder:
    return DatasetFolder.open(make_folder())


def test_the_names_come_from_the_yaml(dataset: DatasetFolder) -> None:
    assert (dataset.name, dataset.task) == ("tiny", "sticker")
    assert dataset.attribute_names == ("style", "emotion", "tags")
    assert dataset.item_ids == ("a", "b", "c")
    assert dataset.user_ids == ("u1", "u2")


def test_an_instruction_joins_what_is_known(dataset: DatasetFolder) -> None:
    assert dataset.item("a").instruction == "cat, happy"
    assert dataset.item("b").instruction == "dog"


def test_null_and_empty_attributes_are_left_out(dataset: DatasetFolder) -> None:
    assert dataset.item("a").attributes == {
        "style": "flat",
        "emotion": "happy",
        "tags": ("pet", "fur"),
    }
    assert dataset.item("b").attributes == {"style": "flat"}
    assert dataset.item("c").attributes == {"style": "outline", "emotion": "sad"}


def test_pixels_keep_the_stored_size(dataset: DatasetFolder) -> None:
    assert dataset.pixels("c").shape == (8, 6, 3)
    assert np.all(dataset.pixels("c") == 80)


def test_pixels_can_be_written(dataset: DatasetFolder) -> None:
    """Pillow's own array is read-only, and torch warns about those."""
    assert dataset.pixels("a").flags.writeable


def test_interactions_are_sorted_by_user_then_time_then_item(dataset: DatasetFolder) -> None:
    assert dataset.interactions == (
        Interaction("u1", "a", LIKE, JAN_1 + DAY_MS),
        Interaction("u1", "c", SKIP, JAN_1 + DAY_MS),
        Interaction("u1", "b", LIKE, JAN_1 + 2 * DAY_MS),
        Interaction("u2", "b", LIKE, JAN_1 + 3 * DAY_MS),
    )


def test_a_history_holds_the_users_interactions_oldest_first(dataset: DatasetFolder) -> None:
    history = dataset.history("u1")
    assert history.item_ids == ("a", "c", "b")
    assert history.liked == ("a", "b")
    assert history.version == JAN_1 + 2 * DAY_MS


def test_histories_come_in_the_order_of_the_users(dataset: DatasetFolder) -> None:
    assert list(dataset.histories()) == [dataset.history("u1"), dataset.history("u2")]


def test_popular_counts_likes_and_not_skips(dataset: DatasetFolder) -> None:
    """b is liked twice, a once, c only skipped."""
    assert dataset.popular(3) == [ScoredItem("b", 2), ScoredItem("a", 1), ScoredItem("c", 0)]
    assert dataset.popular(-1) == []


def test_ratings_become_likes_skips_and_neutral(rating_folder: Path) -> None:
    """The ratings are 4.0, 3.5, 2.5 and 5.0; likes from 4.0, skips up to 2.5."""
    interactions = DatasetFolder.open(rating_folder).interactions
    assert [(row.user_id, row.item_id, row.event) for row in interactions] == [
        ("u1", "a", LIKE),
        ("u1", "c", SKIP),
        ("u1", "b", NEUTRAL),
        ("u2", "b", LIKE),
    ]


def test_an_unknown_user_is_named(dataset: DatasetFolder) -> None:
    with pytest.raises(UnknownUser, match="no history is stored for user 'nobody'"):
        dataset.history("nobody")


def test_an_unknown_item_is_named(dataset: DatasetFolder) -> None:
    with pytest.raises(UnknownItem) as caught:
        dataset.item("z")
    where = f"the dataset folder {dataset.path.name!r}"
    assert str(caught.value) == f"{where} holds no item 'z' among its 3 items."


def test_reading_twice_gives_the_same_fingerprint(make_folder: MakeFolder) -> None:
    folder = make_folder()
    assert DatasetFolder.open(folder).fingerprint == DatasetFolder.open(folder).fingerprint


def test_a_copy_has_the_same_fingerprint_and_a_change_another(make_folder: MakeFolder) -> None:
    fingerprint = DatasetFolder.open(make_folder()).fingerprint
    copy = DatasetFolder.open(make_folder(name="copy"))
    events = ["like", "like", "skip", "skip"]
    changed = DatasetFolder.open(make_folder(name="changed", interactions={"event": events}))
    assert copy.fingerprint == fingerprint
    assert changed.fingerprint != fingerprint


def test_opening_does_not_decode_pictures(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "images/b.png").write_bytes(b"no picture")
    dataset = DatasetFolder.open(folder)
    with pytest.raises(DatasetError) as caught:
        dataset.pixels("b")
    assert caught.value.faults == (
        "item 'b': image 'images/b.png' is no PNG, JPEG or WebP picture. Replace it.",
    )
    assert caught.value.result == {
        "folder": str(folder),
        "faults": [{"text": caught.value.faults[0]}],
    }


def test_opening_finds_a_missing_picture(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "images/b.png").unlink()
    with pytest.raises(DatasetError, match="'images/b.png' does not exist"):
        DatasetFolder.open(folder)


def test_a_folder_opened_cannot_be_changed(dataset: DatasetFolder) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.name = "other"  # type: ignore[misc]
