"""Scores that mean the same whatever their source: probabilities calibrated source by source.

Rankers that see pictures score generated ones above real ones that are liked as often. A curve
for each source, fitted on outcomes, takes that away; it only ever bends a source's scores, so the
order inside a source stays.

A source with few outcomes is shrunk: its curve is fitted on its own outcomes and on
`prior_outcomes` further ones, spread over all sources' scores, whose outcome is what the pooled
curve expects there. So a source with n outcomes weighs n to `prior_outcomes`; without any it has
the pooled curve. The pooled curve itself is shrunk towards the scores as they are by POOLED_PRIOR.

In:  scores with their source and outcome, from logs or held-out data.
Out: a `Calibration`; on disk one JSON file.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from pigeon_recsys.errors import ArtifactError, RankingError, SettingsError
from pigeon_recsys.files import write_text_atomic
from pigeon_recsys.ranking.calibration_curves import (
    Curve,
    Floats,
    IsotonicCurve,
    PlattCurve,
    curve_from_json,
    fit_isotonic,
    fit_platt,
)

Method = Literal["platt", "isotonic"]
METHODS: tuple[Method, ...] = ("platt", "isotonic")

PRIOR_OUTCOMES = 100.0  # a source with as many of its own is half its own
POOLED_PRIOR = 10.0  # outcomes; keeps every probability inside (0, 1) and no data harmless
NUM_PRIOR_POINTS = 50  # quantiles of all scores, where the further outcomes lie
FORMAT = "pigeon-recsys calibration"
VERSION = 1
REBUILD = "pigeon-recsys rank calibrate --log DIR --out FILE.json"


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What became of items that were scored and shown; the columns align."""

    scores: Floats  # (N,), the ranker's, from 0 to 1
    sources: Sequence[str]  # e.g. `catalog`, `generated`
    outcomes: Floats  # (N,), 1 liked or clicked, 0 not
    user_ids: Sequence[str]
    weights: Floats | None = None  # (N,), 1 / propensity where outcomes were not all logged alike

    def __post_init__(self) -> None:
        columns = (self.scores, self.sources, self.outcomes, self.user_ids, self.weight)
        if len({len(column) for column in columns}) != 1:
            raise SettingsError(
                f"outcomes have columns of {[len(column) for column in columns]} rows. "
                "Give every column as many."
            )
        for name, values, holds, wanted in (
            ("score", self.scores, _is_share(self.scores), "from 0 to 1"),
            ("outcome", self.outcomes, _is_share(self.outcomes), "from 0 to 1"),
            ("weight", self.weight, _is_weight(self.weight), "above 0 and finite"),
        ):
            if not holds.all():
                row = int(np.argmin(holds))
                raise SettingsError(f"the {name} of row {row} must be {wanted}, got {values[row]}")

    @property
    def weight(self) -> Floats:
        """The weights, ones where none were given."""
        return np.ones(len(self.scores)) if self.weights is None else self.weights

    def take(self, rows: "np.typing.NDArray[np.bool_]") -> "Outcomes":
        """Return the rows that are true."""
        return Outcomes(
            self.scores[rows],
            np.asarray(self.sources, object)[rows].tolist(),
            self.outcomes[rows],
            np.asarray(self.user_ids, object)[rows].tolist(),
            None if self.weights is None else self.weights[rows],
        )

    def of_source(self, source: str) -> "Outcomes":
        """Return the rows of one source."""
        return self.take(np.asarray(self.sources, object) == source)


