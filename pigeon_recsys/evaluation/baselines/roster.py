"""The baselines by name, on the backbone of the run under evaluation.

backbone            its own prompt, without Pigeon's modules
pmg                 keywords and soft preference embeddings  (trained on the data)
textual-inversion   a word learned for each user
dreambooth          an adapter learned for each user
ip-adapter          an image prompt from the history         (trained on the data)
stage1              Pigeon before preference alignment
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pigeon_recsys.alignment.baselines import TRAINED
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.baselines.baseline_method import BaselineMethod, Studio
from pigeon_recsys.evaluation.controls import own_tasks
from pigeon_recsys.evaluation.methods import Generated, Method
from pigeon_recsys.generation.pigeon_generator import GeneratorSettings, PigeonGenerator
from pigeon_recsys.ports import ImageEmbedder, ItemIndex

if TYPE_CHECKING:
    from pigeon_recsys.alignment.baselines.prompted import Baseline
    from pigeon_recsys.alignment.baselines.trained_baseline import FrozenBackbone

NAMES = {
    "backbone": "backbone, not aligned",
    "pmg": "PMG-style",
    "textual-inversion": "Textual Inversion",
    "dreambooth": "DreamBooth (LoRA)",
    "ip-adapter": "IP-Adapter-style",
    "stage1": "Pigeon, stage 1 only",
}
BASELINE_KEYS = tuple(NAMES)


@dataclass(frozen=True)
class BaselineSource:
    """Where baselines come from, and what they share with Pigeon."""

    weights: Path  # the run folder under evaluation, whose backbone they use
    embedder: ImageEmbedder  # the selection scorer's
    trained: Path | None = None  # where `train baseline` has written
    settings: GeneratorSettings = field(default_factory=GeneratorSettings)


def check_trained_folder(keys: Sequence[str], trained: Path | None) -> None:
    """Raise `SettingsError` when a baseline that learns from data has no folder to come from."""
    for key in keys:
        if key in TRAINED and trained is None:
            raise SettingsError(
                f"the baseline {key!r} learns from the data. Give --baselines DIR, a folder that "
                f"`pigeon-recsys train baseline --name {key} --out DIR` has written."
            )


def load_baselines(
    keys: Sequence[str],
    dataset: DatasetFolder,
    index: ItemIndex,
    source: BaselineSource,
    selection_weights: tuple[Path, ...],
) -> dict[str, Method]:
    """Return the baselines among `keys`. Raises `ArtifactError` for one not trained."""
    check_trained_folder(keys, source.trained)
    asked = [key for key in BASELINE_KEYS if key in keys]
    methods: dict[str, Method] = {}
    if "stage1" in asked:
        generator = _stage1_generator(index, source)
        methods["stage1"] = Generated(NAMES["stage1"], generator, own_tasks, selection_weights)
    prompted = [key for key in asked if key != "stage1"]
    if prompted:
        methods |= _prompted(prompted, dataset, source, selection_weights)
    return methods


def _stage1_generator(index: ItemIndex, source: BaselineSource) -> PigeonGenerator:
    from pigeon_recsys.model.checkpoint import STAGE1_FOLDER
    from pigeon_recsys.model.inference import PigeonModel

    model = PigeonModel.load(source.weights / STAGE1_FOLDER)
    settings = replace(source.settings, ratio_choice="sweep")  # a predictor knows its own weights
    return PigeonGenerator(model, source.embedder, index, settings)


def _prompted(
    keys: Sequence[str],
    dataset: DatasetFolder,
    source: BaselineSource,
    selection_weights: tuple[Path, ...],
) -> dict[str, Method]:
    from pigeon_recsys.alignment.baselines.trained_baseline import FrozenBackbone

    frozen = FrozenBackbone.load(source.weights)
    studio = Studio(frozen.backbone, dataset, source.embedder, source.settings)
    return {
        key: BaselineMethod(
            NAMES[key], _baseline(key, frozen, dataset, source), studio, selection_weights
        )
        for key in keys
    }


def _baseline(
    key: str, frozen: "FrozenBackbone", dataset: DatasetFolder, source: BaselineSource
) -> "Baseline":
    from pigeon_recsys.alignment.baselines.dreambooth import DreamBooth
    from pigeon_recsys.alignment.baselines.plain_backbone import shown_history
    from pigeon_recsys.alignment.baselines.prompted import Prompted
    from pigeon_recsys.alignment.baselines.textual_inversion import TextualInversion
    from pigeon_recsys.alignment.baselines.trained_baseline import load_preference

    if key in TRAINED:
        assert source.trained is not None
        return Prompted(frozen.backbone, load_preference(source.trained, key, frozen, dataset))
    makers: dict[str, Callable[[], Baseline]] = {
        "backbone": lambda: Prompted(frozen.backbone, shown_history),
        "textual-inversion": lambda: TextualInversion(frozen.backbone),
        "dreambooth": lambda: DreamBooth(frozen.backbone),
    }
    return makers[key]()
