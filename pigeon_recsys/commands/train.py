"""`pigeon-recsys train`: one stage, or all of them in order.

Several processes share out each step when torchrun starts them:

    torchrun --nproc_per_node 2 -m pigeon_recsys.cli train all --data DIR --out RUN
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pigeon_recsys.cli import add_common_arguments
from pigeon_recsys.commands import train_baseline, train_evaluator, train_ratio

STAGES = {
    "all": "every stage in order, those already done left out",
    "embedder": "the image encoder behind retrieval and selection",
    "tokenizer": "the visual tokenizer",
    "refiner": "the diffusion half of the detokenizer",
    "backbone": "the language model",
    "stage1": "masked preference reconstruction: Pigeon's own modules",
    "pairs": "preference pairs: generated images, the best of each sweep against the worst",
    "stage2": "pairwise preference alignment: the adapter learns from the pairs",
}


def register(commands: Any) -> None:
    """Add `train` and its stages to the command line."""
    train = commands.add_parser("train", help="train models from a dataset folder")
    stages = train.add_subparsers(dest="stage", required=True, metavar="STAGE")
    for stage, text in STAGES.items():
        parser = stages.add_parser(
            stage,
            help=text,
            description=f"Train {text}. A killed run goes on where its checkpoint stands.",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        parser.add_argument(
            "--data", type=Path, metavar="DIR", required=True, help="dataset folder"
        )
        parser.add_argument("--out", type=Path, metavar="RUN", required=True, help="run folder")
        parser.add_argument("--recipe", default="world", help="a shipped recipe or a YAML file")
        add_common_arguments(parser)
        parser.set_defaults(run=run_stage)
    _register_judge(stages)
    train_baseline.register(stages)
    train_evaluator.register(stages)
    train_ratio.register(stages)


def _register_judge(stages: Any) -> None:
    parser = stages.add_parser(
        "judge",
        help="the factor classifiers that evaluate stickers",
        description="Train the factor classifiers on freshly drawn stickers. They only evaluate.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder to write")
    parser.add_argument("--steps", type=int, default=None, help="at most this many steps")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the stickers")
    add_common_arguments(parser)
    parser.set_defaults(run=run_judge)


def run_stage(args: argparse.Namespace) -> dict[str, Any]:
    """Train one stage or all."""
    from pigeon_recsys.alignment import processes, stages
    from pigeon_recsys.alignment.recipe import load_recipe
    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.files import check_writable_folder

    recipe = load_recipe(args.recipe)
    check_writable_folder(args.out)
    dataset = DatasetFolder.open(args.data)
    with processes.joined():
        if args.stage == "all":
            reports = stages.run_all(recipe, dataset, args.out)
        else:
            reports = {args.stage: stages.run_stage(args.stage, recipe, dataset, args.out)}
        if not processes.is_first():
            args.json = None  # one process reports for all
            return {}
    for stage, report in reports.items():
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in report.metrics.items())
        print(f"{stage}: {report.seconds:.0f} s, {metrics}")
    if not reports:
        print(f"{args.out}: every stage is trained already")
    return {"run": str(args.out), "stages": {name: asdict(r) for name, r in reports.items()}}


def run_judge(args: argparse.Namespace) -> dict[str, Any]:
    """Train the judge and print how good it is."""
    from pigeon_recsys.evaluation.judge_training import train_judge

    options = {} if args.steps is None else {"steps": args.steps}
    return train_judge(args.out, seed=args.seed, **options)
