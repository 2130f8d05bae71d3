"""The decision log in a folder of parquet files: the port `SlateLog`.

In:  batches of entries; behind `BackgroundSlateLog` they have hundreds of rows.
Out: `decisions/date=2026-01-31/part-1769817600000-9f86d081884c7d65.parquet`, and so for `exposures`
     and `outcomes`: one file for each kind and day of a batch, there whole or not at all.

A file is named after its content, so a batch that is tried again after a failure replaces what the
first try left. Any number of threads and processes may write into one folder.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pigeon_recsys.decision_tables import DATE, NAMES, day_of, to_table
from pigeon_recsys.decisions import SlateEntry, bounded, check_may_hash, without_user_id
from pigeon_recsys.errors import LogError
from pigeon_recsys_connectors.whole_files import WholeFiles

COMPRESSION = "zstd"
DIGEST_DIGITS = 16  # hex


class ParquetSlateLog:
    """Implements `SlateLog` on a local or mounted folder."""

    def __init__(self, folder: Path | str, *, hash_users: bool = False) -> None:
        """Make the folder where it is missing. Raises `LogError` where it cannot be written."""
        if hash_users:
            check_may_hash()
        self._folder = Path(folder)
        self._hash_users = hash_users
        try:
            self._files = WholeFiles(self._folder)
        except OSError as exc:
            raise self._failed(exc) from exc

    def write(self, entries: Sequence[SlateEntry]) -> None:
        """Write a file for each kind and day. Raises `LogError` and `EventError`."""
        if self._hash_users:
            entries = [without_user_id(entry) for entry in entries]
        parts: defaultdict[str, list[SlateEntry]] = defaultdict(list)
        for entry in map(bounded, entries):
            parts[f"{NAMES[type(entry)]}/{DATE}{day_of(entry)}"].append(entry)
        files = dict(_file(place, part) for place, part in parts.items())  # all, or none is written
        for name, content in files.items():
            try:
                self._files.write(name, content)
            except OSError as exc:
                raise self._failed(exc) from exc

    def close(self) -> None:
        """Nothing is open between two batches."""

    def _failed(self, exc: OSError) -> LogError:
        return LogError(
            f"cannot write the decision log into {self._folder}: {exc.strerror}. Free space there, "
            "let this user write, or choose another folder."
        )


def _file(place: str, part: Sequence[SlateEntry]) -> tuple[str, bytes]:
    """Return name and content of a file."""
    target = pa.BufferOutputStream()
    pq.write_table(to_table(part), target, compression=COMPRESSION)
    content = target.getvalue().to_pybytes()
    digest = hashlib.sha256(content).hexdigest()[:DIGEST_DIGITS]
    return f"{place}/part-{part[0].at_ms}-{digest}.parquet", content
