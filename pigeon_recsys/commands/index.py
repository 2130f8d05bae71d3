"""`pigeon-recsys index`: export the image embedder, build the item index."""

import argparse
from pathlib import Path
from typing import Any

from pigeon_recsys.cli import add_common_arguments


def register(commands: Any) -> None:
    """Add `index` and its subcommands to the command line."""
    index = commands.add_parser("index", help="export the image embedder, build the item index")
    subcommands = index.add_subparsers(dest="index_command", required=True, metavar="COMMAND")
    _register_embedder(subcommands)
    _register_build(subcommands)


def _register_embedder(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "embedder",
        help="export the image embedder to ONNX",
        description="Turn weights of `train embedder` into the ONNX file that everything else "
        "runs, with ONNX Runtime and without torch.",
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", required=True, help="the .safetensors to export"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", required=True, help="the .onnx to write"
    )
    add_common_arguments(parser)
    parser.set_defaults(run=run_embedder)


def _register_build(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "build",
        help="embed every item's picture and index the vectors",
        description="Embed every item's picture and save a FAISS index of the vectors.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", required=True, help="the dataset folder"
    )
    parser.add_argument(
        "--embedder", type=Path, metavar="FILE", required=True, help="the embedder's .onnx"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", required=True, help="the index folder to write"
    )
    parser.add_argument(
        "--kind",
        choices=("auto", "flat", "ivf"),
        default="auto",
        help="flat compares with every item, ivf visits part of the catalog",
    )
    add_common_arguments(parser)
    parser.set_defaults(run=run_build)


def run_embedder(args: argparse.Namespace) -> dict[str, object]:
    """Export the weights and say what was written."""
    from pigeon_recsys.retrieval.embedder_export import export_embedder

    weights_sha256 = export_embedder(args.weights, args.out)
    print(f"{args.out}: embedder of weights {weights_sha256[:12]}")
    return {"embedder": str(args.out), "weights_sha256": weights_sha256}


def run_build(args: argparse.Namespace) -> dict[str, object]:
    """Build and save the index and say what it holds."""
    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.files import check_writable_folder
    from pigeon_recsys.retrieval.catalog_index import index_catalog
    from pigeon_recsys.retrieval.faiss_index import IndexSettings
    from pigeon_recsys.retrieval.onnx_embedder import OnnxEmbedder

    check_writable_folder(args.out.absolute().parent)
    embedder = OnnxEmbedder.load(args.embedder)
    index = index_catalog(DatasetFolder.open(args.data), embedder, IndexSettings(kind=args.kind))
    manifest = index.save(args.out)
    print(f"{args.out}: {manifest.count} items, {manifest.dim} numbers each, {manifest.kind}")
    return {"index": str(args.out), **manifest.model_dump()}
