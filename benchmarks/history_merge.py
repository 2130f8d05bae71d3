"""What does it cost to merge events into a history, and what does the cost grow with?

    python -m benchmarks.history_merge --out out/bench/history_merge.json

One user's log of likes, in random order of arrival, is merged into the user's state event by
event. Read `over_shortest_log`: the median time of a merge at the end of a log against that at
the end of the shortest log, in one run; it must not grow, since a state holds the newest places
and not the log. Beside it how a merge grows with the number of places, what batches save, and
what reading and writing the state's bytes costs. One thread.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks._record import write_result
from pigeon_recsys.files import check_writable
from pigeon_recsys.history.events import Interacted
from pigeon_recsys.history.state import DEFAULT_CAPACITY, HistoryState
from pigeon_recsys.records import LIKE

LOGS = (1_000, 10_000, 100_000)  # events
CAPACITIES = (50, 200, 800)  # places
BATCHES = (1, 10, 100)  # events
TIMED = 300  # merges at the end of a log
START_MS = 1_767_225_600_000


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, write JSON."""
    args = parse_arguments(argv)
    check_writable(args.out)
    logs = [merge_time(length, DEFAULT_CAPACITY, 1) for length in args.logs]
    figures = {
        "by_log_length": [
            {"events": length, "merge_us": us, "over_shortest_log": us / logs[0]}
            for length, us in zip(args.logs, logs, strict=True)
        ],
        "by_capacity": [
            {"places": capacity, "merge_us": merge_time(4 * max(CAPACITIES), capacity, 1)}
            for capacity in CAPACITIES
        ],
        "by_batch": [batch_row(size) for size in BATCHES],
        "bytes": bytes_row(),
    }
    for row in (*figures["by_log_length"], *figures["by_capacity"], *figures["by_batch"]):
        print(", ".join(f"{name} {value:,.4g}" for name, value in row.items()))
    settings = {"capacity": DEFAULT_CAPACITY, "timed": TIMED, "threads": 1}
    write_result(args.out, "What does it cost to merge events?", settings, figures)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logs", type=int, nargs="+", default=LOGS, help="events of each log")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args(argv)


def make_log(length: int) -> list[Interacted]:
    """Return a user's likes in random order of arrival."""
    log = [
        Interacted("ada", f"event-{number}", START_MS + 1000 * number, f"item-{number % 97}", LIKE)
        for number in range(length)
    ]
    random.Random(0).shuffle(log)
    return log


def merge_time(length: int, capacity: int, batch: int) -> float:
    """Return the median microseconds of a merge of `batch` events at the end of a log."""
    log = make_log(length + TIMED * batch)
    state = HistoryState.empty("ada", capacity).merged(log[:length])
    times = []
    for start in range(length, len(log), batch):
        events = log[start : start + batch]
        began = time.perf_counter()
        state = state.merged(events)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


def batch_row(size: int) -> dict[str, float]:
    """Return what a merge of so many events costs, and how many events a second that is."""
    merge_us = merge_time(4 * DEFAULT_CAPACITY, DEFAULT_CAPACITY, size)
    return {"batch": size, "merge_us": merge_us, "events_per_s": size / merge_us * 1e6}


def bytes_row() -> dict[str, Any]:
    """Return what a full state costs to write and to read."""
    state = HistoryState.empty("ada").merged(make_log(2 * DEFAULT_CAPACITY))
    data = state.to_bytes()
    return {
        "size": len(data),
        "write_us": median_us(state.to_bytes),
        "read_us": median_us(lambda: HistoryState.from_bytes(data)),
    }


def median_us(work: Callable[[], object]) -> float:
    """Return the median microseconds of a call."""
    times = []
    for _ in range(TIMED):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


if __name__ == "__main__":
    main()
