import numpy as np
import pytest

from pigeon_recsys.evaluation.human_study.answers import Answer, Answers
from pigeon_recsys.evaluation.human_study.judgements import (
    Judgements,
    draw_counts_RN,
    interval_of,
)
from pigeon_recsys.evaluation.human_study.sheet import draw_sheet
from pigeon_recsys.evaluation.human_study.study import Pair, Study
from tests.evaluation.human_study.simulated_people import METHODS, Chooser, in_order, side_of


def answers_of(study: Study, participant: str, choose: Chooser) -> Answers:
    steps = draw_sheet(study, participant)
    answers = (Answer(step, side_of(step, choose), 1000) for step in steps)  # type: ignore[arg-type]
    return Answers(participant, tuple(answers))


def test_a_judgement_says_who_preferred_what_whichever_side_it_was_on(study: Study) -> None:
    people = [answers_of(study, f"p{i}", in_order(*METHODS)) for i in range(8)]
    judgements = Judgements.of(study, people, "personal")
    assert len(judgements) == 8 * 6
    assert judgements.num_participants == 8
    wins_MM = judgements.wins_MM()
    assert (wins_MM[np.tril_indices(3)] == 0).all()
    assert wins_MM.sum() == 48
    assert 0.25 < judgements.left_N.mean() < 0.75


def test_questions_are_kept_apart(study: Study) -> None:
    def choose(pair: Pair, question: str) -> str | None:
        return pair.methods[0] if question == "personal" else pair.methods[1]

    people = [answers_of(study, "p1", choose)]
    assert Judgements.of(study, people, "personal").score_N.tolist() == [1.0] * 6
    assert Judgements.of(study, people, "asked").score_N.tolist() == [0.0] * 6


def test_a_tie_is_half_a_win_for_both(study: Study) -> None:
    people = [answers_of(study, "p1", lambda pair, question: None)]
    judgements = Judgements.of(study, people, "asked")
    assert judgements.wins_MM() == pytest.approx(judgements.wins_MM().T)
    assert judgements.wins_MM().sum() == 6
    assert judgements.left_N.tolist() == [0.5] * 6


def test_no_answers_are_no_judgements(study: Study) -> None:
    assert len(Judgements.of(study, [], "personal")) == 0


def test_a_group_is_drawn_as_a_whole() -> None:
    counts_RN = draw_counts_RN(np.array([5, 5, 9, 9, 9]), np.random.default_rng(0))
    assert (counts_RN[:, 0] == counts_RN[:, 1]).all()
    assert (counts_RN[:, 0] + counts_RN[:, 2] == 2).all()


def test_a_judgement_counts_as_often_as_its_person_times_its_user(study: Study) -> None:
    people = [answers_of(study, f"p{i}", in_order(*METHODS)) for i in range(3)]
    judgements = Judgements.of(study, people, "personal")
    weights_RN = judgements.resample_weights_RN(seed=1)
    rng = np.random.default_rng(1)
    person_RN = draw_counts_RN(judgements.participant_N, rng)
    assert (weights_RN[person_RN == 0] == 0).all()
    assert (weights_RN == judgements.resample_weights_RN(seed=1)).all()


def test_resamples_without_a_draw_are_left_out_of_an_interval() -> None:
    resampled_R = np.array([np.nan, *np.linspace(0, 1, 41)])
    assert interval_of(resampled_R) == pytest.approx((0.025, 0.975))
    assert interval_of(np.array([np.nan])) is None
