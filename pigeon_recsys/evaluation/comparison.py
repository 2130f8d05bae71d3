"""Hold methods against each other: the same cases, the same measures, one row a method.

In:  methods, cases, measures.
Out: each method's pictures and its estimates, with 95 % intervals over users.

All pictures are brought to one size first, so that no method wins by its resolution. A case
without an answer is left out of a method's numbers, and the row says how many there were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pigeon_recsys.datasets.pixel_table import resize
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.bootstrap import Estimate, mean_over_users
from pigeon_recsys.evaluation.columns import Column, Measure, Scores
from pigeon_recsys.evaluation.frechet_distance import FrechetDistance
from pigeon_recsys.evaluation.methods import Case, Method
from pigeon_recsys.progress import track
from pigeon_recsys.records import Pixels


@dataclass(frozen=True)
class MethodRow:
    """One method's answers and how they measure."""

    name: str
    pictures: tuple[Pixels | None, ...]  # one a case
    estimates: Mapping[Column, Estimate]
    set_values: Mapping[Column, float]  # measures of all pictures together: no interval
    scores: Mapping[Column, Scores] = field(default_factory=dict)  # one a case; None: no picture

    @property
    def num_answered(self) -> int:
        """How many cases have a picture."""
        return sum(pixels is not None for pixels in self.pictures)


def compare(
    methods: Sequence[Method],
    cases: Sequence[Case],
    measures: Sequence[Measure],
    frechet: FrechetDistance | None,
    *,
    size: tuple[int, int],
    seed: int = 0,
) -> list[MethodRow]:
    """Return one row a method, in order, with every picture at `size`."""
    names = [method.name for method in methods]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled or not names:
        fault = f"two are called {doubled[0]!r}" if doubled else "got none"
        raise SettingsError(f"a comparison needs methods with names of their own: {fault}")
    rows = []
    for method in methods:
        pictures = [
            None if pixels is None else resize(pixels, *size) for pixels in method.pictures(cases)
        ]
        rows.append(_measured(method.name, pictures, cases, measures, frechet, seed))
    return rows


def mean_of_scores(
    cases: Sequence[Case], scores: Sequence[float | None], *, seed: int
) -> Estimate | None:
    """Return the mean over users of what the cases scored; None where no case has a score."""
    by_user: dict[str, list[float]] = {}
    for case, score in zip(cases, scores, strict=True):
        if score is not None:
            by_user.setdefault(case.user_id, []).append(score)
    return mean_over_users(by_user, seed=seed) if by_user else None


def _measured(
    name: str,
    pictures: Sequence[Pixels | None],
    cases: Sequence[Case],
    measures: Sequence[Measure],
    frechet: FrechetDistance | None,
    seed: int,
) -> MethodRow:
    answered = {place: pixels for place, pixels in enumerate(pictures) if pixels is not None}
    if not answered:
        return MethodRow(name, tuple(pictures), {}, {})
    asked, made = [cases[place] for place in answered], list(answered.values())
    scores: dict[Column, Scores] = {}
    for measure in track(measures, f"measure {name}", total=len(measures)):
        for column, values in measure.scores(asked, made).items():
            known = dict(zip(answered, values, strict=True))
            scores[column] = [known.get(place) for place in range(len(cases))]
    means = {column: mean_of_scores(cases, own, seed=seed) for column, own in scores.items()}
    estimates = {column: mean for column, mean in means.items() if mean is not None}
    set_values = {} if frechet is None else frechet.values(asked, made)
    return MethodRow(name, tuple(pictures), estimates, set_values, scores)
