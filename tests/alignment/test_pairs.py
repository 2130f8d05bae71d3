"""Preference pairs: which images are paired, and the table they are kept in."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pigeon_recsys.alignment.examples import EMPTY, ItemTokens
from pigeon_recsys.alignment.pairs import (
    Sweep,
    is_made_from,
    join_pairs,
    pair_metrics,
    read_pairs,
    write_pairs,
)
from pigeon_recsys.errors import ArtifactError

ITEMS = ItemTokens({f"i{n}": n for n in range(8)}, torch.zeros(8, 2, dtype=torch.long), ())


def a_sweep(split: str = "train", history: tuple[str, ...] = ("i3", "i4")) -> Sweep:
    return Sweep(
        split=split,
        history=history,
        reference="i5",
        ratios=(0.0, 0.5, 1.0),
        visual_RT=np.array([[1, 2], [3, 4], [5, 6]]),
        history_score_R=np.array([0.25, 0.5, 0.75], np.float32),
        reference_score_R=np.array([1.0, 0.5, 0.0], np.float32),
    )


def test_the_best_by_history_is_chosen_and_the_worst_rejected() -> None:
    row = a_sweep().pair(reference_weight=0.0)
    assert (row["chosen_ratio"], row["rejected_ratio"]) == (1.0, 0.0)
    assert (row["chosen_tokens"], row["rejected_tokens"]) == ([5, 6], [1, 2])
    assert (row["chosen_score"], row["rejected_score"], row["margin"]) == (0.75, 0.25, 0.5)


def test_a_reference_weight_pays_for_keeping_the_reference() -> None:
    """Half and half: 0.625, 0.5 and 0.375, so the order turns round."""
    row = a_sweep().pair(reference_weight=0.5)
    assert (row["chosen_ratio"], row["rejected_ratio"]) == (0.0, 1.0)
    assert row["margin"] == pytest.approx(0.25)


def written(path: Path, *sweeps: Sweep, **changes: Any) -> Path:
    rows = [sweep.pair(0.0) | changes for sweep in sweeps]
    write_pairs(path, rows, {"seed": 1})
    return path


def test_pairs_are_read_back_by_split(tmp_path: Path) -> None:
    """Two history images and the reference stand at the end of a window of six."""
    path = written(tmp_path / "pairs.parquet", a_sweep(), a_sweep("validation", ("i1",)))
    train, validation = (read_pairs(path, ITEMS, split) for split in ("train", "validation"))
    assert train.window_PW.tolist() == [[EMPTY, EMPTY, EMPTY, 3, 4, 5]]
    assert validation.window_PW.tolist() == [[EMPTY, EMPTY, EMPTY, EMPTY, 1, 5]]
    assert train.chosen_PT.tolist() == [[5, 6]]
    assert train.rejected_PT.tolist() == [[1, 2]]
    assert train.margin_P.tolist() == [0.5]


def test_a_split_without_pairs_is_empty(tmp_path: Path) -> None:
    table = read_pairs(written(tmp_path / "pairs.parquet", a_sweep()), ITEMS, "validation")
    assert len(table) == 0
    assert len(table.telling(0.0)) == 0


def test_joined_parts_say_what_they_were_made_from(tmp_path: Path) -> None:
    parts = [written(tmp_path / f"{n}.parquet", a_sweep()) for n in range(2)]
    join_pairs(tmp_path / "pairs.parquet", parts)
    assert is_made_from(tmp_path / "pairs.parquet", {"seed": 1})
    assert not is_made_from(tmp_path / "pairs.parquet", {"seed": 2})
    assert not is_made_from(tmp_path / "absent.parquet", {"seed": 1})
    metrics = pair_metrics(tmp_path / "pairs.parquet")
    assert metrics["pairs"] == 2
    assert (metrics["margin"], metrics["chosen_ratio"]) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"reference": "i99"}, r"names items that this dataset lacks \(first: 'i99'\)"),
        ({"history": []}, "holds histories that are not of 1 to 5 images"),
        ({"chosen_tokens": [1, 2, 3]}, "was not made for 2 tokens an image"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(
    tmp_path: Path, changes: dict[str, Any], fault: str
) -> None:
    path = written(tmp_path / "pairs.parquet", a_sweep(), **changes)
    with pytest.raises(ArtifactError, match=rf"pairs\.parquet {fault}.*pigeon-recsys train pairs"):
        read_pairs(path, ITEMS, "train")


def test_files_that_hold_no_pairs_are_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    with pytest.raises(ArtifactError, match=r"pairs\.parquet is missing.*train pairs"):
        read_pairs(path, ITEMS, "train")
    path.write_bytes(b"garbage")
    with pytest.raises(ArtifactError, match="is no parquet file"):
        read_pairs(path, ITEMS, "train")
    assert not is_made_from(path, {})
    pq.write_table(pa.table({"split": ["train"]}), path)
    with pytest.raises(ArtifactError, match="does not hold preference pairs"):
        read_pairs(path, ITEMS, "train")
