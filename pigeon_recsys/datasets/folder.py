"""The dataset folder: a catalog with pictures, and what users did with it.

In:  a folder with `dataset.yaml`, two parquet tables and the pictures.
Out: a `DatasetFolder`, which is an `ItemCatalog` and the source of user histories.

Opening reads and checks the tables and that every picture exists; pictures are decoded when
they are asked for. `pigeon-recsys data validate` decodes them all.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from pigeon_recsys.datasets.faults import FaultList, show
from pigeon_recsys.datasets.interaction_table import read_interactions
from pigeon_recsys.datasets.item_table import Catalog, CatalogRow, read_items
from pigeon_recsys.datasets.pictures import BadPicture, decode_picture, picture_path
from pigeon_recsys.datasets.schema import SPEC_FILE, DatasetSpec, ItemColumns, parse_spec
from pigeon_recsys.errors import DatasetError, UnknownItem, UnknownUser
from pigeon_recsys.history.from_interactions import histories_by_user
from pigeon_recsys.records import LIKE, History, Interaction, Item, Pixels, ScoredItem


@dataclass(frozen=True)
class DatasetFolder:
    """A dataset folder whose tables have been read and found sound."""

    path: Path
    name: str
    task: Literal["sticker", "poster"]
    attribute_names: tuple[str, ...]
    interactions: tuple[Interaction, ...]  # sorted by user, time, item
    fingerprint: str  # sha256 over dataset.yaml and the tables, not the pictures
    rows: Mapping[str, CatalogRow]  # by item id, in the order of the table
    spec: DatasetSpec

    @classmethod
    def open(cls, path: Path) -> "DatasetFolder":
        """Read a folder. Raises `DatasetError`, which lists every fault, not only the first."""
        faults = FaultList()
        dataset = read_folder(path, faults)
        faults.raise_any(path)
        assert dataset is not None, "a folder without faults has been read"
        return dataset

    @cached_property
    def item_ids(self) -> tuple[str, ...]:
        """Every item id, in the order of the table."""
        return tuple(self.rows)

    @cached_property
    def user_ids(self) -> tuple[str, ...]:
        """Every user with an interaction, sorted."""
        return tuple(self._histories)

    def item(self, item_id: str) -> Item:
        """Return one item. Raises `UnknownItem`."""
        return self._row(item_id).item

    def has(self, item_ids: Sequence[str]) -> list[bool]:
        """Say of each id whether it is an item of the dataset."""
        return list(map(self.rows.__contains__, item_ids))

    def pixels(self, item_id: str) -> Pixels:
        """Return the item's picture at its stored size.

        Raises `UnknownItem`, and `DatasetError` for a broken file.
        """
        image = self._row(item_id).image
        try:
            return decode_picture(picture_path(self.path.resolve(), image))
        except BadPicture as exc:
            raise DatasetError(self.path, [f"item {item_id!r}: image {image!r} {exc}"]) from exc

    def popular(self, limit: int) -> list[ScoredItem]:
        """Return the most liked items with their number of likes, best first; ties by id."""
        return self._by_likes[: max(0, limit)]

    def history(self, user_id: str) -> History:
        """Return all of a user's interactions. Raises `UnknownUser`."""
        try:
            return self._histories[user_id]
        except KeyError:
            raise UnknownUser(user_id) from None

    def histories(self) -> Iterator[History]:
        """Yield the history of every user, in the order of the user ids."""
        yield from self._histories.values()

    def without(self, item_ids: Collection[str]) -> "DatasetFolder":
        """Return the dataset as if these items, and all events on them, had never been."""
        return replace(
            self,
            rows={key: row for key, row in self.rows.items() if key not in item_ids},
            interactions=tuple(row for row in self.interactions if row.item_id not in item_ids),
        )

    def _row(self, item_id: str) -> CatalogRow:
        try:
            return self.rows[item_id]
        except KeyError:
            where = f"the dataset folder {self.path.name!r}"  # a path is not for outsiders
            raise UnknownItem(item_id, where=where, num_known=len(self.rows)) from None

    @cached_property
    def _histories(self) -> dict[str, History]:
        return histories_by_user(self.interactions)

    @cached_property
    def _by_likes(self) -> list[ScoredItem]:
        likes = Counter(row.item_id for row in self.interactions if row.event == LIKE)
        scored = [ScoredItem(item_id, float(likes[item_id])) for item_id in self.rows]
        return sorted(scored, key=lambda item: (-item.score, item.item_id))


def read_folder(path: Path, faults: FaultList) -> DatasetFolder | None:
    """Return the sound part of a folder after noting every fault; None without a catalog."""
    if not path.is_dir():
        faults.add("missing folder", ".", "is no folder. Name a dataset folder.")
        return None
    spec_bytes = _file_bytes(path, SPEC_FILE, faults)
    spec = None if spec_bytes is None else parse_spec(spec_bytes, faults)
    if spec_bytes is None or spec is None:
        return None
    item_bytes = _file_bytes(path, spec.items.file, faults)
    event_bytes = _file_bytes(path, spec.interactions.file, faults)
    catalog = None if item_bytes is None else read_items(item_bytes, spec.items, faults)
    known_ids = None if catalog is None else catalog.known_ids
    interactions = (
        []
        if event_bytes is None
        else read_interactions(event_bytes, spec.interactions, known_ids, faults)
    )
    if catalog is None:
        return None
    _note_missing_pictures(path, spec, catalog, faults)
    return DatasetFolder(
        path=path,
        name=spec.name,
        task=spec.task,
        attribute_names=tuple(spec.items.attributes),
        interactions=tuple(sorted(interactions, key=_by_user_time_item)),
        fingerprint=_fingerprint(spec_bytes, item_bytes or b"", event_bytes or b""),
        rows={row.item.item_id: row for row in catalog.rows},
        spec=spec,
    )


def _by_user_time_item(row: Interaction) -> tuple[str, int, str, str]:
    return row.user_id, row.at_ms, row.item_id, row.event


def _file_bytes(path: Path, file: str, faults: FaultList) -> bytes | None:
    """Return the bytes of one file of the folder, or None after noting why not."""
    try:
        if not (path / file).resolve().is_relative_to(path.resolve()):
            text = "leads out of the folder. Copy the file into it."
            faults.add("file outside", file, text, value=show(file))
            return None
        return (path / file).read_bytes()
    except FileNotFoundError:
        faults.add("missing file", file, "does not exist. Add it, or name another folder.")
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        faults.add("unreadable file", file, f"cannot be read: {reason}. Correct that.")
    return None


def _note_missing_pictures(
    path: Path, spec: DatasetSpec, catalog: Catalog, faults: FaultList
) -> None:
    folder = path.resolve()
    for row in catalog.rows:
        try:
            picture_path(folder, row.image)
        except BadPicture as exc:
            note_picture(exc, spec.items, row, faults)


def note_picture(
    fault: BadPicture, columns: ItemColumns, row: CatalogRow, faults: FaultList
) -> None:
    """Note what is wrong with the picture of one row."""
    text = f"{columns.image} {show(row.image)} {fault}"
    faults.add(fault.kind, columns.file, text, row=row.row, value=show(row.image))


def _fingerprint(*contents: bytes) -> str:
    """Return a hash over the files' lengths and bytes."""
    digest = hashlib.sha256()
    for content in contents:
        digest.update(f"{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()
