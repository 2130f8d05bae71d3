"""How good a trained image encoder is, on users it was not trained on.

In:  the encoder, the caption tower trained with it, and likes of validation users.
Out: recalls and cosines; the test split is never read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pigeon_recsys.alignment.caption_tower import CaptionTower
from pigeon_recsys.alignment.embedder_data import EmbedderData, liked_rows
from pigeon_recsys.alignment.same_content import SameContent
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.model.image_encoder import ImageEncoder
from pigeon_recsys.records import Pixels, Vectors

# N items, D width of a half

DEPTH = 10  # results looked at
BATCH_SIZE = 64
RANDOM_PAIRS = 20_000
PAIR_SEED = 0


@dataclass(frozen=True)
class EmbedderQuality:
    """Shares of hits among the first ten results, and mean cosines of pairs of items."""

    caption_recall_at_10: float  # a text finds an item with exactly that text, content half
    colike_recall_at_10: float | None  # older likes find the newest one, taste half
    manner_accuracy: float | None  # older likes find it among all of its content, taste half
    chance_recall_at_10: float  # of finding one given item
    same_user_content_cosine: float | None  # None without validation users
    same_user_taste_cosine: float | None
    random_content_cosine: float
    random_taste_cosine: float


def evaluate_embedder(
    encoder: ImageEncoder, captions: CaptionTower, data: EmbedderData, dataset: DatasetFolder
) -> EmbedderQuality:
    """Judge an encoder on all items and on the likes of the validation users."""
    content_ND, taste_ND = embed_halves(encoder, data.pixels)
    likes = liked_rows(dataset, "validation")
    rng = np.random.default_rng(PAIR_SEED)
    random_pairs = rng.integers(len(content_ND), size=(RANDOM_PAIRS, 2))
    return EmbedderQuality(
        caption_recall_at_10=_caption_recall(captions, data, content_ND),
        colike_recall_at_10=_colike_recall(taste_ND, likes) if likes else None,
        manner_accuracy=_manner_accuracy(taste_ND, likes, data.same) if likes else None,
        chance_recall_at_10=min(1.0, DEPTH / len(data.item_ids)),
        same_user_content_cosine=_same_user_cosine(content_ND, likes) if likes else None,
        same_user_taste_cosine=_same_user_cosine(taste_ND, likes) if likes else None,
        random_content_cosine=_pair_cosine(content_ND, random_pairs),
        random_taste_cosine=_pair_cosine(taste_ND, random_pairs),
    )


@torch.no_grad()
def embed_halves(encoder: ImageEncoder, pixels: Pixels) -> tuple[Vectors, Vectors]:
    """Return the content and taste halves, each of unit length, of all pictures."""
    halves = [
        encoder.halves(torch.from_numpy(pixels[start : start + BATCH_SIZE]).float() / 255)
        for start in range(0, len(pixels), BATCH_SIZE)
    ]
    content_ND = torch.cat([content for content, _ in halves]).numpy()
    taste_ND = torch.cat([taste for _, taste in halves]).numpy()
    return content_ND, taste_ND


@torch.no_grad()
def _caption_recall(captions: CaptionTower, data: EmbedderData, content_ND: Vectors) -> float:
    row_of_text = {number: row for row, number in enumerate(data.captions)}
    number_of_row = np.array(data.captions)
    texts = captions([data.buckets[row] for row in row_of_text.values()]).numpy()
    hits = [
        number in number_of_row[_nearest(content_ND @ text)]
        for number, text in zip(row_of_text, texts, strict=True)
    ]
    return float(np.mean(hits))


def _colike_recall(taste_ND: Vectors, likes: Sequence[tuple[int, ...]]) -> float:
    """Return how often the mean of a user's older likes finds the newest among new items."""
    hits = []
    for rows in likes:
        older, newest = list(rows[:-1]), rows[-1]
        score_N = taste_ND @ taste_ND[older].mean(axis=0)
        score_N[older] = -np.inf
        hits.append(newest in _nearest(score_N))
    return float(np.mean(hits))


def _manner_accuracy(
    taste_ND: Vectors, likes: Sequence[tuple[int, ...]], same: SameContent | None
) -> float | None:
    """Return how often a user's older likes prefer the newest one to others of its content."""
    if same is None:
        return None
    hits = []
    for rows in likes:
        older, newest = list(rows[:-1]), rows[-1]
        others = same.others_NK[newest, : same.count_N[newest]]
        if len(others):
            score_K = taste_ND[[newest, *others]] @ taste_ND[older].mean(axis=0)
            hits.append(bool(score_K.argmax() == 0))
    return float(np.mean(hits)) if hits else None


def _nearest(score_N: Vectors) -> list[int]:
    rows: list[int] = np.argsort(-score_N, kind="stable")[:DEPTH].tolist()
    return rows


def _same_user_cosine(half_ND: Vectors, likes: Sequence[tuple[int, ...]]) -> float:
    """Return the mean over users of the mean cosine of two different likes."""
    means = []
    for rows in likes:
        cosine = half_ND[list(rows)] @ half_ND[list(rows)].T
        count = len(rows)
        means.append((cosine.sum() - np.trace(cosine)) / (count * (count - 1)))
    return float(np.mean(means))


def _pair_cosine(half_ND: Vectors, pairs: np.ndarray) -> float:
    return float((half_ND[pairs[:, 0]] * half_ND[pairs[:, 1]]).sum(axis=1).mean())
