"""Preference pairs on disk: for one prompt, the image to prefer and the one to avoid.

    RUN/pairs.parquet   one row a window of liked images

`split` train or validation, by user · `history`, `reference` item ids, history oldest first ·
`chosen_*`, `rejected_*` reference-mask ratio, score and visual ids of the two images ·
`margin` between their scores · `ratios`, `history_scores`, `reference_scores` of all images
made, so that pairs can be chosen anew by another score. The file's metadata says what it was
made from.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from pigeon_recsys.alignment.examples import EMPTY, WINDOW, ItemTokens
from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.files import atomic_path
from pigeon_recsys.model.pigeon import HISTORY_LENGTH
from pigeon_recsys.records import Vectors

# P pairs, W window length, T tokens per image, R reference-mask ratios

PAIRS_FILE = "pairs.parquet"
REBUILD = "pigeon-recsys train pairs --data DIR --out RUN"
MADE_FROM = b"pigeon_recsys.pairs"  # key in the file's metadata
SCHEMA = pa.schema(
    {
        "split": pa.string(),
        "history": pa.list_(pa.string()),
        "reference": pa.string(),
        "chosen_ratio": pa.float64(),
        "rejected_ratio": pa.float64(),
        "chosen_score": pa.float32(),
        "rejected_score": pa.float32(),
        "margin": pa.float32(),
        "chosen_tokens": pa.list_(pa.int32()),
        "rejected_tokens": pa.list_(pa.int32()),
        "ratios": pa.list_(pa.float64()),
        "history_scores": pa.list_(pa.float32()),
        "reference_scores": pa.list_(pa.float32()),
    }
)


@dataclass(frozen=True)
class PairTable:
    """Pairs as stage 2 reads them; a window's last image is the reference."""

    window_PW: NDArray[np.int64]  # rows of the item table, `EMPTY` where there is no image
    chosen_PT: Tensor
    rejected_PT: Tensor
    margin_P: Vectors

    def __len__(self) -> int:
        return len(self.window_PW)

    def rows(self, rows: NDArray[np.int64]) -> "PairTable":
        """Return the pairs at `rows`, in that order."""
        chosen_PT, rejected_PT = self.chosen_PT[rows], self.rejected_PT[rows]
        return PairTable(self.window_PW[rows], chosen_PT, rejected_PT, self.margin_P[rows])

    def telling(self, min_margin: float) -> "PairTable":
        """Return the pairs that teach something: far enough apart, and not the same tokens."""
        differs_P = (self.chosen_PT != self.rejected_PT).any(dim=1).numpy()
        return self.rows(np.flatnonzero(differs_P & (self.margin_P >= min_margin)))


@dataclass(frozen=True)
class Sweep:
    """The images of one prompt at all reference-mask ratios, with their scores."""

    split: str
    history: tuple[str, ...]  # item ids, oldest first
    reference: str
    ratios: tuple[float, ...]
    visual_RT: NDArray[np.int64]
    history_score_R: Vectors  # mean similarity to the history images
    reference_score_R: Vectors  # similarity to the reference

    def pair(self, reference_weight: float) -> dict[str, Any]:
        """Return the table's row: the best image chosen and the worst rejected.

        `reference_weight` is the reference's share of the score; the paper's is 0. Of equals
        the first is taken.
        """
        history_R, reference_R = self.history_score_R, self.reference_score_R
        score_R = (1 - reference_weight) * history_R + reference_weight * reference_R
        best, worst = int(score_R.argmax()), int(score_R.argmin())
        return {
            "split": self.split,
            "history": list(self.history),
            "reference": self.reference,
            "chosen_ratio": self.ratios[best],
            "rejected_ratio": self.ratios[worst],
            "chosen_score": float(score_R[best]),
            "rejected_score": float(score_R[worst]),
            "margin": float(score_R[best] - score_R[worst]),
            "chosen_tokens": self.visual_RT[best].tolist(),
            "rejected_tokens": self.visual_RT[worst].tolist(),
            "ratios": list(self.ratios),
            "history_scores": history_R.tolist(),
            "reference_scores": reference_R.tolist(),
        }


def write_pairs(
    path: Path, rows: Sequence[Mapping[str, Any]], made_from: Mapping[str, Any]
) -> None:
    """Write pairs and what they were made from, whole or not at all."""
    metadata = {MADE_FROM: json.dumps(made_from, sort_keys=True)}
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=SCHEMA)
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary)


def join_pairs(path: Path, parts: Iterable[Path]) -> None:
    """Write one file of several that were made from the same."""
    table = pa.concat_tables([pq.read_table(part) for part in parts])
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def is_made_from(path: Path, made_from: Mapping[str, Any]) -> bool:
    """Say whether `path` holds pairs made from exactly this; a damaged file does not."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException):
        return False
    return bool(metadata.get(MADE_FROM) == json.dumps(made_from, sort_keys=True).encode())


def read_pairs(path: Path, items: ItemTokens, split: str) -> PairTable:
    """Read the pairs of one split. Raises `ArtifactError` naming the file."""
    rows = [row for row in _read_rows(path) if row["split"] == split]
    named = {item_id for row in rows for item_id in (*row["history"], row["reference"])}
    unknown = sorted(named - items.row.keys())
    if unknown:
        raise ArtifactError(
            path, f"names items that this dataset lacks (first: {unknown[0]!r})", rebuild=REBUILD
        )
    window_PW = np.full((len(rows), WINDOW), EMPTY, dtype=np.int64)
    for window, row in zip(window_PW, rows, strict=True):
        images = [items.row[item_id] for item_id in (*row["history"], row["reference"])]
        window[WINDOW - len(images) :] = images
    num_tokens = items.visual_NT.shape[1]
    tokens = [torch.empty(0, num_tokens, dtype=torch.long)] * 2
    if rows:
        names = ("chosen_tokens", "rejected_tokens")
        tokens = [torch.tensor([row[name] for row in rows], dtype=torch.long) for name in names]
    if any(part.shape[1] != num_tokens for part in tokens):
        raise ArtifactError(path, f"was not made for {num_tokens} tokens an image", rebuild=REBUILD)
    margin_P = np.array([row["margin"] for row in rows], dtype=np.float32)
    return PairTable(window_PW, tokens[0], tokens[1], margin_P)


def pair_metrics(path: Path) -> dict[str, float]:
    """Return what a person wants to know of finished pairs."""
    rows = _read_rows(path)
    columns = ("margin", "chosen_score", "rejected_score", "chosen_ratio", "rejected_ratio")
    means = {name: float(np.mean([row[name] for row in rows])) for name in columns}
    return {"pairs": float(len(rows))} | means


def _read_rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise ArtifactError(path, "is missing", rebuild=REBUILD)
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as exc:
        raise ArtifactError(path, "is no parquet file", rebuild=REBUILD) from exc
    if not table.schema.equals(SCHEMA):
        raise ArtifactError(path, "does not hold preference pairs", rebuild=REBUILD)
    rows: list[dict[str, Any]] = table.to_pylist()
    if any(not 1 <= len(row["history"]) <= HISTORY_LENGTH for row in rows):
        fault = f"holds histories that are not of 1 to {HISTORY_LENGTH} images"
        raise ArtifactError(path, fault, rebuild=REBUILD)
    return rows
