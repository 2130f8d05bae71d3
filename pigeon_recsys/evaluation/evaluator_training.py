"""Train the stand-in evaluator on a dataset's pictures and texts; likes are never read.

In:  a dataset folder, a number of steps, a seed.
Out: `evaluator.safetensors` and `evaluator.json`, which says how far it can be trusted.

Two contrasts: two views of one picture are near, and a picture is near its text. Batches hold
pictures with the same text side by side, so that the first contrast tells the styles of one
concept apart and the second must not. The encoder that selects learns from likes, with another
shape and another seed, so the two agree only on what the pictures show.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch  # noqa: TID253 - training is torch from end to end; the command imports this late
from torch import Tensor  # noqa: TID253

from pigeon_recsys.alignment.caption_tower import text_buckets
from pigeon_recsys.alignment.embedder_data import item_text
from pigeon_recsys.alignment.embedder_loss import content_loss
from pigeon_recsys.alignment.loop import LoopSettings, train
from pigeon_recsys.backbones.weights import save_weights
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.pixel_table import PixelTable
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.evaluator_network import INPUT_SIZE, EvaluatorNetwork
from pigeon_recsys.evaluation.evaluator_views import view
from pigeon_recsys.evaluation.stand_in import (
    SHEET_FILE,
    WEIGHTS_FILE,
    StandIn,
    StandInCaptions,
    StandInViews,
)
from pigeon_recsys.files import check_writable_folder, write_text_atomic
from pigeon_recsys.records import Pixels

# N items, B pictures, S starts of runs, R pictures of a run, Q pictures tried, K results looked
# at, D width of a head

DEFAULT_STEPS = 600  # about 5 minutes on one core
BATCH = 96
LEARNING_RATE = 2e-3
SEED_OFFSET = 50_021  # apart from every seed that trains a model
RUN_LENGTH = 4  # pictures side by side in the order of their texts
VIEW_SCALE = 20.0  # of cosines before the softmax; higher tells closer pictures apart
TEXT_SCALE = 10.0
NUM_TRIED = 500  # items that the sheet's recalls are measured on
NEAREST_TEXTS = 5  # among which a view's own text should be
DEPTH = 10  # results looked at for a text


@dataclass(frozen=True)
class EvaluatorData:
    """Pictures and texts of all items."""

    pixels: Pixels  # (N, height, width, 3)
    buckets: tuple[tuple[int, ...], ...]  # of each item's text
    caption_N: Tensor  # the number of each item's text; equal texts, equal numbers
    by_caption_N: Tensor  # rows in the order of their texts' numbers

    @classmethod
    def read(cls, dataset: DatasetFolder) -> "EvaluatorData":
        """Read a dataset."""
        table = PixelTable.load(dataset, dataset.item_ids, INPUT_SIZE, INPUT_SIZE)
        texts = [item_text(dataset.item(item_id)) for item_id in dataset.item_ids]
        numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        caption_N = torch.tensor([numbers[text] for text in texts])
        return cls(
            pixels=table.pixels,
            buckets=tuple(tuple(text_buckets(text)) for text in texts),
            caption_N=caption_N,
            by_caption_N=caption_N.argsort(stable=True),
        )

    def draw(self, size: int, generator: torch.Generator) -> Tensor:
        """Draw about `size` rows, in runs of neighbours in the order of their texts."""
        num_items, num_runs = len(self.pixels), max(1, size // RUN_LENGTH)
        start_S = torch.randint(num_items, (num_runs,), generator=generator)
        place_SR = (start_S[:, None] + torch.arange(RUN_LENGTH)) % num_items
        return self.by_caption_N[place_SR.flatten()]


def train_evaluator(
    dataset: DatasetFolder, out: Path, *, steps: int = DEFAULT_STEPS, seed: int = 0
) -> dict[str, Any]:
    """Train a stand-in, write it into folder `out` and return its sheet, also written there."""
    if steps < 1:
        raise SettingsError(
            f"the evaluator's steps must be at least 1, got {steps}. Use {DEFAULT_STEPS}."
        )
    check_writable_folder(out)
    data = EvaluatorData.read(dataset)
    torch.manual_seed(SEED_OFFSET + seed)
    network = EvaluatorNetwork()

    def step_loss(generator: torch.Generator) -> dict[str, Tensor]:
        return losses(network, data, data.draw(BATCH, generator), generator)

    settings = LoopSettings(
        steps=steps,
        learning_rate=LEARNING_RATE,
        warmup_steps=min(100, steps),
        weight_decay=0.05,
        seed=SEED_OFFSET + seed,
    )
    report = train("evaluator", network, step_loss, settings, out)
    save_weights(out / WEIGHTS_FILE, network.state_dict())
    content = (out / WEIGHTS_FILE).read_bytes()
    sheet = {
        "command": f"pigeon-recsys train evaluator --data DIR --out {out} "
        f"--steps {steps} --seed {seed}",
        "date": datetime.now(UTC).date().isoformat(),
        "dataset": {"name": dataset.name, "fingerprint": dataset.fingerprint},
        "seed": seed,
        "steps": steps,
        "train_seconds": round(report.seconds, 1),
        "threads": torch.get_num_threads(),
        "weights_bytes": len(content),
        "weights_sha256": hashlib.sha256(content).hexdigest(),
        "quality": quality(StandIn.load(out / WEIGHTS_FILE), data),
    }
    write_text_atomic(out / SHEET_FILE, json.dumps(sheet, indent=2) + "\n")
    return sheet


def losses(
    network: EvaluatorNetwork, data: EvaluatorData, picked_B: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return both contrasts and `loss`, their sum, of one batch."""
    images_BHWC = torch.from_numpy(data.pixels[picked_B.numpy()])
    first_BT = network.described(view(images_BHWC, generator))
    second_BT = network.described(view(images_BHWC, generator))
    views = content_loss(
        network.view_vectors(first_BT),
        network.view_vectors(second_BT),
        picked_B,
        torch.tensor(VIEW_SCALE),
    )
    captions = content_loss(
        network.caption_vectors(first_BT),
        network.captions([data.buckets[row] for row in picked_B.tolist()]),
        data.caption_N[picked_B],
        torch.tensor(TEXT_SCALE),
    )
    return {"loss": views + captions, "view_loss": views, "caption_loss": captions}


