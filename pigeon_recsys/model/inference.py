"""Pigeon for callers without tensors: pictures and words in, pictures out.

In:  orders: history pictures, a reference picture, a text, reference-mask ratios, a seed.
Out: one picture a ratio, and which tokens of each history picture were kept.

A picture follows from its order and its ratio: it is the same whatever is ordered beside it, and
its tokens are the same in a sweep and by themselves. Tokens are written for all orders together;
pictures are painted order by order, because a convolution's last bits depend on how many it
paints at once.

Writing is most of the work of one picture, painting the rest. So tokens can be kept and painted
again with another seed: their noise is then what that seed's own picture would start from.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pigeon_recsys.backbones.pixel_range import to_model_range, to_pixels
from pigeon_recsys.datasets.pixel_table import resize
from pigeon_recsys.model.ablation import FULL, Ablation
from pigeon_recsys.model.checkpoint import load_pigeon, weights_version
from pigeon_recsys.model.personalize import merge_lora
from pigeon_recsys.model.pigeon import HISTORY_LENGTH, Pigeon
from pigeon_recsys.model.prompt import PromptBatch, pad_texts
from pigeon_recsys.model.sampling import Sampling
from pigeon_recsys.records import Pixels

# B orders, R reference-mask ratios of an order, H history images, T tokens per image

DEFAULT_STEPS = 4  # DDIM steps; more change nothing a person sees at 72 pixels


@dataclass(frozen=True)
class SweepOrder:
    """What to paint for one user: one picture for each reference-mask ratio."""

    history: Sequence[Pixels]  # oldest first; the newest that the model takes are used
    reference: Pixels | None
    text: str
    ratios: Sequence[float]
    seed: int


@dataclass(frozen=True)
class WrittenSweep:
    """Preference tokens of one order at each of its ratios: all that painting needs, and small."""

    ratios: tuple[float, ...]
    visual_RT: NDArray[np.int32]
    history_keep: tuple[NDArray[np.bool_], ...]  # (rows, columns), one a history picture

    def at(self, place: int) -> "WrittenSweep":
        """Return what was written at one of the ratios."""
        visual_RT = self.visual_RT[place : place + 1].copy()
        return WrittenSweep((self.ratios[place],), visual_RT, self.history_keep)


@dataclass(frozen=True)
class PaintedSweep:
    """Pictures of a sweep over reference-mask ratios, and the history's keep masks."""

    pictures: tuple[Pixels, ...]
    history_keep: tuple[NDArray[np.bool_], ...]  # (rows, columns), one a history picture


