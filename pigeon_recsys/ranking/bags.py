"""Ragged lists of ids, one bag a row: the form in which ids reach an embedding table.

Row b owns `values[offsets[b]:offsets[b + 1]]`; a bag may be empty. This is a TorchRec
`JaggedTensor` in numpy, so that features are built without torch, for training and serving.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.records import Vectors

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Bags:
    """One ragged id feature for B rows."""

    values: Ids  # (V,) all bags, one after the other
    lengths: Ids  # (B,) how many values each bag holds

    @classmethod
    def from_lists(cls, rows: Iterable[Iterable[int]]) -> "Bags":
        """Return one bag a list."""
        lists = [list(row) for row in rows]
        values = [value for row in lists for value in row]
        return cls(np.array(values, np.int64), np.array([len(row) for row in lists], np.int64))

    @classmethod
    def singles(cls, values: Ids) -> "Bags":
        """Return bags of one value each."""
        return cls(values, np.ones(len(values), np.int64))

    @classmethod
    def concatenated(cls, parts: "Sequence[Bags]") -> "Bags":
        """Return all bags of the parts, one part after the other."""
        return cls(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.lengths for part in parts]),
        )

    @property
    def offsets(self) -> Ids:
        """Where each bag starts, and the end of the last (B + 1,)."""
        return np.concatenate(([0], np.cumsum(self.lengths))).astype(np.int64)

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, rows: Ids) -> "Bags":
        """Return the bags of these rows, in this order; a row may be taken more than once."""
        lengths = self.lengths[rows]
        first_of_taken = np.cumsum(lengths) - lengths
        shift = np.repeat(self.offsets[rows] - first_of_taken, lengths)
        return Bags(self.values[shift + np.arange(lengths.sum())], lengths)

    def emptied(self, is_emptied: NDArray[np.bool_]) -> "Bags":
        """Return the same bags with those of the marked rows emptied."""
        keep_value = ~np.repeat(is_emptied, self.lengths)
        return Bags(self.values[keep_value], np.where(is_emptied, 0, self.lengths))

    def means_of(self, vectors_ID: Vectors) -> Vectors:
        """Return each bag's mean vector (B, D), its values being rows of `vectors_ID`.

        An empty bag's mean is the zero vector.
        """
        means_BD = np.zeros((len(self), vectors_ID.shape[1]), np.float32)
        is_filled = self.lengths > 0
        if is_filled.any():
            starts = self.offsets[:-1][is_filled]
            sums = np.add.reduceat(vectors_ID[self.values], starts, axis=0)
            means_BD[is_filled] = sums / self.lengths[is_filled, None]
        return means_BD
