"""Read the catalog table of a dataset folder.

In:  the bytes of `items.parquet` and the column names from `dataset.yaml`.
Out: one `CatalogRow` per usable row; every fault is noted.
"""

import math
from dataclasses import dataclass
from typing import Any

from pigeon_recsys.datasets.columns import ATTRIBUTE, TEXT, read_columns
from pigeon_recsys.datasets.faults import FaultList, show
from pigeon_recsys.datasets.schema import ItemColumns
from pigeon_recsys.records import GENERATED_PREFIX, Item


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """One item and where its picture is."""

    row: int  # in the table, from 0
    item: Item
    image: str  # as written in the table, relative to the folder


@dataclass(frozen=True, slots=True)
class Catalog:
    """The items table."""

    rows: list[CatalogRow]  # the usable ones, in the order of the table
    known_ids: frozenset[str]  # of every row, so that one fault does not cause another


def read_items(content: bytes, columns: ItemColumns, faults: FaultList) -> Catalog | None:
    """Return the catalog, or None when its columns cannot be read.

    A row without an id, a title or an image is noted and left out, and so are an id's second row
    and an id that is kept for generated items.
    """
    described = dict.fromkeys([*columns.attributes, *columns.instruction], ATTRIBUTE)
    required = dict.fromkeys([columns.id, columns.title, columns.image], TEXT)
    table = read_columns(content, columns.file, described | required, faults)
    if table is None:
        return None
    rows: list[CatalogRow] = []
    first_row: dict[str, int] = {}
    for row in range(len(table[columns.id].values)):
        value = {name: column.values[row] for name, column in table.items()}
        if not _is_filled(value, list(required), columns.file, row, faults):
            continue
        item_id = value[columns.id]
        fault = _fault_of_id(item_id, first_row)
        first_row.setdefault(item_id, row)
        if fault is not None:
            kind, text = fault
            text = f"{columns.id} {show(item_id)} {text}"
            faults.add(kind, columns.file, text, row=row, value=show(item_id))
            continue
        rows.append(CatalogRow(row, _item(value, columns), value[columns.image]))
    if not table[columns.id].values:
        faults.add("empty table", columns.file, "holds no rows. Add the items.")
    known_ids = frozenset(item_id for item_id in table[columns.id].values if item_id is not None)
    return Catalog(rows, known_ids)


def _fault_of_id(item_id: str, first_row: dict[str, int]) -> tuple[str, str] | None:
    """Return kind and text of what is wrong with an id, None if nothing is."""
    if item_id in first_row:
        used = f"was already used at row index {first_row[item_id]}. Give every item its own id."
        return "duplicate item id", used
    if item_id.startswith(GENERATED_PREFIX):
        kept = f"begins with {GENERATED_PREFIX!r}, as ids of generated items do. Give it another."
        return "reserved item id", kept
    return None


def _is_filled(
    value: dict[str, Any], required: list[str], file: str, row: int, faults: FaultList
) -> bool:
    """Note each required column that is null or blank in this row."""
    missing = [name for name in required if not (value[name] or "").strip()]
    for name in missing:
        text = f"{name} is {'null' if value[name] is None else 'empty'}. Fill it, or drop the row."
        faults.add(f"null {name}", file, text, row=row)
    return not missing


def _item(value: dict[str, Any], columns: ItemColumns) -> Item:
    attributes = {name: attribute(value[name]) for name in columns.attributes}
    described = [attribute(value[name]) for name in columns.instruction]
    parts = [", ".join(part) if isinstance(part, tuple) else part for part in described if part]
    return Item(
        item_id=value[columns.id],
        title=value[columns.title],
        instruction=", ".join(parts),
        attributes={name: known for name, known in attributes.items() if known},
    )


def attribute(value: Any) -> str | tuple[str, ...] | None:
    """Return an attribute as text, a list as a tuple of texts; None when nothing is known.

    1995.0 reads "1995": tools that hold nulls as NaN turn whole numbers into floats.
    """
    if isinstance(value, list):
        texts = [attribute(element) for element in value]
        return tuple(text for text in texts if isinstance(text, str)) or None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() or None
