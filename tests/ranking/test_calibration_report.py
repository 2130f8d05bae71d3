"""What a calibration is said to do, it does to users it never saw."""

import pytest

from pigeon_recsys.ranking.calibration import METHODS, Method
from pigeon_recsys.ranking.calibration_report import calibrate
from tests.ranking.planted_outcomes import planted_outcomes


@pytest.mark.parametrize("method", METHODS)
def test_the_planted_gap_shrinks_to_a_tenth_for_users_never_seen(method: Method) -> None:
    logged = planted_outcomes(12_000, 4000, excess=1.5)
    _, report = calibrate(logged, method)
    for before, after in (
        (report.before.score, report.after.score),
        (report.before.rank, report.after.rank),
    ):
        assert before.low > 0.2
        assert abs(after.gap) < before.gap / 10
        assert after.low < 0 < after.high
    assert report.log_loss_after < report.log_loss_before
    generated = report.by_source["generated"]
    assert generated.num_outcomes == 4000
    assert generated.score_before > generated.outcome_rate + 0.2
    assert generated.score_after == pytest.approx(generated.outcome_rate, abs=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_scores_without_fault_are_not_made_worse_by_much(method: Method) -> None:
    _, report = calibrate(planted_outcomes(3000, 300, excess=0), method)
    assert report.log_loss_after < report.log_loss_before + 0.01
    assert abs(report.after.score.gap) < 0.05


def test_few_outcomes_take_away_a_part_of_the_gap() -> None:
    """Sixty of generated items against a prior of a hundred."""
    _, report = calibrate(planted_outcomes(3000, 60, excess=1.5))
    assert 0 < report.after.score.gap < report.before.score.gap


def test_one_user_alone_is_enough_to_say_something() -> None:
    _, report = calibrate(planted_outcomes(4, 4, excess=1))
    assert report.after.num_generated == 4
