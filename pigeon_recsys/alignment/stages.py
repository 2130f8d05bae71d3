"""The training stages in order, and what each leaves in the run folder.

    tokenizer -> RUN/backbone/tokenizer.safetensors
    refiner   -> RUN/backbone/refiner.safetensors
    backbone  -> RUN/backbone/language_model.safetensors, text_tokenizer.json, backbone.json
    stage1    -> RUN/pigeon.safetensors, pigeon.json
    embedder  -> RUN/embedder.safetensors, embedder.json

A stage reads what the earlier ones wrote, so each can be run, resumed or repeated alone.
`RUN/stages.json` records each stage with the recipe and the data it was trained on.
"""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pigeon_recsys.alignment.backbone_training import train_backbone
from pigeon_recsys.alignment.embedder_training import EmbedderSettings, train_embedder
from pigeon_recsys.alignment.examples import liked_windows, tokenize_items
from pigeon_recsys.alignment.loop import TrainReport
from pigeon_recsys.alignment.recipe import Recipe
from pigeon_recsys.alignment.stage1 import train_stage1
from pigeon_recsys.alignment.tokenizer_training import train_refiner, train_tokenizer
from pigeon_recsys.backbones.mini.backbone import MiniBackbone, MiniConfig
from pigeon_recsys.backbones.mini.refiner import Refiner, RefinerConfig
from pigeon_recsys.backbones.mini.text import VOCABULARY_SIZE, learn_text_tokenizer
from pigeon_recsys.backbones.mini.visual_tokenizer import VisualTokenizer, VisualTokenizerConfig
from pigeon_recsys.backbones.weights import load_weights, save_weights
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.pixel_table import PixelTable
from pigeon_recsys.files import write_text_atomic
from pigeon_recsys.history.instruction import Instruction
from pigeon_recsys.model.checkpoint import save_pigeon
from pigeon_recsys.model.pigeon import Pigeon, PigeonConfig

logger = logging.getLogger(__name__)

RECORD_FILE = "stages.json"
TOKENIZER_FILE = Path("backbone") / "tokenizer.safetensors"
REFINER_FILE = Path("backbone") / "refiner.safetensors"


def tokenizer_config(recipe: Recipe) -> VisualTokenizerConfig:
    """Return the sizes of the tokenizer."""
    return VisualTokenizerConfig(height=recipe.image.height, width=recipe.image.width)


def pixel_table(recipe: Recipe, dataset: DatasetFolder) -> PixelTable:
    """Return all pictures of the dataset at the recipe's size."""
    return PixelTable.load(dataset, dataset.item_ids, recipe.image.height, recipe.image.width)


def run_tokenizer(recipe: Recipe, dataset: DatasetFolder, run: Path) -> TrainReport:
    """Train the visual tokenizer."""
    torch.manual_seed(recipe.seed)
    tokenizer = VisualTokenizer(tokenizer_config(recipe))
    pixels = pixel_table(recipe, dataset).pixels
    stage = recipe.tokenizer
    report = train_tokenizer(tokenizer, pixels, stage.loop(recipe.seed), run, stage.batch_size)
    save_weights(run / TOKENIZER_FILE, tokenizer.state_dict())
    return report


def run_refiner(recipe: Recipe, dataset: DatasetFolder, run: Path) -> TrainReport:
    """Train the refiner on top of the run's tokenizer."""
    torch.manual_seed(recipe.seed)
    tokenizer = trained_tokenizer(recipe, run)
    refiner = Refiner(RefinerConfig())
    pixels = pixel_table(recipe, dataset).pixels
    stage = recipe.refiner
    report = train_refiner(
        refiner, tokenizer, pixels, stage.loop(recipe.seed), run, stage.batch_size
    )
    save_weights(run / REFINER_FILE, refiner.state_dict())
    return report


def trained_tokenizer(recipe: Recipe, run: Path) -> VisualTokenizer:
    """Return the tokenizer that an earlier stage left in the run folder."""
    tokenizer = VisualTokenizer(tokenizer_config(recipe))
    rebuild = f"pigeon-recsys train tokenizer --data DIR --out {run}"
    load_weights(run / TOKENIZER_FILE, tokenizer, rebuild=rebuild)
    return tokenizer.eval()


