"""A user's list of items: putting and erasing in any order come to the same."""

from itertools import permutations

import pytest

from pigeon_recsys.errors import ItemStoreError
from pigeon_recsys.generation.user_items import UserItems, erased_item
from pigeon_recsys.testing.generated_item_store_contract import CREATED_MS, make_item

ITEMS = [make_item(number) for number in range(4)]  # made at CREATED_MS + 0, 1, 2, 3


def test_puts_and_erasures_come_to_the_same_in_any_order() -> None:
    """Of items made at 0, 1, 2 and 3, an erasure at 1 leaves 2 and 3, whenever it comes."""
    found = set()
    for order in permutations(["first", "second", "erase"]):
        items = UserItems()
        for step in (*order, *order):
            if step == "erase":
                items = items.erased(CREATED_MS + 1, [])
            else:
                items = items.added(ITEMS[:2] if step == "first" else ITEMS[1:])
        found.add(items.to_bytes())
    assert len(found) == 1
    assert UserItems.from_bytes(found.pop()).newest() == (ITEMS[3].item_id, ITEMS[2].item_id)


def test_a_list_comes_back_from_its_bytes() -> None:
    items = UserItems().added(ITEMS).erased(CREATED_MS, [erased_item(ITEMS[0])])
    assert UserItems.from_bytes(items.to_bytes()) == items


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"format":2}', b'{"format":1,"erased_ms":0,"made":[1],"left":[]}']
)
def test_bytes_that_are_no_list_are_named(data: bytes) -> None:
    with pytest.raises(ItemStoreError, match="stored list of a user's items cannot be read: .*put"):
        UserItems.from_bytes(data)
