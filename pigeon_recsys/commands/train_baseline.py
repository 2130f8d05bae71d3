"""`pigeon-recsys train baseline`: the baselines that learn from a dataset."""

import argparse
from pathlib import Path
from typing import Any

from pigeon_recsys.alignment.baselines import TRAINED
from pigeon_recsys.cli import add_common_arguments


def register(stages: Any) -> None:
    """Add `baseline` to the stages of `train`."""
    parser = stages.add_parser(
        "baseline",
        help="a baseline of the comparison, on the backbone that Pigeon sits on",
        description="Train a baseline on a run's frozen backbone and the data of that run, as "
        "stage 1 of the recipe is trained. A killed run goes on where its checkpoint stands. "
        "`evaluate --methods all --baselines DIR` compares it with Pigeon, and trains what DIR "
        "lacks.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--name", choices=TRAINED, required=True, help="which one")
    parser.add_argument("--data", type=Path, metavar="DIR", required=True, help="dataset folder")
    parser.add_argument("--weights", type=Path, metavar="RUN", required=True, help="Pigeon's run")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        required=True,
        help="folder to write, for all baselines of a run",
    )
    parser.add_argument("--recipe", help="a shipped recipe or a YAML file; the run's own")
    parser.add_argument("--steps", type=int, help="instead of stage 1's")
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train and write the baseline."""
    from dataclasses import asdict

    from pigeon_recsys.alignment import processes
    from pigeon_recsys.alignment.baselines.training import train_baseline
    from pigeon_recsys.alignment.recipe import load_recipe, recipe_of_run
    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.errors import SettingsError
    from pigeon_recsys.evaluation.unseen import UnseenPart
    from pigeon_recsys.files import check_writable_folder

    recipe = load_recipe(args.recipe) if args.recipe else recipe_of_run(args.weights)
    stage = recipe.stage1
    if args.steps is not None:
        if args.steps < 1:
            raise SettingsError(f"--steps must be at least 1, got {args.steps}.")
        stage = stage.model_copy(update={"steps": args.steps})
    check_writable_folder(args.out)
    dataset = UnseenPart.of(DatasetFolder.open(args.data), args.weights).catalog
    with processes.joined():
        report = train_baseline(args.name, dataset, args.weights, args.out, stage, recipe.seed)
        if not processes.is_first():
            args.json = None  # one process reports for all
            return {}
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in report.metrics.items())
    print(f"{args.name}: {report.seconds:.0f} s, {metrics}")
    return {"baseline": args.name, "folder": str(args.out), **asdict(report)}
