"""Pigeon for callers without tensors: pictures and words in, pictures out.

In:  history pictures, a reference picture, a text, reference-mask ratios, a seed.
Out: one picture a ratio, and which tokens of each history picture were kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pigeon_recsys.backbones.pixel_range import to_model_range, to_pixels
from pigeon_recsys.datasets.pixel_table import resize
from pigeon_recsys.model.checkpoint import load_pigeon, weights_version
from pigeon_recsys.model.decode import Sampling
from pigeon_recsys.model.pigeon import HISTORY_LENGTH, Pigeon
from pigeon_recsys.model.prompt import PromptBatch, pad_texts
from pigeon_recsys.records import Pixels

# H history images, T tokens per image

DEFAULT_STEPS = 4  # DDIM steps; more change nothing a person sees at 72 pixels


@dataclass(frozen=True)
class PaintedSweep:
    """Pictures of a sweep over reference-mask ratios, and the history's keep masks."""

    pictures: tuple[Pixels, ...]
    history_keep: tuple[NDArray[np.bool_], ...]  # (rows, columns), one a history picture


class PigeonModel:
    """A loaded Pigeon; safe to share between threads, since nothing in it changes."""

    def __init__(self, pigeon: Pigeon, version: str) -> None:
        self._pigeon = pigeon.eval()
        self.version = version

    @classmethod
    def load(cls, folder: Path) -> "PigeonModel":
        """Read weights. Raises `ArtifactError` naming the file at fault."""
        return cls(load_pigeon(folder), weights_version(folder))

    @property
    def history_length(self) -> int:
        """How many history pictures the model takes."""
        return HISTORY_LENGTH

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of generated pictures in pixels."""
        spec = self._pigeon.backbone.spec
        return spec.image_height, spec.image_width

    @torch.no_grad()
    def paint_sweep(
        self,
        history: Sequence[Pixels],
        reference: Pixels | None,
        text: str,
        ratios: Sequence[float],
        *,
        seed: int,
        sampling: Sampling,
        steps: int = DEFAULT_STEPS,
    ) -> PaintedSweep:
        """Paint one picture a ratio; the same arguments, the same pixels."""
        generator = torch.Generator().manual_seed(seed)
        newest = list(history)[-HISTORY_LENGTH:]
        batch = self._prompt(newest, reference, text)
        written = self._pigeon.write(batch, ratios, sampling, generator)
        pictures = to_pixels(self._pigeon.backbone.detokenize(written.visual_RT, steps, generator))
        spec = self._pigeon.backbone.spec
        keep_HT = written.history_keep_HT[HISTORY_LENGTH - len(newest) :]
        keeps = [keep_T.view(spec.rows, spec.columns).cpu().numpy() for keep_T in keep_HT]
        return PaintedSweep(tuple(pictures), tuple(keeps))

    def _prompt(self, history: list[Pixels], reference: Pixels | None, text: str) -> PromptBatch:
        backbone = self._pigeon.backbone
        num_tokens = backbone.spec.tokens_per_image
        history_HT = torch.zeros(HISTORY_LENGTH, num_tokens, dtype=torch.long)
        present_H = torch.zeros(HISTORY_LENGTH, dtype=torch.bool)
        if history:
            history_HT[-len(history) :] = self._tokens(history)
            present_H[-len(history) :] = True
        reference_1T = (
            torch.zeros(1, num_tokens, dtype=torch.long)
            if reference is None
            else self._tokens([reference])
        )
        text_BL, has_text_BL = pad_texts([backbone.tokenize_text(text) if text else []])
        return PromptBatch(
            history_BHT=history_HT[None],
            present_BH=present_H[None],
            text_BL=text_BL,
            has_text_BL=has_text_BL,
            reference_BT=reference_1T,
            has_reference_B=torch.tensor([reference is not None]),
        )

    def _tokens(self, pictures: Sequence[Pixels]) -> Tensor:
        resized = np.stack([resize(picture, *self.image_size) for picture in pictures])
        return self._pigeon.backbone.tokenize_images(to_model_range(resized))
