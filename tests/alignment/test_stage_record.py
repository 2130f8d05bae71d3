"""A stage is done, resumed or refused by what it was made from."""

import json
from pathlib import Path
from typing import Any

import pytest

from pigeon_recsys.alignment.loop import TrainReport
from pigeon_recsys.alignment.recipe import STAGE_PARTS, MaskRecipe, load_recipe
from pigeon_recsys.alignment.stage_record import is_done, origin_of, record_end, record_start
from pigeon_recsys.alignment.stages import STAGES
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import ArtifactError
from tests.datasets.conftest import MakeFolder, make_folder

__all__ = ["make_folder"]

ORIGIN: dict[str, Any] = {
    "fingerprint": "ab",
    "recipe": {"steps": 3, "learning_rate": 0.001, "patience": None},
    "reads": {"backbone/tokenizer.safetensors": "0123"},
}
RETRAINED = ORIGIN | {"reads": {"backbone/tokenizer.safetensors": "4567"}}
REPORT = TrainReport(steps=3, seconds=1.0, metrics={"loss": 0.5})


def killed_run(run: Path) -> Path:
    """Leave what a stage leaves that was killed after its first checkpoint."""
    record_start(run, "backbone", ORIGIN)
    checkpoint = run / "backbone.checkpoint.pt"
    checkpoint.write_bytes(b"state")
    return checkpoint


def test_a_stage_is_done_once_it_ended_from_the_same_origin(tmp_path: Path) -> None:
    record_start(tmp_path, "backbone", ORIGIN)
    assert not is_done(tmp_path, "backbone", ORIGIN)
    record_end(tmp_path, "backbone", ORIGIN, REPORT)
    assert is_done(tmp_path, "backbone", ORIGIN)


def test_a_stage_is_not_done_when_the_weights_it_read_were_trained_anew(tmp_path: Path) -> None:
    record_end(tmp_path, "backbone", ORIGIN, REPORT)
    assert not is_done(tmp_path, "backbone", RETRAINED)


def test_a_killed_stage_goes_on_from_the_same_origin(tmp_path: Path) -> None:
    checkpoint = killed_run(tmp_path)
    record_start(tmp_path, "backbone", ORIGIN)
    assert checkpoint.exists()


@pytest.mark.parametrize("origin", [RETRAINED, ORIGIN | {"fingerprint": "cd"}])
def test_a_checkpoint_of_another_origin_is_refused(tmp_path: Path, origin: dict[str, Any]) -> None:
    """Before origins were compared, data that changed under a checkpoint gave the old weights
    a new record."""
    killed_run(tmp_path)
    with pytest.raises(
        ArtifactError, match=r"backbone\.checkpoint\.pt was made from other data.* delete"
    ):
        record_start(tmp_path, "backbone", origin)


def test_the_checkpoint_of_a_finished_stage_is_gone_so_that_it_can_be_repeated(
    tmp_path: Path,
) -> None:
    checkpoint = killed_run(tmp_path)
    record_end(tmp_path, "backbone", ORIGIN, REPORT)
    assert not checkpoint.exists()
    record_start(tmp_path, "backbone", RETRAINED)


def test_stages_are_recorded_side_by_side(tmp_path: Path) -> None:
    for stage in ("tokenizer", "backbone"):
        record_start(tmp_path, stage, ORIGIN)
        record_end(tmp_path, stage, ORIGIN, REPORT)
    for name in ("settings.json", "stages.json"):
        assert list(json.loads((tmp_path / name).read_text())) == ["tokenizer", "backbone"]


@pytest.mark.parametrize(
    "change",
    [{"views": 3}, {"seed": 5}, {"mask": MaskRecipe(kind="random")}, {"reference": "embedding"}],
)
def test_what_all_stages_share_is_part_of_every_origin(
    change: dict[str, Any], make_folder: MakeFolder, tmp_path: Path
) -> None:
    """Pictures in other views are other training data, and so is any setting added later."""
    dataset, recipe = DatasetFolder.open(make_folder()), load_recipe("emoji-sticker")
    changed = recipe.model_copy(update=change)
    before = origin_of("backbone", recipe, dataset, tmp_path, ())
    assert origin_of("backbone", changed, dataset, tmp_path, ()) != before


def test_every_other_part_of_a_recipe_belongs_to_a_stage() -> None:
    assert set(STAGES) == STAGE_PARTS
