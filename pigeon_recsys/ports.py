"""What the core needs from the outside, one protocol a need.

The core never imports a feature store, a broker or a web framework: a connector supplies
these. Fakes and the contract test of every port are in `pigeon_recsys.testing`.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from pigeon_recsys.decisions import SlateEntry
from pigeon_recsys.history.state import HistoryState, Joined
from pigeon_recsys.records import (
    ErasedItem,
    GeneratedItem,
    Generation,
    GenerationTask,
    History,
    Item,
    Pixels,
    RankContext,
    RankItem,
    ScoredItem,
    Vectors,
)


@runtime_checkable
class Closes(Protocol):
    """Something that holds a process, a thread or a connection."""

    def close(self) -> None:
        """Let go of it, for good."""


@runtime_checkable
class HistorySource(Protocol):
    """Where user histories are read."""

    def recent(self, user_id: str, limit: int) -> History:
        """Return the `limit` newest interactions, newest last, and when they were written.

        Raises `UnknownUser` for a user never seen and `HistoryStoreError` when the store fails.
        """


@runtime_checkable
class HistoryStore(HistorySource, Protocol):
    """A history source that can also be written."""

    def publish(self, histories: Iterable[History]) -> int:
        """Store each history and return how many were stored.

        Idempotent, and fenced: a history whose version is below the stored one is left out.
        """


@runtime_checkable
class HistoryStateStore(HistorySource, Protocol):
    """A history source fed by events, in whatever order they arrive."""

    def states(self, user_ids: Iterable[str]) -> dict[str, HistoryState]:
        """Return what is known of each user; a user without a state is absent."""

    def join(self, states: Iterable[HistoryState]) -> Joined:
        """Store the join of each state with the stored one; return what is stored now.

        A state may know of one event alone, so a writer need not read first. Whatever writes
        late, twice or concurrently, nothing known is ever lost. Raises `HistoryStoreError` for a
        state of another capacity than the stored one.
        """


@runtime_checkable
class ItemCatalog(Protocol):
    """The catalog: items and their pictures."""

    def item(self, item_id: str) -> Item:
        """Return one item. Raises `UnknownItem`."""

    def has(self, item_ids: Sequence[str]) -> list[bool]:
        """Say of each id whether it is of the catalog's own items, which anybody may be shown.

        A generated item is not: it was made for one user.
        """

    def pixels(self, item_id: str) -> Pixels:
        """Return the item's picture at its stored size. Raises `UnknownItem`."""

    def popular(self, limit: int) -> list[ScoredItem]:
        """Return the most liked items, best first; ties by id."""


@runtime_checkable
class ImageEmbedder(Protocol):
    """Pictures to vectors."""

    @property
    def dim(self) -> int:
        """Width of an embedding."""

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        """Return unit vectors (len(images), dim); pictures may differ in size."""


@runtime_checkable
class TextEmbedder(Protocol):
    """Short texts, such as titles, to vectors."""

    @property
    def dim(self) -> int:
        """Width of an embedding."""

    @property
    def version(self) -> str:
        """A name that changes whenever the same text may give another vector."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors (len(texts), dim); the zero vector for a text without words."""


@runtime_checkable
class ItemIndex(Protocol):
    """Nearest-neighbour search over item embeddings (unit vectors, inner product)."""

    def search(
        self, query: Vectors, k: int, *, within: Sequence[str] | None = None
    ) -> list[ScoredItem]:
        """Return the k items nearest to `query` (D,), best first, fewer when fewer exist.

        `within` restricts the search to these ids; ids that are not indexed are ignored.
        """

    def vectors(self, item_ids: Sequence[str]) -> Vectors:
        """Return the stored vectors (len(item_ids), D). Raises `UnknownItem`."""


