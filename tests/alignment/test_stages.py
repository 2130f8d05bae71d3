"""All stages on a tiny world, as `pigeon-recsys train all` runs them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from pigeon_recsys.alignment.examples import EMPTY, liked_windows, tokenize_items
from pigeon_recsys.alignment.recipe import (
    RECIPES,
    InputsRecipe,
    MaskRecipe,
    PairsRecipe,
    Recipe,
    Stage1Recipe,
    Stage2Recipe,
    StageRecipe,
    WithholdRecipe,
    load_recipe,
)
from pigeon_recsys.alignment.stage_inputs import pixel_table
from pigeon_recsys.alignment.stages import STAGES, run_all, run_stage
from pigeon_recsys.backbones.mini.backbone import MiniBackbone
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.split import user_split
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.errors import ArtifactError, DatasetError, SettingsError
from pigeon_recsys.model.ablation import Inputs
from pigeon_recsys.model.checkpoint import load_pigeon, training_record
from pigeon_recsys.model.inference import PigeonModel
from pigeon_recsys.model.sampling import Sampling


def stage(steps: int, batch_size: int) -> StageRecipe:
    return StageRecipe(steps=steps, batch_size=batch_size, learning_rate=1e-3)


RECIPE = Recipe(
    embedder=stage(2, 16),
    tokenizer=stage(3, 4),
    refiner=stage(2, 4),
    backbone=stage(3, 2),
    stage1=Stage1Recipe(steps=2, batch_size=2, learning_rate=1e-3),
    pairs=PairsRecipe(windows=4, validation_windows=2, batch_size=4, steps=0, temperature=1.0),
    stage2=Stage2Recipe(steps=2, batch_size=2, learning_rate=1e-2),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    folder = tmp_path_factory.mktemp("world") / "data"
    generate_world(folder, num_items=60, num_users=40, seed=3, size=72)
    return DatasetFolder.open(folder)


@pytest.fixture(scope="module")
def run(world: DatasetFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    reports = run_all(RECIPE, world, folder)
    assert list(reports) == list(STAGES)
    return folder


def test_a_trained_run_is_not_trained_again(world: DatasetFolder, run: Path) -> None:
    assert run_all(RECIPE, world, run) == {}


def test_every_stage_leaves_its_record(run: Path, world: DatasetFolder) -> None:
    record = json.loads((run / "stages.json").read_text())
    assert set(record) == set(STAGES)
    assert {entry["fingerprint"] for entry in record.values()} == {world.fingerprint}


def test_a_trained_run_paints_the_same_pictures_each_time(world: DatasetFolder, run: Path) -> None:
    model = PigeonModel.load(run)
    history = [world.pixels(item_id) for item_id in world.item_ids[:3]]

    def paint() -> list[np.ndarray]:
        swept = model.paint_sweep(
            history, history[0], "a happy sticker", (0.0, 1.0), seed=1, sampling=Sampling()
        )
        assert [keep.shape for keep in swept.history_keep] == [(6, 6)] * 3
        return list(swept.pictures)

    first, again = paint(), paint()
    assert [picture.shape for picture in first] == [(72, 72, 3)] * 2
    assert all((a == b).all() for a, b in zip(first, again, strict=True))


def test_an_aligned_run_serves_both_stages(world: DatasetFolder, run: Path) -> None:
    """The product reads stage 2; stage 1 stays beside it, on the same backbone."""
    aligned, before = load_pigeon(run), load_pigeon(run / "stage1")
    other = {
        name
        for name, weight in aligned.own_state().items()
        if not torch.equal(weight, before.own_state()[name])
    }
    assert other
    assert all("lora_" in name for name in other)
    assert {"stage1", "stage2"} <= training_record(run).keys()
    assert PigeonModel.load(run).version != PigeonModel.load(run / "stage1").version


def test_pairs_are_of_users_of_their_split(world: DatasetFolder, run: Path) -> None:
    for row in pq.read_table(run / "pairs.parquet").to_pylist():
        window = (*row["history"], row["reference"])
        users = [u for u in world.user_ids if user_split(u) == row["split"]]
        liked = [world.history(u).liked for u in users]
        assert any(window == ids[k : k + len(window)] for ids in liked for k in range(len(ids)))


def test_a_stage_that_the_recipe_leaves_out_is_refused(world: DatasetFolder, run: Path) -> None:
    short = RECIPE.model_copy(update={"stage2": None})
    with pytest.raises(SettingsError, match="the recipe has no part stage2. Add it, or choose"):
        run_stage("stage2", short, world, run)


def test_only_training_users_make_training_windows(world: DatasetFolder, run: Path) -> None:
    """A copy of the world in which all other users' likes are one marked item."""
    backbone = MiniBackbone.load(run / "backbone")
    pixels = pixel_table(RECIPE, world).pixels
    items = tokenize_items(backbone.tokenizer, backbone, world, pixels)
    windows = liked_windows(world, items, "train")
    allowed = [world.history(u).liked for u in world.user_ids if user_split(u) == "train"]
    expected = sum(max(1, len(liked) - 5) for liked in allowed if len(liked) >= 2)
    assert len(windows) == expected
    runs = {tuple(items.row[i] for i in liked[k : k + 6]) for liked in allowed for k in range(99)}
    assert all(tuple(row for row in window if row != EMPTY) in runs for window in windows.tolist())


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("pigeon.safetensors", "is corrupt"),
        ("backbone/refiner.safetensors", "is corrupt"),
        ("backbone/backbone.json", "does not describe a backbone"),
        ("pigeon.json", "does not describe Pigeon"),
    ],
)
def test_damaged_weights_are_named_with_the_command_that_makes_them(
    run: Path, tmp_path: Path, name: str, fault: str
) -> None:
    copy = copied(run, tmp_path)
    (copy / name).write_bytes(b"garbage")
    with pytest.raises(ArtifactError, match=rf"{name} {fault}.*pigeon-recsys train"):
        PigeonModel.load(copy)


