"""The source-bias gap: by hand, without bias, and with a planted one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ranking.calibration import Outcomes
from pigeon_recsys.ranking.source_bias import measure_source_bias
from tests.ranking.planted_outcomes import planted_outcomes


def test_the_score_gap_is_what_generated_items_promise_too_much_beyond_the_catalog() -> None:
    """Catalog: 0.5 and 0.3 promised, one of two kept: -0.1. Generated: 0.9, kept: 0: +0.9."""
    logged = Outcomes(
        np.array([0.5, 0.3, 0.9]),
        ["catalog", "catalog", "generated"],
        np.array([1.0, 0.0, 0.0]),
        ["ada", "ada", "ada"],
    )
    found = measure_source_bias(logged, seed=0)
    assert found.score.gap == pytest.approx(0.9 - -0.1)
    assert (found.num_catalog, found.num_generated) == (2, 1)


def test_the_rank_gap_is_the_share_of_the_catalog_overtaken_unduly() -> None:
    """Catalog scores 0.05 to 0.95 in ten steps, liked as often as they say; generated ones at
    0.75 are liked as often as 0.25: five of ten catalog items stand between."""
    steps = np.arange(10) / 10 + 0.05
    logged = Outcomes(
        np.concatenate([steps, [0.75] * 4]),
        ["catalog"] * 10 + ["generated"] * 4,
        np.concatenate([steps, [0, 0, 1, 0]]),
        [f"u{row}" for row in range(14)],
    )
    assert measure_source_bias(logged, seed=0).rank.gap == pytest.approx(0.5)


def test_weights_count_outcomes_that_were_logged_rarely() -> None:
    logged = Outcomes(
        np.array([0.5, 0.5, 0.5]),
        ["catalog", "generated", "generated"],
        np.array([0.5, 1.0, 0.0]),
        ["a", "b", "c"],
        np.array([1.0, 1.0, 3.0]),
    )
    assert measure_source_bias(logged, seed=0).score.gap == pytest.approx(0.5 - 0.25)


def test_without_bias_both_intervals_hold_zero_though_one_source_is_better_liked() -> None:
    fair = planted_outcomes(6000, 3000, excess=0)
    better = np.array(fair.scores) > 0.3
    kept = better | (np.asarray(fair.sources) == "catalog")
    for logged in (fair, fair.take(kept)):
        found = measure_source_bias(logged, seed=1)
        assert found.score.low < 0 < found.score.high
        assert found.rank.low < 0 < found.rank.high


def test_a_planted_bias_is_found_in_both_gaps() -> None:
    found = measure_source_bias(planted_outcomes(4000, 2000, excess=1.5), seed=1)
    assert 0.2 < found.score.low < found.score.gap < found.score.high < 0.4
    assert 0.2 < found.rank.low < found.rank.gap < found.rank.high < 0.6


@settings(deadline=None, max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 4), st.sampled_from(["catalog", "generated"]), st.booleans(),
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=8,
    )
)  # fmt: skip
def test_any_outcomes_of_both_sources_give_finite_gaps_inside_their_range(
    rows: list[tuple[int, str, bool, int]],
) -> None:
    rows = [*rows, (2, "catalog", True, 0), (1, "generated", False, 1)]
    logged = Outcomes(
        np.array([score / 4 for score, *_ in rows]),
        [source for _, source, *_ in rows],
        np.array([float(liked) for *_, liked, _ in rows]),
        [f"u{user}" for *_, user in rows],
    )
    found = measure_source_bias(logged, seed=0)
    for estimate in (found.score, found.rank):
        assert np.isfinite([estimate.low, estimate.gap, estimate.high]).all()
        assert -2 <= estimate.low <= estimate.high <= 2
    assert -1 <= found.rank.gap <= 1


def test_one_source_alone_has_no_gap() -> None:
    with pytest.raises(SettingsError, match=r"'catalog' and 'generated', got 5 and 0 among .*\['c"):
        measure_source_bias(planted_outcomes(5, 0, excess=0), seed=0)
