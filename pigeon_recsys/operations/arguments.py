"""The options by which a worker is operated, and what they switch on.

In:  parsed arguments of `stream ingest` or `stream generate`.
Out: an observer for the worker; metrics and health served, logs in JSON, where asked for.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pigeon_recsys.streaming.observation import Observer

LOG_FORMATS = ("text", "json")


def add_operations_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--operations`, `--log-format` and the watchdog's limits."""
    options = parser.add_argument_group("operations")
    options.add_argument(
        "--operations",
        metavar="HOST:PORT",
        help="serve /healthz, /readyz and /metrics there; port 0 takes a free one and logs it",
    )
    options.add_argument(
        "--hang-after",
        type=positive_s,
        metavar="SECONDS",
        default=120.0,
        help="/healthz fails when one step of the worker's loop takes so long",
    )
    options.add_argument(
        "--stall-after",
        type=positive_s,
        metavar="SECONDS",
        default=300.0,
        help="/healthz fails when a partition with lag does not move for so long",
    )
    options.add_argument(
        "--log-format", choices=LOG_FORMATS, default=LOG_FORMATS[0], help="json: one object a line"
    )


def positive_s(text: str) -> float:
    """Parse a time for argparse."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"must be seconds above 0, got {text!r}")
    return seconds


@contextmanager
def operating(args: argparse.Namespace) -> Iterator["Observer"]:
    """Yield the observer of a worker; where nothing is served, it listens to nobody."""
    from pigeon_recsys.operations.structured_log import json_logs
    from pigeon_recsys.streaming.observation import SILENT

    with ExitStack() as stack:
        if args.log_format == "json":
            stack.enter_context(json_logs())
        yield stack.enter_context(_served(args)) if args.operations is not None else SILENT


@contextmanager
def _served(args: argparse.Namespace) -> Iterator["Observer"]:
    from pigeon_recsys.operations.health import Patience, Watchdog
    from pigeon_recsys.operations.metrics import StreamMetrics
    from pigeon_recsys.operations.observers import Observers
    from pigeon_recsys.operations.server import serving

    metrics = StreamMetrics()
    watchdog = Watchdog(Patience(hang_s=args.hang_after, stall_s=args.stall_after))
    with serving(args.operations, watchdog, metrics):
        yield Observers(metrics, watchdog)