@pytest.mark.parametrize("name", ["pigeon.safetensors", "backbone/text_tokenizer.json"])
def test_missing_weights_are_named_with_the_command_that_makes_them(
    run: Path, tmp_path: Path, name: str
) -> None:
    copy = copied(run, tmp_path)
    (copy / name).unlink()
    with pytest.raises(ArtifactError, match=rf"{name} is missing.*pigeon-recsys train"):
        PigeonModel.load(copy)


def copied(run: Path, tmp_path: Path) -> Path:
    """Return a copy of what inference reads."""
    (tmp_path / "backbone").mkdir()
    for path in [*run.glob("pigeon.*"), *(run / "backbone").iterdir()]:
        (tmp_path / path.relative_to(run)).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*")), ids=lambda path: path.stem)
def test_a_shipped_recipe_is_valid_and_says_how_to_run_it(path: Path) -> None:
    recipe = load_recipe(path.stem)
    assert recipe.tokenizer.steps > 0
    command = f"# pigeon-recsys train all --recipe {path.stem} --data DIR --out RUN\n"
    assert command in path.read_text()


def test_an_unknown_recipe_lists_those_that_exist() -> None:
    with pytest.raises(
        SettingsError, match="no recipe 'wrold'.*quick-poster, quick-sticker, world"
    ):
        load_recipe("wrold")


def test_a_recipe_whose_stage2_settings_exclude_another_is_refused() -> None:
    with pytest.raises(SettingsError, match="label_smoothing 0.1 has no effect on hinge"):
        Stage2Recipe(steps=1, batch_size=1, learning_rate=1.0, loss="hinge", label_smoothing=0.1)


def test_every_fault_of_a_recipe_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("seed: 0\nstage_2: {}\ntokenizer: {steps: 0, batch_size: 8, learning_rate: 1}")
    with pytest.raises(SettingsError) as caught:
        load_recipe(str(path))
    for part in ("stage_2", "tokenizer.steps", "got 0", "backbone"):
        assert part in str(caught.value)


def test_no_stage_reads_a_withheld_picture(world: DatasetFolder, tmp_path: Path) -> None:
    """The withheld files are made unreadable: whoever opened one would fail."""
    recipe = RECIPE.model_copy(
        update={
            "withhold": WithholdRecipe(attribute="emotion", share=0.9),
            "content": "emotion",
            "reference": "tokens",
            "mask": MaskRecipe(kind="random", history_ratio=0.4),
            "stage1": RECIPE.stage1.model_copy(update={"inputs": InputsRecipe(text=False)}),
            "pairs": PairsRecipe(
                windows=4, validation_windows=2, batch_size=4, steps=0, references="same"
            ),
        }
    )
    left = recipe.training_data(world)
    withheld = set(world.item_ids) - set(left.item_ids)
    assert withheld
    copy = tmp_path / "data"
    shutil.copytree(world.path, copy)
    for item_id in withheld:
        (copy / world.rows[item_id].image).write_bytes(b"no picture")
    run = tmp_path / "run"
    assert list(run_all(recipe, DatasetFolder.open(copy), run)) == list(STAGES)
    config = load_pigeon(run).config
    assert (config.mask.kind, config.mask.history_ratio) == ("random", 0.4)
    assert config.personalize.reference_form == "tokens"
    assert config.inputs == Inputs(text=False)
    with pytest.raises(DatasetError, match="is no PNG"):
        run_all(RECIPE, DatasetFolder.open(copy), tmp_path / "other")