@runtime_checkable
class ImageGenerator(Protocol):
    """Tasks to images."""

    @property
    def version(self) -> str:
        """A name that changes whenever the same task may give other pixels."""

    def generate(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        """Return one generation a task, in order; the same task and seed, the same pixels.

        Raises `GenerationError` for a task that cannot be done.
        """


@runtime_checkable
class LadderedGenerator(ImageGenerator, Protocol):
    """A generator with cheaper ways to a picture, for when time is short.

    Any other generator has only the full way, `generate`.
    """

    def quick(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        """Return one generation a task, as `generate` does, of less quality in less time."""

    def redraw(self, task: GenerationTask) -> Generation | None:
        """Return another picture from what was made before for an equal task, or none.

        Tasks are equal that differ in nothing but the seed. The picture follows from the seeds of
        the task and of that earlier one, which provenance names. Raises `GenerationError` for a
        picture that fails a check.
        """

    def forget(self, user_id: str) -> int:
        """Drop all that is kept of a user's tasks; return for how many of them it was.

        What is being made meanwhile is not kept either.
        """


@runtime_checkable
class Ranker(Protocol):
    """Scores items for one user."""

    def score(
        self, history: History, items: Sequence[RankItem], context: RankContext | None = None
    ) -> Vectors:
        """Return the probability of a like (len(items),), each above 0 and below 1.

        Without a context nothing is known of the time; the same request gives the same scores.
        """


@runtime_checkable
class ForgetfulRanker(Ranker, Protocol):
    """A ranker that keeps something of the items it has scored."""

    def forget_generated(self) -> int:
        """Drop what is kept of generated items; return of how many it was."""


@runtime_checkable
class SafetyClassifier(Protocol):
    """Tells pictures that must not be shown."""

    def unsafe(self, images: Sequence[Pixels]) -> Vectors:
        """Return the probability (len(images),) that each picture must not be shown."""


@runtime_checkable
class ImageStore(Protocol):
    """Where pictures, and what is known of them, outlive the process that made them."""

    def write(self, name: str, content: bytes) -> str:
        """Store under a name, whole or not at all, and return the URL; the last write stays.

        A name is a relative path of plain words, such as `images/3f/3fc9.png`. Raises
        `ImageStoreError`, and leaves no part of a file behind, also of a writer that died.
        """

    def read(self, name: str) -> bytes | None:
        """Return what is stored under a name, None without it. Raises `ImageStoreError`."""

    def delete(self, name: str) -> bool:
        """Remove what is stored under a name; say whether there was anything to remove.

        Raises `ImageStoreError`.
        """


@runtime_checkable
class GeneratedItemStore(Protocol):
    """Where the slot looks up generated items."""

    def put(self, items: Iterable[GeneratedItem], *, begun_ms: int | None = None) -> frozenset[str]:
        """Store items, among their users' too; the same item again changes nothing.

        Left out, and returned by their ids, are those that were made, or begun, at or before the
        erasure of their user. Raises `ItemStoreError`.
        """

    def items(self, item_ids: Iterable[str]) -> dict[str, GeneratedItem]:
        """Return those that are stored, by id. Raises `ItemStoreError`."""

    def of_user(self, user_id: str, limit: int) -> list[GeneratedItem]:
        """Return the items made for a user, newest first, at most `limit` (1 to 50).

        Raises `ItemStoreError`.
        """

    def erase_user(self, user_id: str, at_ms: int) -> tuple[ErasedItem, ...]:
        """Forget a user's items made at or before a moment, those still to be put as well.

        Returns all whose traces elsewhere may be left, of earlier calls too, until
        `settle_erasure` names them: an erasure that was cut short can be repeated. Raises
        `ItemStoreError`.
        """

    def settle_erasure(self, user_id: str, item_ids: Iterable[str]) -> None:
        """Forget erased items whose traces elsewhere are gone. Raises `ItemStoreError`."""


@runtime_checkable
class SlateLog(Protocol):
    """Where decisions, exposures and outcomes are logged. Needs not be shared by threads."""

    def write(self, entries: Sequence[SlateEntry]) -> None:
        """Log entries, all or none of them; where a try failed they may be logged twice.

        Raises `LogError` where the log fails, `EventError` where an entry is none that it takes.
        `service.background_log` puts a log behind a queue, so that nobody waits and nothing raises.
        """

    def close(self) -> None:
        """Let go of the log."""
