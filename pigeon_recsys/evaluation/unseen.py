"""What the weights under evaluation have never seen of a dataset.

In:  a dataset, and the run folder whose `pigeon.json` tells what was trained on.
Out: the users that may be asked for, and the dataset without the pictures training withheld.

Of data the weights were not trained on, every user is new and no picture is withheld.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.split import users_in
from pigeon_recsys.datasets.withheld import Withholding
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ports import ItemIndex
from pigeon_recsys.retrieval.history_selection import NUM_IMAGES


@dataclass(frozen=True)
class UnseenPart:
    """The users never trained on, and the catalog that training has seen."""

    catalog: DatasetFolder  # without the withheld pictures and all events on them
    user_ids: tuple[str, ...]  # never trained on, with likes for every history image
    num_thin: int  # further users never trained on, with fewer likes than that
    withheld: frozenset[str] = frozenset()  # item ids
    attribute: str = ""  # each withheld item is one of several alike in it

    @classmethod
    def of(cls, dataset: DatasetFolder, weights: Path) -> "UnseenPart":
        """Read what the weights say of their training."""
        rule = _withholding(dataset, weights)
        withheld = frozenset() if rule is None else rule.items(dataset)
        catalog = dataset.without(withheld)
        users = users_never_trained_on(catalog, weights)
        whole = [user for user in users if len(catalog.history(user).liked) >= NUM_IMAGES]
        attribute = "" if rule is None else rule.attribute
        return cls(catalog, tuple(whole), len(users) - len(whole), withheld, attribute)

    def check_not_in(self, index: ItemIndex) -> None:
        """Raise `SettingsError` if the index holds a withheld item: retrieval would show it."""
        if not self.withheld:
            return
        query = index.vectors(self.catalog.item_ids[:1])[0]
        found = index.search(query, 1, within=sorted(self.withheld))
        if found:
            raise SettingsError(
                f"the index holds {found[0].item_id!r}, which training withheld. "
                "Index `UnseenPart.of(dataset, weights).catalog` instead."
            )

    def told(self) -> dict[str, str]:
        """Return what a reader of the numbers must know of it."""
        found = {}
        if self.withheld:
            count = len(self.withheld)
            found["withheld"] = f"{count} pictures of {count} {self.attribute}s"
        if self.num_thin:
            found["users_left_out"] = f"{self.num_thin} with fewer than {NUM_IMAGES} likes"
        return found


def users_never_trained_on(dataset: DatasetFolder, weights: Path) -> tuple[str, ...]:
    """Return the test users of the dataset the weights were trained on, all of any other one."""
    if _training_on(dataset, weights):
        return users_in(dataset.user_ids, "test")
    return dataset.user_ids


def _withholding(dataset: DatasetFolder, weights: Path) -> Withholding | None:
    """Return the rule by which training on this dataset withheld pictures."""
    rule = (_training_on(dataset, weights).get("recipe") or {}).get("withhold")
    return None if rule is None else Withholding(**rule)


def _training_on(dataset: DatasetFolder, weights: Path) -> dict[str, Any]:
    """Return the record of a training on this dataset; empty where it was on another."""
    card = weights / "pigeon.json"
    content: dict[str, Any] = json.loads(card.read_text()) if card.is_file() else {}
    training: dict[str, Any] = content.get("training", {})
    return training if training.get("fingerprint") == dataset.fingerprint else {}
