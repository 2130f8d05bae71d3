"""One evaluation from start to end: draw cases, ask every method, measure, report.

In:  a dataset, trained weights, the networks that evaluate, which methods.
Out: in the folder `table.json`, `table.md`, `contact_sheet.png` and `pictures/` (what a study
     with people reads); for a sticker world also `personalization.json`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.baselines.roster import (
    BASELINE_KEYS,
    BaselineSource,
    load_baselines,
)
from pigeon_recsys.evaluation.cases import CaseSource, users_never_trained_on
from pigeon_recsys.evaluation.columns import Measure
from pigeon_recsys.evaluation.comparison import MethodRow, compare
from pigeon_recsys.evaluation.comparison_report import contact_sheet, to_json, to_markdown
from pigeon_recsys.evaluation.controls import (
    CopyOfReference,
    GroundTruth,
    MostSimilarHistoryImage,
    NearestCatalogImage,
    own_tasks,
    swapped_tasks,
    tasks_with_shuffled_references,
    tasks_without_history,
)
from pigeon_recsys.evaluation.evaluators import EvaluatorFiles, Evaluators
from pigeon_recsys.evaluation.factor_judge import FactorJudge
from pigeon_recsys.evaluation.human_study.comparison import DrawnTask, write_comparison
from pigeon_recsys.evaluation.image_metrics import NearCopies
from pigeon_recsys.evaluation.methods import Case, Generated, Method
from pigeon_recsys.evaluation.near_copies import NEAR_COPY_DISTANCE, nearest_distance, thumbnails
from pigeon_recsys.evaluation.network_identity import identity
from pigeon_recsys.evaluation.personalization import (
    PersonalizationRecord,
    judged,
    measure_personalization,
)
from pigeon_recsys.evaluation.planted_columns import JudgedFactors, NearestRealPictures
from pigeon_recsys.evaluation.truth import CatalogTruth, DrawnTruth, Truth, read_truth
from pigeon_recsys.files import write_text_atomic
from pigeon_recsys.ports import ImageGenerator, ItemIndex
from pigeon_recsys.records import Vectors

CONTROL_KEYS = (
    "own",
    "no-history",
    "swapped",
    "shuffled",
    "retrieval",
    "history-copy",
    "reference-copy",
    "truth",
)
METHOD_KEYS = (*CONTROL_KEYS, *BASELINE_KEYS)
METHOD_GROUPS = {"controls": CONTROL_KEYS, "baselines": BASELINE_KEYS, "all": METHOD_KEYS}
DEFAULT_USERS = 200
BASE_RATE_ITEMS = 500  # of the catalog, held against all the rest of it


@dataclass(frozen=True)
class EvaluationSettings:
    """What to evaluate and with what; `num_users` None asks for 200 or as many as there are."""

    methods: tuple[str, ...] = CONTROL_KEYS
    num_users: int | None = None
    seed: int = 0
    evaluators: EvaluatorFiles = field(default_factory=EvaluatorFiles)

    def __post_init__(self) -> None:
        unknown = [key for key in self.methods if key not in METHOD_KEYS]
        if unknown or not self.methods:
            raise SettingsError(
                f"there is no method {unknown[0] if unknown else 'named'!r}. "
                f"Choose among: {', '.join(METHOD_KEYS)}."
            )


@dataclass(frozen=True)
class Subject:
    """The trained model under evaluation and what it selects with."""

    generator: ImageGenerator
    index: ItemIndex
    weights: Path  # the run folder
    weights_version: str
    image_size: tuple[int, int]
    baselines: BaselineSource | None = None  # needed where a baseline is asked for

    @property
    def selection_weights(self) -> tuple[Path, ...]:
        """The weights of the encoder behind the index, which also chooses among the sweep."""
        return (self.weights / "embedder.safetensors",)


def evaluate(
    dataset: DatasetFolder, subject: Subject, out: Path, settings: EvaluationSettings
) -> dict[str, Any]:
    """Run a whole evaluation, write its files into `out` and return what `table.json` holds."""
    evaluators = Evaluators.load(settings.evaluators)
    methods = chosen_methods(dataset, subject, settings.methods)
    selectors = evaluators.check_apart_from(list(methods.values()))
    truth = read_truth(dataset)
    users = users_never_trained_on(dataset, subject.weights)
    num_users = settings.num_users or min(DEFAULT_USERS, len(users))
    source = CaseSource(dataset, subject.index, truth)
    cases = source.draw(users, num_users, seed=settings.seed)
    catalog = thumbnails([dataset.pixels(item_id) for item_id in dataset.item_ids])
    measures = all_measures(evaluators, truth, catalog, subject.image_size)
    asked = {key: m for key, m in methods.items() if key != "truth" or truth is not None}
    rows = compare(
        list(asked.values()),
        cases,
        measures,
        evaluators.frechet,
        size=subject.image_size,
        seed=settings.seed,
    )
    made_from = {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "weights_version": subject.weights_version,
        "users": num_users,
        "seed": settings.seed,
        "catalog_near_copy_rate": catalog_near_copy_rate(catalog, settings.seed),
        "evaluating_networks": {k: identity(hashes) for k, hashes in evaluators.hashes().items()},
        "selecting_networks": {k: identity(hashes) for k, hashes in selectors.items()},
    }
    result = to_json(rows, made_from)
    write_text_atomic(out / "table.json", json.dumps(result, indent=2, allow_nan=False) + "\n")
    write_text_atomic(out / "table.md", to_markdown(rows, made_from))
    contact_sheet(cases, rows, subject.image_size, out / "contact_sheet.png")
    _write_pictures(out / "pictures", dataset.name, cases, rows)
    if isinstance(truth, DrawnTruth) and {"own", "swapped"} <= set(asked):
        by_key = dict(zip(asked, rows, strict=True))
        figures = {
            "world": {"name": dataset.name, "fingerprint": dataset.fingerprint},
            "weights_version": subject.weights_version,
            "users": num_users,
            "seed": settings.seed,
            "measures": personalization(truth, cases, by_key["own"], by_key["swapped"]),
        }
        content = json.dumps(figures, indent=2) + "\n"
        write_text_atomic(out / "personalization.json", content)
        result["personalization"] = figures["measures"]
    return result


def chosen_methods(
    dataset: DatasetFolder, subject: Subject, keys: Sequence[str]
) -> dict[str, Method]:
    """Return the methods of these keys, in the order of the table."""
    selects = subject.selection_weights
    made: dict[str, Method] = {
        key: Generated(name, subject.generator, tasks_of, selects)
        for key, name, tasks_of in (
            ("own", "Pigeon", own_tasks),
            ("no-history", "Pigeon, no history", tasks_without_history),
            ("swapped", "Pigeon, swapped user", swapped_tasks),
            ("shuffled", "Pigeon, shuffled reference", tasks_with_shuffled_references),
        )
    }
    made["retrieval"] = NearestCatalogImage(subject.index, dataset, selects)
    made["history-copy"] = MostSimilarHistoryImage(subject.index, selects)
    made["reference-copy"] = CopyOfReference()
    made["truth"] = GroundTruth()
    if not set(BASELINE_KEYS).isdisjoint(keys):
        if subject.baselines is None:
            raise SettingsError("a baseline needs Subject.baselines: where its weights are.")
        made |= load_baselines(keys, dataset, subject.index, subject.baselines, selects)
    return {key: made[key] for key in METHOD_KEYS if key in keys}


def all_measures(
    evaluators: Evaluators, truth: Truth | None, catalog: Vectors, size: tuple[int, int]
) -> list[Measure]:
    """Return the paper's measures, near copies, and what the truth can tell."""
    found = [*evaluators.measures(*size), NearCopies(catalog)]
    if isinstance(truth, DrawnTruth):
        found.append(JudgedFactors(truth))
    network = evaluators.image or evaluators.image_text
    if isinstance(truth, CatalogTruth) and network is not None:
        found.append(NearestRealPictures(truth, network))
    return found