@torch.no_grad()
def quality(stand_in: StandIn, data: EvaluatorData) -> dict[str, float | int | None]:
    """Return how well views of some pictures are told among all pictures.

    How often a view is nearest to its own picture, to its own among those with the same text
    (None where no two share one), and how often its text is among the five nearest; and how
    often a text is near a picture it describes.
    """
    tried_Q = torch.linspace(0, len(data.pixels) - 1, min(NUM_TRIED, len(data.pixels))).long()
    generator = torch.Generator().manual_seed(SEED_OFFSET)
    network, all_pixels = stand_in.network, list(data.pixels)
    seen_BCHW = view(torch.from_numpy(data.pixels[tried_Q.numpy()]), generator)
    seen_QD = network.view_vectors(network.described(seen_BCHW))
    plain_ND = torch.from_numpy(StandInViews(stand_in).image_vectors(all_pixels))
    text_QD = network.captions([data.buckets[row] for row in tried_Q.tolist()])
    shown_ND = torch.from_numpy(StandInCaptions(stand_in).image_vectors(all_pixels))
    found_QK = (text_QD @ shown_ND.T).topk(min(DEPTH, len(all_pixels))).indices
    is_found_Q = (data.caption_N[found_QK] == data.caption_N[tried_Q][:, None]).any(dim=1)
    return {
        "items": len(tried_Q),
        **view_recalls(seen_QD @ plain_ND.T, tried_Q, data.caption_N),
        f"caption_recall_at_{DEPTH}": float(is_found_Q.float().mean()),
    }


def view_recalls(
    similarity_QN: Tensor, tried_Q: Tensor, caption_N: Tensor
) -> dict[str, float | None]:
    """Return the recalls of views, given how similar they are to every picture."""
    same_QN = caption_N[tried_Q][:, None] == caption_N
    own_Q = similarity_QN.masked_fill(~same_QN, -torch.inf).argmax(dim=1)
    is_shared_Q = same_QN.sum(dim=1) > 1
    best_QC = torch.full((len(tried_Q), int(caption_N.max()) + 1), -torch.inf).scatter_reduce(
        1, caption_N.expand_as(similarity_QN), similarity_QN, "amax"
    )
    text_QK = best_QC.topk(min(NEAREST_TEXTS, best_QC.shape[1])).indices
    has_text_Q = (text_QK == caption_N[tried_Q][:, None]).any(dim=1)
    told_apart = (own_Q == tried_Q)[is_shared_Q].float().mean() if is_shared_Q.any() else None
    return {
        "view_recall_at_1": float((similarity_QN.argmax(dim=1) == tried_Q).float().mean()),
        "view_recall_at_1_of_same_text": None if told_apart is None else float(told_apart),
        f"text_in_nearest_{NEAREST_TEXTS}": float(has_text_Q.float().mean()),
    }
