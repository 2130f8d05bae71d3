r"""Does the mask generator hide the history pictures that say nothing of a user's taste?

    pigeon-recsys data world --out WORLD --items 8000 --users 3000 --size 72 --noise-share 0.4
    pigeon-recsys train evaluator --data WORLD --out EVALUATOR
    python -m benchmarks.history_mask --data WORLD --weights RUN [RUN ...] --users 200 \
        --stand-in EVALUATOR/evaluator.safetensors --out FILE

In a sticker world some likes are noise. Every user never trained on is asked with five likes in
a row, as they came, noise and taste among them; history selection would have left the noise out.
Every run answers the same requests, first as it was trained and then with a random mask and with
none instead.
Read `kept_difference`, the share of tokens kept on true likes minus that on noise: 0 where the
mask cannot tell. `style_all` and `dis_true_likes` say what that is worth in the picture;
`minus_first` holds each row against the first one, request by request. Intervals are 95 % by
bootstrap over users. Nothing selects among pictures: all are made at one reference-mask ratio.
Without `--data` a small world is drawn; without `--weights` the shipped ones answer.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._noisy_requests import NoisyRequest, draw_requests
from benchmarks._record import write_result
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.sticker_drawing import CONTENT_FACTORS, STYLE_FACTORS
from pigeon_recsys.datasets.world import USERS_TRUTH, generate_world
from pigeon_recsys.evaluation.bootstrap import mean_over_users
from pigeon_recsys.evaluation.factor_judge import FactorJudge
from pigeon_recsys.evaluation.network_identity import file_tensor_hashes, identity
from pigeon_recsys.evaluation.personalization import match, read_main_styles
from pigeon_recsys.evaluation.stand_in import StandIn, StandInViews
from pigeon_recsys.files import check_writable
from pigeon_recsys.progress import track
from pigeon_recsys.records import Pixels
from pigeon_recsys.wiring import SHIPPED_WEIGHTS

if TYPE_CHECKING:
    from pigeon_recsys.model.inference import PaintedSweep, PigeonModel, SweepOrder
    from pigeon_recsys.model.mask import MaskKind

DEFAULT_USERS = 200
DEFAULT_RATIO = 0.5  # share of the reference's tokens that are hidden
BATCH = 8  # requests written together
OTHER_MASKS: tuple["MaskKind", ...] = ("random", "none")

Values = Mapping[str, Sequence[float]]  # one number a request by measure


@dataclass(frozen=True)
class Judgement:
    """What pictures are held against; the scorer is None where no stand-in was named."""

    world: DatasetFolder
    main_styles: Mapping[str, Mapping[str, str]]
    judge: FactorJudge
    scorer: StandInViews | None

    def values(
        self, requests: Sequence[NoisyRequest], painted: Sequence["PaintedSweep"]
    ) -> dict[str, list[float]]:
        """Return every measure of every request, by the measure's name."""
        rows = [
            kept_rates(request.is_noise, made.history_keep)
            for request, made in zip(requests, painted, strict=True)
        ]
        pictures = [made.pictures[0] for made in painted]
        for row, request, seen in zip(rows, requests, self.judge.factors(pictures), strict=True):
            item = self.world.item(request.reference_id)
            asked = {factor: str(item.attributes[factor]) for factor in CONTENT_FACTORS}
            style = match(seen, self.main_styles[request.user_id], STYLE_FACTORS)
            row["content_all"] = match(seen, asked, CONTENT_FACTORS)["all"]
            row["style_mean"], row["style_all"] = style["mean"], style["all"]
        if self.scorer is not None:
            for row, request, picture in zip(rows, requests, pictures, strict=True):
                row.update(self._similarities(self.scorer, request, picture))
        return {name: [row[name] for row in rows] for name in rows[0]}

    def _similarities(
        self, scorer: StandInViews, request: NoisyRequest, picture: Pixels
    ) -> dict[str, float]:
        """Return the mean cosines of the picture with the history and with both parts of it."""
        history = [self.world.pixels(item_id) for item_id in request.history_ids]
        vectors = scorer.image_vectors([picture, *history])
        cosine_H = vectors[1:] @ vectors[0]
        return {
            "dis_history": float(cosine_H.mean()),
            "dis_true_likes": float(cosine_H[~request.is_noise].mean()),
            "dis_noise": float(cosine_H[request.is_noise].mean()),
        }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print a table, write JSON."""
    args = parse_arguments(argv)
    check_writable(args.out)
    with ExitStack() as until_done:
        if args.data is None:
            args.data = Path(until_done.enter_context(tempfile.TemporaryDirectory())) / "world"
            generate_world(args.data, num_items=2000, num_users=400, seed=90_004, noise_share=0.4)
        measure(args)


def measure(args: argparse.Namespace) -> None:
    """Ask every run, print its rows, write JSON."""
    world = DatasetFolder.open(args.data)
    requests = draw_requests(world, args.weights, args.users, seed=args.seed)
    judgement = Judgement(
        world=world,
        main_styles=read_main_styles(world.path / USERS_TRUTH),
        judge=FactorJudge.load(),
        scorer=None if args.stand_in is None else StandInViews(StandIn.load(args.stand_in)),
    )
    rows: list[dict[str, Any]] = []
    first: Values | None = None
    for weights in args.weights:
        for run in masked_runs(weights):
            values = judgement.values(requests, run.painted(world, requests, args.ratio))
            first = first or values
            rows.append({**run.told, **estimates(requests, values, first, seed=args.seed)})
            print(table_line(rows[-1]))
    settings = {
        "world": world.name,
        "fingerprint": world.fingerprint,
        "users": len(requests),
        "reference_mask_ratio": args.ratio,
        "noise_share_of_windows": float(np.mean([each.is_noise for each in requests])),
        "stand_in": None if args.stand_in is None else identity(file_tensor_hashes(args.stand_in)),
        "seed": args.seed,
    }
    write_result(args.out, "Does the history mask hide noise?", settings, {"rows": rows})


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a sticker world with noise likes")
    parser.add_argument("--weights", type=Path, nargs="+", default=[SHIPPED_WEIGHTS])
    parser.add_argument("--stand-in", type=Path, help="an evaluator.safetensors, for `dis_…`")
    parser.add_argument("--users", type=int, default=DEFAULT_USERS)
    parser.add_argument("--ratio", type=float, default=DEFAULT_RATIO)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args(argv)


def kept_rates(
    is_noise: NDArray[np.bool_], history_keep: Sequence[NDArray[np.bool_]]
) -> dict[str, float]:
    """Return the share of tokens kept on true likes, on noise, and the first minus the second."""
    kept_H = np.array([keep.mean() for keep in history_keep])
    true_likes, noise = float(kept_H[~is_noise].mean()), float(kept_H[is_noise].mean())
    return {
        "kept_on_true_likes": true_likes,
        "kept_on_noise": noise,
        "kept_difference": true_likes - noise,
    }


@dataclass(frozen=True)
class MaskedRun:
    """A run that paints under one kind of mask."""

    model: "PigeonModel"
    told: Mapping[str, Any]  # what the result says of it
    mask: "MaskKind"

    def painted(
        self, world: DatasetFolder, requests: Sequence[NoisyRequest], ratio: float
    ) -> list["PaintedSweep"]:
        """Return one picture a request."""
        from pigeon_recsys.model.ablation import Ablation
        from pigeon_recsys.model.sampling import Sampling

        orders = [order(world, request, ratio) for request in requests]
        model = self.model.ablated(Ablation(mask=self.mask))
        return [
            made
            for start in track(range(0, len(orders), BATCH), f"{self.mask} mask")
            for made in model.paint_sweeps(orders[start : start + BATCH], sampling=Sampling())
        ]


def masked_runs(weights: Path) -> list[MaskedRun]:
    """Return a run as it was trained, and with each other mask."""
    from pigeon_recsys.model.checkpoint import load_pigeon
    from pigeon_recsys.model.inference import PigeonModel

    model, config = PigeonModel.load(weights), load_pigeon(weights).config.mask
    told = {
        "weights": weights.name,
        "weights_version": model.version,
        "mask_trained_with": config.kind,
        "history_ratio": config.history_ratio,
    }
    kinds = (config.kind, *(kind for kind in OTHER_MASKS if kind != config.kind))
    return [MaskedRun(model, told | {"mask": kind}, kind) for kind in kinds]


def order(world: DatasetFolder, request: NoisyRequest, ratio: float) -> "SweepOrder":
    """Return the request as the model takes it."""
    from pigeon_recsys.model.inference import SweepOrder

    return SweepOrder(
        history=[world.pixels(item_id) for item_id in request.history_ids],
        reference=world.pixels(request.reference_id),
        text=world.item(request.reference_id).instruction,
        ratios=[ratio],
        seed=request.seed,
    )


def estimates(
    requests: Sequence[NoisyRequest], values: Values, first: Values, *, seed: int
) -> dict[str, Any]:
    """Return every measure, and how far it is above the first row's, with intervals."""
    users = [request.user_id for request in requests]

    def over_users(numbers: Sequence[float]) -> dict[str, float | int]:
        by_user = {user: [number] for user, number in zip(users, numbers, strict=True)}
        return asdict(mean_over_users(by_user, seed=seed))

    return {
        "measures": {name: over_users(numbers) for name, numbers in values.items()},
        "minus_first": {
            name: over_users(np.subtract(numbers, first[name]).tolist())
            for name, numbers in values.items()
        },
    }


def table_line(row: Mapping[str, Any]) -> str:
    """Return a row for the terminal: who, and every measure's mean."""
    means = [f"{name} {each['mean']:.3f}" for name, each in row["measures"].items()]
    who = f"{row['weights']} (trained with {row['mask_trained_with']}), mask {row['mask']}"
    return f"{who}: {', '.join(means)}"


if __name__ == "__main__":
    main()
