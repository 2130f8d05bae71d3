"""The command line: parse, run one command, turn errors into one clear line.

Every command lives in `pigeon_recsys.commands` as a module with
`register(commands)`, which adds its parser and sets `run`, a function from the parsed
arguments to a JSON-serializable result; an error may carry one as well. Exit codes: 0 done,
1 failed, 2 bad usage.
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from pigeon_recsys import __version__
from pigeon_recsys.errors import PigeonError, SettingsError
from pigeon_recsys.files import check_writable, write_text_atomic

COMMANDS = (
    "demo",
    "data",
    "train",
    "index",
    "rank",
    "generate",
    "provenance",
    "evaluate",
    "serve",
    "stream",
)
MAX_SEED = 2**32 - 1  # trainings multiply it; every generator of numbers takes it
INTERRUPTED = 130  # what a shell reports for a command ended by Ctrl-C


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; loads no heavy library."""
    parser = argparse.ArgumentParser(
        prog="pigeon-recsys",
        description="A generation slot for any recommender system.",
    )
    parser.add_argument("--version", action="version", version=f"pigeon-recsys {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        import_module(f"pigeon_recsys.commands.{name}").register(commands)
    return parser


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options every command understands."""
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write a machine-readable result to FILE"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="log what happens")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = build_parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO if args.verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )
    try:
        if args.json:
            check_writable(args.json)
        _check_seed(getattr(args, "seed", None))
        result = args.run(args)
    except PigeonError as exc:
        print(f"pigeon-recsys: {exc}", file=sys.stderr)
        if args.json and exc.result is not None:
            _write_result(args.json, exc.result)
        return exc.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    if args.json:
        _write_result(args.json, result)
    return 0


def _check_seed(seed: int | None) -> None:
    if seed is not None and not 0 <= seed <= MAX_SEED:
        raise SettingsError(f"--seed must be from 0 to {MAX_SEED}, got {seed}. Use 0.")


def _write_result(target: Path, result: object) -> None:
    """Write a command's result as strict JSON: no NaN, no Infinity."""
    write_text_atomic(target, json.dumps(result, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
