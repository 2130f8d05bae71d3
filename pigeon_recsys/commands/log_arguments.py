"""The options of commands that learn from a decision log."""

import argparse
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pigeon_recsys.ranking.seen_slates import OutcomeRules, SeenSlates

WINDOW_HOURS = 24.0  # as in ranking/seen_slates.py, which loads pyarrow
MAY_BE_GOOD = ("like", "click")
HOUR_MS = 3_600_000


def add_log_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says which outcomes of a log count, and how."""
    parser.add_argument(
        "--window-hours",
        type=float,
        default=WINDOW_HOURS,
        help="an outcome counts up to so long after its exposure; exposures that are younger than "
        "that at the log's end are left out",
    )
    parser.add_argument(
        "--good",
        nargs="+",
        choices=MAY_BE_GOOD,
        default=["like"],
        metavar="KIND",
        help="outcomes that are good, of like and click; a later skip or hide takes them back",
    )
    for name in ("first", "last"):
        parser.add_argument(
            f"--{name}-day",
            type=date.fromisoformat,
            metavar="YYYY-MM-DD",
            help=f"{name} day of the decisions, UTC; without it all",
        )


def outcome_rules(args: argparse.Namespace) -> "OutcomeRules":
    """Return the rules that the options state. Raises `SettingsError`."""
    from pigeon_recsys.ranking.seen_slates import OutcomeRules

    return OutcomeRules(
        good=frozenset(args.good),
        window_ms=args.window_hours * HOUR_MS,
        first=args.first_day,
        last=args.last_day,
    )


def left_out(slates: "SeenSlates") -> str:
    """Return what a log held that could not be used."""
    return (
        f"{slates.num_waiting} exposures whose window is not over, "
        f"{slates.num_unseen} outcomes without an exposure"
    )
