"""`pigeon-recsys train ratio`: learn to foretell the reference-mask ratio of a sweep."""

import argparse
from pathlib import Path
from typing import Any

from pigeon_recsys.cli import add_common_arguments

TRAIN_USERS = 240
HELD_OUT_USERS = 60


def register(stages: Any) -> None:
    """Add `ratio` to the stages of `train`."""
    parser = stages.add_parser(
        "ratio",
        help="the predictor of the reference-mask ratio",
        description="Sweep over eleven ratios for training users, learn which ratio scores best, "
        "and compare the predicted ratio with the sweep for users held out.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, metavar="DIR", required=True, help="dataset folder")
    parser.add_argument("--weights", type=Path, metavar="RUN", help="instead of the shipped ones")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="RUN",
        required=True,
        help="folder to write; `--ratio predicted` looks for the predictor beside the weights",
    )
    parser.add_argument("--users", type=int, default=TRAIN_USERS, help="training users at most")
    parser.add_argument(
        "--held-out-users", type=int, default=HELD_OUT_USERS, help="users compared at most"
    )
    parser.add_argument("--seed", type=int, default=0, help="of users, references and images")
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train, write the predictor and print the comparison."""
    from dataclasses import asdict

    from pigeon_recsys.alignment.ratio_training import RatioTrainingSettings, train_ratio
    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.evaluation.ratio_choices import choice_shares, compare_choices
    from pigeon_recsys.evaluation.unseen import UnseenPart
    from pigeon_recsys.files import check_writable_folder
    from pigeon_recsys.wiring import SHIPPED_WEIGHTS, wire_generator

    settings = RatioTrainingSettings(args.users, args.held_out_users, args.seed)
    check_writable_folder(args.out)
    weights = args.weights or SHIPPED_WEIGHTS
    dataset = UnseenPart.of(DatasetFolder.open(args.data), weights).catalog
    generator = wire_generator(weights, dataset)
    trained = train_ratio(dataset, generator, generator.index, settings)
    shares = choice_shares(trained)
    compared = compare_choices(trained.held_out, trained.held_out.scores_NR, shares, seed=args.seed)
    report = {
        "dataset": {"name": dataset.name, "fingerprint": dataset.fingerprint},
        "weights_version": generator.model.version,
        "seed": args.seed,
        "train_users": len(trained.train.user_ids),
        "held_out_users": len(trained.held_out.user_ids),
        "held_out_selection_score": {name: asdict(found) for name, found in compared.items()},
    }
    trained.predictor.save(args.out, report)
    for name, found in compared.items():
        print(
            f"{name:12} {found.mean:.3f}  [{found.low:.3f}, {found.high:.3f}]  "
            f"{found.mean / compared['sweep'].mean:.1%} of the sweep"
        )
    return report
