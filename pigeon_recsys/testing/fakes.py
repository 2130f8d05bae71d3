"""Small, deterministic stand-ins for every port, for tests that need no weights and no server.

They obey the ports' contracts: what is written against a fake runs against the real thing.
Nothing is learned, nothing is random, nothing is read from disk.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pigeon_recsys.errors import (
    GenerationError,
    HistoryStoreError,
    SettingsError,
    UnknownItem,
    UnknownUser,
)
from pigeon_recsys.history.state import HistoryState, Joined
from pigeon_recsys.records import (
    Generation,
    GenerationTask,
    History,
    Item,
    Pixels,
    Provenance,
    RankContext,
    RankItem,
    ScoredItem,
    SweepImage,
    TokenMask,
    Vectors,
    content_hash,
    generated_item_id,
)

STYLES = ("flat", "outline")
CONCEPTS = ("cat", "dog", "cake", "rocket", "tree")
FAKE_VERSION = "fake-1"
FAKE_TIME_MS = 1_735_689_600_000  # 2025-01-01, so that provenance is the same every run


class FakeCatalog:
    """A catalog of plain-coloured pictures, named `item-00`, `item-01`, … in two styles.

    The first item is the most popular one.
    """

    def __init__(self, num_items: int = 10, side: int = 16) -> None:
        self.item_ids = tuple(f"item-{number:02d}" for number in range(num_items))
        self._side = side

    def item(self, item_id: str) -> Item:
        """Return one item. Raises `UnknownItem`."""
        number = self._number(item_id)
        concept = CONCEPTS[number % len(CONCEPTS)]
        attributes = {"style": STYLES[number % len(STYLES)], "concept": concept}
        return Item(item_id, title=concept, instruction=concept, attributes=attributes)

    def has(self, item_ids: Sequence[str]) -> list[bool]:
        """Say of each id whether it is an item of the catalog."""
        return [item_id in self.item_ids for item_id in item_ids]

    def pixels(self, item_id: str) -> Pixels:
        """Return a picture in a colour of the item's own. Raises `UnknownItem`."""
        number = self._number(item_id)
        colour = (37 * number % 256, 101 * number % 256, 211 * number % 256)
        return np.full((self._side, self._side, 3), colour, np.uint8)

    def popular(self, limit: int) -> list[ScoredItem]:
        """Return the items by popularity, best first."""
        scored = [
            ScoredItem(item_id, float(len(self.item_ids) - number))
            for number, item_id in enumerate(self.item_ids)
        ]
        return scored[: max(0, limit)]

    def _number(self, item_id: str) -> int:
        try:
            return self.item_ids.index(item_id)
        except ValueError:
            raise UnknownItem(item_id, num_known=len(self.item_ids)) from None


class FakeHistoryStore:
    """A history store in memory, with the version fence of a real one."""

    def __init__(
        self, histories: Iterable[History] = (), clock: Callable[[], float] = time.time
    ) -> None:
        self._stored: dict[str, History] = {}
        self._clock = clock
        self.publish(histories)

    def publish(self, histories: Iterable[History]) -> int:
        """Store each history whose version is not below the stored one; return how many."""
        num_stored = 0
        for history in histories:
            stored = self._stored.get(history.user_id)
            if stored is None or history.version >= stored.version:
                self._stored[history.user_id] = _written(history, self._clock)
                num_stored += 1
        return num_stored

    def recent(self, user_id: str, limit: int) -> History:
        """Return the `limit` newest interactions. Raises `UnknownUser`."""
        return _newest(self._stored, user_id, limit)


