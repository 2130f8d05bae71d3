import pytest

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ranking import ablation
from pigeon_recsys.ranking.ablation import (
    ATTRIBUTES,
    KNOWN_ITEMS,
    LEFT_OUT,
    PICTURE,
    TEXT,
    ablate,
    as_json,
    as_markdown,
    withheld_items,
    without,
)
from pigeon_recsys.ranking.settings import RankerSettings
from pigeon_recsys.ranking.training_data import prepare
from pigeon_recsys.testing.fakes import FakeIndex
from tests.ranking.planted_world import SETTINGS

SHORT = RankerSettings(
    table_dim=8,
    hidden_dim=16,
    text_dim=8,
    batch_size=128,
    min_steps=40,
    history_len=6,
    holdout_share=0.3,
    ndcg_negatives=5,
)


def test_what_is_withheld_follows_from_the_id_alone() -> None:
    item_ids = [f"item-{number}" for number in range(4_000)]
    withheld = withheld_items(item_ids)
    assert withheld_items(reversed(item_ids)) == withheld
    assert len(withheld) / len(item_ids) == pytest.approx(0.25, abs=0.03)


def test_pictures_rank_items_never_seen_and_ids_do_not(
    dataset: DatasetFolder, index: FakeIndex
) -> None:
    """In the planted world taste shows in the picture and in nothing else."""
    variants = {variant.name: variant for variant in ablate(dataset, index, SHORT)}
    assert list(variants) == [*LEFT_OUT, KNOWN_ITEMS]
    assert variants["all content"].quality.auc > 0.65
    assert variants["picture only"].quality.auc > 0.65
    assert abs(variants["id only"].quality.auc - 0.5) < 0.15
    assert variants[KNOWN_ITEMS].num_likes > variants["all content"].num_likes > 0
    table = as_markdown(variants.values()).splitlines()
    assert len(table) == 2 + len(variants)
    assert table[2].startswith("| all content | 0.")
    assert as_json(variants.values())["id only"]["num_likes"] > 0


@pytest.mark.parametrize("part", [PICTURE, TEXT, ATTRIBUTES])
def test_only_what_is_left_out_is_blank(
    dataset: DatasetFolder, index: FakeIndex, part: str
) -> None:
    table = without(prepare(dataset, index, SETTINGS), {part}).heldout.table
    tags = table.attributes["attribute.tags"].values
    is_there = {PICTURE: table.vectors.any(), TEXT: table.texts.any(), ATTRIBUTES: len(tags) > 0}
    assert {name for name, there in is_there.items() if not there} == {part}


def test_withholding_everything_is_refused(
    dataset: DatasetFolder, index: FakeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablation, "WITHHELD_SHARE", 1.0)
    with pytest.raises(SettingsError, match="withholds 80 of the 80 items .* more items"):
        ablate(dataset, index, SETTINGS)
