"""`pigeon-recsys evaluate`: is the personalization real, held against controls?"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pigeon_recsys.cli import add_common_arguments
from pigeon_recsys.commands import evaluate_human
from pigeon_recsys.errors import SettingsError

if TYPE_CHECKING:
    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.evaluation.method_roster import Subject
    from pigeon_recsys.generation.pigeon_generator import GeneratorSettings


def register(commands: Any) -> None:
    """Add `evaluate` to the command line."""
    parser = commands.add_parser(
        "evaluate",
        help="measure generated pictures beside controls",
        description="Generate pictures for users never trained on, and measure them beside "
        "controls: no history, a swapped user, a shuffled reference, retrieval, copies and the "
        "ground truth where the data knows it. Where training withheld pictures of this data, "
        "exactly these are asked for. Networks are named by hub id or path; where none "
        "is, the stand-in of `train evaluator` takes its place and the table says so.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="dataset folder")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write")
    parser.add_argument("--weights", type=Path, metavar="RUN", help="instead of the shipped ones")
    parser.add_argument("--users", type=int, help="how many; 200, or all where there are fewer")
    parser.add_argument(
        "--cases-per-user", type=int, default=1, metavar="N", help="distinct references for each"
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        metavar="METHOD",
        help="some of: own no-history swapped shuffled retrieval history-copy reference-copy "
        "style-copy truth degraded-truth roundtrip (together: controls); no-reference no-text "
        "random-mask no-mask (with own and no-history: ablations); backbone pmg "
        "textual-inversion dreambooth ip-adapter stage1 (together: baselines); all. "
        "The controls where none is named",
    )
    parser.add_argument(
        "--baselines",
        type=Path,
        metavar="DIR",
        help="folder of those that learn from data, trained there where it lacks them; "
        "OUT/baselines",
    )
    parser.add_argument(
        "--trained-on",
        type=Path,
        metavar="DIR",
        help="the dataset that the weights, and so missing baselines, learn from, if not --data",
    )
    parser.add_argument("--seed", type=int, default=0, help="of users, references and images")
    parser.add_argument(
        "--ratios",
        type=float,
        nargs="+",
        metavar="R",
        help="reference-mask ratios to choose among, eleven where none is named; with a single one "
        "every method makes one picture and nothing is chosen",
    )
    parser.add_argument(
        "--guidance", type=float, default=1.0, help="how far histories lead; 1: as they are"
    )
    _add_networks(parser)
    add_common_arguments(parser)
    parser.set_defaults(run=run)
    evaluate_human.register(parser.add_subparsers(dest="evaluate_command", metavar="COMMAND"))


def _add_networks(parser: argparse.ArgumentParser) -> None:
    networks = parser.add_argument_group("networks that evaluate; none of them may select")
    networks.add_argument(
        "--clip", metavar="NAME", help="CLIP, e.g. laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
    )
    networks.add_argument("--dino", metavar="NAME", help="DINO, e.g. facebook/dinov2-large")
    networks.add_argument(
        "--inception",
        metavar="NAME",
        help="pytorch-fid's Inception weights, a file or OWNER/REPOSITORY/FILE of the hub",
    )
    networks.add_argument(
        "--lpips",
        metavar="NAME",
        help="torchvision's AlexNet weights, a file or OWNER/REPOSITORY/FILE of the hub",
    )
    networks.add_argument(
        "--evaluator", type=Path, metavar="FILE", help="the stand-in, evaluator.safetensors"
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Ask every method, print the table, write it with its pictures."""
    if args.data is None or args.out is None:
        missing = "--data DIR" if args.data is None else "--out DIR"
        raise SettingsError(f"evaluate needs {missing}, or a command: evaluate human --help")

    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.evaluation.evaluators import EvaluatorFiles
    from pigeon_recsys.evaluation.hub_files import local_file
    from pigeon_recsys.evaluation.method_roster import METHOD_GROUPS
    from pigeon_recsys.evaluation.run import EvaluationSettings, evaluate
    from pigeon_recsys.files import check_writable_folder
    from pigeon_recsys.generation.pigeon_generator import GeneratorSettings
    from pigeon_recsys.generation.ratio_choice import REFERENCE_RATIOS
    from pigeon_recsys.model.sampling import Sampling

    inception, lpips = local_file(args.inception), local_file(args.lpips)
    files = EvaluatorFiles(args.clip, args.dino, inception, lpips, args.evaluator)
    named = args.methods or ["controls"]
    methods = tuple(key for name in named for key in METHOD_GROUPS.get(name, (name,)))
    settings = EvaluationSettings(methods, args.users, args.cases_per_user, args.seed, files)
    ratios = tuple(args.ratios or REFERENCE_RATIOS)
    made_by = GeneratorSettings(ratios=ratios, sampling=Sampling(guidance=args.guidance))
    check_writable_folder(args.out)
    dataset = DatasetFolder.open(args.data)
    _train_baselines(args, methods, dataset)
    result = evaluate(dataset, _subject(args, dataset, made_by), args.out, settings)
    print((args.out / "table.md").read_text())
    return result


