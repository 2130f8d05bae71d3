"""`pigeon-recsys train ratio`: learn to foretell the reference-mask ratio of a sweep."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pigeon_recsys.cli import add_common_arguments

if TYPE_CHECKING:
    from pigeon_recsys.alignment.ratio_training import Judge

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
    parser.add_argument(
        "--evaluator",
        type=Path,
        metavar="FILE",
        help="a stand-in that selects nothing, evaluator.safetensors: the comparison by its scores",
    )
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
    from pigeon_recsys.software import describe_software
    from pigeon_recsys.wiring import SHIPPED_WEIGHTS, wire_generator

    settings = RatioTrainingSettings(args.users, args.held_out_users, args.seed)
    check_writable_folder(args.out)
    weights = args.weights or SHIPPED_WEIGHTS
    dataset = UnseenPart.of(DatasetFolder.open(args.data), weights).catalog
    generator = wire_generator(weights, dataset)
    trained = train_ratio(dataset, generator, generator.index, settings, _judge(args, weights))
    held_out, shares = trained.held_out, choice_shares(trained)
    values = {"held_out_selection_score": held_out.scores_NR}
    if held_out.judged_NR is not None:
        values["held_out_evaluator_score"] = held_out.judged_NR
    compared = {
        name: compare_choices(held_out, value_NR, shares, seed=args.seed)
        for name, value_NR in values.items()
    }
    report = {
        **describe_software(),
        "dataset": {"name": dataset.name, "fingerprint": dataset.fingerprint},
        "weights_version": generator.model.version,
        "seed": args.seed,
        "train_users": len(trained.train.user_ids),
        "held_out_users": len(held_out.user_ids),
        **{
            name: {choice: asdict(found) for choice, found in choices.items()}
            for name, choices in compared.items()
        },
    }
    trained.predictor.save(args.out, report)
    for name, choices in compared.items():
        print(name.replace("_", " "))
        for choice, found in choices.items():
            print(
                f"  {choice:12} {found.mean:.3f}  [{found.low:.3f}, {found.high:.3f}]  "
                f"{found.mean / choices['sweep'].mean:.1%} of the sweep"
            )
    return report


def _judge(args: argparse.Namespace, weights: Path) -> "Judge | None":
    """Load the evaluator that is named. Raises `SettingsError` where it is what selects."""
    from pigeon_recsys.evaluation.evaluators import EvaluatorFiles, Evaluators
    from pigeon_recsys.evaluation.ratio_choices import judge_of

    if args.evaluator is None:
        return None
    files = EvaluatorFiles(stand_in=args.evaluator)
    files.check_apart_from([weights / "embedder.safetensors"])
    network = Evaluators.load(files).image
    assert network is not None
    return judge_of(network)