def run_backbone(recipe: Recipe, dataset: DatasetFolder, run: Path) -> TrainReport:
    """Train the language model and complete the run's backbone folder."""
    torch.manual_seed(recipe.seed)
    texts = learn_text_tokenizer(_training_texts(dataset))
    backbone = MiniBackbone(_mini_config(recipe), texts)
    backbone.tokenizer = trained_tokenizer(recipe, run)
    pixels = pixel_table(recipe, dataset).pixels
    items = tokenize_items(backbone.tokenizer, backbone, dataset, pixels)
    stage = recipe.backbone
    report = train_backbone(
        backbone,
        items,
        liked_windows(dataset, items, "train"),
        liked_windows(dataset, items, "validation"),
        Instruction(),
        stage.loop(recipe.seed),
        run,
        stage.batch_size,
    )
    rebuild = f"pigeon-recsys train refiner --data DIR --out {run}"
    load_weights(run / REFINER_FILE, backbone.refiner, rebuild=rebuild)
    backbone.save(run / "backbone")
    return report


def run_stage1(recipe: Recipe, dataset: DatasetFolder, run: Path) -> TrainReport:
    """Train Pigeon's own weights on the run's backbone."""
    torch.manual_seed(recipe.seed)
    backbone = MiniBackbone.load(run / "backbone")
    items = tokenize_items(
        backbone.tokenizer, backbone, dataset, pixel_table(recipe, dataset).pixels
    )
    pigeon = Pigeon(backbone, PigeonConfig())
    stage = recipe.stage1
    report = train_stage1(
        pigeon,
        items,
        liked_windows(dataset, items, "train"),
        liked_windows(dataset, items, "validation"),
        stage.loop(recipe.seed),
        run,
        stage.batch_size,
    )
    training = {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "recipe": recipe.model_dump(),
        "stage1": report.metrics,
    }
    save_pigeon(run, pigeon, training)
    return report


def run_embedder(recipe: Recipe, dataset: DatasetFolder, run: Path) -> TrainReport:
    """Train the image encoder behind retrieval, history selection and the choice of α_r."""
    stage = recipe.embedder
    settings = EmbedderSettings(
        steps=stage.steps,
        batch=stage.batch_size,
        learning_rate=stage.learning_rate,
        seed=recipe.seed,
    )
    report: dict[str, Any] = train_embedder(dataset, run, settings)
    return TrainReport(stage.steps, report["seconds"], report["validation"])


STAGES: dict[str, Callable[[Recipe, DatasetFolder, Path], TrainReport]] = {
    "embedder": run_embedder,
    "tokenizer": run_tokenizer,
    "refiner": run_refiner,
    "backbone": run_backbone,
    "stage1": run_stage1,
}


def run_stage(name: str, recipe: Recipe, dataset: DatasetFolder, run: Path) -> TrainReport:
    """Run one stage and record it."""
    report = STAGES[name](recipe, dataset, run)
    record = _record(run)
    record[name] = _made_from(name, recipe, dataset) | {
        "seconds": round(report.seconds, 1),
        "metrics": report.metrics,
    }
    write_text_atomic(run / RECORD_FILE, json.dumps(record, indent=2) + "\n")
    return report


def run_all(recipe: Recipe, dataset: DatasetFolder, run: Path) -> dict[str, TrainReport]:
    """Run the stages in order; those recorded with this recipe and data are left out."""
    reports: dict[str, TrainReport] = {}
    for name in STAGES:
        done = _record(run).get(name, {})
        if not reports and _made_from(name, recipe, dataset).items() <= done.items():
            logger.info("%s is trained already in %s", name, run)
            continue
        reports[name] = run_stage(name, recipe, dataset, run)
    return reports


def _record(run: Path) -> dict[str, Any]:
    path = run / RECORD_FILE
    record: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return record


def _made_from(name: str, recipe: Recipe, dataset: DatasetFolder) -> dict[str, Any]:
    return {
        "fingerprint": dataset.fingerprint,
        "recipe": getattr(recipe, name).model_dump(),
        "image": recipe.image.model_dump(),
        "language": recipe.language.model_dump(),
        "seed": recipe.seed,
    }


def _mini_config(recipe: Recipe) -> MiniConfig:
    language = recipe.language
    return MiniConfig(
        num_text=VOCABULARY_SIZE,
        dim=language.dim,
        num_layers=language.num_layers,
        num_heads=language.num_heads,
        feed_forward=language.feed_forward,
        tokenizer=tokenizer_config(recipe),
    )


def _training_texts(dataset: DatasetFolder) -> list[str]:
    words = Instruction()
    fixed = [words.before_history, words.before_reference]
    return fixed + [dataset.item(item_id).instruction for item_id in dataset.item_ids]
