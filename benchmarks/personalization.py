"""Is the personalization of the shipped weights real, on users never trained on?

    python -m benchmarks.personalization --out out/bench/personalization.json

Draws a sticker world whose seed trained nothing, asks for one sticker a user from the user's
own history and one from another user's, and lets the factor classifiers judge both. Read
`content/all` against 0.80, `style/mean` (and the stricter `style/all`) against 0.60, and
`swapped_style/mean` against `chance_style/mean` plus 0.15.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks._record import write_result
from pigeon_recsys.cli import main as run_command
from pigeon_recsys.files import check_writable

WORLD_SEED = 90_001
WORLD_ITEMS = 2000
WORLD_USERS = 400


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print a table, write JSON."""
    args = parse_arguments(argv)
    check_writable(args.out)
    sizes = ["--items", str(args.world_items), "--users", str(args.world_users)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world, found = str(folder / "world"), str(folder / "found")
        run(["data", "world", "--out", world, *sizes, "--seed", str(WORLD_SEED)])
        asked = ["--users", str(args.users), "--methods", "own", "swapped"]
        run(["evaluate", "--data", world, "--out", found, *asked])
        figures = json.loads((folder / "found" / "personalization.json").read_text())
    settings = {
        "users": args.users,
        "world_seed": WORLD_SEED,
        "world_items": args.world_items,
        "world_users": args.world_users,
    }
    write_result(args.out, "Is the personalization real?", settings, figures)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--world-items", type=int, default=WORLD_ITEMS)
    parser.add_argument("--world-users", type=int, default=WORLD_USERS)
    return parser.parse_args(argv)


def run(command: Sequence[str]) -> None:
    """Run a command of `pigeon-recsys`; end here, with its exit code, where it fails."""
    exit_code = run_command(list(command))
    if exit_code != 0:
        raise SystemExit(exit_code)


if __name__ == "__main__":
    main()
