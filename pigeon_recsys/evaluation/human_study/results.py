"""What a study found: who counts, and for each question rates, agreement and a ranking.

In:  a study and the answers to it.
Out: `StudyResults`. Each question stands for itself; they ask for different things.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

import numpy as np

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.human_study.agreement import Agreement, measure_agreement
from pigeon_recsys.evaluation.human_study.answers import Answers
from pigeon_recsys.evaluation.human_study.bradley_terry import log_strengths
from pigeon_recsys.evaluation.human_study.judgements import (
    NUM_RESAMPLES,
    Floats,
    Judgements,
    interval_of,
)
from pigeon_recsys.evaluation.human_study.study import Check, Study
from pigeon_recsys.software import versions

MIN_PARTICIPANTS = 2  # a single person says nothing about how much people differ


@dataclass(frozen=True, slots=True)
class Measure:
    """A number and its 95 % interval; None where it cannot be known."""

    value: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class MethodResult:
    """How one method fared against all others."""

    method: str
    num_judgements: int
    win_rate: Measure  # ties count half
    log_strength: Measure  # Bradley-Terry; the mean over methods is zero


@dataclass(frozen=True, slots=True)
class HeadToHead:
    """How one method fared against one other."""

    method: str
    other: str
    wins: int
    ties: int
    losses: int
    win_rate: Measure


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """The answers to one question."""

    question: str
    num_judgements: int
    left_share: float | None  # of choices; far from ½, sides were chosen rather than pictures
    methods: tuple[MethodResult, ...]  # strongest first
    head_to_head: tuple[HeadToHead, ...]
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A participant whose answers do not count."""

    participant: str
    num_failed: int


@dataclass(frozen=True, slots=True)
class StudyResults:
    """Everything that is reported."""

    study_id: str
    comparison: str
    num_pairs: int
    num_checks: int
    max_failed_checks: int
    ties_allowed: bool
    participants: tuple[str, ...]  # who count
    excluded: tuple[Exclusion, ...]
    median_answer_s: float
    questions: tuple[QuestionResult, ...]
    num_resamples: int
    seed: int
    version: str | None


def analyse(study: Study, answers: Sequence[Answers], *, seed: int = 0) -> StudyResults:
    """Exclude who failed the checks, then measure each question.

    Raises `SettingsError` when nobody is left.
    """
    failed = {each.participant: num_failed_checks(each) for each in answers}
    limit = study.max_failed_checks
    kept = [each for each in answers if failed[each.participant] <= limit]
    if not kept:
        raise SettingsError(
            f"none of {len(answers)} participants count: all failed more than {limit} of "
            f"{len(study.checks)} attention checks. Ask more people."
        )
    times_ms = [answer.elapsed_ms for each in kept for answer in each.answers]
    return StudyResults(
        study_id=study.study_id,
        comparison=study.comparison,
        num_pairs=len(study.pairs),
        num_checks=len(study.checks),
        max_failed_checks=limit,
        ties_allowed=study.ties_allowed,
        participants=tuple(each.participant for each in kept),
        excluded=tuple(Exclusion(who, num) for who, num in failed.items() if num > limit),
        median_answer_s=median(times_ms) / 1000,
        questions=tuple(
            measure_question(Judgements.of(study, kept, name), name, seed=seed)
            for name in study.questions
        ),
        num_resamples=NUM_RESAMPLES,
        seed=seed,
        version=versions()["pigeon-recsys"],
    )


def num_failed_checks(answers: Answers) -> int:
    """Return in how many checks the real picture was not chosen; one wrong question is enough."""
    failed = set()
    for answer in answers.answers:
        shown = answer.step.shown
        if isinstance(shown, Check):
            right = "left" if answer.step.left == shown.pictures[0] else "right"
            if answer.choice != right:
                failed.add(shown.pair_id)
    return len(failed)


def measure_question(judgements: Judgements, question: str, *, seed: int) -> QuestionResult:
    """Return rates, ranking and agreement for one question."""
    wins_MM = judgements.wins_MM()
    resampled_RMM = np.empty((0, *wins_MM.shape))
    if judgements.num_participants >= MIN_PARTICIPANTS:
        weights_RN = judgements.resample_weights_RN(seed)
        drawn_R = weights_RN.sum(axis=1) > 0
        resampled_RMM = judgements.resampled_wins_RMM(weights_RN[drawn_R])
    is_choice_N = judgements.left_N != 0.5
    left_share = float(judgements.left_N[is_choice_N].mean()) if is_choice_N.any() else None
    return QuestionResult(
        question=question,
        num_judgements=len(judgements),
        left_share=left_share,
        methods=_rank(judgements.methods, wins_MM, resampled_RMM),
        head_to_head=_head_to_head(judgements, wins_MM, resampled_RMM),
        agreement=measure_agreement(judgements, seed=seed),
    )


def _rank(
    methods: Sequence[str], wins_MM: Floats, resampled_RMM: Floats
) -> tuple[MethodResult, ...]:
    """Return every method, strongest first; one that was never judged comes last."""
    strength_M, strength_RM = log_strengths(wins_MM), log_strengths(resampled_RMM)
    won_M, played_M = wins_MM.sum(axis=1), (wins_MM + wins_MM.T).sum(axis=1)
    won_RM = resampled_RMM.sum(axis=2)
    played_RM = won_RM + resampled_RMM.sum(axis=1)
    results = []
    for number, method in enumerate(methods):
        is_judged = played_M[number] > 0
        strength = Measure(float(strength_M[number]), interval_of(strength_RM[:, number]))
        results.append(
            MethodResult(
                method,
                round(played_M[number]),
                _rate(won_M[number], played_M[number], won_RM[:, number], played_RM[:, number]),
                strength if is_judged else Measure(None, None),
            )
        )
    return tuple(sorted(results, key=_strongest_first))


def _strongest_first(result: MethodResult) -> tuple[bool, float]:
    strength = result.log_strength.value
    return strength is None, -(strength or 0.0)


def _head_to_head(
    judgements: Judgements, wins_MM: Floats, resampled_RMM: Floats
) -> tuple[HeadToHead, ...]:
    """Return every pair of methods that was judged."""
    results = []
    for one, other in combinations(range(len(judgements.methods)), 2):
        forward_N = (judgements.first_N == one) & (judgements.second_N == other)
        backward_N = (judgements.first_N == other) & (judgements.second_N == one)
        scores = [*judgements.score_N[forward_N], *(1 - judgements.score_N[backward_N])]
        if scores:
            won_R, lost_R = resampled_RMM[:, one, other], resampled_RMM[:, other, one]
            won, lost = wins_MM[one, other], wins_MM[other, one]
            results.append(
                HeadToHead(
                    judgements.methods[one],
                    judgements.methods[other],
                    scores.count(1.0),
                    scores.count(0.5),
                    scores.count(0.0),
                    _rate(won, won + lost, won_R, won_R + lost_R),
                )
            )
    return tuple(results)


def _rate(won: float, played: float, won_R: Floats, played_R: Floats) -> Measure:
    """Return won / played with its interval."""
    if not played:
        return Measure(None, None)
    drawn_R = played_R > 0
    return Measure(float(won / played), interval_of(won_R[drawn_R] / played_R[drawn_R]))
