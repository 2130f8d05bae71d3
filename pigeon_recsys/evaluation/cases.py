"""Draw the requests that every method of a comparison answers.

In:  a dataset, the index of its items, how many users, a seed.
Out: one case a user: a reference new to that user, the history that matters for it, and the
     same request with another user's history.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.split import users_in
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.evaluation.truth import Truth
from pigeon_recsys.ports import ItemIndex
from pigeon_recsys.records import GenerationTask, HistoryImage, Reference
from pigeon_recsys.retrieval.history_selection import SelectionSettings, select_history

MIN_USERS = 2  # one user has nobody to be swapped with
MAX_DRAWS = 1000  # of a reference for one user, before giving up


@dataclass(frozen=True)
class CaseSource:
    """A dataset that requests can be drawn from."""

    dataset: DatasetFolder
    index: ItemIndex
    truth: Truth | None = None
    selection: SelectionSettings | None = None

    def draw(self, user_ids: Sequence[str], num_users: int, *, seed: int = 0) -> list[Case]:
        """Return one case for each of `num_users` of the users, drawn without replacement."""
        if not MIN_USERS <= num_users <= len(user_ids):
            raise SettingsError(
                f"users must be from {MIN_USERS} to the {len(user_ids)} that may be asked for, "
                f"got {num_users}"
            )
        rng = np.random.default_rng(seed)
        users = [user_ids[row] for row in rng.permutation(len(user_ids))[:num_users]]
        following = [*users[1:], *users[:1]]
        return [
            self._case(user_id, other_id, self._reference(user_id, rng), seed + number)
            for number, (user_id, other_id) in enumerate(zip(users, following, strict=True))
        ]

    def _case(self, user_id: str, other_id: str, reference_id: str, seed: int) -> Case:
        target = None if self.truth is None else self.truth.target(user_id, reference_id)
        return Case(
            task=self.task(user_id, user_id, reference_id, seed),
            swapped=self.task(user_id, other_id, reference_id, seed),
            target=target,
        )

    def task(self, user_id: str, history_of: str, reference_id: str, seed: int) -> GenerationTask:
        """Return the task of drawing a reference for a user from somebody's history."""
        history = self.dataset.history(history_of)
        vector = self.index.vectors([reference_id])[0]
        liked = [item_id for item_id in history.liked if item_id != reference_id]
        chosen = select_history(self.index, liked, vector, settings=self.selection)
        images = tuple(HistoryImage(item_id, self.dataset.pixels(item_id)) for item_id in chosen)
        return GenerationTask(
            user_id=user_id,
            history=images,
            history_hash=history.content_hash,
            reference=Reference(reference_id, self.dataset.item(reference_id).instruction),
            reference_pixels=self.dataset.pixels(reference_id),
            seed=seed,
        )

    def _reference(self, user_id: str, rng: np.random.Generator) -> str:
        """Draw an item the user has never met."""
        met = set(self.dataset.history(user_id).item_ids)
        item_ids = self.dataset.item_ids
        for _ in range(MAX_DRAWS):
            item_id = item_ids[int(rng.integers(len(item_ids)))]
            is_fair = self.truth is None or self.truth.allows(user_id, item_id)
            if item_id not in met and is_fair:
                return item_id
        raise SettingsError(
            f"no reference was found for user {user_id!r} in {MAX_DRAWS} draws from the "
            f"{len(item_ids)} items of {self.dataset.path}. Add items the user has not met."
        )


def users_never_trained_on(dataset: DatasetFolder, weights: Path) -> tuple[str, ...]:
    """Return the test users of the dataset the weights were trained on, all of any other one."""
    card = weights / "pigeon.json"
    training = json.loads(card.read_text()).get("training", {}) if card.is_file() else {}
    if training.get("fingerprint") == dataset.fingerprint:
        return users_in(dataset.user_ids, "test")
    return dataset.user_ids
