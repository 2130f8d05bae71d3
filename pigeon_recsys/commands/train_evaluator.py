"""`pigeon-recsys train evaluator`: the stand-in for pretrained scorers."""

import argparse
from pathlib import Path
from typing import Any

from pigeon_recsys.cli import add_common_arguments


def register(stages: Any) -> None:
    """Add `evaluator` to the stages of `train`."""
    parser = stages.add_parser(
        "evaluator",
        help="the stand-in encoder that evaluates where no pretrained scorer can be had",
        description="Train a small encoder on a dataset's pictures and texts, never on likes. It "
        "only evaluates. A killed run goes on where its checkpoint stands.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, metavar="DIR", required=True, help="dataset folder")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder to write")
    parser.add_argument("--steps", type=int, default=None, help="at most this many steps")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the batches")
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train the stand-in and print how good it is."""
    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.evaluation.evaluator_training import train_evaluator

    dataset = DatasetFolder.open(args.data)
    options = {} if args.steps is None else {"steps": args.steps}
    sheet = train_evaluator(dataset, args.out, seed=args.seed, **options)
    measured = {name: value for name, value in sheet["quality"].items() if value is not None}
    found = ", ".join(f"{name} {value:.4g}" for name, value in measured.items())
    print(f"evaluator: {sheet['train_seconds']:.0f} s, {found}")
    return sheet
