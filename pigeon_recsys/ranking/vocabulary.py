"""Give every id a row of an embedding table.

Each known id has a row of its own. Ids never seen share `num_unseen` further rows by hash,
which training prepares by pretending that known ids were new (see `samples.py`). Hashing *all*
ids into buckets would be shorter, and would lend a new user the taste of a stranger.

Ids are kept as 64-bit fingerprints: of one size however long the ids are, and an exported
ranker carries no user id in clear.
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from pigeon_recsys.ranking.bags import Ids

FINGERPRINT_BYTES = 8  # among 10 million ids a collision has a chance of 3 in a million
CACHED_IDS = 1 << 16  # a request scores the same catalog again and again


@lru_cache(maxsize=CACHED_IDS)
def fingerprint(raw_id: str) -> int:
    """Return a number for an id, the same on every machine and in every process."""
    digest = hashlib.blake2b(raw_id.encode(), digest_size=FINGERPRINT_BYTES).digest()
    return int.from_bytes(digest, "little")


@dataclass(frozen=True)
class Vocabulary:
    """The rows of one embedding table: known ids first, then the rows shared by new ones."""

    fingerprints: tuple[int, ...]
    num_unseen: int
    _row_of: dict[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rows = {number: row for row, number in enumerate(self.fingerprints)}
        object.__setattr__(self, "_row_of", rows)

    @classmethod
    def of(cls, raw_ids: Iterable[str], num_unseen: int) -> "Vocabulary":
        """Return the vocabulary of these ids, whatever their order."""
        return cls(tuple(sorted({fingerprint(raw_id) for raw_id in raw_ids})), num_unseen)

    @property
    def num_known(self) -> int:
        """How many ids have a row of their own."""
        return len(self.fingerprints)

    @property
    def num_rows(self) -> int:
        """Rows of the table: one a known id, and the shared ones."""
        return self.num_known + self.num_unseen

    def row(self, raw_id: str) -> int:
        """Return the row of one id."""
        number = fingerprint(raw_id)
        row = self._row_of.get(number)
        return self.num_known + number % self.num_unseen if row is None else row

    def rows(self, raw_ids: Iterable[str]) -> Ids:
        """Return the row of each id."""
        return np.array([self.row(raw_id) for raw_id in raw_ids], np.int64)

    def to_json(self) -> dict[str, object]:
        """Return a JSON-serializable form; the fingerprints as base64 of little-endian u64."""
        packed = np.array(self.fingerprints, "<u8").tobytes()
        return {"num_unseen": self.num_unseen, "known": base64.b64encode(packed).decode()}

    @classmethod
    def from_json(cls, fields: dict[str, object]) -> "Vocabulary":
        """Read what `to_json` wrote."""
        packed = base64.b64decode(str(fields["known"]), validate=True)
        fingerprints = np.frombuffer(packed, "<u8").tolist()
        return cls(tuple(fingerprints), int(str(fields["num_unseen"])))