def _train_baselines(
    args: argparse.Namespace, methods: tuple[str, ...], dataset: "DatasetFolder"
) -> None:
    """Train the baselines that are asked for, learn from data, and are not there yet."""
    from pigeon_recsys.alignment.baselines import TRAINED
    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.evaluation.unseen import UnseenPart
    from pigeon_recsys.wiring import SHIPPED_WEIGHTS

    asked = [name for name in methods if name in TRAINED]
    if not asked:
        return
    from pigeon_recsys.alignment.baselines.training import train_missing

    if args.baselines is None:
        args.baselines = args.out / "baselines"
    run = args.weights or SHIPPED_WEIGHTS
    learned = DatasetFolder.open(args.trained_on) if args.trained_on else dataset
    train_missing(asked, UnseenPart.of(learned, run).catalog, run, args.baselines)


def _subject(
    args: argparse.Namespace, dataset: "DatasetFolder", made_by: "GeneratorSettings"
) -> "Subject":
    """Load the weights, and index what training saw of the catalog with their embedder."""
    from dataclasses import replace

    from pigeon_recsys.evaluation.baselines.roster import BaselineSource
    from pigeon_recsys.evaluation.method_roster import OTHER_MASKS, Subject
    from pigeon_recsys.evaluation.unseen import UnseenPart
    from pigeon_recsys.generation.pigeon_generator import PigeonGenerator
    from pigeon_recsys.model.ablation import Ablation
    from pigeon_recsys.model.inference import PigeonModel
    from pigeon_recsys.retrieval.catalog_index import index_catalog
    from pigeon_recsys.retrieval.embedder_export import export_embedder
    from pigeon_recsys.retrieval.onnx_embedder import OnnxEmbedder
    from pigeon_recsys.wiring import EMBEDDER_FILE, SHIPPED_WEIGHTS

    weights = args.weights or SHIPPED_WEIGHTS
    model = PigeonModel.load(weights)
    export_embedder(weights / "embedder.safetensors", args.out / EMBEDDER_FILE)
    embedder = OnnxEmbedder.load(args.out / EMBEDDER_FILE)
    index = index_catalog(UnseenPart.of(dataset, weights).catalog, embedder)
    generator = PigeonGenerator(model, embedder, index, made_by)
    masked = {
        kind: replace(generator, model=model.ablated(Ablation(mask=kind)))
        for kind in OTHER_MASKS.values()
    }
    return Subject(
        generator=generator,
        masked=masked,
        index=index,
        weights=weights,
        weights_version=model.version,
        settings=made_by,
        image_size=model.image_size,
        repaint=lambda pixels, seed: model.repaint(pixels, seed=seed, steps=made_by.steps),
        baselines=BaselineSource(weights, embedder, args.baselines, made_by),
    )
