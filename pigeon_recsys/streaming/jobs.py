"""Jobs: one image for one user, spelled out so that any worker can make it, at any time.

In:  a user's history, what the image should show, the generator's version.
Out: a job with a key. The same user, history, reference, seed and generator give the same key, so
     a job that is met again is known, and what it made is found again.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from pigeon_recsys.ports import ItemCatalog
from pigeon_recsys.records import GenerationTask, HistoryImage, Reference

KEY_DIGITS = 32  # hex


@dataclass(frozen=True, slots=True)
class GenerationJob:
    """One image to be made. Nothing has to be looked up for it but pictures."""

    user_id: str
    history_hash: str
    history_item_ids: tuple[str, ...]  # the images to show, oldest first
    reference: Reference
    seed: int
    generator_version: str
    reason: str  # why it is made, in the words of the trigger
    priority: int  # higher first
    caused_ms: int  # when what it is made for happened, epoch milliseconds
    started_ms: int  # when it was decided
    request_id: str = ""  # of the request that it answers

    @property
    def key(self) -> str:
        """Thirty-two hex digits that name what is made; not why, when or how urgently."""
        content = [
            self.user_id,
            self.history_hash,
            self.reference.item_id,
            self.reference.text,
            self.seed,
            self.generator_version,
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:KEY_DIGITS]

    def task(self, catalog: ItemCatalog, attempt: int) -> GenerationTask:
        """Return what the generator needs; each attempt is another picture.

        Raises `UnknownItem` where the history or the reference has left the catalog.
        """
        wanted = self.reference.item_id
        return GenerationTask(
            user_id=self.user_id,
            history=tuple(
                HistoryImage(item_id, catalog.pixels(item_id)) for item_id in self.history_item_ids
            ),
            history_hash=self.history_hash,
            reference=self.reference,
            reference_pixels=None if wanted is None else catalog.pixels(wanted),
            seed=_seed(self.key, attempt),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the job as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "GenerationJob":
        """Read what `to_json` wrote. Raises `ValueError`, `TypeError` or `KeyError` on others."""
        if content.keys() != {field.name for field in fields(cls)}:
            raise ValueError(f"a job has the fields {[field.name for field in fields(cls)]}")
        values = {
            **content,
            "history_item_ids": tuple(content["history_item_ids"]),
            "reference": Reference(**content["reference"]),
        }
        return cls(**values)


def _seed(key: str, attempt: int) -> int:
    digest = hashlib.sha256(f"{key}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
