"""What the ranker makes of items, computed once an item and then kept.

In:  the items to score, and what computes the states of new ones.
Out: their states, one row an item.

A feed ranks the same catalog again and again, and an item's state takes longer to compute than
its score. It is kept by item id, as long as the item stays the same. Generated items come and go:
they have places of their own, and never push catalog items out; of each kind the oldest makes room.
Threads may share it: at worst two of them compute a state at once.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pigeon_recsys.records import RankItem, Vectors

# B items of a request, S width of a state

CATALOG_ITEMS, GENERATED_ITEMS = 1 << 16, 1 << 12  # kept
FIRST_CAPACITY = 1024  # rows; doubled as they fill

Compute = Callable[[Sequence[RankItem]], Vectors]


@dataclass(frozen=True, slots=True)
class _Kept:
    """An item and the row of its state."""

    source: RankItem
    row: int

    def is_of(self, item: RankItem) -> bool:
        """Say whether the item still is what the state was computed of."""
        source = self.source
        return item is source or (
            (item.embedding is source.embedding or np.array_equal(item.embedding, source.embedding))
            and item.text == source.text
            and item.text_embedding is source.text_embedding
            and (item.attributes is source.attributes or item.attributes == source.attributes)
        )


class ItemStates:
    """Keeps the states of items for one ranker."""

    def __init__(
        self,
        compute: Compute,
        max_catalog: int = CATALOG_ITEMS,
        max_generated: int = GENERATED_ITEMS,
    ) -> None:
        self._compute = compute
        self._limits = {False: max_catalog, True: max_generated}
        self._kept: dict[bool, dict[str, _Kept]] = {False: {}, True: {}}  # by what is generated
        self._row_of_object: dict[int, int] = {}  # by the id of a kept item, as is most often asked
        self._states: Vectors | None = None
        self._free: list[int] = []
        self._lock = threading.Lock()

    def of(self, items: Sequence[RankItem]) -> Vectors:
        """Return state_BS; raises what computing one raises. There must be items."""
        with self._lock:
            rows: list[int | None] = list(map(self._row_of_object.get, map(id, items)))
            for number in [number for number, row in enumerate(rows) if row is None]:
                rows[number] = self._row(items[number])
            known = [row for row in rows if row is not None]
            states_KS = None if self._states is None else self._states.take(known, axis=0)
        if states_KS is not None and len(known) == len(rows):
            return states_KS
        new = [item for item, row in zip(items, rows, strict=True) if row is None]
        new_NS = self._compute(new)
        with self._lock:
            for item, state_S in zip(new, new_NS, strict=True):
                self._keep(item, state_S)
        if states_KS is None or not known:
            return new_NS
        is_known_B = np.array([row is not None for row in rows])
        states_BS = np.empty((len(rows), new_NS.shape[1]), np.float32)
        states_BS[is_known_B], states_BS[~is_known_B] = states_KS, new_NS
        return states_BS

    def forget_generated(self) -> int:
        """Drop generated items and return how many there were."""
        with self._lock:
            found = list(self._kept[True])
            for item_id in found:
                self._drop(self._kept[True], item_id)
            return len(found)

    def _row(self, item: RankItem) -> int | None:
        """Return the row of an item, None where it is not known as it is now."""
        of_kind = self._kept[item.is_generated]
        kept = of_kind.get(item.item_id)
        if kept is None or not kept.is_of(item):
            return None
        del self._row_of_object[id(kept.source)]  # whoever asked just now will ask again
        of_kind[item.item_id] = _Kept(item, kept.row)
        self._row_of_object[id(item)] = kept.row
        return kept.row

    def _keep(self, item: RankItem, state_S: Vectors) -> None:
        of_kind = self._kept[item.is_generated]
        if item.item_id in of_kind:
            self._drop(of_kind, item.item_id)
        elif len(of_kind) >= self._limits[item.is_generated]:
            self._drop(of_kind, next(iter(of_kind)))
        row = self._free_row(len(state_S))
        assert self._states is not None
        self._states[row] = state_S
        of_kind[item.item_id] = _Kept(item, row)
        self._row_of_object[id(item)] = row

    def _drop(self, of_kind: dict[str, _Kept], item_id: str) -> None:
        assert self._states is not None
        kept = of_kind.pop(item_id)
        del self._row_of_object[id(kept.source)]
        self._states[kept.row] = 0
        self._free.append(kept.row)

    def _free_row(self, width: int) -> int:
        """Return a row that no item has, of more rows than there were if need be."""
        if not self._free:
            before = np.empty((0, width), np.float32) if self._states is None else self._states
            grown = np.zeros((max(FIRST_CAPACITY, 2 * len(before)), width), np.float32)
            grown[: len(before)] = before
            self._states = grown
            self._free = list(range(len(grown) - 1, len(before) - 1, -1))
        return self._free.pop()
