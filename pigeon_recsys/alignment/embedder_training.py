"""Train the image encoder: what a picture shows from texts, who likes it from likes.

In:  a dataset folder, of which only users of the train split are read.
Out: in the run folder `embedder.safetensors`, `embedder.json` and the train loop's files.
"""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from pigeon_recsys.alignment.augmentation import augment
from pigeon_recsys.alignment.caption_tower import CaptionTower
from pigeon_recsys.alignment.embedder_data import EmbedderBatch, EmbedderData, draw_batch
from pigeon_recsys.alignment.embedder_evaluation import evaluate_embedder
from pigeon_recsys.alignment.embedder_loss import content_loss, manner_loss, taste_loss
from pigeon_recsys.alignment.loop import LoopSettings, train
from pigeon_recsys.alignment.processes import is_first, wait_for_all
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.files import check_writable_folder, write_text_atomic
from pigeon_recsys.model.image_encoder import (
    ImageEncoder,
    ImageEncoderConfig,
    load_image_encoder,
    save_image_encoder,
)

WEIGHTS_FILE = "embedder.safetensors"
REPORT_FILE = "embedder.json"
INITIAL_SCALE = 10.0  # of cosines before the softmax; learned from there
MAX_SCALE = 50.0  # above, single wrong pairs decide the loss
# Fixed for the contrast within a content: a learned one rises and lets all cosines stay close,
# and a score of half taste, half content would not hear the taste.
MANNER_SCALE = 10.0


@dataclass(frozen=True)
class EmbedderSettings:
    """How to train the image encoder."""

    steps: int = 1200
    batch: int = 128  # pictures a step; three quarters are for likes, the rest any items
    learning_rate: float = 2e-3
    seed: int = 0
    caption_attributes: tuple[str, ...] = ()  # read beside title and instruction; never style
    content: str | None = None  # the attribute whose equal values mean equal content
    encoder: ImageEncoderConfig = field(default_factory=ImageEncoderConfig)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise SettingsError(f"embedder steps must be at least 1, got {self.steps}")
        if self.batch < 8:
            raise SettingsError(f"embedder batch must be at least 8 pictures, got {self.batch}")
        if not self.learning_rate > 0:
            raise SettingsError(f"embedder learning_rate must be above 0, got {self.learning_rate}")

    @property
    def loop(self) -> LoopSettings:
        """The train loop's share of the settings."""
        return LoopSettings(
            steps=self.steps,
            learning_rate=self.learning_rate,
            warmup_steps=min(100, self.steps),
            weight_decay=0.05,
            seed=self.seed,
        )


class EmbedderTrainee(nn.Module):
    """Everything that is trained; only the encoder outlives the training."""

    def __init__(self, config: ImageEncoderConfig) -> None:
        super().__init__()
        self.encoder = ImageEncoder(config)
        self.captions = CaptionTower(config.content_dim)
        self.content_log_scale = nn.Parameter(torch.tensor(math.log(INITIAL_SCALE)))
        self.taste_log_scale = nn.Parameter(torch.tensor(math.log(INITIAL_SCALE)))

    def losses(self, batch: EmbedderBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Return both contrasts and `loss`, their sum, of one augmented batch."""
        content_BD, taste_BD = self.encoder.halves(augment(batch.pixels_BHWC, generator))
        text_BD = self.captions(batch.buckets)
        content = content_loss(
            content_BD, text_BD, batch.caption_B, _bounded(self.content_log_scale)
        )
        taste = self._taste_loss(batch.liked(taste_BD), batch.liked(batch.row_B))
        return {"loss": content + taste, "content_loss": content, "taste_loss": taste}

    def _taste_loss(self, taste_LUKD: Tensor, row_LUK: Tensor) -> Tensor:
        """Contrast likes with their content's other pictures, or else with other users' likes."""
        if row_LUK.shape[2] > 1:
            return manner_loss(taste_LUKD, row_LUK, MANNER_SCALE)
        (anchor_UD, positive_UD), (anchor_U, positive_U) = taste_LUKD[:, :, 0], row_LUK[:, :, 0]
        scale = _bounded(self.taste_log_scale)
        return taste_loss(anchor_UD, positive_UD, anchor_U, positive_U, scale)


def train_embedder(
    dataset: DatasetFolder,
    run: Path,
    settings: EmbedderSettings | None = None,
    loop: LoopSettings | None = None,
) -> dict[str, object]:
    """Train an encoder on a dataset and return what `embedder.json` then holds.

    A run that was stopped goes on from its checkpoint. The loop follows from the settings
    unless it is given. A picture is told apart from those of its own micro batch only.
    """
    settings = settings or EmbedderSettings()
    loop = loop or settings.loop
    check_writable_folder(run)
    data = EmbedderData.read(
        dataset, settings.encoder.image_size, settings.caption_attributes, settings.content
    )
    torch.manual_seed(settings.seed)
    trainee = EmbedderTrainee(settings.encoder)

    def step_loss(generator: torch.Generator) -> dict[str, Tensor]:
        return trainee.losses(draw_batch(data, settings.batch, generator), generator)

    trained = train("embedder", trainee, step_loss, loop, run)
    weights_sha256 = None
    if is_first():
        weights_sha256 = save_image_encoder(trainee.encoder, run / WEIGHTS_FILE)
    wait_for_all()
    stored = load_image_encoder(run / WEIGHTS_FILE)  # judged as it will be used
    report: dict[str, object] = {
        "weights_sha256": weights_sha256,
        "dataset_fingerprint": dataset.fingerprint,
        "num_items": len(data.item_ids),
        "num_train_users": len(data.likes),
        "settings": asdict(settings),
        "seconds": round(trained.seconds, 1),
        "train": trained.metrics,
        "validation": asdict(evaluate_embedder(stored, trainee.captions, data, dataset)),
    }
    if is_first():
        write_text_atomic(run / REPORT_FILE, json.dumps(report, indent=2, allow_nan=False) + "\n")
    return report


def _bounded(log_scale: Tensor) -> Tensor:
    return log_scale.exp().clamp(max=MAX_SCALE)
