"""The likes that show a user's taste best, as the training examples they make.

In:  a dataset and the taste half of its items' embeddings.
Out: windows like those of `examples`, all of typical likes or with a typical target.

A stray like is noise to a model that has to predict it. Serving shows the generator typical likes
(`retrieval.history_selection`), and a document whose pictures agree teaches in far fewer steps
that the next picture looks like those before it (`benchmarks/LOG.md`): the language model learns
from these. In stage 1 the history keeps its stray likes, since telling them apart is the mask
generator's task; only what is to be reconstructed is typical.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.alignment.embedder_evaluation import embed_halves
from pigeon_recsys.alignment.examples import WINDOW, Examples, ItemTokens, liked_rows, windows_of
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.pixel_table import PixelTable
from pigeon_recsys.datasets.split import Split
from pigeon_recsys.model.image_encoder import load_image_encoder
from pigeon_recsys.records import Vectors
from pigeon_recsys.retrieval.history_selection import typicality

TYPICAL_SHARE = 0.6  # of a user's likes; with fewer, windows repeat each other
MIN_TYPICAL = 6  # likes: one whole window, where the user has as many


def taste_vectors(dataset: DatasetFolder, embedder: Path) -> Vectors:
    """Return the taste half of every item's embedding, in item order, by saved weights."""
    encoder = load_image_encoder(embedder)
    side = encoder.config.image_size
    pixels = PixelTable.load(dataset, dataset.item_ids, side, side).pixels
    return embed_halves(encoder, pixels)[1]


def typical_examples(
    dataset: DatasetFolder, items: ItemTokens, taste_ND: Vectors, length: int = WINDOW
) -> Examples:
    """Return windows over typical likes; `taste_ND` holds the items' taste halves, by row."""
    train, validation = (
        windows_of(typical_likes(dataset, items, taste_ND, split), length)
        for split in ("train", "validation")
    )
    return Examples(items, train, validation)


def typical_likes(
    dataset: DatasetFolder, items: ItemTokens, taste_ND: Vectors, split: Split
) -> Iterator[list[int]]:
    """Yield the most typical likes of each user of a split, oldest first."""
    for liked in liked_rows(dataset, items, split):
        yield typical_rows(liked, taste_ND)


def typical_targets(dataset: DatasetFolder, items: ItemTokens, taste_ND: Vectors) -> Examples:
    """Return those windows over all likes whose target is a typical like of its user."""

    def windows(split: Split) -> NDArray[np.int64]:
        kept = [windows_of([])]
        for liked in liked_rows(dataset, items, split):
            window_NW = windows_of([liked])
            kept.append(window_NW[np.isin(window_NW[:, -1], typical_rows(liked, taste_ND))])
        return np.concatenate(kept)

    return Examples(items, windows("train"), windows("validation"))


def typical_rows(liked: Sequence[int], taste_ND: Vectors) -> list[int]:
    """Return the most typical of a user's likes, in the order given."""
    count = max(MIN_TYPICAL, round(TYPICAL_SHARE * len(liked)))
    typical_N = typicality(taste_ND[list(liked)])
    best = np.argsort(-typical_N, kind="stable")[:count]
    return [liked[place] for place in sorted(best.tolist())]
