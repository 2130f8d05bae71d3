"""Ways to choose the reference-mask ratio, compared on users whose sweeps trained nothing.

In:  a value of every picture of every user's sweep (a score, or a judge's verdict).
Out: the mean value that each way of choosing gets, with 95 % intervals over users:
     `sweep` the highest selection score of all, `predicted` one ratio foretold, `best_fixed`
     the one ratio best for the training users, `random` a ratio drawn blindly.

By the selection scorer's own score the sweep is the best by definition; values from a scorer
that selects nothing are the fair comparison.
"""

from collections.abc import Mapping

import numpy as np

from pigeon_recsys.alignment.ratio_training import Judge, SweepTable, TrainedRatio
from pigeon_recsys.evaluation.bootstrap import Estimate, mean_over_users
from pigeon_recsys.evaluation.feature_networks import ImageNetwork
from pigeon_recsys.generation.pigeon_generator import ScoredSweep
from pigeon_recsys.records import Vectors

# N users, R ratios

CHOICES = ("sweep", "predicted", "best_fixed", "random")


def judge_of(network: ImageNetwork) -> Judge:
    """Return a judge that scores as selection does, by a network that selects nothing.

    Half the mean cosine similarity to the history's pictures, half that to the reference.
    """

    def judge(sweep: ScoredSweep) -> Vectors:
        shown = [image.pixels for image in sweep.task.history]
        asked = [] if sweep.task.reference_pixels is None else [sweep.task.reference_pixels]
        made = [image.pixels for image in sweep.images]
        vectors = network.image_vectors([*made, *shown, *asked])
        made_RD, rest_KD = vectors[: len(made)], vectors[len(made) :]
        likeness_RK = made_RD @ rest_KD.T
        values_R = likeness_RK[:, : len(shown)].mean(axis=1)
        if asked:
            values_R = (values_R + likeness_RK[:, -1]) / 2
        return np.asarray(values_R, np.float32)

    return judge


def choice_shares(trained: TrainedRatio) -> dict[str, Vectors]:
    """Return how often each way of choosing takes each held-out picture, (N, R)."""
    held_out = trained.held_out
    num_users, num_ratios = held_out.scores_NR.shape
    taken_RR = np.eye(num_ratios, dtype=np.float32)
    expected_NR = trained.predictor.scores(held_out.features_NF)
    best_fixed = int(trained.train.scores_NR.mean(axis=0).argmax())
    return {
        "sweep": taken_RR[held_out.scores_NR.argmax(axis=1)],
        "predicted": taken_RR[expected_NR.argmax(axis=1)],
        "best_fixed": np.tile(taken_RR[best_fixed], (num_users, 1)),
        "random": np.full((num_users, num_ratios), 1 / num_ratios, np.float32),
    }


def compare_choices(
    table: SweepTable, value_NR: Vectors, shares: Mapping[str, Vectors], *, seed: int = 0
) -> dict[str, Estimate]:
    """Return the mean value of what each way of choosing takes, by name."""
    found: dict[str, Estimate] = {}
    for name, share_NR in shares.items():
        values = (value_NR * share_NR).sum(axis=1).tolist()
        by_user = {user: [value] for user, value in zip(table.user_ids, values, strict=True)}
        found[name] = mean_over_users(by_user, seed=seed)
    return found
