"""`pigeon-recsys generate`: images for one user of a dataset folder.

The folder written holds `generation.json`, one PNG an image with its provenance inside, and
`sweep.png`: history, reference and every picture made, the chosen ones framed. `generation.json`
says all; the pictures, which may go anywhere, say nothing of the user (`picture_file.py`).
"""

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pigeon_recsys.cli import add_common_arguments
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.model.sampling import Sampling

if TYPE_CHECKING:
    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.generation.pigeon_generator import RatioChoice
    from pigeon_recsys.records import Generation, GenerationTask, Reference

RECORD_FILE = "generation.json"
SHEET_FILE = "sweep.png"
STEPS = 4  # DDIM steps
DRAWN = ("temperature", "top_k", "top_p")  # settings of drawing, without say in a beam search


def register(commands: Any) -> None:
    """Add `generate` to the command line."""
    parser = commands.add_parser(
        "generate",
        help="make images for one user",
        description="Draw a reference in the taste of one user of a dataset folder. The same "
        "arguments and seed give the same pixels.",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", required=True, help="dataset folder")
    parser.add_argument("--user", metavar="U", required=True, help="whose likes are the taste")
    parser.add_argument("--reference", metavar="ITEM", help="the item to draw anew")
    parser.add_argument("--text", metavar="T", help="what to draw; without it the item's own words")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder to write")
    parser.add_argument("--weights", type=Path, metavar="RUN", help="instead of the shipped ones")
    parser.add_argument("--num-images", type=int, default=1, help="each from the next seed")
    parser.add_argument("--seed", type=int, default=0, help="of the first image")
    parser.add_argument(
        "--ratio",
        type=ratio_choice,
        default="sweep",
        metavar="R",
        help="share of the reference's tokens hidden, from 0 to 1; `predicted` for a learned one; "
        "`sweep` (the default) for the best of eleven",
    )
    parser.add_argument("--steps", type=int, default=STEPS, help=f"DDIM steps, {STEPS} by default")
    _register_sampling(parser)
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def _register_sampling(parser: argparse.ArgumentParser) -> None:
    default = Sampling()
    parser.add_argument(
        "--temperature", type=float, help=f"0 draws nothing; {default.temperature} by default"
    )
    parser.add_argument(
        "--top-k", type=int, help=f"likeliest ids drawn from; {default.top_k} by default"
    )
    parser.add_argument(
        "--top-p", type=float, help=f"nucleus drawn from; {default.top_p:g} by default"
    )
    parser.add_argument(
        "--beams", type=int, default=1, help="above 1: search for the likeliest image instead"
    )
    parser.add_argument(
        "--guidance",
        type=float,
        default=default.guidance,
        help="above 1: further into the user's taste, at twice the work",
    )
    parser.add_argument(
        "--mask-noise",
        action="store_true",
        help="hide tokens by Gumbel top-k, as in training, instead of the least relevant",
    )


def ratio_choice(text: str) -> "RatioChoice":
    """Read `sweep`, `predicted` or a number."""
    if text == "sweep":
        return "sweep"
    if text == "predicted":
        return "predicted"
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be sweep, predicted or a number from 0 to 1, got {text!r}"
        ) from None


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Make the images and write them, their sheet and their record, all or nothing."""
    from dataclasses import replace

    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.files import atomic_folder
    from pigeon_recsys.generation.pigeon_generator import GeneratorSettings
    from pigeon_recsys.retrieval.task import gather_task
    from pigeon_recsys.wiring import SHIPPED_WEIGHTS, wire_generator

    if args.num_images < 1:
        raise SettingsError(f"--num-images must be at least 1, got {args.num_images}")
    settings = GeneratorSettings(args.ratio, steps=args.steps, sampling=sampling_of(args))
    with atomic_folder(args.out, may_replace=lambda path: (path / RECORD_FILE).is_file()) as folder:
        dataset = DatasetFolder.open(args.data)
        reference = _reference(args, dataset)
        _check_known("user", args.user, dataset.user_ids, args.data)
        generator = wire_generator(args.weights or SHIPPED_WEIGHTS, dataset, settings)
        history = dataset.history(args.user)
        first = gather_task(dataset, generator.index, history, reference, args.seed)
        tasks = [replace(first, seed=args.seed + number) for number in range(args.num_images)]
        made = list(zip(tasks, generator.generate(tasks), strict=True))
        result = _write(folder, made, args.out)
    for image in result["images"]:
        print(
            f"{image['file']}: ratio {image['provenance']['reference_mask_ratio']:.1f}, "
            f"history {image['provenance']['history_score']:.2f}, "
            f"reference {image['provenance']['reference_score']:.2f}"
        )
    return result


def sampling_of(args: argparse.Namespace) -> Sampling:
    """Return how tokens are chosen; refuses settings of drawing beside a beam search."""
    given = {name: getattr(args, name) for name in DRAWN if getattr(args, name) is not None}
    if args.beams > 1 and given:
        options = ", ".join("--" + name.replace("_", "-") for name in given)
        raise SettingsError(
            f"a search over {args.beams} beams draws nothing, so {options} would have no effect. "
            "Leave them out, or leave out --beams."
        )
    return Sampling(**given, beams=args.beams, guidance=args.guidance, mask_noise=args.mask_noise)


def _reference(args: argparse.Namespace, dataset: "DatasetFolder") -> "Reference":
    """Return what to draw: an item, a text, or an item with other words than its own."""
    from pigeon_recsys.records import Reference

    if args.text is not None and not args.text.strip():
        raise SettingsError("--text is empty. Say what to draw, or leave it out.")
    if args.reference is None and args.text is None:
        raise SettingsError("nothing to draw: give --reference ITEM, --text T, or both.")
    if args.reference is None:
        return Reference(text=args.text)
    _check_known("item", args.reference, dataset.item_ids, args.data)
    words = dataset.item(args.reference).instruction if args.text is None else args.text
    return Reference(args.reference, words)


def _check_known(kind: str, name: str, known: Collection[str], data: Path) -> None:
    """Raise `SettingsError` with the nearest names that exist."""
    from difflib import get_close_matches

    if name in known:
        return
    near = get_close_matches(name, known, n=3, cutoff=0.0)
    raise SettingsError(
        f"{data} holds no {kind} {name!r} among its {len(known)}. Such as: {', '.join(near)}"
    )


def _write(
    folder: Path, made: "list[tuple[GenerationTask, Generation]]", target: Path
) -> dict[str, Any]:
    """Write pictures, sheet and record into `folder`, which will become `target`."""
    import json
    from dataclasses import asdict

    from pigeon_recsys.generation.contact_sheet import contact_sheet
    from pigeon_recsys.generation.picture_file import encode_png, write_picture
    from pigeon_recsys.generation.xmp import COMPOSITE
    from pigeon_recsys.retrieval.history_selection import NUM_IMAGES

    images = []
    for task, generation in made:
        name = f"{generation.item_id}-{task.seed}.png"
        write_picture(folder / name, generation)
        images.append(
            {
                "file": str(target / name),
                "item_id": generation.item_id,
                "provenance": asdict(generation.provenance),
                "sweep": [
                    {
                        "reference_mask_ratio": image.reference_mask_ratio,
                        "history_score": image.history_score,
                        "reference_score": image.reference_score,
                        "score": image.score,
                    }
                    for image in generation.sweep
                ],
            }
        )
    sheet = contact_sheet(made, NUM_IMAGES)
    (folder / SHEET_FILE).write_bytes(encode_png(sheet, COMPOSITE))
    result = {"sheet": str(target / SHEET_FILE), "images": images}
    (folder / RECORD_FILE).write_text(json.dumps(result, indent=2, allow_nan=False) + "\n")
    return result
