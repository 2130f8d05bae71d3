"""Choose among the pictures of a sweep: the selection scorer.

In:  pictures made at several reference-mask ratios, the history, the reference.
Out: each picture's scores, and their order.

Score: half the mean similarity to the history, half the similarity to the reference (Pigeon,
section 4.1). This scorer selects, so it never evaluates.
"""

from collections.abc import Sequence

import numpy as np

from pigeon_recsys.ports import ImageEmbedder
from pigeon_recsys.records import Pixels, SweepImage, Vectors

REFERENCE_RATIOS = tuple(round(0.1 * step, 1) for step in range(11))  # α_r from 0.0 to 1.0


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
    made, known = vectors[: len(pictures)], vectors[len(pictures) :]
    similarity = made @ known.T
    history_scores = _mean(similarity[:, : len(history)])
    reference_scores = _mean(similarity[:, len(history) :])
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


def _mean(scores: Vectors) -> Vectors:
    if not scores.shape[1]:
        return np.zeros(len(scores), np.float32)
    means: Vectors = scores.mean(axis=1, dtype=np.float32)
    return means
