"""The offline files of a feature repository, where one user is to be erased.

In:  a repository whose offline store is its own files, a user id.
Out: the files without the user's rows.

A file is read and written whole, as any change of it is. A warehouse in the place of the files
has its own way to delete rows.
"""

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pigeon_recsys.files import atomic_path
from pigeon_recsys_connectors.feast_repository import (
    DATA,
    ITEM_OFFLINE_FILE,
    OFFLINE_FILE,
    open_repository,
    vendor_errors,
)

FILES = (OFFLINE_FILE, ITEM_OFFLINE_FILE)


class FeastOfflineFiles:
    """The files of histories and items; what else writes them must not do so meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        open_repository(self._folder)

    @classmethod
    def open(cls, folder: Path) -> "FeastOfflineFiles":
        """Open the feature repository in `folder`. Raises `ArtifactError` when there is none."""
        return cls(folder)

    def forget(self, user_id: str) -> int:
        """Remove a user's rows and return how many there were. Raises `HistoryStoreError`."""
        with vendor_errors(f"removing rows of user {user_id!r}", self._folder):
            return sum(_forget(self._folder / DATA / name, user_id) for name in FILES)


def _forget(path: Path, user_id: str) -> int:
    if not path.is_file():
        return 0
    rows = pq.read_table(path)
    others = rows.filter(pc.fill_null(pc.not_equal(rows["user_id"], user_id), True))
    if len(others) < len(rows):
        with atomic_path(path) as temporary:
            pq.write_table(others, temporary)
    return len(rows) - len(others)
