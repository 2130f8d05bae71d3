"""Answers as judgements between methods, and how they are drawn again for intervals.

In:  the answers of attentive participants to one question.
Out: aligned arrays, one place a judgement; weights for resamples.

Intervals come from a pigeonhole bootstrap (Owen, "The pigeonhole bootstrap", 2007): participants
and the users whose tasks they judge are drawn with replacement, independently, and a judgement
counts as often as its participant times as often as its user. Judgements by one person rise and
fall together, and so do judgements about one user's pictures; a Wilson interval would treat them
as independent and come out too narrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.evaluation.human_study.answers import Answers
from pigeon_recsys.evaluation.human_study.study import Pair, Study

NUM_RESAMPLES = 2000
TAIL_PERCENT = 2.5  # on either side of a 95 % interval

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Arrays end in their dimensions: N judgements, R resamples, M methods, P participants, U users.


@dataclass(frozen=True)
class Judgements:
    """What was judged between which methods, by whom, about whose pictures."""

    methods: tuple[str, ...]
    pair_ids: tuple[str, ...]  # of each judgement
    participant_N: Integers
    user_N: Integers
    first_N: Integers  # the method of the pair's first picture
    second_N: Integers
    score_N: Floats  # 1 first preferred, ½ a tie, 0 second preferred
    left_N: Floats  # 1 left chosen, ½ a tie, 0 right chosen

    @classmethod
    def of(cls, study: Study, answers: Sequence[Answers], question: str) -> "Judgements":
        """Gather the answers to one question; attention checks are left out."""
        number = {method: index for index, method in enumerate(study.methods)}
        user_ids = {pair.user_id for pair in study.pairs}
        user_number = {user: index for index, user in enumerate(sorted(user_ids))}
        pair_ids: list[str] = []
        whole: list[tuple[int, int, int, int]] = []
        scores: list[tuple[float, float]] = []
        for person, each in enumerate(answers):
            for answer in each.answers:
                step, pair = answer.step, answer.step.shown
                if isinstance(pair, Pair) and step.question == question:
                    chosen = {"left": step.left, "right": step.right}.get(answer.choice)
                    first, second = (number[method] for method in pair.methods)
                    pair_ids.append(pair.pair_id)
                    whole.append((person, user_number[pair.user_id], first, second))
                    scores.append((_score(chosen, pair.pictures[0]), _score(chosen, step.left)))
        participant_N, user_N, first_N, second_N = np.array(whole, np.int64).reshape(-1, 4).T
        score_N, left_N = np.array(scores, np.float64).reshape(-1, 2).T
        return cls(
            study.methods,
            tuple(pair_ids),
            participant_N,
            user_N,
            first_N,
            second_N,
            score_N,
            left_N,
        )

    def __len__(self) -> int:
        return len(self.pair_ids)

    @property
    def num_participants(self) -> int:
        """How many people judged."""
        return len(np.unique(self.participant_N))

    def wins_MM(self) -> Floats:
        """Return how often each row's method beat each column's; a tie is half a win for both."""
        wins_MM: Floats = self.resampled_wins_RMM(np.ones((1, len(self))))[0]
        return wins_MM

    def resampled_wins_RMM(self, weights_RN: Floats) -> Floats:
        """Return the same, each judgement counted as often as a resample drew it."""
        num_methods = len(self.methods)
        place_N = self.first_N * num_methods + self.second_N
        mirrored_N = self.second_N * num_methods + self.first_N
        one_hot_NK = np.zeros((len(self), num_methods**2))
        rows_N = np.arange(len(self))
        one_hot_NK[rows_N, place_N] = self.score_N
        one_hot_NK[rows_N, mirrored_N] = 1 - self.score_N
        return (weights_RN @ one_hot_NK).reshape(-1, num_methods, num_methods)

    def resample_weights_RN(self, seed: int) -> Floats:
        """Return how often each judgement is drawn in each resample."""
        rng = np.random.default_rng(seed)
        by_person_RN = draw_counts_RN(self.participant_N, rng)
        return by_person_RN * draw_counts_RN(self.user_N, rng)


def draw_counts_RN(group_N: Integers, rng: np.random.Generator) -> Floats:
    """Return how often each place's group is drawn, groups being drawn with replacement."""
    groups, place_N = np.unique(group_N, return_inverse=True)
    num_groups = len(groups)
    shares = np.full(num_groups, 1 / num_groups)
    counts_RG = rng.multinomial(num_groups, shares, size=NUM_RESAMPLES)
    return counts_RG[:, place_N].astype(np.float64)


def interval_of(resampled_R: Floats) -> tuple[float, float] | None:
    """Return the 95 % interval; resamples in which nothing was drawn are NaN and left out."""
    known_R = resampled_R[np.isfinite(resampled_R)]
    if not len(known_R):
        return None
    low, high = np.percentile(known_R, [TAIL_PERCENT, 100 - TAIL_PERCENT])
    return float(low), float(high)


def _score(chosen: str | None, picture: str) -> float:
    """Return 1 where the picture was chosen, 0 where the other was, ½ for a tie."""
    return 0.5 if chosen is None else float(chosen == picture)
