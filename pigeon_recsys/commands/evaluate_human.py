"""`pigeon-recsys evaluate human`: ask people, blind, which method's picture they prefer.

Run twice: `--run RUN --out DIR` writes the study, `--answers PATH… --study DIR` reads what the
participants sent back.
"""

import argparse
from pathlib import Path
from typing import Any

from pigeon_recsys.cli import add_common_arguments
from pigeon_recsys.errors import SettingsError

WRITING = ("run_folder", "pairs", "per_participant", "checks", "max_failed", "questions", "no_ties")


def register(subcommands: Any) -> None:
    """Add `human` to the subcommands of `evaluate`."""
    # Given before `human`, these belong to the parser of `evaluate`; no default here undoes them.
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    add_common_arguments(common)
    parser = subcommands.add_parser(
        "human",
        parents=[common],
        help="write a blind pairwise study for people, or read its answers",
        description="With --run and --out: write study.html, one page for all participants, and "
        "key.json, which says what is what and stays with you. With --answers and --study: "
        "write win rates, agreement and a Bradley-Terry ranking as results.json and results.md.",
    )
    writing = parser.add_argument_group("write a study")
    writing.add_argument(
        "--run",
        dest="run_folder",
        type=Path,
        metavar="RUN",
        help="folder that `evaluate --out` has written",
    )
    _add_count(writing, "--pairs", "pairs in the study, evenly over the methods (default 120)")
    _add_count(writing, "--per-participant", "pairs each participant judges (default 24)")
    _add_count(writing, "--checks", "attention checks each participant meets (default 4)")
    _add_count(writing, "--max-failed", "failed checks that still count as attentive (default 0)")
    writing.add_argument(
        "--questions",
        nargs="+",
        metavar="NAME",
        help="personal (who would use it), asked (what was asked for); default: both",
    )
    writing.add_argument("--no-ties", action="store_true", default=None, help="force a choice")
    reading = parser.add_argument_group("read answers")
    reading.add_argument(
        "--answers", type=Path, nargs="+", metavar="PATH", help="answer files, or folders of them"
    )
    reading.add_argument("--study", type=Path, metavar="DIR", help="the folder the study is in")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write")
    parser.add_argument("--seed", type=int, help="of the study's draws, or of the intervals")
    parser.set_defaults(run=run)


def _add_count(group: Any, option: str, text: str) -> None:
    group.add_argument(option, type=int, metavar="N", help=text)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write a study or read its answers, whichever the options ask for."""
    if args.answers is None and args.study is None:
        return _write(args)
    return _read(args)


def _write(args: argparse.Namespace) -> dict[str, Any]:
    from pigeon_recsys.evaluation.human_study.comparison import comparison_folder, read_comparison
    from pigeon_recsys.evaluation.human_study.plan import plan_study
    from pigeon_recsys.evaluation.human_study.study import StudySettings
    from pigeon_recsys.evaluation.human_study.study_folder import write_study

    if args.run_folder is None or args.out is None:
        raise SettingsError(
            "evaluate human needs --run RUN and --out DIR to write a study, "
            "or --answers PATH and --study DIR to read its answers"
        )
    given = {
        "num_pairs": args.pairs,
        "per_participant": args.per_participant,
        "num_checks": args.checks,
        "max_failed_checks": args.max_failed,
        "questions": None if args.questions is None else tuple(args.questions),
        "ties_allowed": None if args.no_ties is None else False,
        "seed": args.seed,
    }
    settings = StudySettings(**{name: each for name, each in given.items() if each is not None})
    comparison = read_comparison(comparison_folder(args.run_folder))
    study = plan_study(comparison, settings)
    written = write_study(study, comparison, args.out)
    print("\n".join(written.summary_lines()))
    return written.to_json()


def _read(args: argparse.Namespace) -> dict[str, Any]:
    from pigeon_recsys.evaluation.human_study.answers import read_answers
    from pigeon_recsys.evaluation.human_study.report import write_results
    from pigeon_recsys.evaluation.human_study.results import analyse
    from pigeon_recsys.evaluation.human_study.study_folder import read_study

    if args.answers is None or args.study is None:
        missing = "--answers PATH" if args.answers is None else "--study DIR"
        raise SettingsError(f"evaluate human needs {missing} as well, to read answers")
    idle = [name.replace("_", "-") for name in WRITING if getattr(args, name) is not None]
    if idle:
        names = ", ".join(f"--{name.removesuffix('-folder')}" for name in idle)
        raise SettingsError(f"{names} decides how a study is written; drop it to read answers")
    study = read_study(args.study)
    results = analyse(study, read_answers(args.answers, study), seed=args.seed or 0)
    lines, content = write_results(results, args.out or args.study)
    print("\n".join(lines))
    return content
