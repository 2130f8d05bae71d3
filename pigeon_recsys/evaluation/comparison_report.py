"""A comparison for people and for machines: JSON, Markdown, a contact sheet.

In:  the rows of a comparison and what they were made from.
Out: data for `table.json`, a Markdown page with one table an anchor, a PNG with a row a
     method and a column a user.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from pigeon_recsys.datasets.pixel_table import resize
from pigeon_recsys.evaluation.bootstrap import Estimate
from pigeon_recsys.evaluation.ceilings import Repaint
from pigeon_recsys.evaluation.columns import Column
from pigeon_recsys.evaluation.comparison import MethodRow
from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.evaluation.stand_in import LABEL
from pigeon_recsys.files import write_bytes_atomic
from pigeon_recsys.generation.picture_file import encode_png
from pigeon_recsys.generation.xmp import COMPOSITE
from pigeon_recsys.records import Pixels

ARROWS = {"higher": " ↑", "lower": " ↓", "neither": ""}
SHEET_USERS = 12  # columns of the contact sheet
LABEL_WIDTH = 250  # pixels left of the pictures
HISTORY_COLUMNS = 3  # of the small history pictures in one place
WHITE = 255
STAND_IN_NOTE = (
    f"Columns marked `{LABEL}` come from a small network trained on this data in place of the "
    "pretrained one. They order the methods of this table and compare with no published number."
)
FRECHET_NOTE = (
    "FID falls with the number of pictures, so it compares only the rows of this table with as "
    "many answers. It has no interval: a resampled set holds doubles, which move it."
)


def table_columns(rows: Sequence[MethodRow]) -> list[Column]:
    """Return every column that some row fills, in the order met."""
    return list(
        dict.fromkeys(column for row in rows for column in (*row.estimates, *row.set_values))
    )


def to_json(rows: Sequence[MethodRow], made_from: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole table as plain data."""
    columns = table_columns(rows)
    return {
        **made_from,
        "columns": [asdict(column) | {"title": column.title} for column in columns],
        "methods": [
            {
                "name": row.name,
                "answered": row.num_answered,
                "asked": len(row.pictures),
                "values": {column.title: _value(row, column) for column in columns},
            }
            for row in rows
        ],
        "notes": notes(columns),
    }


def to_markdown(rows: Sequence[MethodRow], made_from: Mapping[str, Any]) -> str:
    """Return the table as one Markdown table for each thing pictures are held against."""
    columns = table_columns(rows)
    parts = ["# Comparison of methods\n"]
    parts += [f"- {name}: {value}" for name, value in made_from.items() if _is_plain(value)]
    for heading in dict.fromkeys(_heading(column.against) for column in columns):
        shown = [column for column in columns if _heading(column.against) == heading]
        parts.append(f"\n## {heading}\n")
        heads = ["method", "answered", *(c.title + ARROWS[c.better] for c in shown)]
        parts += [table_line(heads), table_line(["---"] * len(heads))]
        for row in rows:
            cells = [_cell(row, column) for column in shown]
            answered = f"{row.num_answered} of {len(row.pictures)}"
            parts.append(table_line([row.name, answered, *cells]))
    parts.append("\nMeans with 95 % intervals by bootstrap over users.\n")
    parts += [f"{note}\n" for note in notes(columns)]
    return "\n".join(parts)


def notes(columns: Sequence[Column]) -> list[str]:
    """Return what a reader must know to not be fooled by these columns."""
    found = []
    if any(column.network == LABEL for column in columns):
        found.append(STAND_IN_NOTE)
    if any(column.metric == "FID" for column in columns):
        found.append(FRECHET_NOTE)
    if not any(column.metric == "CIS" for column in columns):
        found.append(
            "No network evaluates here, so CIS, DIS, CS, LPIPS and FID are missing. Train the "
            "stand-in with `pigeon-recsys train evaluator`, or name pretrained networks."
        )
    return found


def estimate_cell(estimate: Estimate | None) -> str:
    """Return a mean with its interval as the cell of a Markdown table."""
    if estimate is None:
        return "–"
    return f"{estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def table_line(cells: Sequence[str]) -> str:
    """Return one line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def contact_sheet(
    cases: Sequence[Case], rows: Sequence[MethodRow], size: tuple[int, int], path: Path
) -> None:
    """Write a PNG: histories and references on top, then a row a method, a column a user."""
    shown = cases[:SHEET_USERS]
    blank = np.full((*size, 3), WHITE, np.uint8)
    strips: dict[str, Sequence[Pixels | None]] = {
        "history": [history_tile(case, size) for case in shown],
        "reference": [case.task.reference_pixels for case in shown],
        **{row.name: row.pictures[: len(shown)] for row in rows},
    }
    bands = [
        _band(name, [blank if p is None else resize(p, *size) for p in strip], size[0])
        for name, strip in strips.items()
    ]
    write_bytes_atomic(path, encode_png(np.concatenate(bands), COMPOSITE))


def repainted(cases: Sequence[Case], repaint: Repaint) -> list[Case]:
    """Return the cases of a contact sheet with pictures as the model paints them from tokens.

    A sheet of these shows no picture of the catalog itself, which may not be ours to publish.
    """
    return [_repainted(case, repaint) for case in cases[:SHEET_USERS]]


def _repainted(case: Case, repaint: Repaint) -> Case:
    task = case.task
    history = tuple(
        replace(image, pixels=repaint(image.pixels, task.seed)) for image in task.history
    )
    reference = task.reference_pixels
    pixels = None if reference is None else repaint(reference, task.seed)
    return replace(case, task=replace(task, history=history, reference_pixels=pixels))


def history_tile(case: Case, size: tuple[int, int]) -> Pixels:
    """Return a user's history pictures, small, in the place of one picture."""
    height, width = (side // HISTORY_COLUMNS for side in size)
    tile = np.full((*size, 3), WHITE, np.uint8)
    for place, image in enumerate(case.task.history[: HISTORY_COLUMNS**2]):
        top, left = place // HISTORY_COLUMNS * height, place % HISTORY_COLUMNS * width
        tile[top : top + height, left : left + width] = resize(image.pixels, height, width)
    return tile


def _band(name: str, pictures: Sequence[Pixels], height: int) -> Pixels:
    """Return a strip of pictures with its name on the left."""
    label = Image.new("RGB", (LABEL_WIDTH, height), "white")
    ImageDraw.Draw(label).text((6, height // 2 - 6), name, fill="black")
    return np.concatenate([np.asarray(label), *pictures], axis=1)


def _value(row: MethodRow, column: Column) -> dict[str, float | int | None] | None:
    """Return a cell as data; a value without an interval has null bounds."""
    if column in row.estimates:
        return asdict(row.estimates[column])
    if column in row.set_values:
        bounds = {"low": None, "high": None, "num_users": None}
        return {"mean": row.set_values[column], **bounds}
    return None


def _cell(row: MethodRow, column: Column) -> str:
    if column in row.set_values:
        return f"{row.set_values[column]:.2f}"
    return estimate_cell(row.estimates.get(column))


def _heading(against: str) -> str:
    if not against:
        return "Against the planted truth"
    return "Near copies" if against.startswith("of ") else f"Against the {against}"


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)
