"""The states of items: computed once, dropped where they change, the oldest first when full."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.ranking.item_states import FIRST_CAPACITY, ItemStates
from pigeon_recsys.records import RankItem, Vectors


class Counting:
    """Computes a state that tells an item's first number, and writes down whose it computed."""

    def __init__(self) -> None:
        self.computed: list[str] = []

    def __call__(self, items: Sequence[RankItem]) -> Vectors:
        self.computed += [item.item_id for item in items]
        return np.array([[item.embedding[0], 1] for item in items], np.float32)


def item(number: int, *, is_generated: bool = False) -> RankItem:
    return RankItem(f"item-{number}", np.full(3, number, np.float32), is_generated=is_generated)


def firsts(states: ItemStates, items: Sequence[RankItem]) -> list[float]:
    found_BS = states.of(items)
    assert found_BS.dtype == np.float32
    assert (found_BS[:, 1] == 1).all()
    return found_BS[:, 0].tolist()


def test_a_state_is_computed_once_and_comes_back_in_any_order_after_growth() -> None:
    compute, count = Counting(), FIRST_CAPACITY + 10
    states, items = ItemStates(compute), [item(number) for number in range(count)]
    assert firsts(states, items) == list(range(count))
    assert firsts(states, [items[-1], items[3], items[0], items[3]]) == [count - 1, 3, 0, 3]
    assert len(compute.computed) == count


def test_new_items_among_known_ones_get_their_own_states() -> None:
    compute = Counting()
    states = ItemStates(compute)
    states.of([item(1), item(2)])
    assert firsts(states, [item(5), item(2), item(4), item(1)]) == [5, 2, 4, 1]
    assert compute.computed == ["item-1", "item-2", "item-5", "item-4"]


def test_an_equal_item_is_known_and_a_changed_one_is_computed_anew() -> None:
    compute, first = Counting(), item(1)
    states = ItemStates(compute)
    states.of([first])
    states.of([replace(first, embedding=first.embedding.copy())])
    assert compute.computed == ["item-1"]
    for changed in (
        replace(first, text="a new title"),
        replace(first, embedding=np.full(3, 7, np.float32)),
        replace(first, attributes={"style": "ink"}),
        replace(first, text_embedding=np.zeros(2, np.float32)),
    ):
        before = len(compute.computed)
        assert firsts(states, [changed]) == [changed.embedding[0]]
        assert len(compute.computed) == before + 1


def test_a_generated_item_of_a_catalog_items_id_is_another() -> None:
    compute = Counting()
    states = ItemStates(compute)
    assert firsts(states, [item(1), item(1, is_generated=True)]) == [1, 1]
    assert len(compute.computed) == 2


@pytest.mark.parametrize("is_generated", [False, True])
def test_the_oldest_makes_room_and_only_for_its_kind(is_generated: bool) -> None:
    compute = Counting()
    states = ItemStates(compute, max_catalog=2, max_generated=2)
    others = [item(number, is_generated=not is_generated) for number in (8, 9)]
    states.of(others)
    for number in (1, 2, 3):
        states.of([item(number, is_generated=is_generated)])
    states.of(others)
    states.of([item(2, is_generated=is_generated), item(3, is_generated=is_generated)])
    assert compute.computed == ["item-8", "item-9", "item-1", "item-2", "item-3"]
    states.of([item(1, is_generated=is_generated)])
    assert compute.computed[-1] == "item-1"


def test_more_items_than_are_kept_still_have_states() -> None:
    states = ItemStates(Counting(), max_catalog=2)
    assert firsts(states, [item(number) for number in range(5)]) == [0, 1, 2, 3, 4]


def test_forgotten_are_generated_items_alone() -> None:
    compute = Counting()
    states = ItemStates(compute)
    states.of([item(1), item(2, is_generated=True)])
    assert states.forget_generated() == 1
    assert states.forget_generated() == 0
    states.of([item(1), item(2, is_generated=True)])
    assert compute.computed == ["item-1", "item-2", "item-2"]


def test_computing_that_fails_keeps_nothing() -> None:
    def fail(items: Sequence[RankItem]) -> Vectors:
        raise ValueError("no")

    states = ItemStates(fail)
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            states.of([item(1)])
