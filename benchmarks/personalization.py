"""Is the personalization of the shipped weights real, on users never trained on?

    python -m benchmarks.personalization --out out/bench/personalization.json

Draws a sticker world whose seed trained nothing, asks for one sticker a user from the user's
own history and one from another user's, and lets the factor classifiers judge both. Read
`content/all` against 0.80, `style/mean` (and the stricter `style/all`) against 0.60, and
`swapped_style/mean` against `chance_style/mean` plus 0.15.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks._record import write_result
from pigeon_recsys.cli import main as run_command

WORLD_SEED = 90_001
WORLD_ITEMS = 2000
WORLD_USERS = 400


def main() -> None:
    """Measure, print a table, write JSON."""
    import json

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--users", type=int, default=200)
    args = parser.parse_args()
    sizes = ["--items", str(WORLD_ITEMS), "--users", str(WORLD_USERS), "--seed", str(WORLD_SEED)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world, found = str(folder / "world"), str(folder / "found")
        assert run_command(["data", "world", "--out", world, *sizes]) == 0
        asked = ["--users", str(args.users), "--methods", "own", "swapped"]
        assert run_command(["evaluate", "--data", world, "--out", found, *asked]) == 0
        figures = json.loads((folder / "found" / "personalization.json").read_text())
    settings = {"world_seed": WORLD_SEED, "world_items": WORLD_ITEMS, "world_users": WORLD_USERS}
    write_result(args.out, "Is the personalization real?", settings, figures)


if __name__ == "__main__":
    main()
