"""`pigeon-recsys demo`: the whole product on one machine, and a page that shows it."""

import argparse
from pathlib import Path
from typing import Any

from pigeon_recsys.cli import add_common_arguments


def register(commands: Any) -> None:
    """Add `demo` to the command line."""
    parser = commands.add_parser(
        "demo",
        help="run everything once and show the result",
        description="Draw a sticker world (or read a dataset folder), then go the whole way: "
        "Feast, FAISS, Pigeon, TorchRec, ONNX Runtime, slates.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder to write")
    parser.add_argument("--data", type=Path, help="a dataset folder instead of the sticker world")
    parser.add_argument("--weights", type=Path, help="a trained run instead of the shipped one")
    parser.add_argument(
        "--kafka",
        metavar="HOST:PORT",
        help="brokers: histories are then made of events, and images on request too",
    )
    parser.add_argument("--users", type=int, default=40, help="how many users get a slate")
    parser.add_argument("--seed", type=int, default=0, help="of the ranker and of the images")
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Run the demo and print a summary."""
    from pigeon_recsys.demo.report import summary_lines, to_json
    from pigeon_recsys.demo.run import DemoSettings, run_demo

    if args.data and not args.weights:
        print(
            f"Models for {args.data} are trained first, unless {args.out.parent / 'models'} holds "
            "them: about 15 minutes on two CPU cores. A stopped training goes on where it was.",
            flush=True,
        )
    report = run_demo(
        DemoSettings(args.out, args.data, args.weights, args.kafka, args.users, args.seed)
    )
    print("\n".join(summary_lines(report)))
    print(f"page    {args.out / 'index.html'}")
    print(f"report  {args.out / 'report.json'}")
    return dict(to_json(report))