class FakeHistoryStateStore:
    """A store of histories made of events, in memory. Threads may share one."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._states: dict[str, HistoryState] = {}
        self._histories: dict[str, History] = {}
        self._clock = clock
        self._lock = threading.Lock()

    def states(self, user_ids: Iterable[str]) -> dict[str, HistoryState]:
        """Return what is known of each user; a user without a state is absent."""
        with self._lock:
            return {
                user_id: self._states[user_id] for user_id in user_ids if user_id in self._states
            }

    def join(self, states: Iterable[HistoryState]) -> Joined:
        """Store the join of each state with the stored one; return what is stored now."""
        with self._lock:
            learns: dict[str, bool] = {}
            for state in states:
                learns[state.user_id] = self._learns(state) or learns.get(state.user_id, False)
            return Joined({user: self._states[user] for user in learns}, sum(learns.values()))

    def recent(self, user_id: str, limit: int) -> History:
        """Return the `limit` newest interactions. Raises `UnknownUser`."""
        return _newest(self._histories, user_id, limit)

    def _learns(self, state: HistoryState) -> bool:
        """Join one state with the stored one, and say whether that changed it."""
        known = self._states.get(state.user_id)
        try:
            joined = state if known is None else known.joined(state)
        except ValueError as exc:
            raise HistoryStoreError(str(exc)) from exc
        if joined == known:
            return False
        self._states[state.user_id] = joined
        self._histories[state.user_id] = _written(joined.history(), self._clock)
        return True


class FakeEmbedder:
    """Embeds a picture as the mean colour of its four quarters, plus a constant."""

    @property
    def dim(self) -> int:
        """Three colours for each of four quarters, and the constant."""
        return 13

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        """Return unit vectors (len(images), 13); pictures may differ in size."""
        rows = np.ones((len(images), self.dim), np.float32)
        for row, pixels in zip(rows, images, strict=True):
            quarters = [
                quarter.mean(axis=(0, 1)) / 255
                for half in np.array_split(pixels, 2, axis=0)
                for quarter in np.array_split(half, 2, axis=1)
            ]
            row[1:] = np.concatenate(quarters)
        unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


class FakeIndex:
    """An item index that compares the query with every vector."""

    def __init__(self, item_ids: Sequence[str], vectors_ND: Vectors) -> None:
        self._row = {item_id: row for row, item_id in enumerate(item_ids)}
        self._vectors_ND = np.asarray(vectors_ND, np.float32)

    def search(
        self, query: Vectors, k: int, *, within: Sequence[str] | None = None
    ) -> list[ScoredItem]:
        """Return the k nearest items, best first; ties by id."""
        allowed = self._row if within is None else self._row.keys() & set(within)
        scored = [
            ScoredItem(item_id, float(self._vectors_ND[self._row[item_id]] @ query))
            for item_id in allowed
        ]
        return sorted(scored, key=lambda item: (-item.score, item.item_id))[:k]

    def vectors(self, item_ids: Sequence[str]) -> Vectors:
        """Return the stored vectors. Raises `UnknownItem`."""
        for item_id in item_ids:
            if item_id not in self._row:
                raise UnknownItem(item_id, where="the index", num_known=len(self._row))
        rows: Vectors = self._vectors_ND[[self._row[item_id] for item_id in item_ids]]
        return rows


class FakeGenerator:
    """Makes the mean of the history and the reference pictures, with a little seeded noise.

    `fails_for` names users whose tasks raise `GenerationError`.
    """

    def __init__(self, side: int = 16, fails_for: Iterable[str] = ()) -> None:
        self._side = side
        self._fails_for = frozenset(fails_for)

    @property
    def version(self) -> str:
        """One name: it never changes."""
        return FAKE_VERSION

    def generate(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        """Return one generation a task, in order."""
        return [self._generation(task) for task in tasks]

    def _generation(self, task: GenerationTask) -> Generation:
        if task.user_id in self._fails_for:
            raise GenerationError(f"the fake generator fails for user {task.user_id!r}")
        pixels = self._mean_picture(task)
        digest = content_hash(pixels)
        history_ids = tuple(image.item_id for image in task.history)
        return Generation(
            item_id=generated_item_id(digest),
            pixels=pixels,
            sweep=(SweepImage(0.5, pixels, history_score=1.0, reference_score=1.0, score=1.0),),
            history_masks=tuple(
                TokenMask(item_id, 2, 2, (True, True, True, False)) for item_id in history_ids
            ),
            provenance=Provenance(
                content_hash=digest,
                model="fake",
                weights_version=FAKE_VERSION,
                user_id=task.user_id,
                history_hash=task.history_hash,
                history_item_ids=history_ids,
                reference=task.reference,
                reference_mask_ratio=0.5,
                seed=task.seed,
                steps=1,
                history_score=1.0,
                reference_score=1.0,
                checks_passed=(),
                created_ms=FAKE_TIME_MS,
            ),
        )

    def _mean_picture(self, task: GenerationTask) -> Pixels:
        pictures = [image.pixels for image in task.history]
        if task.reference_pixels is not None:
            pictures.append(task.reference_pixels)
        grey = np.full((1, 1, 3), 128, np.uint8)
        shown = [_nearest(pixels, self._side) for pixels in pictures or [grey]]
        noise = np.random.default_rng(task.seed).integers(-32, 33, (self._side, self._side, 3))
        pixels: Pixels = np.clip(np.mean(shown, axis=0) + noise, 0, 255).astype(np.uint8)
        return pixels


class FakeRanker:
    """Scores by a hash of user and item, unless `scores` names the item."""

    def __init__(self, scores: Mapping[str, float] | None = None) -> None:
        self._scores = dict(scores or {})

    def score(
        self, history: History, items: Sequence[RankItem], context: RankContext | None = None
    ) -> Vectors:
        """Return a score above 0 and below 1 for each item."""
        scores = [self._scores.get(item.item_id, _hashed(history, item)) for item in items]
        return np.array(scores, np.float32)


def _hashed(history: History, item: RankItem) -> float:
    digest = hashlib.sha256(f"{history.user_id}|{item.item_id}".encode()).digest()
    return (1 + int.from_bytes(digest[:2], "big")) / (2 + 0xFFFF)


def _written(history: History, clock: Callable[[], float]) -> History:
    return replace(history, written_ms=int(clock() * 1000))


def _newest(stored: Mapping[str, History], user_id: str, limit: int) -> History:
    if limit < 1:
        raise SettingsError(f"limit must be at least 1, got {limit}.")
    if user_id not in stored:
        raise UnknownUser(user_id)
    history = stored[user_id]
    return replace(
        history,
        item_ids=history.item_ids[-limit:],
        times_ms=history.times_ms[-limit:],
        events=history.events[-limit:],
    )


def _nearest(pixels: Pixels, side: int) -> Pixels:
    """Resize by taking the nearest pixel."""
    rows, columns = (np.arange(side) * length // side for length in pixels.shape[:2])
    resized: Pixels = pixels[rows][:, columns]
    return resized
