"""Calibration by source: what is planted is taken away, little data does little."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pigeon_recsys.errors import ArtifactError, RankingError, SettingsError
from pigeon_recsys.ranking.calibration import (
    METHODS,
    POOLED_PRIOR,
    Calibration,
    Method,
    Outcomes,
    fit_calibration,
)
from pigeon_recsys.ranking.calibration_curves import (
    IsotonicCurve,
    PlattCurve,
    fit_isotonic,
    fit_platt,
    pool_adjacent_violators,
)
from tests.ranking.planted_outcomes import planted_outcomes

GRID = np.linspace(0, 1, 201)
SHARES = st.integers(0, 8).map(lambda eighths: eighths / 8)
ROWS = st.lists(
    st.tuples(SHARES, st.sampled_from(["catalog", "generated"]), SHARES, st.sampled_from([0.1, 9])),
    max_size=12,
)
methods = pytest.mark.parametrize("method", METHODS)


def outcomes(rows: list[tuple[float, str, float, float]]) -> Outcomes:
    scores, sources, labels, weights = zip(*rows, strict=True) if rows else ((), (), (), ())
    users = [f"u{row}" for row in range(len(rows))]
    return Outcomes(
        np.array(scores, np.float64),
        sources,
        np.array(labels, np.float64),
        users,
        np.array(weights, np.float64),
    )


@methods
@settings(deadline=None, max_examples=100)
@given(rows=ROWS)
def test_a_curve_never_turns_an_order_and_stays_inside_zero_to_one(
    method: Method, rows: list[tuple[float, str, float, float]]
) -> None:
    calibration = fit_calibration(outcomes(rows), method)
    for source in ("catalog", "generated", "never seen"):
        values = calibration.apply(GRID, source)
        assert (np.diff(values) >= 0).all()
        assert ((values > 0) & (values < 1)).all()


@methods
def test_a_source_without_outcomes_has_the_pooled_curve(method: Method) -> None:
    calibration = fit_calibration(planted_outcomes(500, 0, excess=0, slope=2), method)
    assert set(calibration.by_source) == {"catalog"}
    assert (calibration.apply(GRID, "generated") == calibration.pooled(GRID)).all()


@methods
def test_no_outcomes_at_all_leave_scores_as_they_are(method: Method) -> None:
    calibration = fit_calibration(outcomes([]), method)
    inside = GRID[1:-1]
    assert calibration.apply(inside, "catalog") == pytest.approx(inside, abs=0.02)


@methods
def test_more_outcomes_move_a_source_from_the_pooled_curve_to_its_own(method: Method) -> None:
    """With a prior of next to nothing the curve is the source's own, with a huge one pooled."""
    logged = planted_outcomes(6000, 600, excess=1.5)
    own, mixed, pooled = (
        fit_calibration(logged, method, prior_outcomes=prior) for prior in (1e-3, 300.0, 1e9)
    )
    at = np.linspace(0.2, 0.8, 7)
    assert pooled.apply(at, "generated") == pytest.approx(pooled.pooled(at), abs=0.05)
    means = [one.apply(at, "generated").mean() for one in (own, mixed, pooled)]
    assert means == sorted(means)
    assert means[1] - means[0] > 0.02 < means[2] - means[1]


@methods
def test_a_planted_excess_is_taken_away(method: Method) -> None:
    """Generated items are scored 1.5 log-odds too high: 0.4 means 0.13."""
    calibration = fit_calibration(planted_outcomes(20_000, 8000, excess=1.5), method)
    true = 1 / (1 + math.exp(-(math.log(0.4 / 0.6) - 1.5)))
    assert calibration.apply([0.4], "generated")[0] == pytest.approx(true, abs=0.03)
    assert calibration.apply([0.4], "catalog")[0] == pytest.approx(0.4, abs=0.03)


def test_platt_finds_the_line_that_made_the_outcomes() -> None:
    """Scores at twice the true log-odds: slope one half; their outcome is the true chance."""
    truth = np.linspace(0.05, 0.95, 50)
    odds = (truth / (1 - truth)) ** 2
    curve = fit_platt(odds / (1 + odds), truth, np.ones(50))
    assert (curve.slope, curve.intercept) == pytest.approx((0.5, 0.0), abs=1e-6)


def test_platt_keeps_the_order_of_a_ranker_that_is_upside_down() -> None:
    """The least slope, at the height where as much is expected as came out: one half."""
    curve = fit_platt(np.array([0.2, 0.8]), np.array([1.0, 0.0]), np.ones(2))
    assert curve.slope == 0.05
    assert curve(np.array([0.2, 0.8])).mean() == pytest.approx(0.5)


