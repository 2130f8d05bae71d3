"""Requests whose history holds noise, which only a sticker world's truth tells from taste.

In:  a sticker world, the runs to be asked, how many users, a seed.
Out: one request a user never trained on: five likes in a row as they came, noise and taste among
     them, and a reference the user has not met.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.world import INTERACTIONS_TRUTH
from pigeon_recsys.errors import DatasetError, SettingsError
from pigeon_recsys.evaluation.unseen import users_never_trained_on

WINDOW = 5  # likes in a row, as many as a model takes


@dataclass(frozen=True)
class NoisyRequest:
    """One user's request with a history as it came."""

    user_id: str
    history_ids: tuple[str, ...]  # oldest first
    is_noise: NDArray[np.bool_]  # of each history item; some are, some are not
    reference_id: str
    seed: int


def draw_requests(
    world: DatasetFolder, runs: Sequence[Path], num_users: int, *, seed: int
) -> list[NoisyRequest]:
    """Return a request each of users that no run was trained on, with an unmet reference."""
    noise = noise_likes(world)
    new_users = set.intersection(*(set(users_never_trained_on(world, run)) for run in runs))
    windows = {user_id: mixed_windows(world, user_id, noise) for user_id in sorted(new_users)}
    users = [user_id for user_id, found in windows.items() if found]
    if not 1 <= num_users <= len(users):
        raise SettingsError(
            f"--users must be from 1 to {len(users)}, the users of {world.path} that no run was "
            f"trained on and whose likes in a row hold both noise and taste; got {num_users}."
        )
    rng = np.random.default_rng(seed)
    drawn = [users[place] for place in rng.permutation(len(users))[:num_users]]
    return [
        request_of(world, user_id, windows[user_id], noise, seed + number, rng)
        for number, user_id in enumerate(drawn)
    ]


def request_of(
    world: DatasetFolder,
    user_id: str,
    windows: Sequence[tuple[str, ...]],
    noise: frozenset[tuple[str, str]],
    seed: int,
    rng: np.random.Generator,
) -> NoisyRequest:
    """Return a request with one of the windows and an item the user has not met."""
    window = windows[int(rng.integers(len(windows)))]
    met = set(world.history(user_id).item_ids)
    unmet = [item_id for item_id in world.item_ids if item_id not in met]
    is_noise = np.array([(user_id, item_id) in noise for item_id in window])
    return NoisyRequest(user_id, window, is_noise, unmet[int(rng.integers(len(unmet)))], seed)


def noise_likes(world: DatasetFolder) -> frozenset[tuple[str, str]]:
    """Return user and item of every like that the world's truth calls noise."""
    import pyarrow.parquet as pq

    path = world.path / INTERACTIONS_TRUTH
    if not path.is_file():
        raise DatasetError(
            world.path,
            [f"no {INTERACTIONS_TRUTH}: which likes are noise is known of sticker worlds only"],
        )
    rows = pq.read_table(path).to_pylist()
    return frozenset((row["user_id"], row["item_id"]) for row in rows if row["is_noise"])


def mixed_windows(
    world: DatasetFolder, user_id: str, noise: frozenset[tuple[str, str]]
) -> list[tuple[str, ...]]:
    """Return every five likes in a row of a user that hold both noise and taste."""
    liked = world.history(user_id).liked
    windows = [liked[start : start + WINDOW] for start in range(len(liked) - WINDOW + 1)]
    return [
        window
        for window in windows
        if 0 < sum((user_id, item_id) in noise for item_id in window) < WINDOW
    ]
