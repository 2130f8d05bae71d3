"""Count what a dataset folder holds.

In:  an open dataset folder.
Out: a `DatasetSummary`, for people as one line and for programs as plain data.
"""

from collections import Counter
from dataclasses import dataclass

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.split import user_split
from pigeon_recsys.records import LIKE, NEUTRAL, SKIP


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """The counts of one dataset folder."""

    folder: str
    name: str
    task: str
    fingerprint: str
    attributes: tuple[str, ...]
    num_items: int
    num_users: int
    num_train_users: int
    num_validation_users: int
    num_test_users: int
    num_likes: int
    num_skips: int
    num_neutral: int

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.num_items} items, {self.num_users} users, "
            f"{self.num_likes} likes, {self.num_skips} skips, {self.num_neutral} neutral"
        )


def summarize(dataset: DatasetFolder) -> DatasetSummary:
    """Return the counts of `dataset`."""
    events = Counter(row.event for row in dataset.interactions)
    users = Counter(user_split(user_id) for user_id in dataset.user_ids)
    return DatasetSummary(
        folder=str(dataset.path),
        name=dataset.name,
        task=dataset.task,
        fingerprint=dataset.fingerprint,
        attributes=dataset.attribute_names,
        num_items=len(dataset.item_ids),
        num_users=len(dataset.user_ids),
        num_train_users=users["train"],
        num_validation_users=users["validation"],
        num_test_users=users["test"],
        num_likes=events[LIKE],
        num_skips=events[SKIP],
        num_neutral=events[NEUTRAL],
    )
