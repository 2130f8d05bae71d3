"""Withheld pictures: the same ones everywhere, and gone from what training sees."""

from pathlib import Path

import pytest

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.withheld import Withholding
from pigeon_recsys.errors import SettingsError, UnknownItem
from tests.datasets.conftest import INTERACTIONS, ITEMS, MakeFolder

NUM_CONCEPTS = 200
STYLES = ("flat", "outline", "glow")


@pytest.fixture
def crossed(make_folder: MakeFolder) -> DatasetFolder:
    """200 concepts in three styles each; everything is liked by somebody."""
    ids = [f"{style}-{n}" for n in range(NUM_CONCEPTS) for style in STYLES]
    items = {
        "item_id": ids,
        "name": [f"thing {item_id.split('-')[1]}" for item_id in ids],
        "style": [item_id.split("-")[0] for item_id in ids],
        "emotion": [item_id.split("-")[1] for item_id in ids],  # stands for the concept
        "tags": [[] for _ in ids],
        "image": [ITEMS["image"][0] for _ in ids],
    }
    events = {
        "user_id": [f"u{n % 7}" for n in range(len(ids))],
        "item_id": ids,
        "event": ["like"] * len(ids),
        "timestamp": [INTERACTIONS["timestamp"][0]] * len(ids),
    }
    return DatasetFolder.open(make_folder(items=items, interactions=events))


def test_one_picture_of_each_withheld_concept_is_taken(crossed: DatasetFolder) -> None:
    withheld = Withholding("emotion", 0.3).items(crossed)
    concepts = [item_id.split("-")[1] for item_id in withheld]
    assert len(set(concepts)) == len(concepts)
    assert 0.2 * NUM_CONCEPTS < len(concepts) < 0.4 * NUM_CONCEPTS
    assert {item_id.split("-")[0] for item_id in withheld} == set(STYLES)


def test_a_larger_share_withholds_the_same_and_more(crossed: DatasetFolder) -> None:
    few, many = (Withholding("emotion", share).items(crossed) for share in (0.1, 0.5))
    assert few < many


def test_the_only_picture_of_a_concept_is_never_withheld(make_folder: MakeFolder) -> None:
    dataset = DatasetFolder.open(make_folder())
    assert Withholding("emotion", 0.999).items(dataset) == frozenset()


def test_an_unknown_attribute_is_named_beside_those_there(crossed: DatasetFolder) -> None:
    with pytest.raises(SettingsError, match=r"'colour'.*style, emotion, tags"):
        Withholding("colour", 0.1).items(crossed)


def test_what_is_withheld_cannot_be_read(crossed: DatasetFolder) -> None:
    withheld = Withholding("emotion", 0.3).items(crossed)
    left = crossed.without(withheld)
    assert set(left.item_ids) == set(crossed.item_ids) - withheld
    assert not withheld & {row.item_id for row in left.interactions}
    assert not withheld & {i for user in left.user_ids for i in left.history(user).item_ids}
    assert len(left.popular(1000)) == len(left.item_ids)
    for item_id in withheld:
        with pytest.raises(UnknownItem):
            left.pixels(item_id)


def test_the_folder_itself_is_left_as_it_was(crossed: DatasetFolder, tmp_path: Path) -> None:
    before = crossed.item_ids
    crossed.without(Withholding("emotion", 0.3).items(crossed))
    assert crossed.item_ids == before
