"""Train the stand-in evaluator on a dataset's pictures and texts; likes are never read.

In:  a dataset folder, a number of steps, a seed.
Out: `evaluator.safetensors` and `evaluator.json`, which says how far it can be trusted.

Two contrasts: two views of one picture are near (a crop, a blur, some noise; colours stay,
for they are style), and a picture is near its text. The encoder that selects learns from
likes, with another shape and another seed, so the two agree only on what the pictures show.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253 - training is torch from end to end; the command imports this late
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from pigeon_recsys.alignment.augmentation import augment
from pigeon_recsys.alignment.caption_tower import text_buckets
from pigeon_recsys.alignment.embedder_data import item_text
from pigeon_recsys.alignment.embedder_loss import content_loss
from pigeon_recsys.alignment.loop import LoopSettings, train
from pigeon_recsys.backbones.weights import save_weights
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.pixel_table import PixelTable
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.evaluator_network import (
    INPUT_SIZE,
    EvaluatorNetwork,
    to_unit_range,
)
from pigeon_recsys.evaluation.stand_in import SHEET_FILE, WEIGHTS_FILE, StandIn
from pigeon_recsys.files import check_writable_folder, write_text_atomic
from pigeon_recsys.records import Pixels

# N items, B pictures, D width of a head

DEFAULT_STEPS = 600  # about 5 minutes on one core
BATCH = 96
LEARNING_RATE = 2e-3
SEED_OFFSET = 50_021  # apart from every seed that trains a model
SCALE = 10.0  # of cosines before the softmax
MIN_ZOOM = 0.7  # of a side that a view shows
NUM_TRIED = 500  # items that the sheet's recalls are measured on
DEPTH = 10  # results looked at for a text


@dataclass(frozen=True)
class EvaluatorData:
    """Pictures and texts of all items."""

    pixels: Pixels  # (N, height, width, 3)
    buckets: tuple[tuple[int, ...], ...]  # of each item's text
    caption_N: Tensor  # the number of each item's text; equal texts, equal numbers

    @classmethod
    def read(cls, dataset: DatasetFolder) -> "EvaluatorData":
        """Read a dataset."""
        table = PixelTable.load(dataset, dataset.item_ids, INPUT_SIZE, INPUT_SIZE)
        texts = [item_text(dataset.item(item_id)) for item_id in dataset.item_ids]
        numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        return cls(
            pixels=table.pixels,
            buckets=tuple(tuple(text_buckets(text)) for text in texts),
            caption_N=torch.tensor([numbers[text] for text in texts]),
        )


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
        picked_B = torch.randint(len(data.pixels), (BATCH,), generator=generator)
        return losses(network, data, picked_B, generator)

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
        "quality": quality(StandIn.load(out / WEIGHTS_FILE).network, data),
    }
    write_text_atomic(out / SHEET_FILE, json.dumps(sheet, indent=2) + "\n")
    return sheet


def losses(
    network: EvaluatorNetwork, data: EvaluatorData, picked_B: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return both contrasts and `loss`, their sum, of one batch."""
    images_BHWC = torch.from_numpy(data.pixels[picked_B.numpy()])
    first_BF = network.features(view(images_BHWC, generator))
    second_BF = network.features(view(images_BHWC, generator))
    scale = torch.tensor(SCALE)
    views = content_loss(
        network.view_vectors(first_BF), network.view_vectors(second_BF), picked_B, scale
    )
    captions = content_loss(
        network.caption_vectors(first_BF),
        network.captions([data.buckets[row] for row in picked_B.tolist()]),
        data.caption_N[picked_B],
        scale,
    )
    return {"loss": views + captions, "view_loss": views, "caption_loss": captions}


def view(images_BHWC: Tensor, generator: torch.Generator) -> Tensor:
    """Return a random view of each picture as pixels_BCHW: a part of it, shifted and worn."""
    worn_BHWC = augment(images_BHWC, generator)
    zoom_B = MIN_ZOOM + (1 - MIN_ZOOM) * torch.rand(len(images_BHWC), generator=generator)
    room_B2 = (2 * torch.rand(len(images_BHWC), 2, generator=generator) - 1) * (1 - zoom_B)[:, None]
    affine_B23 = torch.zeros(len(images_BHWC), 2, 3)
    affine_B23[:, 0, 0] = zoom_B
    affine_B23[:, 1, 1] = zoom_B
    affine_B23[:, :, 2] = room_B2
    pixels_BCHW = worn_BHWC.permute(0, 3, 1, 2)
    grid_BHW2 = functional.affine_grid(affine_B23, list(pixels_BCHW.shape), align_corners=False)
    return functional.grid_sample(
        pixels_BCHW, grid_BHW2, padding_mode="border", align_corners=False
    )


@torch.no_grad()
def quality(network: EvaluatorNetwork, data: EvaluatorData) -> dict[str, float | int]:
    """Return how often a view finds its own picture first, and a text a picture it describes."""
    tried = np.linspace(0, len(data.pixels) - 1, min(NUM_TRIED, len(data.pixels))).astype(int)
    images_BHWC = torch.from_numpy(data.pixels[tried])
    plain_BF = network.features(to_unit_range(images_BHWC))
    generator = torch.Generator().manual_seed(SEED_OFFSET)
    seen_BD = network.view_vectors(network.features(view(images_BHWC, generator)))
    nearest_B = (seen_BD @ network.view_vectors(plain_BF).T).argmax(dim=1)
    text_BD = network.captions([data.buckets[row] for row in tried])
    found_BK = (text_BD @ network.caption_vectors(plain_BF).T).topk(min(DEPTH, len(tried))).indices
    caption_B = data.caption_N[torch.from_numpy(tried)]
    is_hit_B = (caption_B[found_BK] == caption_B[:, None]).any(dim=1)
    return {
        "items": len(tried),
        "view_recall_at_1": float((nearest_B == torch.arange(len(tried))).float().mean()),
        "caption_recall_at_10": float(is_hit_B.float().mean()),
    }