def test_adjacent_violators_are_pooled_by_weight() -> None:
    """0.5 and 0.2, weights 1 and 2, make 0.3 at (2 + 2 · 3.5) / 3; 0.9 stays."""
    blocks = pool_adjacent_violators(
        np.array([1.0, 2.0, 3.5, 4.0]), np.array([0.1, 0.5, 0.2, 0.9]), np.array([1.0, 1, 2, 1])
    )
    assert np.array(blocks) == pytest.approx(np.array([[1, 0.1, 1], [3, 0.3, 3], [4, 0.9, 1]]))


def test_isotonic_goes_through_its_blocks_and_on_at_slope_one() -> None:
    curve = fit_isotonic(np.array([0.2, 0.5, 0.8]), np.array([0.1, 0.6, 0.6]), np.full(3, 20.0))
    assert curve(np.array([0.2])) == pytest.approx([0.1])
    assert len(curve.score_logits) == 2
    odds = curve(np.array([0.1])) / (1 - curve(np.array([0.1])))
    assert odds == pytest.approx([(1 / 9) / (1 / 4) * (1 / 9)])


def test_few_outcomes_only_shift_an_isotonic_curve() -> None:
    """Two outcomes make one bin: logits 0 and ln 4 on average ln 2, expected to be one half."""
    curve = fit_isotonic(np.array([0.5, 0.8]), np.array([1.0, 0.0]), np.ones(2))
    assert curve == IsotonicCurve((pytest.approx(math.log(2)),), (pytest.approx(0.0),))


def test_rare_logging_counts_for_more() -> None:
    """Of two outcomes at one score, the one logged with a tenth of the chance weighs ten times."""
    rows = [(0.5, "catalog", 1.0, 10.0), (0.5, "catalog", 0.0, 1.0)] * 500
    high = fit_calibration(outcomes(rows)).apply([0.5], "catalog")[0]
    assert high == pytest.approx(10 / 11, abs=0.03)


@methods
def test_a_calibration_survives_its_file(method: Method, tmp_path: Path) -> None:
    made = fit_calibration(planted_outcomes(300, 200, excess=1), method)
    made.save(tmp_path / "calibration.json")
    again = Calibration.load(tmp_path / "calibration.json")
    assert again == made
    assert (again.apply(GRID, "generated") == made.apply(GRID, "generated")).all()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"format": "other"},
        {"method": "beta"},
        {"pooled": {"slope": -1, "intercept": 0}},
        {"pooled": {"slope": math.nan, "intercept": 0}},
        {"pooled": {"slope": 1}},
        {"by_source": {"catalog": {"score_logits": [1], "outcome_logits": [1]}}},
        {"by_source": []},
    ],
)
def test_a_file_that_holds_no_calibration_is_refused(
    change: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "calibration.json"
    fit_calibration(planted_outcomes(50, 50, excess=1)).save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ArtifactError, match=r"is no calibration of version 1 .*rank calibrate"):
        Calibration.load(path)


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"none\.json cannot be read .*Rebuild it with"):
        Calibration.load(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"format":')
    with pytest.raises(ArtifactError, match=r"half\.json is no calibration"):
        Calibration.load(tmp_path / "half.json")


@pytest.mark.parametrize("points", [([2, 1], [0, 1]), ([1, 2], [1, 0]), ([1], []), ([], [])])
def test_an_isotonic_curve_must_rise(points: tuple[list[float], list[float]]) -> None:
    with pytest.raises(ValueError, match="isotonic curve"):
        IsotonicCurve(tuple(points[0]), tuple(points[1]))


@pytest.mark.parametrize("score", [math.nan, -0.1, 1.5, math.inf])
def test_a_score_that_is_no_probability_is_refused(score: float) -> None:
    calibration = Calibration("platt", 1.0, PlattCurve(1.0, 0.0), {})
    with pytest.raises(RankingError, match=f"source 'catalog' is {score}, which cannot be"):
        calibration.apply([0.5, score], "catalog")


def test_outcomes_that_cannot_be_learned_from_are_refused() -> None:
    good = planted_outcomes(3, 3, excess=0)
    for change, message in (
        ({"scores": np.array([0.1, 0.2, 2, 0.1, 0.1, 0.1])}, "the score of row 2 must be .* 2.0"),
        ({"outcomes": np.full(6, math.nan)}, "the outcome of row 0 must be from 0 to 1, got nan"),
        ({"weights": np.zeros(6)}, "the weight of row 0 must be above 0 and finite, got 0"),
        ({"sources": ["catalog"]}, r"columns of \[6, 1, 6, 6, 6\] rows"),
    ):
        with pytest.raises(SettingsError, match=message):
            replace(good, **change)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="prior_outcomes must be above 0 and finite, got 0"):
        fit_calibration(good, prior_outcomes=0)
    with pytest.raises(SettingsError, match="method must be one of platt, isotonic, got 'beta'"):
        fit_calibration(good, "beta")  # type: ignore[arg-type]


def test_the_pooled_curve_is_hardly_shrunk() -> None:
    """A thousand outcomes weigh a hundred times its prior."""
    assert POOLED_PRIOR <= 1000 / 100
