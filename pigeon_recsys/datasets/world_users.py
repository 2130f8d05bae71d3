"""The users of the sticker world: planted tastes, and the likes and skips they lead to.

In:  the catalog's factors and a random generator.
Out: every user's planted taste, and events with a flag on likes that are mere noise.

A user's taste is over style: for every style factor a main value, a second one and the rest.
The main values together are the style of a pack that exists. A user's need is over content:
Zipf preferences over moods and props. A like is drawn by softmax over taste and need from the
whole catalog, without replacement; a noise like is drawn uniformly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.datasets.sticker_drawing import CONTENT_FACTORS, STYLE_FACTORS, Sticker
from pigeon_recsys.progress import track

MIN_LIKES, MAX_LIKES = 20, 40
SKIP_SHARE = 0.3  # skips per like
SKIP_POOL = 3  # impressions looked at for each skip; the least useful third is skipped
NOISE_SHARE = 0.15
TASTE_SHARE = 0.875  # of true likes, how many show the main value of a style factor
SECOND_WEIGHT = 0.35  # of the main value's weight
CONTENT_WEIGHT = 0.6  # per unit of log Zipf probability
CALIBRATION_USERS = 256
CALIBRATION_STEPS = 12
MAX_SHARPNESS = 8.0

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class UserTastes:
    """Planted tastes of U users, as positions in the factors' value lists."""

    main: Codes  # (U, style factors)
    second: Codes  # (U, style factors)
    ranks: tuple[Codes, ...]  # one per content factor: (U, values), 0 is the favourite

    def __len__(self) -> int:
        return len(self.main)


@dataclass(frozen=True)
class UserEvents:
    """What one user did, as positions in the catalog."""

    liked: Codes
    is_noise: NDArray[np.bool_]
    skipped: Codes


def codes(stickers: Sequence[Sticker], factors: dict[str, tuple[str, ...]]) -> Codes:
    """Return the stickers' values as positions in the factors' lists (N, factors)."""
    places = {name: {v: i for i, v in enumerate(values)} for name, values in factors.items()}
    return np.array([[places[name][getattr(s, name)] for name in factors] for s in stickers])


def draw_users(num_users: int, styles: Codes, rng: np.random.Generator) -> UserTastes:
    """Plant tastes; main styles come from the styles the catalog holds, each as often."""
    distinct = np.unique(styles, axis=0)
    picks = np.resize(rng.permutation(len(distinct)), num_users)
    main = distinct[rng.permutation(picks)]
    sizes = np.array([len(values) for values in STYLE_FACTORS.values()])
    second = (main + rng.integers(1, sizes, size=main.shape)) % sizes
    ranks = tuple(
        np.argsort(rng.random((num_users, len(values))), axis=1)
        for values in CONTENT_FACTORS.values()
    )
    return UserTastes(main, second, ranks)


def simulate(
    tastes: UserTastes,
    styles: Codes,
    contents: Codes,
    noise_share: float,
    rng: np.random.Generator,
) -> list[UserEvents]:
    """Draw what every user likes and skips, in order of the users."""
    sharpness = calibrated_sharpness(tastes, styles, contents, rng)
    events = []
    for user in track(range(len(tastes)), "simulating users"):
        style = sharpness * style_match(tastes, user, styles)
        events.append(simulate_user(style + content_need(tastes, user, contents), noise_share, rng))
    return events


def calibrated_sharpness(
    tastes: UserTastes, styles: Codes, contents: Codes, rng: np.random.Generator
) -> float:
    """Return how much a style match must weigh for `TASTE_SHARE` to hold in this catalog.

    A larger catalog tempts with more near misses, so the weight cannot be one constant.
    Bisection on trial users, always with the same random numbers.
    """
    trial = range(min(CALIBRATION_USERS, len(tastes)))
    num_likes = round((MIN_LIKES + MAX_LIKES) / 2 * (1 - NOISE_SHARE))
    is_main = [styles == tastes.main[user] for user in trial]
    style = [style_match(tastes, user, styles) for user in trial]
    rest = [content_need(tastes, user, contents) + rng.gumbel(size=len(styles)) for user in trial]
    low, high = 0.0, MAX_SHARPNESS
    for _ in range(CALIBRATION_STEPS):
        middle = (low + high) / 2
        shares = [
            is_main[user][top(middle * style[user] + rest[user], num_likes)].mean()
            for user in trial
        ]
        low, high = (middle, high) if np.mean(shares) < TASTE_SHARE else (low, middle)
    return (low + high) / 2


def style_match(tastes: UserTastes, user: int, styles: Codes) -> Floats:
    """Return how far every item has the user's style (N,): a main value counts one."""
    match: Floats = (
        (styles == tastes.main[user]) + SECOND_WEIGHT * (styles == tastes.second[user])
    ).sum(axis=1)
    return match


def content_need(tastes: UserTastes, user: int, contents: Codes) -> Floats:
    """Return the weighted log Zipf preference of one user for every item (N,)."""
    need = np.zeros(len(contents))
    for factor, ranks in enumerate(tastes.ranks):
        need -= CONTENT_WEIGHT * np.log1p(ranks[user][contents[:, factor]])
    return need


def simulate_user(utility: Floats, noise_share: float, rng: np.random.Generator) -> UserEvents:
    """Draw one user's likes and skips from how much the user wants every item (N,).

    Adding Gumbel noise and taking the largest draws by softmax without replacement.
    """
    num_items = len(utility)
    num_likes = min(int(rng.integers(MIN_LIKES, MAX_LIKES + 1)), num_items // 2)
    num_noise = int(rng.binomial(num_likes, noise_share))
    true = top(utility + rng.gumbel(size=num_items), num_likes - num_noise)
    rest = np.setdiff1d(np.arange(num_items), true)
    noise = rng.choice(rest, size=num_noise, replace=False)
    order = rng.permutation(num_likes)
    unseen = np.setdiff1d(rest, noise)
    num_skips = min(round(num_likes * SKIP_SHARE), len(unseen))
    pool = rng.permutation(unseen)[: num_skips * SKIP_POOL]
    skipped = pool[np.argsort(utility[pool], kind="stable")[:num_skips]]
    is_noise = np.arange(num_likes) >= num_likes - num_noise
    return UserEvents(np.concatenate([true, noise])[order], is_noise[order], skipped)


def top(score: Floats, count: int) -> Codes:
    """Return the positions of the `count` largest scores, in no particular order."""
    return np.argpartition(-score, count)[:count]
