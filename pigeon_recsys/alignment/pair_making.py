"""Make preference pairs: generate over the reference-mask ratios, score, keep best and worst.

In:  windows of liked images, a Pigeon trained by stage 1, the run's image encoder.
Out: `RUN/pairs.parquet` (see `pairs.py`).

The score is the mean similarity to the history in the encoder's taste half: an image is
preferred because it looks like what the person likes, not because it shows the same things.
That alone can pay for losing the reference, which `reference_weight` counters by similarity to
the reference in the content half. This encoder selects, so it never evaluates.

A long job: windows are made in chunks, each a file of its own with draws of its own, so a
killed job goes on where it stood and ends with the same file. Processes share out the chunks.
Source: Pigeon, section 3.4; its references are the windows' own last images.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pigeon_recsys.alignment.examples import EMPTY, Examples, ItemTokens, reconstruction_batch
from pigeon_recsys.alignment.loop import draw_generator
from pigeon_recsys.alignment.pairs import (
    PAIRS_FILE,
    Sweep,
    is_made_from,
    join_pairs,
    write_pairs,
)
from pigeon_recsys.alignment.processes import is_first, own_share, wait_for_all
from pigeon_recsys.backbones.pixel_range import to_pixels
from pigeon_recsys.datasets.split import Split
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.generation.ratio_choice import REFERENCE_RATIOS
from pigeon_recsys.model.image_encoder import ImageEncoder
from pigeon_recsys.model.pigeon import Pigeon
from pigeon_recsys.model.sampling import Sampling
from pigeon_recsys.progress import track
from pigeon_recsys.records import Pixels
from pigeon_recsys.retrieval.onnx_embedder import prepare

# P windows in all, W of a chunk, L images of a window, H of them history,
# R reference-mask ratios, T tokens per image, N images, D width of one half of an embedding

# own: each window's last image, as in the paper; other: another window's, mostly in another
# style; same: another picture of the last image's content, where the data knows such
References = Literal["own", "other", "same"]

CHUNKS_FOLDER = "pairs"
NUM_RATIOS = len(REFERENCE_RATIOS)


@dataclass(frozen=True)
class PairSettings:
    """How many pairs are made, and what is preferred."""

    windows: int = 2000  # of training users, drawn without replacement
    validation_windows: int = 64
    batch_size: int = 8  # windows decoded together, which is also a chunk
    reference_weight: float = 0.0  # of similarity to the reference in the score; the paper's is 0
    references: References = "own"
    temperature: float = 0.5
    top_k: int = 50
    steps: int = 4  # DDIM steps
    seed: int = 0


@dataclass(frozen=True)
class PairMaker:
    """Generates and scores; everything is read-only."""

    pigeon: Pigeon
    encoder: ImageEncoder
    items: ItemTokens
    pixels: Pixels  # of the items, rows as in `items`
    settings: PairSettings

    @torch.no_grad()
    def sweeps(
        self, window_WL: NDArray[np.int64], splits: Sequence[Split], first: int
    ) -> list[Sweep]:
        """Return each window's images at all ratios, scored.

        `first` is the first window's number in the whole job; a window's draws follow from its
        number and the seed alone.
        """
        settings = self.settings
        batch, _ = reconstruction_batch(self.items, window_WL)
        images = range(first * NUM_RATIOS, (first + len(window_WL)) * NUM_RATIOS)
        generators = [draw_generator(settings.seed, image) for image in images]
        ratio_WR = torch.tensor([REFERENCE_RATIOS] * len(window_WL))
        ratio_WR = ratio_WR.to(self.items.visual_NT.device)
        sampling = Sampling(settings.temperature, settings.top_k)
        visual_WRT = self.pigeon.write(batch, ratio_WR, sampling, generators).visual_BRT
        pictures = self.pigeon.backbone.detokenize(
            visual_WRT.flatten(0, 1), settings.steps, generators
        )
        history_WR, reference_WR = self.scores(to_pixels(pictures), window_WL)
        ids = tuple(self.items.row)
        return [
            Sweep(
                split=split,
                history=tuple(ids[row] for row in window[:-1] if row != EMPTY),
                reference=ids[window[-1]],
                ratios=REFERENCE_RATIOS,
                visual_RT=visual_RT.cpu().numpy(),
                history_score_R=history_R.numpy(),
                reference_score_R=reference_R.numpy(),
            )
            for split, window, visual_RT, history_R, reference_R in zip(
                splits, window_WL, visual_WRT, history_WR, reference_WR, strict=True
            )
        ]

    def scores(self, made: Pixels, window_WL: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return history_score_WR and reference_score_WR of W × R pictures, window by window."""
        num_windows, length = window_WL.shape
        known = self.pixels[window_WL.clip(min=0).ravel()]
        content_ND, taste_ND = self._halves([*made, *known])
        made_content_WRD = content_ND[: len(made)].unflatten(0, (num_windows, -1))
        made_taste_WRD = taste_ND[: len(made)].unflatten(0, (num_windows, -1))
        history_WHD = taste_ND[len(made) :].unflatten(0, (num_windows, length))[:, :-1]
        reference_WD = content_ND[len(made) :].unflatten(0, (num_windows, length))[:, -1]
        is_there_WH = torch.from_numpy(window_WL[:, :-1] != EMPTY)
        similarity_WRH = made_taste_WRD @ history_WHD.mT * is_there_WH[:, None]
        history_WR = similarity_WRH.sum(dim=-1) / is_there_WH.sum(dim=-1, keepdim=True)
        return history_WR, torch.einsum("wrd,wd->wr", made_content_WRD, reference_WD)

    def _halves(self, pictures: Sequence[Pixels]) -> tuple[Tensor, Tensor]:
        size = self.encoder.config.image_size
        pixels = torch.from_numpy(prepare(pictures, size)).float() / 255
        content_ND, taste_ND = self.encoder.halves(pixels)
        return functional.normalize(content_ND, dim=1), functional.normalize(taste_ND, dim=1)


