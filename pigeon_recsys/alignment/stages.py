"""The training stages in order, and what each leaves in the run folder.

    tokenizer -> RUN/backbone/tokenizer.safetensors
    refiner   -> RUN/backbone/refiner.safetensors
    backbone  -> RUN/backbone/language_model.safetensors, text_tokenizer.json, backbone.json
    stage1    -> RUN/pigeon.safetensors, pigeon.json
    embedder  -> RUN/embedder.safetensors, embedder.json
    pairs     -> RUN/pairs.parquet; RUN/stage1/ keeps the two files of stage 1
    stage2    -> RUN/pigeon.safetensors, pigeon.json, in place of stage 1's

A stage reads what the earlier ones wrote, so each can be run, resumed or repeated alone.
`stage_record.py` says what else is there: settings, versions, what each stage was made from.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pigeon_recsys.alignment.backbone_training import train_backbone
from pigeon_recsys.alignment.embedder_training import EmbedderSettings, train_embedder
from pigeon_recsys.alignment.examples import Examples, ItemTokens, tokenize_items
from pigeon_recsys.alignment.loop import TrainReport
from pigeon_recsys.alignment.pair_making import PairMaker, make_pairs
from pigeon_recsys.alignment.pairs import PAIRS_FILE, pair_metrics, read_pairs
from pigeon_recsys.alignment.predicted_likes import predicted_windows
from pigeon_recsys.alignment.processes import is_first, training_device, wait_for_all
from pigeon_recsys.alignment.recipe import Recipe
from pigeon_recsys.alignment.request_documents import REQUEST_WINDOW
from pigeon_recsys.alignment.stage1 import train_stage1
from pigeon_recsys.alignment.stage2 import train_stage2
from pigeon_recsys.alignment.stage_inputs import (
    TOKENIZER_FILE,
    item_tokens,
    mini_config,
    pigeon_config,
    pixel_table,
    same_content,
    tokenizer_config,
    trained_tokenizer,
    training_texts,
)
from pigeon_recsys.alignment.stage_record import is_done, origin_of, record_end, record_start
from pigeon_recsys.alignment.tokenizer_training import train_refiner, train_tokenizer
from pigeon_recsys.alignment.typical_likes import (
    taste_vectors,
    typical_examples,
    typical_likes,
    typical_targets,
)
from pigeon_recsys.backbones.mini.backbone import MiniBackbone
from pigeon_recsys.backbones.mini.refiner import Refiner, RefinerConfig
from pigeon_recsys.backbones.mini.text import learn_text_tokenizer
from pigeon_recsys.backbones.mini.visual_tokenizer import VisualTokenizer
from pigeon_recsys.backbones.weights import load_weights, save_weights
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.history.instruction import Instruction
from pigeon_recsys.model.checkpoint import (
    STAGE1_FOLDER,
    holds_stage2,
    keep_stage1,
    load_pigeon,
    save_pigeon,
    training_record,
)
from pigeon_recsys.model.image_encoder import load_image_encoder
from pigeon_recsys.model.pigeon import Pigeon
from pigeon_recsys.records import Pixels, Vectors

logger = logging.getLogger(__name__)

REFINER_FILE = Path("backbone") / "refiner.safetensors"
LANGUAGE_FILE = Path("backbone") / "language_model.safetensors"
EMBEDDER_FILE = Path("embedder.safetensors")
STAGE1_FILE = Path(STAGE1_FOLDER) / "pigeon.safetensors"
PIGEON_FILES = (TOKENIZER_FILE, REFINER_FILE, LANGUAGE_FILE, STAGE1_FILE)


def run_tokenizer(recipe: Recipe, dataset: DatasetFolder, run: Path) -> TrainReport:
    """Train the visual tokenizer."""
    torch.manual_seed(recipe.seed)
    tokenizer = VisualTokenizer(tokenizer_config(recipe)).to(training_device())
    pixels = pixel_table(recipe, dataset).pixels
    stage = recipe.tokenizer
    report = train_tokenizer(tokenizer, pixels, stage.loop(recipe.seed), run, stage.batch_size)
    if is_first():
        save_weights(run / TOKENIZER_FILE, tokenizer.state_dict())
    return report


def run_refiner(recipe: Recipe, dataset: DatasetFolder, run: Path) -> TrainReport:
    """Train the refiner on top of the run's tokenizer."""
    torch.manual_seed(recipe.seed)
    tokenizer = trained_tokenizer(recipe, run).to(training_device())
    refiner = Refiner(RefinerConfig()).to(training_device())
    pixels = pixel_table(recipe, dataset).pixels
    stage = recipe.refiner
    report = train_refiner(
        refiner, tokenizer, pixels, stage.loop(recipe.seed), run, stage.batch_size
    )
    if is_first():
        save_weights(run / REFINER_FILE, refiner.state_dict())
    return report


