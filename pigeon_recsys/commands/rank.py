"""`pigeon-recsys rank`: train the ranker, export it, learn from what became of its slates.

Several processes share out training when torchrun starts them:

    torchrun --nproc_per_node 2 -m pigeon_recsys.cli rank train --data DIR --index DIR --out RUN
"""

import argparse
from pathlib import Path
from typing import Any

from pigeon_recsys.cli import add_common_arguments
from pigeon_recsys.commands import rank_calibrate, rank_learn
from pigeon_recsys.ranking.settings import RankerSettings

DEFAULTS = RankerSettings()
ABLATION_HOLDOUT_SHARE = 0.2  # more than for training's report: withheld items are few


def register(commands: Any) -> None:
    """Add `rank` and its subcommands to the command line."""
    rank = commands.add_parser(
        "rank", help="train, ablate, calibrate and export the ranker; learn from what was shown"
    )
    subcommands = rank.add_subparsers(dest="rank_command", required=True, metavar="COMMAND")
    _register_train(subcommands)
    _register_ablate(subcommands)
    _register_export(subcommands)
    rank_calibrate.register(subcommands)
    rank_learn.register(subcommands)


def _register_train(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "train",
        help="train on a dataset's interactions",
        description="Train a TorchRec ranker on a dataset's interactions, without its test "
        "users, and report how well it ranks the newest ones, which it does not see.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_data_arguments(parser)
    parser.add_argument(
        "--out", type=Path, metavar="RUN", required=True, help="the run folder to write"
    )
    add_common_arguments(parser)
    parser.set_defaults(run=run_train)


def _register_ablate(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "ablate",
        help="measure what ranks an item that training never saw",
        description="Withhold a quarter of the items from training, and measure how well their "
        "picture, text and attributes rank them. Trains a ranker a line.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_data_arguments(parser)
    parser.add_argument(
        "--holdout-share",
        type=float,
        default=ABLATION_HOLDOUT_SHARE,
        help="newest share of the time line to measure on",
    )
    add_common_arguments(parser)
    parser.set_defaults(run=run_ablate)


def _add_data_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, metavar="DIR", required=True, help="the dataset folder"
    )
    parser.add_argument(
        "--index", type=Path, metavar="DIR", required=True, help="the index of its items' vectors"
    )
    parser.add_argument(
        "--epochs", type=int, default=DEFAULTS.epochs, help="least passes over the data"
    )
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed, help="of weights and draws")


def _register_export(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "export",
        help="write a trained ranker as ONNX",
        description="Turn a run of `rank train` into ONNX, which serving runs without torch: one "
        "file for what a request decides, and NAME.items.onnx beside it for what items do.",
    )
    parser.add_argument(
        "--run", type=Path, metavar="RUN", required=True, dest="run_folder", help="the run folder"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", required=True, help="the .onnx to write"
    )
    add_common_arguments(parser)
    parser.set_defaults(run=run_export)


def run_train(args: argparse.Namespace) -> dict[str, object]:
    """Train a ranker and say how well it ranks."""
    from dataclasses import asdict

    from pigeon_recsys.alignment import processes
    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.files import check_writable_folder
    from pigeon_recsys.ranking.train import train_ranker
    from pigeon_recsys.retrieval.faiss_index import FaissIndex

    settings = RankerSettings(epochs=args.epochs, seed=args.seed)
    check_writable_folder(args.out)
    dataset = DatasetFolder.open(args.data)
    with processes.joined():
        report = train_ranker(dataset, FaissIndex.load(args.index), args.out, settings)
        is_first = processes.is_first()
    if not is_first:
        args.json = None  # one process reports
        return {}
    print(
        f"{args.out}: {report.num_train_rows} rows in {report.seconds:.1f} s; on the newest "
        f"{report.num_heldout_rows} rows AUC {report.auc:.3f}, "
        f"{report.auc_without_item_id:.3f} without item ids, NDCG@10 {report.ndcg_at_10:.3f}, "
        f"calibration error {report.calibration_error:.3f}"
    )
    return {"run": str(args.out), **asdict(report)}


def run_ablate(args: argparse.Namespace) -> dict[str, object]:
    """Measure the variants and print their table."""
    from dataclasses import asdict

    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.ranking.ablation import ablate, as_json, as_markdown
    from pigeon_recsys.retrieval.faiss_index import FaissIndex
    from pigeon_recsys.software import describe_software

    settings = RankerSettings(epochs=args.epochs, seed=args.seed, holdout_share=args.holdout_share)
    dataset = DatasetFolder.open(args.data)
    variants = ablate(dataset, FaissIndex.load(args.index), settings)
    print(as_markdown(variants))
    return {
        "dataset": dataset.name,
        "dataset_fingerprint": dataset.fingerprint,
        **describe_software(),
        "settings": asdict(settings),
        "variants": as_json(variants),
    }


def run_export(args: argparse.Namespace) -> dict[str, object]:
    """Export a ranker and say what was written."""
    from pigeon_recsys.ranking.export import export_ranker, items_path

    report = export_ranker(args.run_folder, args.out)
    items = items_path(report.path)
    print(
        f"{report.path}: ranker of weights {report.weights_sha256[:12]}, with {items.name} "
        f"{report.num_bytes} bytes"
    )
    return {
        "ranker": str(report.path),
        "items": str(items),
        "num_bytes": report.num_bytes,
        "weights_sha256": report.weights_sha256,
    }
