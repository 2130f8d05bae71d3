"""Keep preference tokens, so that another picture for the same user costs only its painting.

In:  what was written for a task, and the seed it was written with.
Out: the same for an equal task, whatever its seed.

Tasks are equal when their tokens would be, but for the seed: same user, generator, history,
reference and pictures shown. A history that has changed since is another task, and a miss.

Tokens say what a user likes, so they are personal data. They live in memory alone, each belongs
to one user even where two histories are the same, and `forget` drops a user's. Work that began
before an erasure may end after it: `put` refuses what was begun under an earlier epoch.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.records import GenerationTask, Pixels, Vectors, content_hash

if TYPE_CHECKING:
    from pigeon_recsys.model.inference import WrittenSweep

MAX_ENTRIES = 10_000
MAX_BYTES = 64 * 2**20  # the mini model's entry with 5 history pictures takes some 6 kB
ENTRY_BYTES = 1_500  # of an entry's Python objects, beside its arrays and scores
SCORE_BYTES = 120  # of one ratio and its score


@dataclass(frozen=True, slots=True)
class PreferenceKey:
    """One user's equal tasks for one generator."""

    user_id: str
    digest: str  # of everything else that tokens follow from, seed apart


@dataclass(frozen=True, slots=True)
class PreferenceTokens:
    """Preference tokens of one picture, and the sweep it was chosen from."""

    seed: int  # they were written with
    written: "WrittenSweep"  # at the ratio chosen, alone
    ratio_scores: tuple[tuple[float, float], ...]  # each ratio of the sweep, and its picture's
    shown: Mapping[str, Vectors]  # embeddings of history and reference, by content hash

    @property
    def num_bytes(self) -> int:
        """Memory held, nearly."""
        arrays = [self.written.visual_RT, *self.written.history_keep, *self.shown.values()]
        held = sum(array.nbytes for array in arrays) + SCORE_BYTES * len(self.ratio_scores)
        return ENTRY_BYTES + held


@dataclass(frozen=True, slots=True)
class CacheCounts:
    """What the cache holds, and how it did since it was made."""

    hits: int
    misses: int
    entries: int
    num_bytes: int


class PreferenceCache:
    """Preference tokens by task; the least recently used go first. Threads may share one."""

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        for name, value in (("max_entries", max_entries), ("max_bytes", max_bytes)):
            if value < 1:
                raise SettingsError(f"a preference cache's {name} must be above 0, got {value}.")
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._kept: OrderedDict[PreferenceKey, PreferenceTokens] = OrderedDict()
        self._num_bytes = 0
        self._hits = 0
        self._misses = 0
        self._epoch = 0
        self._lock = threading.Lock()

    @property
    def epoch(self) -> int:
        """Rises with every erasure; read it before the work whose result is put here."""
        return self._epoch

    @property
    def counts(self) -> CacheCounts:
        """Hits, misses and what is held now."""
        with self._lock:
            return CacheCounts(self._hits, self._misses, len(self._kept), self._num_bytes)

    def get(self, key: PreferenceKey) -> PreferenceTokens | None:
        """Return what is kept for a task, or none."""
        with self._lock:
            tokens = self._kept.get(key)
            if tokens is None:
                self._misses += 1
                return None
            self._kept.move_to_end(key)
            self._hits += 1
            return tokens

    def put(
        self, key: PreferenceKey, tokens: PreferenceTokens, *, epoch: int, replaces: bool = True
    ) -> None:
        """Keep tokens that were begun under an epoch; drop others where there is no room.

        What is kept already stays unless `replaces`.
        """
        with self._lock:
            if epoch != self._epoch or (key in self._kept and not replaces):
                return
            self._drop(key)
            self._kept[key] = tokens
            self._num_bytes += _entry_bytes(key, tokens)
            while len(self._kept) > self._max_entries or self._num_bytes > self._max_bytes:
                self._drop(next(iter(self._kept)))

    def forget(self, user_id: str) -> int:
        """Drop all that is kept of a user and return how many tasks it was of.

        Nobody's work that is under way now will be kept: whose it is, is not known here.
        """
        with self._lock:
            self._epoch += 1
            keys = [key for key in self._kept if key.user_id == user_id]
            for key in keys:
                self._drop(key)
            return len(keys)

    def _drop(self, key: PreferenceKey) -> None:
        tokens = self._kept.pop(key, None)
        if tokens is not None:
            self._num_bytes -= _entry_bytes(key, tokens)


def task_key(task: GenerationTask, version: str) -> PreferenceKey:
    """Return under what a task's tokens are kept; `version` is the generator's.

    Pictures count by what they show: a catalog may show another under the same id.
    """
    parts = (
        version,
        task.history_hash,
        tuple(image.item_id for image in task.history),
        (task.reference.item_id, task.reference.text),
        task.reference_pixels is not None,
        tuple(content_hash(pixels) for pixels in shown_pictures(task)),
    )
    return PreferenceKey(task.user_id, hashlib.sha256(repr(parts).encode()).hexdigest())


def shown_pictures(task: GenerationTask) -> list[Pixels]:
    """Return the pictures of a task: the history's, then the reference's where there is one."""
    reference = [] if task.reference_pixels is None else [task.reference_pixels]
    return [*(image.pixels for image in task.history), *reference]


def _entry_bytes(key: PreferenceKey, tokens: PreferenceTokens) -> int:
    return len(key.user_id.encode("utf-8", "surrogatepass")) + tokens.num_bytes