class PigeonModel:
    """A loaded Pigeon; safe to share between threads, since nothing in it changes."""

    def __init__(self, pigeon: Pigeon, version: str, ablation: Ablation = FULL) -> None:
        self._pigeon = pigeon.eval()
        self._ablation = ablation
        self.version = version

    @classmethod
    def load(cls, folder: Path) -> "PigeonModel":
        """Read weights, LoRA merged. Raises `ArtifactError` naming the file at fault."""
        pigeon = load_pigeon(folder)
        merge_lora(pigeon.backbone)
        return cls(pigeon, weights_version(folder))

    def ablated(self, ablation: Ablation) -> "PigeonModel":
        """Return the same weights without parts of the model, under a version of its own."""
        parts = asdict(ablation).items()
        left_out = [f"{name}={value}" for name, value in parts if value != getattr(FULL, name)]
        return PigeonModel(self._pigeon, "-".join([self.version, *left_out]), ablation)

    @property
    def history_length(self) -> int:
        """How many history pictures the model takes."""
        return HISTORY_LENGTH

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of generated pictures in pixels."""
        spec = self._pigeon.backbone.spec
        return spec.image_height, spec.image_width

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
        """Paint one picture a ratio for one user; the same arguments, the same pixels."""
        order = SweepOrder(history, reference, text, ratios, seed)
        return self.paint_sweeps([order], sampling=sampling, steps=steps)[0]

    @torch.no_grad()
    def paint_sweeps(
        self,
        orders: Sequence[SweepOrder],
        *,
        sampling: Sampling,
        steps: int = DEFAULT_STEPS,
    ) -> list[PaintedSweep]:
        """Paint each order's sweep; all orders must have as many ratios.

        Memory grows with the number of orders: they are written in one pass.
        """
        generators = _generators(orders)
        return [
            PaintedSweep(self._paint(sweep, steps, row), sweep.history_keep)
            for sweep, row in zip(
                self._write(orders, sampling, generators), generators, strict=True
            )
        ]

    @torch.no_grad()
    def write_tokens(
        self, orders: Sequence[SweepOrder], *, sampling: Sampling
    ) -> list[WrittenSweep]:
        """Write each order's preference tokens, all in one pass; nothing is painted yet."""
        return self._write(orders, sampling, _generators(orders))

    @torch.no_grad()
    def paint(
        self, written: WrittenSweep, *, seed: int, steps: int = DEFAULT_STEPS
    ) -> tuple[Pixels, ...]:
        """Paint one picture a ratio; with the order's own seed, those of `paint_sweeps`."""
        num_tokens = written.visual_RT.shape[1]
        generators = [picture_generator(seed, ratio) for ratio in written.ratios]
        for generator in generators:
            torch.rand(num_tokens, generator=generator)  # which the tokens are drawn by
        return self._paint(written, steps, generators)

    @torch.no_grad()
    def repaint(self, picture: Pixels, *, seed: int, steps: int = DEFAULT_STEPS) -> Pixels:
        """Paint a picture from its own tokens: the most that these tokens can show."""
        visual_RT = self._tokens([picture]).cpu().numpy().astype(np.int32)
        written = WrittenSweep((0.0,), visual_RT, ())
        return self._paint(written, steps, [picture_generator(seed, 0.0)])[0]

    def _write(
        self,
        orders: Sequence[SweepOrder],
        sampling: Sampling,
        generators: Sequence[Sequence[torch.Generator]],
    ) -> list[WrittenSweep]:
        if not orders:
            return []
        num_ratios = {len(order.ratios) for order in orders}
        if len(num_ratios) > 1:
            raise ValueError(f"orders of one pass need as many ratios each, got {num_ratios}")
        written = self._pigeon.write(
            self._prompts(orders),
            torch.tensor([list(order.ratios) for order in orders]),
            sampling,
            [generator for row in generators for generator in row],
            self._ablation,
        )
        return [
            self._written(order, visual_RT, keep_HT)
            for order, visual_RT, keep_HT in zip(
                orders, written.visual_BRT, written.history_keep_BHT, strict=True
            )
        ]

    def _written(self, order: SweepOrder, visual_RT: Tensor, keep_HT: Tensor) -> WrittenSweep:
        spec = self._pigeon.backbone.spec
        newest_HT = keep_HT[max(0, HISTORY_LENGTH - len(order.history)) :]
        keep = [keep_T.view(spec.rows, spec.columns).cpu().numpy() for keep_T in newest_HT]
        visual = visual_RT.cpu().numpy().astype(np.int32)
        return WrittenSweep(tuple(order.ratios), visual, tuple(keep))

    def _paint(
        self, written: WrittenSweep, steps: int, generators: Sequence[torch.Generator]
    ) -> tuple[Pixels, ...]:
        visual_RT = torch.from_numpy(written.visual_RT).long()
        painted_RCHW = self._pigeon.backbone.detokenize(visual_RT, steps, list(generators))
        return tuple(to_pixels(painted_RCHW))

    def _prompts(self, orders: Sequence[SweepOrder]) -> PromptBatch:
        backbone = self._pigeon.backbone
        shape = (len(orders), HISTORY_LENGTH)
        num_tokens = backbone.spec.tokens_per_image
        history_BHT = torch.zeros(*shape, num_tokens, dtype=torch.long)
        present_BH = torch.zeros(shape, dtype=torch.bool)
        reference_BT = torch.zeros(len(orders), num_tokens, dtype=torch.long)
        for row, order in enumerate(orders):
            newest = list(order.history)[-HISTORY_LENGTH:]
            if newest:
                history_BHT[row, -len(newest) :] = self._tokens(newest)
                present_BH[row, -len(newest) :] = True
            if order.reference is not None:
                reference_BT[row] = self._tokens([order.reference])[0]
        words = [backbone.tokenize_text(order.text) if order.text else [] for order in orders]
        text_BL, has_text_BL = pad_texts(words)
        return PromptBatch(
            history_BHT=history_BHT,
            present_BH=present_BH,
            text_BL=text_BL,
            has_text_BL=has_text_BL,
            reference_BT=reference_BT,
            has_reference_B=torch.tensor([order.reference is not None for order in orders]),
        )

    def _tokens(self, pictures: Sequence[Pixels]) -> Tensor:
        resized = np.stack([resize(picture, *self.image_size) for picture in pictures])
        return self._pigeon.backbone.tokenize_images(to_model_range(resized))


def _generators(orders: Sequence[SweepOrder]) -> list[list[torch.Generator]]:
    """Return one generator a picture, order by order."""
    return [[picture_generator(order.seed, ratio) for ratio in order.ratios] for order in orders]


def picture_generator(seed: int, ratio: float) -> torch.Generator:
    """Return the generator of one picture's tokens and noise."""
    digest = hashlib.sha256(f"{seed}|{ratio:.6f}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
