"""What the ranker knows of the moment: the time, the user's last event, how much is known.

In:  times in epoch milliseconds, and how many likes the history holds.
Out: one row of `CONTEXT_NAMES` a moment, the same numbers in training and in serving.

Hour and weekday are UTC and cyclic: a sine and a cosine each, so that 23 h is next to 0 h. A
moment whose time is not known has zeros there, which training prepares (`samples.py`).
"""

import numpy as np

from pigeon_recsys.ranking.bags import Ids
from pigeon_recsys.records import History, RankContext, Vectors

CONTEXT_NAMES = (
    "hour_sin",
    "hour_cos",
    "weekday_sin",
    "weekday_cos",
    "recency",  # of the user's last event: 1 just now, 0 ten years ago or never
    "liked_share",  # likes in the history, of the most that the ranker looks at
)
NUM_TIMED = 5  # the first so many need the time
NEVER = -1  # instead of the time of a last event, where there is none

HOUR_MS = 3_600_000
HOURS_A_DAY, DAYS_A_WEEK = 24, 7
EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday, and Monday is 0
LONG_AGO_H = 10 * 365 * HOURS_A_DAY


def context_rows(at_ms: Ids, last_ms: Ids, num_liked: Ids, history_len: int) -> Vectors:
    """Return the context (M, C) of moments at known times; `last_ms` is `NEVER` for no event."""
    hours = at_ms / HOUR_MS
    hour_angle = 2 * np.pi * (hours % HOURS_A_DAY) / HOURS_A_DAY
    days = hours / HOURS_A_DAY + EPOCH_WEEKDAY
    weekday_angle = 2 * np.pi * np.floor(days % DAYS_A_WEEK) / DAYS_A_WEEK
    since_h = np.maximum(at_ms - last_ms, 0) / HOUR_MS
    recency = 1 - np.minimum(np.log1p(since_h) / np.log1p(LONG_AGO_H), 1)
    columns = (
        np.sin(hour_angle),
        np.cos(hour_angle),
        np.sin(weekday_angle),
        np.cos(weekday_angle),
        np.where(last_ms == NEVER, 0, recency),
        num_liked / history_len,
    )
    return np.stack(columns, axis=1).astype(np.float32)


def without_time(context_MC: Vectors) -> Vectors:
    """Return the same rows as if the time were not known."""
    untimed_MC = context_MC.copy()
    untimed_MC[:, :NUM_TIMED] = 0
    return untimed_MC


def request_context(
    context: RankContext | None, history: History, num_liked: int, history_len: int
) -> Vectors:
    """Return the context (1, C) of one request."""
    at_ms = 0 if context is None else context.at_ms
    last_ms = history.times_ms[-1] if history.times_ms else NEVER
    row_1C = context_rows(
        np.array([at_ms]), np.array([last_ms]), np.array([num_liked]), history_len
    )
    return without_time(row_1C) if context is None else row_1C
