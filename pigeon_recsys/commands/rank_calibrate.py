"""`pigeon-recsys rank calibrate`: make scores of all sources mean the same."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pigeon_recsys.cli import add_common_arguments
from pigeon_recsys.commands.log_arguments import add_log_arguments, left_out, outcome_rules

if TYPE_CHECKING:
    from pigeon_recsys.ranking.calibration import Outcomes
    from pigeon_recsys.ranking.source_bias import GapEstimate

METHODS = ("platt", "isotonic")  # as in ranking/calibration.py, which loads numpy
PRIOR_OUTCOMES = 100.0


def register(subcommands: Any) -> None:
    """Add `calibrate` to the subcommands of `rank`."""
    parser = subcommands.add_parser(
        "calibrate",
        help="calibrate scores by source, from logged outcomes",
        description="Fit a calibration curve for each source of items on logged outcomes, and "
        "report the source-bias gap before and after, for users the curves were not fitted on.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--log", type=Path, metavar="DIR", help="the folder of a decision log")
    given.add_argument(
        "--outcomes",
        type=Path,
        metavar="FILE",
        help="parquet with user_id, source, score, outcome and, if need be, propensity",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", required=True, help="the .json to write"
    )
    parser.add_argument(
        "--table",
        type=Path,
        metavar="FILE",
        help="write the log's outcomes as --outcomes takes them",
    )
    add_log_arguments(parser)
    parser.add_argument(
        "--method", choices=METHODS, default=METHODS[0], help="isotonic wants thousands of outcomes"
    )
    parser.add_argument(
        "--prior-outcomes",
        type=float,
        default=PRIOR_OUTCOMES,
        help="a source with as many of its own is calibrated half by its own",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the intervals")
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Fit, write and print the gaps."""
    from dataclasses import asdict

    from pigeon_recsys.files import check_writable
    from pigeon_recsys.ranking.calibration_report import calibrate
    from pigeon_recsys.ranking.outcome_table import read_outcomes, write_outcomes

    check_writable(args.out)
    if args.table is not None:
        check_writable(args.table)
    logged = read_outcomes(args.outcomes) if args.log is None else _of_log(args)
    if args.table is not None:
        write_outcomes(args.table, logged)
    calibration, report = calibrate(
        logged, args.method, prior_outcomes=args.prior_outcomes, seed=args.seed
    )
    calibration.save(args.out)
    print(f"{args.out}: {args.method} from {len(logged.scores)} outcomes, measured on unseen users")
    for name, found in report.by_source.items():
        print(
            f"{name:10} {found.num_outcomes} outcomes, {found.outcome_rate:.3f} of them good; "
            f"mean score {found.score_before:.3f} before, {found.score_after:.3f} after"
        )
    before, after = report.before, report.after
    print(f"score gap  {_told(before.score)} before, {_told(after.score)} after")
    print(f"rank gap   {_told(before.rank)} before, {_told(after.rank)} after")
    return {
        "calibration": str(args.out),
        "method": args.method,
        "prior_outcomes": args.prior_outcomes,
        "seed": args.seed,
        **asdict(report),
    }


def _of_log(args: argparse.Namespace) -> "Outcomes":
    """Return the outcomes of a log and say what it holds besides."""
    from pigeon_recsys.ranking.logged_scores import logged_scores
    from pigeon_recsys.ranking.seen_slates import SeenSlates

    slates = SeenSlates(args.log, outcome_rules(args))
    found = logged_scores(slates)
    print(
        f"{args.log}: {len(found.outcomes.scores)} seen items scored by ranker "
        f"{found.ranker[:12] or 'without a version'}; left out: {found.num_of_others} of other "
        f"rankers, {found.num_without_score} without a score, {left_out(slates)}"
    )
    return found.outcomes


def _told(estimate: "GapEstimate") -> str:
    return f"{estimate.gap:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"
