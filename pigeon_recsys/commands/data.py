"""`pigeon-recsys data`: make, check and describe dataset folders.

Rows in the faults that `validate` prints are counted from 0, as pandas does.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pigeon_recsys.cli import add_common_arguments

WORLD_ITEMS = 2000
WORLD_USERS = 500
# Tests hold these equal to the world's own defaults, which are heavy to import.
WORLD_SIZE = 96  # pixels
WORLD_NOISE_SHARE = 0.15
WORLD_PACK_SIZE = 36


def register(commands: Any) -> None:
    """Add `data` and its subcommands to the command line."""
    data = commands.add_parser("data", help="make, check and describe dataset folders")
    subcommands = data.add_subparsers(dest="data_command", required=True, metavar="COMMAND")
    _register_validate(subcommands)
    _register_info(subcommands)
    _register_world(subcommands)


def _register_validate(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "validate",
        help="check the tables and decode every picture",
        description="Check the tables and decode every picture of a dataset folder. All faults "
        "are reported together; the exit code is 1 when there are any. Row indices count from 0.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the dataset folder")
    add_common_arguments(parser)
    parser.set_defaults(run=run_validate)


def _register_info(subcommands: Any) -> None:
    parser = subcommands.add_parser("info", help="count what a dataset folder holds")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the dataset folder")
    add_common_arguments(parser)
    parser.set_defaults(run=run_info)


def _register_world(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "world",
        help="draw a sticker world: a dataset folder with planted tastes",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", required=True, help="the folder to write"
    )
    parser.add_argument("--items", type=int, default=WORLD_ITEMS, help="number of stickers")
    parser.add_argument("--users", type=int, default=WORLD_USERS, help="number of users")
    parser.add_argument("--seed", type=int, default=0, help="the same seed, the same world")
    parser.add_argument("--size", type=int, default=WORLD_SIZE, help="side of a picture in pixels")
    parser.add_argument(
        "--noise-share",
        type=float,
        default=WORLD_NOISE_SHARE,
        metavar="SHARE",
        help="share of likes that follow no taste",
    )
    parser.add_argument(
        "--pack-size",
        type=int,
        default=WORLD_PACK_SIZE,
        help="stickers that share a style; smaller packs, more styles",
    )
    add_common_arguments(parser)
    parser.set_defaults(run=run_world)


def run_validate(args: argparse.Namespace) -> dict[str, Any]:
    """Check a folder; print one line, and return its counts."""
    from pigeon_recsys.datasets.summary import summarize
    from pigeon_recsys.datasets.validation import validate

    summary = summarize(validate(args.folder))
    print(f"{summary}; every picture decodes, no faults")
    return {**asdict(summary), "faults": []}


def run_info(args: argparse.Namespace) -> dict[str, Any]:
    """Print what a folder holds, and return it."""
    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.datasets.summary import summarize

    summary = summarize(DatasetFolder.open(args.folder))
    print(summary)
    print(
        f"users: {summary.num_train_users} train, {summary.num_validation_users} validation, "
        f"{summary.num_test_users} test; attributes: {', '.join(summary.attributes) or 'none'}"
    )
    return asdict(summary)


def run_world(args: argparse.Namespace) -> dict[str, Any]:
    """Write a sticker world, and return what it holds."""
    from pigeon_recsys.datasets.world import generate_world

    world = generate_world(
        args.out,
        num_items=args.items,
        num_users=args.users,
        seed=args.seed,
        size=args.size,
        noise_share=args.noise_share,
        pack_size=args.pack_size,
    )
    print(
        f"{world.folder}: {world.num_items} stickers, {world.num_users} users, "
        f"{world.num_likes} likes, {world.num_skips} skips, seed {world.seed}"
    )
    return {**asdict(world), "folder": str(world.folder)}
