"""`pigeon-recsys evaluate`: is the personalization real, on users never trained on?"""

import argparse
from pathlib import Path
from typing import Any

from pigeon_recsys.cli import add_common_arguments

SHEET_ROWS = 12


def register(commands: Any) -> None:
    """Add `evaluate` to the command line."""
    parser = commands.add_parser(
        "evaluate",
        help="judge generated stickers by the planted truth",
        description="Generate stickers for users of a sticker world, once from their own history "
        "and once from another user's, and let the factor classifiers judge both. Use a world "
        "whose seed trained nothing.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, metavar="DIR", required=True, help="a sticker world")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder to write")
    parser.add_argument("--weights", type=Path, metavar="RUN", help="instead of the shipped ones")
    parser.add_argument("--users", type=int, default=200, help="how many users to ask for")
    parser.add_argument("--seed", type=int, default=0, help="of users, references and images")
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure, print the figures, write `personalization.json` and a contact sheet."""
    import json
    from dataclasses import asdict

    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.evaluation.factor_judge import FactorJudge
    from pigeon_recsys.evaluation.personalization import (
        judged,
        measure_personalization,
        read_main_styles,
    )
    from pigeon_recsys.evaluation.sticker_trial import USERS_TRUTH, contact_sheet, run_trials
    from pigeon_recsys.files import check_writable_folder, write_text_atomic
    from pigeon_recsys.generation.pigeon_generator import PigeonGenerator
    from pigeon_recsys.model.inference import PigeonModel
    from pigeon_recsys.retrieval.catalog_index import index_catalog
    from pigeon_recsys.retrieval.embedder_export import export_embedder
    from pigeon_recsys.retrieval.onnx_embedder import OnnxEmbedder
    from pigeon_recsys.wiring import EMBEDDER_FILE, SHIPPED_WEIGHTS

    check_writable_folder(args.out)
    world = DatasetFolder.open(args.data)
    weights = args.weights or SHIPPED_WEIGHTS
    judge = FactorJudge.load()
    model = PigeonModel.load(weights)
    export_embedder(weights / "embedder.safetensors", args.out / EMBEDDER_FILE)
    embedder = OnnxEmbedder.load(args.out / EMBEDDER_FILE)
    index = index_catalog(world, embedder)
    generator = PigeonGenerator(model, embedder, index)
    trials = run_trials(world, generator, index, num_users=args.users, seed=args.seed)
    measures = measure_personalization(
        judged([trial.record for trial in trials], judge),
        read_main_styles(world.path / USERS_TRUTH),
    )
    result = {
        "world": {"name": world.name, "fingerprint": world.fingerprint},
        "weights_version": model.version,
        "users": args.users,
        "seed": args.seed,
        "measures": {name: asdict(estimate) for name, estimate in measures.items()},
    }
    write_text_atomic(args.out / "personalization.json", json.dumps(result, indent=2) + "\n")
    contact_sheet(world, trials[:SHEET_ROWS], args.out / "contact_sheet.png")
    for name, estimate in measures.items():
        print(f"{name:28} {estimate.mean:6.1%}  [{estimate.low:.1%}, {estimate.high:.1%}]")
    return result
