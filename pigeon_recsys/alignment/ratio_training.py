"""Train the ratio predictor: sweep for training users, learn which ratio scored best.

In:  a dataset folder, a generator that sweeps, the index of its items.
Out: a ratio predictor, and the sweeps of users who trained nothing, to compare it on.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.split import user_split
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.generation.pigeon_generator import PigeonGenerator, ScoredSweep
from pigeon_recsys.generation.ratio_predictor import RatioPredictor, fit_ridge, ratio_features
from pigeon_recsys.ports import ItemIndex
from pigeon_recsys.progress import track
from pigeon_recsys.records import GenerationTask, Reference, Vectors
from pigeon_recsys.retrieval.task import gather_task

# N requests, F features, R ratios

Judge = Callable[[ScoredSweep], Vectors]  # returns a value of every picture, (R,)

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)  # of the ridge; 100 all but predicts the mean
NUM_FOLDS = 5  # of the training requests, to choose the penalty
MIN_TRAIN_USERS = 2 * NUM_FOLDS


@dataclass(frozen=True)
class RatioTrainingSettings:
    """How many sweeps are made, one a user."""

    train_users: int = 240
    held_out_users: int = 60
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"train_users": MIN_TRAIN_USERS, "held_out_users": 1}
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise SettingsError(f"{name} must be at least {minimum}, got {getattr(self, name)}")


@dataclass(frozen=True)
class SweepTable:
    """The sweeps of some users as numbers, one row a user."""

    user_ids: tuple[str, ...]
    features_NF: Vectors
    scores_NR: Vectors  # of the selection scorer
    judged_NR: Vectors | None = None  # of a scorer that selects nothing, where there is one


@dataclass(frozen=True)
class TrainedRatio:
    """A predictor, and the sweeps it was and was not trained on."""

    predictor: RatioPredictor
    train: SweepTable
    held_out: SweepTable


def train_ratio(
    dataset: DatasetFolder,
    generator: PigeonGenerator,
    index: ItemIndex,
    settings: RatioTrainingSettings,
    judge: Judge | None = None,
) -> TrainedRatio:
    """Sweep for training and held-out users and fit the predictor on the former.

    `judge` is asked of the sweeps of users held out.
    """
    train_users, held_out_users = _draw_users(dataset, settings)
    train = sweep_table(generator, ratio_tasks(dataset, index, train_users, settings.seed))
    predictor = fit_predictor(train, generator.settings.ratios, settings.seed)
    tasks = ratio_tasks(dataset, index, held_out_users, settings.seed)
    return TrainedRatio(predictor, train, sweep_table(generator, tasks, judge))


def ratio_tasks(
    dataset: DatasetFolder, index: ItemIndex, user_ids: Sequence[str], seed: int
) -> list[GenerationTask]:
    """Return one task a user, each about an item drawn from the whole catalog."""
    rng = np.random.default_rng([seed, 1])
    wanted = rng.choice(dataset.item_ids, size=len(user_ids))
    return [
        gather_task(
            dataset,
            index,
            dataset.history(user_id),
            Reference(str(item_id), dataset.item(str(item_id)).instruction),
            seed + number,
        )
        for number, (user_id, item_id) in enumerate(zip(user_ids, wanted, strict=True))
    ]


def sweep_table(
    generator: PigeonGenerator, tasks: Sequence[GenerationTask], judge: Judge | None = None
) -> SweepTable:
    """Sweep for every task and return features and scores."""
    scores, judged = [], []
    for sweep in iterate_sweeps(generator, tasks):
        scores.append([image.score for image in sweep.images])
        if judge is not None:
            judged.append(judge(sweep))
    features = [
        ratio_features(
            generator.embedder, [image.pixels for image in task.history], task.reference_pixels
        )
        for task in tasks
    ]
    return SweepTable(
        tuple(task.user_id for task in tasks),
        np.stack(features),
        np.asarray(scores, np.float32),
        np.stack(judged) if judged else None,
    )


def iterate_sweeps(
    generator: PigeonGenerator, tasks: Sequence[GenerationTask]
) -> Iterator[ScoredSweep]:
    """Yield the sweep of each task, made a batch at a time."""
    size = generator.settings.batch_size
    for start in track(range(0, len(tasks), size), "sweep over ratios"):
        yield from generator.sweep(tasks[start : start + size])


def fit_predictor(train: SweepTable, ratios: Sequence[float], seed: int) -> RatioPredictor:
    """Fit a ridge whose penalty gives the best chosen scores in cross-validation."""
    num_rows = len(train.user_ids)
    fold_N = np.random.default_rng([seed, 2]).permutation(num_rows) % NUM_FOLDS

    def chosen_score(penalty: float) -> float:
        total = 0.0
        for fold in range(NUM_FOLDS):
            kept, left = fold_N != fold, fold_N == fold
            predictor = fit_ridge(train.features_NF[kept], train.scores_NR[kept], ratios, penalty)
            place_N = predictor.scores(train.features_NF[left]).argmax(axis=1)
            total += float(train.scores_NR[left][np.arange(left.sum()), place_N].sum())
        return total / num_rows

    best = max(PENALTIES, key=chosen_score)
    return fit_ridge(train.features_NF, train.scores_NR, ratios, best)


def _draw_users(
    dataset: DatasetFolder, settings: RatioTrainingSettings
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return users with likes of the training split, and others, as many as there are."""
    likers = [user for user in dataset.user_ids if dataset.history(user).liked]
    order = np.random.default_rng([settings.seed, 0]).permutation(len(likers))
    drawn = [likers[row] for row in order]
    train = tuple(user for user in drawn if user_split(user) == "train")[: settings.train_users]
    held_out = tuple(user for user in drawn if user_split(user) != "train")
    if len(train) < MIN_TRAIN_USERS or not held_out:
        raise SettingsError(
            f"{dataset.path} has {len(train)} training users with likes and {len(held_out)} "
            f"others; a ratio predictor needs at least {MIN_TRAIN_USERS} and 1. Use a dataset "
            "with more users."
        )
    return train, held_out[: settings.held_out_users]