def run_backbone(recipe: Recipe, dataset: DatasetFolder, run: Path) -> TrainReport:
    """Train the language model and complete the run's backbone folder."""
    torch.manual_seed(recipe.seed)
    texts = learn_text_tokenizer(training_texts(dataset))
    backbone = MiniBackbone(mini_config(recipe), texts)
    backbone.tokenizer = trained_tokenizer(recipe, run)
    backbone.to(training_device())
    items = item_tokens(recipe, dataset, backbone)
    taste_ND = taste_vectors(dataset, run / EMBEDDER_FILE)
    examples = language_examples(recipe, dataset, items, taste_ND)
    stage = recipe.backbone
    report = train_backbone(
        backbone, examples, stage.loop(recipe.seed), run, stage.batch_size, Instruction()
    )
    rebuild = f"pigeon-recsys train refiner --data DIR --out {run}"
    load_weights(run / REFINER_FILE, backbone.refiner, rebuild=rebuild)
    if is_first():
        backbone.save(run / "backbone")
    return report


def language_examples(
    recipe: Recipe, dataset: DatasetFolder, items: ItemTokens, taste_ND: Vectors
) -> Examples:
    """Return windows of typical likes, and where contents have several pictures predicted ones."""
    if same_content(recipe, dataset) is None:
        return typical_examples(dataset, items, taste_ND)
    examples = typical_examples(dataset, items, taste_ND, REQUEST_WINDOW)
    return with_predictions(examples, recipe, dataset, taste_ND)


def stage1_examples(
    recipe: Recipe, dataset: DatasetFolder, items: ItemTokens, run: Path
) -> Examples:
    """Return windows of all likes, or those to reconstruct a typical or predicted one."""
    if recipe.stage1.targets == "all":
        return replace(Examples.read(dataset, items), same=same_content(recipe, dataset))
    taste_ND = taste_vectors(dataset, run / EMBEDDER_FILE)
    examples = typical_targets(dataset, items, taste_ND)
    return with_predictions(examples, recipe, dataset, taste_ND)


def with_predictions(
    examples: Examples, recipe: Recipe, dataset: DatasetFolder, taste_ND: Vectors
) -> Examples:
    """Return examples with references, and where a content has several pictures predicted likes."""
    same = same_content(recipe, dataset)
    if same is None or recipe.content is None:
        return replace(examples, same=same)
    likes = typical_likes(dataset, examples.items, taste_ND, "train")
    length = examples.train.shape[1]
    predicted_NW = predicted_windows(likes, taste_ND, same, length, recipe.seed)
    return replace(examples, train=np.concatenate([examples.train, predicted_NW]), same=same)


def run_stage1(recipe: Recipe, dataset: DatasetFolder, run: Path) -> TrainReport:
    """Train Pigeon's own weights on the run's backbone."""
    torch.manual_seed(recipe.seed)
    backbone = MiniBackbone.load(run / "backbone").to(training_device())
    items = item_tokens(recipe, dataset, backbone)
    examples = stage1_examples(recipe, dataset, items, run)
    pigeon = Pigeon(backbone, pigeon_config(recipe)).to(training_device())
    stage = recipe.stage1
    report = train_stage1(pigeon, examples, stage.loop(recipe.seed), run, stage.batch_size)
    training = {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "recipe": recipe.model_dump(),
        "stage1": report.metrics,
    }
    if is_first():
        save_pigeon(run, pigeon, training)
        keep_stage1(run)
    return report


@dataclass(frozen=True)
class Stage1:
    """What preference alignment starts from: the run's stage 1, and the data as ids and pixels."""

    pigeon: Pigeon
    training: dict[str, Any]
    items: ItemTokens
    pixels: Pixels

    @classmethod
    def read(cls, recipe: Recipe, dataset: DatasetFolder, run: Path) -> "Stage1":
        """Load it from `RUN/stage1`, where the first process puts it aside if need be."""
        if is_first():
            keep_stage1(run)
        wait_for_all()
        pigeon = load_pigeon(run / STAGE1_FOLDER).to(training_device())
        backbone, pixels = pigeon.backbone, pixel_table(recipe, dataset).pixels
        assert isinstance(backbone, MiniBackbone)
        items = tokenize_items(backbone.tokenizer, backbone, dataset, pixels)
        return cls(pigeon, training_record(run / STAGE1_FOLDER), items, pixels)


