"""Outcomes from parquet: every fault told, with its row."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pigeon_recsys.errors import DatasetError, SettingsError
from pigeon_recsys.ranking.outcome_table import read_outcomes, write_outcomes

GOOD: dict[str, list[Any]] = {
    "user_id": ["ada", "bob"],
    "source": ["catalog", "generated"],
    "score": [0.25, 0.75],
    "outcome": [1.0, 0.0],
}


def table(folder: Path, **columns: list[Any]) -> Path:
    path = folder / "outcomes.parquet"
    pq.write_table(pa.table({**GOOD, **columns}), path)
    return path


def test_rows_become_outcomes_and_a_propensity_its_weight(tmp_path: Path) -> None:
    logged = read_outcomes(table(tmp_path, outcome=[True, False], propensity=[0.5, 1.0]))
    assert logged.scores.tolist() == [0.25, 0.75]
    assert (list(logged.sources), list(logged.user_ids)) == (GOOD["source"], GOOD["user_id"])
    assert logged.outcomes.tolist() == [1, 0]
    assert logged.weight.tolist() == [2, 1]
    assert read_outcomes(table(tmp_path)).weight.tolist() == [1, 1]


@pytest.mark.parametrize("more", [{}, {"propensity": [0.25, 1.0]}], ids=["plain", "weighted"])
def test_what_is_written_is_read_again(tmp_path: Path, more: dict[str, Any]) -> None:
    logged = read_outcomes(table(tmp_path, **more))
    write_outcomes(tmp_path / "written.parquet", logged)
    again = read_outcomes(tmp_path / "written.parquet")
    for name in ("scores", "outcomes", "weight", "sources", "user_ids"):
        assert list(getattr(again, name)) == list(getattr(logged, name))
    assert (again.weights is None) == (not more)


def test_every_fault_is_told_with_its_row_and_value(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        user_id=["ada", None],
        source=["", "generated"],
        score=[float("nan"), 1.5],
        outcome=[-1.0, None],
        propensity=[0.0, 2.0],
    )
    with pytest.raises(DatasetError) as caught:
        read_outcomes(path)
    assert len(caught.value.faults) == 8
    assert "outcomes.parquet, row index 1: score must be from 0 to 1, got 1.5." in str(caught.value)
    assert "row index 0: propensity must be above 0 and at most 1, got 0.0." in str(caught.value)


def test_missing_columns_and_no_rows_are_told(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.parquet"
    pq.write_table(pa.table({"user_id": ["ada"], "score": ["high"]}), path)
    with pytest.raises(DatasetError, match="3 faults"):
        read_outcomes(path)
    pq.write_table(pq.read_table(table(tmp_path)).slice(0, 0), path)
    with pytest.raises(DatasetError, match="holds no outcome. Log some first"):
        read_outcomes(path)


def test_what_is_no_parquet_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("user_id,score")
    with pytest.raises(DatasetError, match="is no parquet file"):
        read_outcomes(tmp_path / "text.parquet")
    with pytest.raises(SettingsError, match=r"cannot read .*none\.parquet: No such file"):
        read_outcomes(tmp_path / "none.parquet")
