"""The picture a user would want to see, where the data knows it.

In:  a dataset folder with planted tastes beside it.
Out: for a user and a reference, the reference's content in the user's style.

Two kinds of data know it. A sticker world can draw it. A catalog whose items carry `concept`
and `style`, with each user's `main_style` planted, holds it. For evaluation only: no model,
ranker or policy may read any of this.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.sticker_drawing import (
    CONTENT_FACTORS,
    STYLE_FACTORS,
    Sticker,
    draw_sticker,
)
from pigeon_recsys.datasets.world import USERS_TRUTH
from pigeon_recsys.evaluation.personalization import read_main_styles
from pigeon_recsys.records import Pixels


class Truth(Protocol):
    """Knows what users would want to see."""

    def allows(self, user_id: str, reference_id: str) -> bool:
        """Say whether the reference is a fair question: answered, and not by itself."""

    def content(self, reference_id: str) -> str:
        """Return what the reference shows; two that show the same ask a user for the same."""

    def target(self, user_id: str, reference_id: str) -> Pixels:
        """Return the reference's content in the user's style, for an allowed reference."""


@dataclass(frozen=True)
class DrawnTruth:
    """Draws the target of a sticker world from its planted factors."""

    world: DatasetFolder
    main_styles: Mapping[str, Mapping[str, str]]  # of every user

    def allows(self, user_id: str, reference_id: str) -> bool:
        """Every reference can be drawn in every style."""
        return user_id in self.main_styles and reference_id in self.world.rows

    def content(self, reference_id: str) -> str:
        """Return the factors that are not style."""
        attributes = self.world.item(reference_id).attributes
        return ", ".join(str(attributes[factor]) for factor in CONTENT_FACTORS)

    def target(self, user_id: str, reference_id: str) -> Pixels:
        """Return the sticker, drawn at the size of the reference."""
        attributes = self.world.item(reference_id).attributes
        content = {factor: str(attributes[factor]) for factor in CONTENT_FACTORS}
        size = self.world.pixels(reference_id).shape[0]
        seed = zlib.crc32(f"{user_id} {reference_id}".encode())
        sticker = Sticker(**self.main_styles[user_id], **content)
        return draw_sticker(sticker, size, np.random.default_rng(seed))


@dataclass(frozen=True)
class CatalogTruth:
    """Finds the target among items with the same concept in the user's main style.

    Where training withheld pictures, these are the only targets.
    """

    catalog: DatasetFolder  # all of it, withheld pictures too
    main_styles: Mapping[str, str]  # of every user
    item_of: Mapping[tuple[str, str], str]  # concept and style to item
    withheld: frozenset[str] = frozenset()

    def allows(self, user_id: str, reference_id: str) -> bool:
        """Ask only for concepts shown in another style whose target exists."""
        style = self.main_styles.get(user_id, "")
        target_id = self.item_of.get((self.content(reference_id), style))
        if target_id is None or self.catalog.item(reference_id).attributes["style"] == style:
            return False
        is_new = target_id in self.withheld and reference_id not in self.withheld
        return is_new or not self.withheld

    def content(self, reference_id: str) -> str:
        """Return the concept."""
        return str(self.catalog.item(reference_id).attributes["concept"])

    def target(self, user_id: str, reference_id: str) -> Pixels:
        """Return the catalog's picture of the concept in the user's style."""
        style = self.main_styles[user_id]
        return self.catalog.pixels(self.item_of[self.content(reference_id), style])


def read_truth(dataset: DatasetFolder, withheld: frozenset[str] = frozenset()) -> Truth | None:
    """Return what the dataset's folder knows of its users' wishes; None where it is nothing.

    `withheld` are the items that training never saw, which makes them the ones to ask for.
    """
    path = dataset.path / USERS_TRUTH
    if not path.is_file():
        return None
    columns = _columns(path)
    names = set(dataset.attribute_names)
    if {f"main_{factor}" for factor in STYLE_FACTORS} <= columns and set(CONTENT_FACTORS) <= names:
        return DrawnTruth(dataset, read_main_styles(path))
    if "main_style" in columns and {"concept", "style"} <= names:
        items = _items_by_concept_and_style(dataset)
        return CatalogTruth(dataset, _main_style(path), items, withheld)
    return None


def _columns(path: Path) -> set[str]:
    import pyarrow.parquet as pq

    return set(pq.read_schema(path).names)


def _main_style(path: Path) -> dict[str, str]:
    import pyarrow.parquet as pq

    rows = pq.read_table(path, columns=["user_id", "main_style"]).to_pylist()
    return {row["user_id"]: row["main_style"] for row in rows}


def _items_by_concept_and_style(dataset: DatasetFolder) -> dict[tuple[str, str], str]:
    return {
        (str(row.item.attributes["concept"]), str(row.item.attributes["style"])): item_id
        for item_id, row in dataset.rows.items()
    }
