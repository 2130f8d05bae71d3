"""Train a baseline on a dataset: as stage 1 is, on the same windows, for the same steps.

In:  the run with the frozen backbone, the data it was trained on, stage 1's part of a recipe.
Out: in the folder `NAME.safetensors` and `NAME.json`, with the records of every training.

Five liked images are the history, the sixth is the target, which is told in words alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pigeon_recsys.alignment.baselines.prompted import Liked, Words, image_loss
from pigeon_recsys.alignment.baselines.trained_baseline import (
    FrozenBackbone,
    is_trained,
    new_preference,
    save_preference,
)
from pigeon_recsys.alignment.examples import (
    EMPTY,
    Examples,
    draw_windows,
    reconstruction_batch,
    tokenize_items,
)
from pigeon_recsys.alignment.loop import LoopSettings, TrainReport, train
from pigeon_recsys.alignment.processes import is_first, training_device, wait_for_all
from pigeon_recsys.alignment.recipe import StageRecipe, recipe_of_run
from pigeon_recsys.alignment.stage1 import TEXT_SHARE, VALIDATION_WINDOWS
from pigeon_recsys.alignment.stage_record import record_end, record_start
from pigeon_recsys.backbones.base import Backbone
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.pixel_table import PixelTable
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.model.checkpoint import training_record

# B rows, W window length, T tokens per image


@dataclass(frozen=True, eq=False)
class CaptionedExamples:
    """Windows of liked items, and what the catalog says of each item."""

    examples: Examples
    captions: tuple[str, ...]  # by item row

    def liked(self, window_BW: NDArray[np.int64]) -> Liked:
        """Return what comes before each window's last image."""
        batch, _ = reconstruction_batch(self.examples.items, window_BW)
        captions = tuple(
            tuple(self.captions[row] for row in rows[:-1] if row != EMPTY) for rows in window_BW
        )
        return Liked(batch.history_BHT, batch.present_BH, captions)


def train_missing(
    names: Sequence[str], dataset: DatasetFolder, run: Path, out: Path
) -> dict[str, TrainReport]:
    """Train those that `out` does not hold, as the run's recipe trains stage 1.

    Raises what `train_baseline` and `recipe_of_run` raise, and `ArtifactError` before anything is
    trained where `out` holds one of another backbone: it is not overwritten.
    """
    version = FrozenBackbone.load(run).version
    missing = [name for name in names if not is_trained(out, name, version)]
    if not missing:
        return {}
    recipe = recipe_of_run(run)
    return {
        name: train_baseline(name, dataset, run, out, recipe.stage1, recipe.seed)
        for name in missing
    }


def train_baseline(
    name: str, dataset: DatasetFolder, run: Path, out: Path, stage: StageRecipe, seed: int
) -> TrainReport:
    """Train a baseline on the run's backbone, write it into `out` and record the training."""
    _check_same_data(dataset, run)
    frozen = FrozenBackbone.load(run)
    backbone = frozen.backbone.to(training_device())
    torch.manual_seed(seed)
    preference = new_preference(name, backbone, dataset).to(training_device())
    origin = {
        "fingerprint": dataset.fingerprint,
        "recipe": stage.model_dump(mode="json"),
        "seed": seed,
        "reads": {"backbone": frozen.version},
    }
    out.mkdir(parents=True, exist_ok=True)
    record_start(out, name, origin)
    data = _read(dataset, frozen)
    report = train_preference(
        name, preference, backbone, data, stage.loop(seed), out, stage.batch_size
    )
    if is_first():
        training = {"dataset": dataset.name, **origin, "metrics": report.metrics}
        save_preference(out, name, preference, frozen.version, training)
        record_end(out, name, origin, report)
    wait_for_all()
    return report


def train_preference(
    name: str,
    preference: nn.Module,
    backbone: Backbone,
    data: CaptionedExamples,
    settings: LoopSettings,
    run: Path,
    batch_size: int,
) -> TrainReport:
    """Train the module in place; the backbone stays as it is."""
    examples = data.examples

    def loss_of(window_BW: NDArray[np.int64], with_text_B: Tensor | None = None) -> Tensor:
        batch, target_BT = reconstruction_batch(examples.items, window_BW, with_text_B)
        words = Words(batch.text_BL, batch.has_text_BL)
        part = preference(backbone, data.liked(window_BW))
        return image_loss(backbone, part, words, target_BT).mean()

    def step_loss(generator: torch.Generator) -> dict[str, Tensor]:
        window_BW = draw_windows(examples.train, batch_size, generator)
        with_text_B = torch.rand(batch_size, generator=generator) < TEXT_SHARE
        return {"loss": loss_of(window_BW, with_text_B)}

    def validate() -> dict[str, float]:
        return {"validation_loss": loss_of(examples.validation_sample(VALIDATION_WINDOWS)).item()}

    has_validation = len(examples.validation) > 0
    return train(name, preference, step_loss, settings, run, validate if has_validation else None)


def _check_same_data(dataset: DatasetFolder, run: Path) -> None:
    """Raise `SettingsError` unless the run learned from this data: else nothing is comparable."""
    training = training_record(run)
    if training.get("fingerprint") != dataset.fingerprint:
        raise SettingsError(
            f"{run} was trained on {training.get('dataset')!r} with fingerprint "
            f"{training.get('fingerprint')}, and {dataset.path} has {dataset.fingerprint}. A "
            "baseline must learn from the same data: give that folder, by --data to train it, by "
            "--trained-on to evaluate."
        )


def _read(dataset: DatasetFolder, frozen: FrozenBackbone) -> CaptionedExamples:
    spec, backbone = frozen.backbone.spec, frozen.backbone
    table = PixelTable.load(dataset, dataset.item_ids, spec.image_height, spec.image_width)
    items = tokenize_items(backbone.tokenizer, backbone, dataset, table.pixels)
    captions = tuple(dataset.item(item_id).instruction for item_id in dataset.item_ids)
    return CaptionedExamples(Examples.read(dataset, items), captions)
