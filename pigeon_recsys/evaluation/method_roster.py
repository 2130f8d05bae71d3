"""The methods of a comparison by name: Pigeon, the controls, its ablations, the baselines.

own              Pigeon as it is
no-history       Pigeon with nobody's history
swapped          Pigeon with another user's history
shuffled         Pigeon with another case's reference
retrieval        the catalog picture nearest to history and reference
history-copy     the history picture most similar to the reference
reference-copy   the reference itself
style-copy       the concept in the style nearest to the user's   (catalogs of concepts and styles)
truth            what the user would want to see                  (where the data knows it)
degraded-truth   the same, slightly worse: what the judges are worth         (as truth)
roundtrip        the same through the model's tokens: what the model can reach   (as truth)

no-reference     Pigeon without the reference picture, asked by words alone
no-text          Pigeon without words
random-mask      Pigeon that hides as many tokens, whichever
no-mask          Pigeon that hides no token, of the history or of the reference
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.baselines.roster import (
    BASELINE_KEYS,
    BaselineSource,
    load_baselines,
)
from pigeon_recsys.evaluation.ceilings import DegradedTruth, Repaint, TokenRoundTrip
from pigeon_recsys.evaluation.controls import (
    CopyOfReference,
    GroundTruth,
    MostSimilarHistoryImage,
    NearestCatalogImage,
    own_tasks,
    swapped_tasks,
    tasks_with_shuffled_references,
    tasks_without_history,
    tasks_without_reference_image,
    tasks_without_text,
)
from pigeon_recsys.evaluation.methods import Generated, Method
from pigeon_recsys.evaluation.style_copy import CopyFromNearestStyle
from pigeon_recsys.evaluation.truth import CatalogTruth, Truth
from pigeon_recsys.generation.pigeon_generator import GeneratorSettings
from pigeon_recsys.ports import ImageGenerator, ItemIndex

if TYPE_CHECKING:
    from pigeon_recsys.model.mask import MaskKind

CONTROL_KEYS = (
    "own",
    "no-history",
    "swapped",
    "shuffled",
    "retrieval",
    "history-copy",
    "reference-copy",
    "style-copy",
    "truth",
    "degraded-truth",
    "roundtrip",
)
OTHER_MASKS: "dict[str, MaskKind]" = {"random-mask": "random", "no-mask": "none"}
ABLATION_KEYS = ("no-reference", "no-text", *OTHER_MASKS)
REAL_PICTURES = frozenset(  # rows of pictures that were there before, or hardly changed
    {"retrieval", "history-copy", "reference-copy", "style-copy", "truth", "degraded-truth"}
)
METHOD_KEYS = (*CONTROL_KEYS, *ABLATION_KEYS, *BASELINE_KEYS)
METHOD_GROUPS = {
    "controls": CONTROL_KEYS,
    "ablations": ("own", "no-history", *ABLATION_KEYS),
    "baselines": BASELINE_KEYS,
    "all": METHOD_KEYS,
}


@dataclass(frozen=True)
class Subject:
    """The trained model under evaluation and what it selects with."""

    generator: ImageGenerator
    masked: "Mapping[MaskKind, ImageGenerator]"  # the same under the other kinds of mask
    index: ItemIndex  # of the catalog without what training withheld
    weights: Path  # the run folder
    weights_version: str
    settings: GeneratorSettings  # how pictures are made
    image_size: tuple[int, int]
    repaint: Repaint  # a picture through the model's visual tokenizer and back
    baselines: BaselineSource | None = None  # needed where a baseline is asked for

    @property
    def selection_weights(self) -> tuple[Path, ...]:
        """The weights of the encoder behind the index, which also chooses among the sweep."""
        return (self.weights / "embedder.safetensors",)


def chosen_methods(
    catalog: DatasetFolder, truth: Truth | None, subject: Subject, keys: Sequence[str]
) -> dict[str, Method]:
    """Return the methods of these keys, in the order of the table, that the data allows.

    The catalog is what training saw of it.
    """
    selects = subject.selection_weights
    made: dict[str, Method] = {
        key: Generated(name, subject.generator, tasks_of, selects)
        for key, name, tasks_of in (
            ("own", "Pigeon", own_tasks),
            ("no-history", "Pigeon, no history", tasks_without_history),
            ("swapped", "Pigeon, swapped user", swapped_tasks),
            ("shuffled", "Pigeon, shuffled reference", tasks_with_shuffled_references),
            ("no-reference", "Pigeon, no reference picture", tasks_without_reference_image),
            ("no-text", "Pigeon, no text", tasks_without_text),
        )
    }
    for key, kind in OTHER_MASKS.items():
        name = f"Pigeon, {key.replace('-', ' ')}"
        made[key] = Generated(name, subject.masked[kind], own_tasks, selects)
    made["retrieval"] = NearestCatalogImage(subject.index, catalog, selects)
    made["history-copy"] = MostSimilarHistoryImage(subject.index, selects)
    made["reference-copy"] = CopyOfReference()
    made |= _by_truth(catalog, truth, subject)
    if not set(BASELINE_KEYS).isdisjoint(keys):
        if subject.baselines is None:
            raise SettingsError("a baseline needs Subject.baselines: where its weights are.")
        made |= load_baselines(keys, catalog, subject.index, subject.baselines, selects)
    chosen = {key: made[key] for key in METHOD_KEYS if key in keys and key in made}
    if not chosen:
        raise SettingsError(
            f"{catalog.path} plants no truth that {', '.join(keys)} could show. "
            f"Ask for another method as well, for instance {CONTROL_KEYS[0]}."
        )
    return chosen


def _by_truth(catalog: DatasetFolder, truth: Truth | None, subject: Subject) -> dict[str, Method]:
    """Return the controls that need to know what a user would want to see."""
    if truth is None:
        return {}
    made: dict[str, Method] = {
        "truth": GroundTruth(),
        "degraded-truth": DegradedTruth(),
        "roundtrip": TokenRoundTrip(subject.repaint),
    }
    if isinstance(truth, CatalogTruth):
        made["style-copy"] = CopyFromNearestStyle(truth, catalog)
    return made
