"""Read logged outcomes from a parquet file, or write them.

In:  the columns `user_id`, `source`, `score` (the ranker's, from 0 to 1) and `outcome` (from 0 to
     1), and, where outcomes were logged with unequal chances, `propensity` (above 0, at most 1).
Out: `Outcomes`, or one `DatasetError` with every fault.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pigeon_recsys.datasets.columns import NUMBER, TEXT, Column, ColumnKind, read_columns
from pigeon_recsys.datasets.faults import FaultList, show
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.files import write_bytes_atomic
from pigeon_recsys.ranking.calibration import Outcomes

BOOLEAN = "bool"
REQUIRED = {"user_id": TEXT, "source": TEXT, "score": NUMBER}
OUTCOME = ColumnKind(
    lambda dtype: str(dtype) == BOOLEAN or NUMBER.accepts(dtype),
    "numbers or booleans",
    "Convert it to floats.",
)
PROPENSITY = "propensity"


def read_outcomes(path: Path) -> Outcomes:
    """Return what a parquet file holds. Raises `DatasetError` with all that is wrong."""
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise SettingsError(f"cannot read {path}: {exc.strerror}. Name a parquet file.") from exc
    faults = FaultList()
    wanted = {**REQUIRED, "outcome": OUTCOME}
    if _has_propensity(content):
        wanted[PROPENSITY] = NUMBER
    table = read_columns(content, path.name, wanted, faults) or {}
    for name, (holds, rule) in ROW_RULES.items():
        if name in table:
            _check_rows(table[name], path.name, holds, rule, faults)
    if table and not table["score"].values:
        faults.add("no rows", path.name, "holds no outcome. Log some first.")
    faults.raise_any(path.parent)
    propensities = table.get(PROPENSITY)
    return Outcomes(
        scores=_floats(table["score"]),
        sources=table["source"].values,
        outcomes=_floats(table["outcome"]),
        user_ids=table["user_id"].values,
        weights=None if propensities is None else 1 / _floats(propensities),
    )


def write_outcomes(path: Path, logged: Outcomes) -> None:
    """Write outcomes as `read_outcomes` reads them, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {
        "user_id": logged.user_ids,
        "source": logged.sources,
        "score": logged.scores,
        "outcome": logged.outcomes,
    }
    if logged.weights is not None:
        columns[PROPENSITY] = 1 / logged.weights
    target = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), target)
    write_bytes_atomic(path, target.getvalue().to_pybytes())


def _has_propensity(content: bytes) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return PROPENSITY in pq.read_schema(pa.BufferReader(content)).names
    except (pa.ArrowException, OSError):
        return False  # what is no parquet is told by whoever reads the columns


def _check_rows(
    column: Column, file: str, holds: Callable[[Any], bool], rule: str, faults: FaultList
) -> None:
    for row, value in enumerate(column.values):
        if value is None or not holds(value):
            text = f"{column.name} must be {rule}, got {show(value)}."
            faults.add(f"wrong {column.name}", file, text, row=row, value=show(value))


def _floats(column: Column) -> "np.typing.NDArray[np.float64]":
    return np.array(column.values, np.float64)


ROW_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "user_id": (bool, "a text that is not empty"),
    "source": (bool, "a text that is not empty"),
    "score": (lambda value: 0 <= value <= 1, "from 0 to 1"),
    "outcome": (lambda value: 0 <= value <= 1, "from 0 to 1"),
    PROPENSITY: (lambda value: 0 < value <= 1, "above 0 and at most 1"),
}