def make_pairs(
    maker: PairMaker,
    examples: Examples,
    run: Path,
    source: dict[str, Any],
) -> Path:
    """Write `RUN/pairs.parquet` and return its path; `source` names the data and the weights.

    Chunks, and a whole file, that were made from the same settings and source are kept.
    """
    settings, target, folder = maker.settings, run / PAIRS_FILE, run / CHUNKS_FOLDER
    made_from = {"settings": asdict(settings), "source": source}
    if is_made_from(target, made_from):
        return target
    if not len(examples.train):
        raise SettingsError(
            "there are no windows of liked images to make preference pairs from: no training "
            "user of this data likes two items. Add interactions."
        )
    window_PL, splits = _draw(examples, settings)
    starts = range(0, len(window_PL), settings.batch_size)
    parts = [folder / f"{start:08d}.parquet" for start in starts]
    for number in track(own_share(len(parts)), "make preference pairs"):
        if is_made_from(parts[number], made_from):
            continue
        chunk = slice(starts[number], starts[number] + settings.batch_size)
        sweeps = maker.sweeps(window_PL[chunk], splits[chunk], starts[number])
        rows = [sweep.pair(settings.reference_weight) for sweep in sweeps]
        write_pairs(parts[number], rows, made_from)
    wait_for_all()
    if is_first():
        join_pairs(target, parts)
        shutil.rmtree(folder)
    wait_for_all()
    return target


def _draw(examples: Examples, settings: PairSettings) -> tuple[NDArray[np.int64], list[Split]]:
    """Return the windows to generate for, those of training users first, and their splits."""
    if settings.references == "same" and examples.same is None:
        raise SettingsError(
            "pairs.references: same needs the recipe to say which items show the same. Name the "
            "attribute that tells as content, or choose own or other."
        )
    rng = np.random.default_rng(settings.seed)
    chosen: list[NDArray[np.int64]] = []
    splits: list[Split] = []
    wanted: tuple[tuple[Split, NDArray[np.int64], int], ...] = (
        ("train", examples.train, settings.windows),
        ("validation", examples.validation, settings.validation_windows),
    )
    for split, windows, count in wanted:
        window_PL = windows[rng.permutation(len(windows))[:count]]
        if settings.references == "other":
            window_PL[:, -1] = rng.permutation(window_PL[:, -1])
        if settings.references == "same":
            same_P = examples.references(window_PL[:, -1], draw_generator(settings.seed, 0))
            assert same_P is not None
            window_PL[:, -1] = same_P
        chosen.append(window_PL)
        splits += [split] * len(window_PL)
    return np.concatenate(chosen), splits