def run_pairs(recipe: Recipe, dataset: DatasetFolder, run: Path) -> TrainReport:
    """Make preference pairs with the run's stage 1, and score them by its embedder."""
    assert recipe.pairs is not None
    started = time.monotonic()
    stage1 = Stage1.read(recipe, dataset, run)
    settings = recipe.pairs.settings(recipe.seed)
    encoder = load_image_encoder(run / EMBEDDER_FILE)
    maker = PairMaker(stage1.pigeon, encoder, stage1.items, stage1.pixels, settings)
    examples = Examples.read(dataset, stage1.items)
    examples = replace(examples, same=same_content(recipe, dataset))
    source = origin_of("pairs", recipe, dataset, run, STAGES["pairs"].reads)
    metrics = pair_metrics(make_pairs(maker, examples, run, source))
    return TrainReport(int(metrics["pairs"]), time.monotonic() - started, metrics)


def run_stage2(recipe: Recipe, dataset: DatasetFolder, run: Path) -> TrainReport:
    """Align the run's stage 1 with its preference pairs."""
    assert recipe.stage2 is not None
    stage, stage1 = recipe.stage2, Stage1.read(recipe, dataset, run)
    report = train_stage2(
        stage1.pigeon,
        stage1.items,
        read_pairs(run / PAIRS_FILE, stage1.items, "train"),
        read_pairs(run / PAIRS_FILE, stage1.items, "validation"),
        stage.preference(),
        stage.loop(recipe.seed),
        run,
        stage.batch_size,
    )
    if is_first():
        save_pigeon(run, stage1.pigeon, stage1.training | {"stage2": report.metrics})
    return report


def run_embedder(recipe: Recipe, dataset: DatasetFolder, run: Path) -> TrainReport:
    """Train the image encoder behind retrieval, history selection and the choice of α_r."""
    stage = recipe.embedder
    settings = EmbedderSettings(
        steps=stage.steps,
        batch=stage.batch_size,
        learning_rate=stage.learning_rate,
        seed=recipe.seed,
        content=recipe.content,
    )
    report: dict[str, Any] = train_embedder(dataset, run, settings, stage.loop_given(settings.loop))
    known = {name: value for name, value in report["validation"].items() if value is not None}
    return TrainReport(stage.steps, report["seconds"], known)


@dataclass(frozen=True)
class Stage:
    """What trains a stage, and which files of the run folder it reads to do so."""

    train: Callable[[Recipe, DatasetFolder, Path], TrainReport]
    reads: tuple[Path, ...] = ()
    holds: Callable[[Path], bool] = lambda run: True  # whether later training left it in place


STAGES = {
    "embedder": Stage(run_embedder),
    "tokenizer": Stage(run_tokenizer),
    "refiner": Stage(run_refiner, reads=(TOKENIZER_FILE,)),
    "backbone": Stage(run_backbone, reads=(TOKENIZER_FILE, EMBEDDER_FILE)),
    "stage1": Stage(run_stage1, reads=(TOKENIZER_FILE, LANGUAGE_FILE, EMBEDDER_FILE)),
    "pairs": Stage(run_pairs, reads=(*PIGEON_FILES, EMBEDDER_FILE)),
    "stage2": Stage(run_stage2, reads=(*PIGEON_FILES, Path(PAIRS_FILE)), holds=holds_stage2),
}


def run_stage(name: str, recipe: Recipe, dataset: DatasetFolder, run: Path) -> TrainReport:
    """Run one stage and record it. Raises `ArtifactError` on a checkpoint of another training."""
    if getattr(recipe, name) is None:
        raise SettingsError(f"the recipe has no part {name}. Add it, or choose another recipe.")
    dataset = recipe.training_data(dataset)
    origin = origin_of(name, recipe, dataset, run, STAGES[name].reads)
    record_start(run, name, origin)
    report = STAGES[name].train(recipe, dataset, run)
    if is_first():
        record_end(run, name, origin, report)
    wait_for_all()
    return report


def run_all(recipe: Recipe, dataset: DatasetFolder, run: Path) -> dict[str, TrainReport]:
    """Run the stages in order; those recorded with this recipe, data and inputs are left out."""
    reports: dict[str, TrainReport] = {}
    for name, stage in STAGES.items():
        if getattr(recipe, name) is None:
            continue
        if stage.holds(run) and is_done(
            run, name, origin_of(name, recipe, dataset, run, stage.reads)
        ):
            logger.info("%s is trained already in %s", name, run)
        else:
            reports[name] = run_stage(name, recipe, dataset, run)
    return reports
