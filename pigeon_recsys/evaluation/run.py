"""One evaluation from start to end: draw cases, ask every method, measure, report.

In:  a dataset, trained weights, the networks that evaluate, which methods.
Out: in the folder `table.json`, `table.md`, `contact_sheet.png`, `painted_sheet.png` (without a
     single picture of the catalog) and `pictures/` (what a study with people reads); for a
     sticker world also `personalization.json`.

Of pictures that training withheld only the truth and the networks that evaluate know.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.pixel_table import resize
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.cases import MIN_USERS, CaseSource
from pigeon_recsys.evaluation.columns import Measure
from pigeon_recsys.evaluation.comparison import MethodRow, compare
from pigeon_recsys.evaluation.comparison_report import (
    contact_sheet,
    repainted,
    to_json,
    to_markdown,
)
from pigeon_recsys.evaluation.evaluators import EvaluatorFiles, Evaluators
from pigeon_recsys.evaluation.factor_judge import FactorJudge
from pigeon_recsys.evaluation.human_study.comparison import (
    PICTURES_FOLDER,
    DrawnTask,
    write_comparison,
)
from pigeon_recsys.evaluation.image_metrics import NearCopies
from pigeon_recsys.evaluation.method_roster import (
    CONTROL_KEYS,
    METHOD_KEYS,
    REAL_PICTURES,
    Subject,
    chosen_methods,
)
from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.evaluation.near_copies import NEAR_COPY_DISTANCE, nearest_distance, thumbnails
from pigeon_recsys.evaluation.network_identity import identity
from pigeon_recsys.evaluation.personalization import (
    PersonalizationRecord,
    judged,
    measure_personalization,
)
from pigeon_recsys.evaluation.planted_columns import JudgedFactors, NearestRealPictures
from pigeon_recsys.evaluation.style_breakdown import StyleBreakdown
from pigeon_recsys.evaluation.truth import CatalogTruth, DrawnTruth, Truth, read_truth
from pigeon_recsys.evaluation.unseen import UnseenPart
from pigeon_recsys.files import write_text_atomic
from pigeon_recsys.records import Vectors
from pigeon_recsys.software import describe_software

DEFAULT_USERS = 200
BASE_RATE_ITEMS = 500  # of the catalog, held against all the rest of it


@dataclass(frozen=True)
class EvaluationSettings:
    """What to evaluate and with what; `num_users` None asks for 200 or as many as there are."""

    methods: tuple[str, ...] = CONTROL_KEYS
    num_users: int | None = None
    cases_per_user: int = 1
    seed: int = 0
    evaluators: EvaluatorFiles = field(default_factory=EvaluatorFiles)

    def __post_init__(self) -> None:
        unknown = [key for key in self.methods if key not in METHOD_KEYS]
        if unknown or not self.methods:
            raise SettingsError(
                f"there is no method {unknown[0] if unknown else 'named'!r}. "
                f"Choose among: {', '.join(METHOD_KEYS)}."
            )
        if self.cases_per_user < 1:
            raise SettingsError(f"cases per user must be at least 1, got {self.cases_per_user}.")
        if self.num_users is not None and self.num_users < MIN_USERS:
            raise SettingsError(
                f"users must be at least {MIN_USERS}, so that histories can be swapped, "
                f"got {self.num_users}."
            )


def evaluate(
    dataset: DatasetFolder, subject: Subject, out: Path, settings: EvaluationSettings
) -> dict[str, Any]:
    """Run a whole evaluation, write its files into `out` and return what `table.json` holds."""
    settings.evaluators.check_apart_from(subject.selection_weights)
    unseen = UnseenPart.of(dataset, subject.weights)
    unseen.check_not_in(subject.index)
    truth = read_truth(dataset, unseen.withheld)
    draws = isinstance(truth, DrawnTruth)
    evaluators = Evaluators.load(settings.evaluators, with_judge=draws)
    methods = chosen_methods(unseen.catalog, truth, subject, settings.methods)
    selectors = evaluators.check_apart_from(list(methods.values()))
    num_users = settings.num_users
    if num_users is None:
        num_users = min(DEFAULT_USERS, len(unseen.user_ids))
    source = CaseSource(unseen.catalog, subject.index, truth)
    cases = source.draw(
        unseen.user_ids, num_users, cases_per_user=settings.cases_per_user, seed=settings.seed
    )
    catalog = catalog_thumbnails(unseen.catalog, subject.image_size)
    measures = all_measures(evaluators, truth, catalog, subject.image_size)
    rows = compare(
        list(methods.values()),
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
        "generator": asdict(subject.settings),
        "users": num_users,
        **told_of_cases(cases, settings.cases_per_user),
        **unseen.told(),
        **_told_of_methods(settings.methods, methods),
        "seed": settings.seed,
        "catalog_near_copy_rate": catalog_near_copy_rate(catalog, settings.seed),
        "evaluating_networks": {k: identity(hashes) for k, hashes in evaluators.hashes().items()},
        "selecting_networks": {k: identity(hashes) for k, hashes in selectors.items()},
    }
    result = describe_software() | to_json(rows, made_from)
    page = to_markdown(rows, made_from)
    if isinstance(truth, CatalogTruth):
        breakdown = StyleBreakdown.of(truth, cases, rows, seed=settings.seed)
        result["by_style"] = breakdown.to_json()
        page += breakdown.to_markdown()
    if isinstance(truth, DrawnTruth) and {"own", "swapped"} <= set(methods):
        by_key = dict(zip(methods, rows, strict=True))
        measured = personalization(truth, cases, by_key["own"], by_key["swapped"])
        result["personalization"] = measured
        _write_personalization(out, made_from, measured)
    write_text_atomic(out / "table.json", json.dumps(result, indent=2, allow_nan=False) + "\n")
    write_text_atomic(out / "table.md", page)
    contact_sheet(cases, rows, subject.image_size, out / "contact_sheet.png")
    painted = [row for key, row in zip(methods, rows, strict=True) if key not in REAL_PICTURES]
    own_work = repainted(cases, subject.repaint)
    contact_sheet(own_work, painted, subject.image_size, out / "painted_sheet.png")
    _write_pictures(out / PICTURES_FOLDER, dataset.name, cases, rows)
    return result


def told_of_cases(cases: Sequence[Case], cases_per_user: int) -> dict[str, int | str]:
    """Return how much was asked, and what a reader must know of it."""
    by_user = Counter(case.user_id for case in cases)
    fewer = sum(count < cases_per_user for count in by_user.values())
    told: dict[str, int | str] = {"cases": len(cases), "cases_per_user": cases_per_user}
    if fewer:
        told["users_with_fewer_cases"] = f"{fewer}, for whom no more references were left"
    if not any(case.target is not None for case in cases):
        told["target"] = "none known: pictures are held against their reference and history"
    return told


def _told_of_methods(asked: Sequence[str], methods: Mapping[str, object]) -> dict[str, str]:
    left_out = [key for key in asked if key not in methods]
    return {"methods_left_out": f"{', '.join(left_out)}: not for this data"} if left_out else {}


def all_measures(
    evaluators: Evaluators, truth: Truth | None, catalog: Vectors, size: tuple[int, int]
) -> list[Measure]:
    """Return the paper's measures, near copies, and what the truth can tell."""
    found = [*evaluators.measures(*size), NearCopies(catalog)]
    if isinstance(truth, DrawnTruth) and evaluators.judge is not None:
        found.append(JudgedFactors(truth, evaluators.judge))
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


def catalog_thumbnails(catalog: DatasetFolder, size: tuple[int, int]) -> Vectors:
    """Return the thumbnails of all items, brought to the size of a method's pictures first.

    A copy goes through that size too; compared with the original's own thumbnail, the resizing
    of a poster alone can be further than a near copy may be.
    """
    pictures = [resize(catalog.pixels(item_id), *size) for item_id in catalog.item_ids]
    return thumbnails(pictures)


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


def _write_personalization(
    out: Path, made_from: Mapping[str, Any], measures: Mapping[str, Mapping[str, float | int]]
) -> None:
    """Write the personalization measures by themselves."""
    figures = {
        "world": {"name": made_from["dataset"], "fingerprint": made_from["fingerprint"]},
        **{key: made_from[key] for key in ("weights_version", "users", "cases", "seed")},
        "measures": measures,
    }
    write_text_atomic(out / "personalization.json", json.dumps(figures, indent=2) + "\n")


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
