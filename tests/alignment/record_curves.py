"""Short loss curves of every stage, recorded so that a change of training shows itself.

Of the pairs, which no loss makes, it is the margins between the scores of their images.

Record them anew, when a change is meant, with: python -m tests.alignment.record_curves
"""

import json
import shutil
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from pigeon_recsys.alignment.pairs import PAIRS_FILE
from pigeon_recsys.alignment.recipe import (
    ImageRecipe,
    LanguageRecipe,
    PairsRecipe,
    Recipe,
    Stage1Recipe,
    Stage2Recipe,
    StageRecipe,
)
from pigeon_recsys.alignment.run_record import read_metrics
from pigeon_recsys.alignment.stages import run_stage
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.world import generate_world

CURVES = Path(__file__).parent / "curves"
STEPS = 6


def tiny(batch_size: int) -> StageRecipe:
    """Return a stage of a few steps that logs each of them."""
    return StageRecipe(
        steps=STEPS, batch_size=batch_size, learning_rate=1e-3, warmup_steps=2, log_every=1
    )


RECIPE = Recipe(
    image=ImageRecipe(height=24, width=24),
    language=LanguageRecipe(dim=32, num_layers=1, num_heads=2, feed_forward=48),
    embedder=tiny(16),
    tokenizer=tiny(4),
    refiner=tiny(4),
    backbone=tiny(2),
    stage1=Stage1Recipe(**tiny(2).model_dump()),
    pairs=PairsRecipe(windows=4, validation_windows=2, batch_size=4, steps=0),
    stage2=Stage2Recipe(**tiny(2).model_dump() | {"learning_rate": 2e-2}, sft_weight=0.1),
)
TRAINED = ("embedder", "tokenizer", "refiner", "backbone", "stage1", "stage2")
STAGES = (*TRAINED[:-1], "pairs", "stage2")  # in their order
REQUESTS = "backbone_of_requests"  # the language model once more, on documents of the other kind
NAMES = (*STAGES, REQUESTS)


def train_curves(folder: Path) -> dict[str, list[float]]:
    """Train all stages on a tiny world inside `folder`; return the loss of each by step."""
    generate_world(folder / "data", num_items=60, num_users=40, seed=3, size=64)
    dataset = DatasetFolder.open(folder / "data")
    for stage in STAGES:
        run_stage(stage, RECIPE, dataset, folder / "run")
    shutil.copytree(folder / "run" / "backbone", folder / "requests" / "backbone")
    for path in (folder / "run").glob("embedder.*"):
        shutil.copy(path, folder / "requests")
    requests = RECIPE.model_copy(update={"reference": "tokens"})
    run_stage("backbone", requests, dataset, folder / "requests")
    rows = read_metrics(folder / "run")
    curves = {stage: [row["loss"] for row in rows if row["stage"] == stage] for stage in TRAINED}
    curves["pairs"] = pair_margins(folder / "run" / PAIRS_FILE)
    return {**curves, REQUESTS: [row["loss"] for row in read_metrics(folder / "requests")]}


def pair_margins(path: Path) -> list[float]:
    """Return how far apart the scores of each pair's images are."""
    return [round(margin, 8) for margin in pq.read_table(path)["margin"].to_pylist()]


def main() -> None:
    """Write one file a stage."""
    CURVES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for stage, losses in train_curves(Path(folder)).items():
            (CURVES / f"{stage}.json").write_text(json.dumps(losses) + "\n")


if __name__ == "__main__":
    main()