@dataclass(frozen=True)
class Calibration:
    """A curve for each source; a source never seen has the pooled one."""

    method: Method
    prior_outcomes: float
    pooled: Curve
    by_source: Mapping[str, Curve]

    def apply(self, scores: ArrayLike, source: str) -> Floats:
        """Return calibrated probabilities, inside (0, 1), in the order of the scores.

        Never puts a lower score above a higher one of the same source.
        """
        given = np.asarray(scores, np.float64)
        if not (wrong := ~_is_share(given)).any():
            return self.by_source.get(source, self.pooled)(given)
        value = given[wrong].flat[0]
        raise RankingError(
            f"a score of source {source!r} is {value}, which cannot be calibrated. "
            "Give probabilities from 0 to 1."
        )

    @property
    def version(self) -> str:
        """Sixteen hex digits that change whenever a curve does."""
        return hashlib.sha256(json.dumps(self._record()).encode()).hexdigest()[:16]

    def save(self, path: Path) -> None:
        """Write everything as JSON, whole or not at all."""
        write_text_atomic(path, json.dumps(self._record(), indent=2, allow_nan=False) + "\n")

    def _record(self) -> dict[str, object]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "method": self.method,
            "prior_outcomes": self.prior_outcomes,
            "pooled": self.pooled.to_json(),
            "by_source": {name: curve.to_json() for name, curve in self.by_source.items()},
        }

    @classmethod
    def load(cls, path: Path) -> "Calibration":
        """Read what `save` wrote. Raises `ArtifactError`."""
        try:
            record = json.loads(path.read_text())
            found = record["format"], record["version"]
            if found != (FORMAT, VERSION):
                raise ValueError(f"it is {found[0]!r} of version {found[1]!r}")
            kind = {"platt": PlattCurve, "isotonic": IsotonicCurve}[record["method"]]
            return cls(
                method=record["method"],
                prior_outcomes=float(record["prior_outcomes"]),
                pooled=curve_from_json(kind, record["pooled"]),
                by_source={
                    name: curve_from_json(kind, curve)
                    for name, curve in record["by_source"].items()
                },
            )
        except OSError as exc:
            raise ArtifactError(path, f"cannot be read ({exc.strerror})", rebuild=REBUILD) from exc
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            fault = f"is no calibration of version {VERSION} ({exc})"
            raise ArtifactError(path, fault, rebuild=REBUILD) from exc


def fit_calibration(
    logged: Outcomes, method: Method = "platt", *, prior_outcomes: float = PRIOR_OUTCOMES
) -> Calibration:
    """Fit a curve for each source in the outcomes."""
    if method not in METHODS:
        raise SettingsError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if not (0 < prior_outcomes < np.inf):
        raise SettingsError(f"prior_outcomes must be above 0 and finite, got {prior_outcomes}")
    points = _prior_points(logged.scores)
    pooled = _fit(method, logged, points, points, POOLED_PRIOR)
    by_source = {
        source: _fit(method, logged.of_source(source), points, pooled(points), prior_outcomes)
        for source in sorted(set(logged.sources))
    }
    return Calibration(method, prior_outcomes, pooled, by_source)


def _fit(
    method: Method, logged: Outcomes, points: Floats, expected: Floats, num_expected: float
) -> Curve:
    """Fit a curve on outcomes and on `num_expected` that come out as expected at the points."""
    scores = np.concatenate([logged.scores, points])
    outcomes = np.concatenate([logged.outcomes, expected])
    of_points = np.full(len(points), num_expected / len(points))
    weights = np.concatenate([_normalised(logged.weight), of_points])
    if method == "platt":
        return fit_platt(scores, outcomes, weights)
    return fit_isotonic(scores, outcomes, weights)


def _normalised(weights: Floats) -> Floats:
    """Scale weights to sum to as many outcomes as they are worth: (Σw)² / Σw²."""
    return weights * (weights.sum() / np.square(weights).sum()) if len(weights) else weights


def _prior_points(scores: Floats) -> Floats:
    levels = (np.arange(NUM_PRIOR_POINTS) + 0.5) / NUM_PRIOR_POINTS
    return np.quantile(scores, levels) if len(scores) else levels


def _is_share(values: Floats) -> "np.typing.NDArray[np.bool_]":
    return (values >= 0) & (values <= 1)


def _is_weight(values: Floats) -> "np.typing.NDArray[np.bool_]":
    return (values > 0) & (values < np.inf)
