import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.human_study.answers import Answers, read_answers
from pigeon_recsys.evaluation.human_study.results import StudyResults, analyse, num_failed_checks
from pigeon_recsys.evaluation.human_study.study import Pair, Study
from tests.evaluation.human_study.simulated_people import (
    METHODS,
    Chooser,
    answer_file,
    in_order,
)


def read(folder: Path, study: Study, people: dict[str, Chooser]) -> list[Answers]:
    for name, choose in people.items():
        content = answer_file(study, name, choose)
        if name.startswith("careless"):
            content["answers"] = [{**each, "choice": "left"} for each in content["answers"]]
        (folder / f"{name}.json").write_text(json.dumps(content))
    return read_answers([folder], study)


@pytest.fixture
def results(study: Study, tmp_path: Path) -> StudyResults:
    """Twelve who prefer the methods in their order, one who sees no difference."""
    people: dict[str, Chooser] = {f"p{i}": in_order(*METHODS) for i in range(12)}
    people["undecided"] = lambda pair, question: None
    return analyse(study, read(tmp_path, study, people), seed=1)


def test_the_ranking_is_what_people_prefer(results: StudyResults) -> None:
    for question in results.questions:
        assert tuple(each.method for each in question.methods) == METHODS
        strongest, middle, weakest = (each.log_strength for each in question.methods)
        assert strongest.interval is not None
        assert weakest.interval is not None
        assert strongest.interval[0] > weakest.interval[1]
        assert middle.value is not None
        assert sum(each.log_strength.value or 0 for each in question.methods) == pytest.approx(0)


def test_rates_count_ties_half_and_stand_inside_their_intervals(results: StudyResults) -> None:
    for question in results.questions:
        assert question.num_judgements == 13 * 6
        assert sum(each.num_judgements for each in question.methods) == 2 * 13 * 6
        for each in question.head_to_head:
            assert each.losses == 0
            rate, played = each.win_rate, each.wins + each.ties + each.losses
            assert rate.value == pytest.approx((each.wins + each.ties / 2) / played)
            assert rate.interval is not None
            assert rate.interval[0] <= rate.value <= rate.interval[1]


def test_people_who_agree_but_for_one_have_a_high_alpha(results: StudyResults) -> None:
    agreement = results.questions[0].agreement
    assert agreement.alpha is not None
    assert 0.6 < agreement.alpha < 1
    assert agreement.interval is not None


def test_who_fails_the_checks_is_excluded_and_named(study: Study, tmp_path: Path) -> None:
    """Somebody who always clicks left fails each check whose real picture is on the right."""
    people: dict[str, Chooser] = {"p1": in_order(*METHODS), "p2": in_order(*METHODS)}
    people |= {f"careless{i}": in_order(*METHODS) for i in range(6)}
    answers = read(tmp_path, study, people)
    failed = {each.participant: num_failed_checks(each) for each in answers}
    assert failed["p1"] == failed["p2"] == 0
    assert set(failed.values()) == {0, 1, 2}
    strict = analyse(study, answers)
    assert {each.participant: each.num_failed for each in strict.excluded} == {
        name: count for name, count in failed.items() if count > 0
    }
    lenient = analyse(replace(study, max_failed_checks=1), answers)
    assert {each.num_failed for each in lenient.excluded} == {2}


def test_a_check_with_one_wrong_question_counts_once(study: Study, tmp_path: Path) -> None:
    content = answer_file(study, "p1", in_order(*METHODS))
    codes = {check.pair_id for check in study.checks}
    wrong = next(
        each for each in content["answers"] if each["pair"] in codes and each["question"] == "asked"
    )
    wrong["choice"] = "tie"
    (tmp_path / "p1.json").write_text(json.dumps(content))
    assert num_failed_checks(read_answers([tmp_path], study)[0]) == 1


def test_without_attentive_people_there_is_no_result(study: Study, tmp_path: Path) -> None:
    people: dict[str, Chooser] = {f"careless{i}": in_order(*METHODS) for i in range(6)}
    answers = [each for each in read(tmp_path, study, people) if num_failed_checks(each)]
    with pytest.raises(SettingsError, match="participants count: all failed more than 0 of 2"):
        analyse(study, answers)


def test_one_persons_answers_have_no_interval(study: Study, tmp_path: Path) -> None:
    results = analyse(study, read(tmp_path, study, {"p1": in_order(*METHODS)}))
    for question in results.questions:
        assert all(each.win_rate.interval is None for each in question.methods)
        assert all(each.log_strength.interval is None for each in question.methods)
        assert question.agreement.alpha is None


def test_planted_strengths_are_inside_their_intervals(study: Study, tmp_path: Path) -> None:
    """Sixty people choose with the odds of planted strengths 3 : 1 : ⅓."""
    planted = dict(zip(METHODS, np.log([3, 1, 1 / 3]), strict=True))
    rng = np.random.default_rng(5)

    def choose(pair: Pair, question: str) -> str | None:
        one, other = pair.methods
        return one if rng.random() < 1 / (1 + np.exp(planted[other] - planted[one])) else other

    people: dict[str, Chooser] = {f"p{i}": choose for i in range(60)}
    results = analyse(study, read(tmp_path, study, people))
    for question in results.questions:
        for each in question.methods:
            assert each.log_strength.value == pytest.approx(planted[each.method], abs=0.35)
            assert each.log_strength.interval is not None
            low, high = each.log_strength.interval
            assert low < planted[each.method] < high
