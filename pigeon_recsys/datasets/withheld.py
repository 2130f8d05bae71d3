"""Pictures kept out of training, so that a model can be asked for what it has never seen.

In:  a dataset whose items show the same thing several times, say one concept in five styles.
Out: one item each of a share of these things, chosen by a hash of the ids alone.

The same items are withheld in every command, on every machine, and the thing itself stays known
from its other pictures. `DatasetFolder.without` makes what is withheld unreadable.
"""

import hashlib
from collections import defaultdict
from dataclasses import dataclass

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import SettingsError

SALT = "pigeon-recsys withheld v1:"  # changing it withholds other items


@dataclass(frozen=True)
class Withholding:
    """Withhold one item of `share` of the values of `attribute`."""

    attribute: str
    share: float

    def items(self, dataset: DatasetFolder) -> frozenset[str]:
        """Return the withheld items. Raises `SettingsError` for an attribute not there."""
        if self.attribute not in dataset.attribute_names:
            known = ", ".join(dataset.attribute_names) or "none"
            raise SettingsError(
                f"withhold.attribute {self.attribute!r} is no attribute of the items of "
                f"{dataset.path} (attributes: {known}). Name one of them, or withhold nothing."
            )
        same: dict[str, list[str]] = defaultdict(list)
        for item_id, row in dataset.rows.items():
            value = row.item.attributes.get(self.attribute)
            if value is not None:
                same[str(value)].append(item_id)
        return frozenset(
            min(item_ids, key=_draw)
            for value, item_ids in same.items()
            if len(item_ids) > 1 and _draw(value) < self.share
        )


def _draw(text: str) -> float:
    """Return a number from 0 to 1 that follows from the text."""
    digest = hashlib.sha256(f"{SALT}{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
