"""Choose among the pictures of a sweep: the selection scorer.

In:  pictures made at several reference-mask ratios, the history, the reference.
Out: each picture's scores, and their order.

Score: half the mean similarity to the history, half the similarity to the reference (Pigeon,
section 4.1). The history says how to draw and the reference what: where the embedder's vectors
have a half for each, the history is compared by taste and the reference by content. This
scorer selects, so it never evaluates.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from pigeon_recsys.ports import ImageEmbedder
from pigeon_recsys.records import Pixels, SweepImage, Vectors

REFERENCE_RATIOS = tuple(round(0.1 * step, 1) for step in range(11))  # α_r from 0.0 to 1.0


@runtime_checkable
class HalvedEmbedder(ImageEmbedder, Protocol):
    """An embedder whose vectors hold what a picture shows before how it is drawn."""

    @property
    def content_dim(self) -> int:
        """Width of the content half; the rest is the taste half."""


def taste_and_content(embedder: ImageEmbedder, vectors_ND: Vectors) -> tuple[Vectors, Vectors]:
    """Return the vectors to compare with the history, and those to compare with the reference.

    Both are unit vectors; of an embedder without halves both are the whole vector.
    """
    if not isinstance(embedder, HalvedEmbedder):
        return vectors_ND, vectors_ND
    content_dim = embedder.content_dim
    return _unit(vectors_ND[:, content_dim:]), _unit(vectors_ND[:, :content_dim])


def score_sweep(
    embedder: ImageEmbedder,
    pictures: Sequence[Pixels],
    ratios: Sequence[float],
    history: Sequence[Pixels],
    reference: Pixels | None,
) -> tuple[SweepImage, ...]:
    """Return each picture with its scores; without a reference or history the other counts."""
    anchors = [*history, *([] if reference is None else [reference])]
    vectors = embedder.embed([*pictures, *anchors])
    taste, content = taste_and_content(embedder, vectors)
    num_made, num_before = len(pictures), len(pictures) + len(history)
    history_scores = _mean(taste[:num_made] @ taste[num_made:num_before].T)
    reference_scores = _mean(content[:num_made] @ content[num_before:].T)
    weights = (0.5 * bool(history), 0.5 * (reference is not None))
    total = sum(weights) or 1.0
    return tuple(
        SweepImage(
            reference_mask_ratio=ratio,
            pixels=picture,
            history_score=float(for_history),
            reference_score=float(for_reference),
            score=float((weights[0] * for_history + weights[1] * for_reference) / total),
        )
        for ratio, picture, for_history, for_reference in zip(
            ratios, pictures, history_scores, reference_scores, strict=True
        )
    )


def best_first(sweep: Sequence[SweepImage]) -> list[SweepImage]:
    """Return the pictures by falling score; of equals the one with the higher ratio first."""
    return sorted(sweep, key=lambda image: (-image.score, -image.reference_mask_ratio))


def _unit(vectors_ND: Vectors) -> Vectors:
    lengths_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    unit: Vectors = vectors_ND / np.maximum(lengths_N1, np.finfo(np.float32).tiny)
    return unit


def _mean(scores: Vectors) -> Vectors:
    if not scores.shape[1]:
        return np.zeros(len(scores), np.float32)
    means: Vectors = scores.mean(axis=1, dtype=np.float32)
    return means
