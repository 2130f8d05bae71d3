"""Draw the requests that every method of a comparison answers.

In:  a dataset without what training withheld, the index of its items, how many users and
     cases a user, a seed.
Out: cases: a reference new to its user, the history that matters for it, and the same request
     with another user's history.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.evaluation.truth import Truth
from pigeon_recsys.ports import ItemIndex
from pigeon_recsys.records import GenerationTask, HistoryImage, Reference
from pigeon_recsys.retrieval.history_selection import SelectionSettings, select_history

MIN_USERS = 2  # one user has nobody to be swapped with
DRAWS_PER_ITEM = 20  # then the one fair reference of a catalog is missed once in e²⁰ times
MIN_DRAWS = 1000


@dataclass(frozen=True)
class CaseSource:
    """A dataset that requests can be drawn from."""

    dataset: DatasetFolder
    index: ItemIndex
    truth: Truth | None = None
    selection: SelectionSettings | None = None

    def draw(
        self, user_ids: Sequence[str], num_users: int, *, cases_per_user: int = 1, seed: int = 0
    ) -> list[Case]:
        """Return cases of `num_users` of the users, drawn without replacement.

        They come in rounds, each with one case a user. No user is asked for the same twice;
        whoever has been asked for everything is left out of the later rounds.
        """
        if not MIN_USERS <= num_users <= len(user_ids):
            raise SettingsError(
                f"users must be from {MIN_USERS} to the {len(user_ids)} that may be asked for, "
                f"got {num_users}"
            )
        rng = np.random.default_rng(seed)
        users = [user_ids[row] for row in rng.permutation(len(user_ids))[:num_users]]
        following = dict(zip(users, [*users[1:], *users[:1]], strict=True))
        asked: dict[str, set[str]] = {user_id: set() for user_id in users}
        cases: list[Case] = []
        for round_number in range(cases_per_user):
            for place, user_id in enumerate(users, round_number * num_users):
                reference_id = self._reference(user_id, asked[user_id], rng)
                if reference_id is not None:
                    asked[user_id].add(self._content(reference_id))
                    other_id = following[user_id]
                    cases.append(self._case(user_id, other_id, reference_id, seed + place))
        return cases

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

    def _reference(self, user_id: str, asked: set[str], rng: np.random.Generator) -> str | None:
        """Draw an item the user has never met, showing none of what was asked for; None: no such.

        Raises `SettingsError` where not even a first one is found.
        """
        met = set(self.dataset.history(user_id).item_ids)
        item_ids = self.dataset.item_ids
        num_draws = max(MIN_DRAWS, DRAWS_PER_ITEM * len(item_ids))
        for _ in range(num_draws):
            item_id = item_ids[int(rng.integers(len(item_ids)))]
            is_fair = self.truth is None or self.truth.allows(user_id, item_id)
            if is_fair and item_id not in met and self._content(item_id) not in asked:
                return item_id
        if asked:
            return None
        raise SettingsError(
            f"no reference was found for user {user_id!r} in {num_draws} draws from the "
            f"{len(item_ids)} items of {self.dataset.path}. Add items the user has not met."
        )

    def _content(self, item_id: str) -> str:
        return item_id if self.truth is None else self.truth.content(item_id)