def personalization(
    truth: DrawnTruth, cases: Sequence[Case], own: MethodRow, swapped: MethodRow
) -> dict[str, dict[str, float | int]]:
    """Return the personalization measures over the cases that both rows answer."""
    records = []
    for case, mine, other in zip(cases, own.pictures, swapped.pictures, strict=True):
        item_id = case.task.reference.item_id
        if mine is None or other is None or item_id is None:
            continue
        attributes = truth.world.item(item_id).attributes
        asked = {name: str(attributes[name]) for name in ("emotion", "prop")}
        style = truth.main_styles[case.user_id]
        records.append(PersonalizationRecord(case.user_id, style, asked, mine, other))
    measures = measure_personalization(judged(records, FactorJudge.load()), truth.main_styles)
    return {name: asdict(estimate) for name, estimate in measures.items()}


def catalog_near_copy_rate(catalog: Vectors, seed: int) -> float:
    """Return how often a catalog picture is itself a near copy of another: the rate to expect."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(catalog))[:BASE_RATE_ITEMS]
    near = [
        nearest_distance(catalog[row : row + 1], np.delete(catalog, row, axis=0))[0]
        <= NEAR_COPY_DISTANCE
        for row in rows
    ]
    return float(np.mean(near))


def _write_pictures(
    folder: Path, name: str, cases: Sequence[Case], rows: Sequence[MethodRow]
) -> None:
    """Write every picture as a comparison that people can judge."""
    tasks = [
        DrawnTask(
            task_id=f"case-{number:04d}",
            user_id=case.user_id,
            history=tuple(image.pixels for image in case.task.history),
            reference=case.task.reference_pixels,
            text=case.task.reference.text,
        )
        for number, case in enumerate(cases)
    ]
    pictures = {
        row.name: {
            task.task_id: pixels
            for task, pixels in zip(tasks, row.pictures, strict=True)
            if pixels is not None
        }
        for row in rows
    }
    write_comparison(folder, name=name, tasks=tasks, pictures=pictures)
