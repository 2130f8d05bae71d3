"""What every `GeneratedItemStore` must do; inherit and supply `make_store`.

class TestMyStore(GeneratedItemStoreContract):
    def make_store(self):
        return MyStore(...)

`make_store` returns an empty store each time it is called.
"""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.generation.user_items import NUM_NEWEST, erased_item
from pigeon_recsys.ports import GeneratedItemStore
from pigeon_recsys.records import GeneratedItem, Provenance, Reference, Vectors

DIM = 96
MANY = 250
CREATED_MS = 1_767_225_600_000
ODD_IDS = ("gen é 漢字", "gen:1|2,3", "gen'\"\\", "gen/../1", "GEN-1")


def make_item(
    number: int = 1, *, user_id: str = "ada", embedding: Vectors | None = None
) -> GeneratedItem:
    """Return an item whose picture, embedding and times follow from its number."""
    content_hash = hashlib.sha256(str(number).encode()).hexdigest()
    if embedding is None:
        drawn = np.random.default_rng(number).normal(size=DIM)
        embedding = (drawn / np.linalg.norm(drawn)).astype(np.float32)
    return GeneratedItem(
        item_id=f"gen-{content_hash[:16]}",
        image=f"s3://pictures/images/{content_hash[:2]}/{content_hash}.png",
        embedding=embedding,
        job_key=hashlib.sha256(f"job {number}".encode()).hexdigest(),
        reason="new likes",
        provenance=Provenance(
            content_hash=content_hash,
            model="fake",
            weights_version="fake-1",
            user_id=user_id,
            history_hash="0123456789abcdef",
            history_item_ids=("item-00", "item é 1"),
            reference=Reference("item-02", "a happy cat 猫"),
            reference_mask_ratio=0.3,
            seed=2**63 - number,
            steps=4,
            history_score=0.1 + 0.2,  # no short decimal
            reference_score=-1 / 3,
            checks_passed=("not_blank", "not_copy"),
            created_ms=CREATED_MS + number,
        ),
    )


class GeneratedItemStoreContract(ABC):
    """Inherit and supply `make_store`."""

    @abstractmethod
    def make_store(self) -> GeneratedItemStore:
        """Return an empty store."""

    def test_it_has_the_methods_of_the_item_port(self) -> None:
        assert isinstance(self.make_store(), GeneratedItemStore)

    def test_an_item_comes_back_exactly(self) -> None:
        store, item = self.make_store(), make_item()
        store.put([item])
        (found,) = store.items([item.item_id]).values()
        assert found == item
        assert found.embedding.dtype == np.float32
        assert found.embedding.tobytes() == item.embedding.tobytes()

    def test_a_reference_of_text_alone_comes_back(self) -> None:
        store, item = self.make_store(), make_item()
        provenance = replace(
            item.provenance, reference=Reference(text="a cat"), history_item_ids=()
        )
        store.put([replace(item, provenance=provenance)])
        assert store.items([item.item_id])[item.item_id].provenance == provenance

    def test_items_that_are_not_stored_are_absent(self) -> None:
        store, item = self.make_store(), make_item()
        store.put([item])
        assert store.items(iter(["gen-none", item.item_id, item.item_id])) == {item.item_id: item}
        assert store.items([]) == {}

    def test_nothing_put_is_nothing_stored(self) -> None:
        store = self.make_store()
        store.put([])
        assert store.items([make_item().item_id]) == {}

    def test_an_item_put_twice_is_stored_once(self) -> None:
        store, item = self.make_store(), make_item()
        store.put([item, item])
        store.put(iter([item]))
        assert store.items([item.item_id]) == {item.item_id: item}

    def test_the_last_item_of_an_id_stays(self) -> None:
        """Also one that was made earlier, as when a day is processed again."""
        store, item = self.make_store(), make_item()
        earlier = replace(
            item, provenance=replace(item.provenance, created_ms=CREATED_MS - 86_400_000)
        )
        for last in (earlier, item):
            store.put([item if last is earlier else earlier, last])
            assert store.items([item.item_id]) == {item.item_id: last}

    def test_many_items_come_back_under_their_own_ids(self) -> None:
        store = self.make_store()
        items = {item.item_id: item for item in map(make_item, range(MANY))}
        store.put(items.values())
        found = store.items(items)
        assert found == items
        for item_id, item in items.items():
            assert np.array_equal(found[item_id].embedding, item.embedding)

    @pytest.mark.parametrize("item_id", ODD_IDS)
    def test_any_id_will_do(self, item_id: str) -> None:
        store = self.make_store()
        item = replace(make_item(), item_id=item_id)
        store.put([item, make_item(2)])
        assert store.items([item_id]) == {item_id: item}

    def test_a_users_items_come_newest_first_whatever_the_order_of_putting(self) -> None:
        store = self.make_store()
        items = [make_item(number) for number in (3, 1, 4, 2)]
        store.put([*items[:2], make_item(9, user_id="eve")])
        store.put(items[2:])
        store.put(items)
        assert store.of_user("ada", limit=10) == [make_item(number) for number in (4, 3, 2, 1)]
        assert store.of_user("ada", limit=2) == [make_item(4), make_item(3)]
        assert store.of_user("eve", limit=2) == [make_item(9, user_id="eve")]
        assert store.of_user("nobody", limit=2) == []

    @pytest.mark.parametrize("user_id", ODD_IDS)
    def test_any_users_id_will_do(self, user_id: str) -> None:
        store, item = self.make_store(), make_item(user_id=user_id)
        store.put([item, make_item(2)])
        assert store.of_user(user_id, limit=9) == [item]
        store.erase_user(user_id, CREATED_MS + 9)
        assert store.of_user(user_id, limit=9) == []
        assert store.of_user("ada", limit=9) == [make_item(2)]

    def test_an_item_put_again_with_another_time_is_one_item(self) -> None:
        store, item = self.make_store(), make_item()
        earlier = replace(item, provenance=replace(item.provenance, created_ms=CREATED_MS - 9))
        store.put([item])
        store.put([earlier])
        assert store.of_user("ada", limit=9) == [earlier]

    def test_an_item_put_for_another_user_is_that_users(self) -> None:
        """As when two users' pictures have the same pixels."""
        store = self.make_store()
        store.put([make_item(1), make_item(2)])
        store.put([make_item(1, user_id="eve")])
        assert store.of_user("ada", limit=9) == [make_item(2)]
        assert [each.item_id for each in store.erase_user("ada", CREATED_MS + 9)] == [
            make_item(2).item_id
        ]
        assert store.of_user("eve", limit=9) == [make_item(1, user_id="eve")]

    def test_more_items_than_are_at_hand_are_all_erased(self) -> None:
        store = self.make_store()
        items = {item.item_id: item for item in map(make_item, range(NUM_NEWEST + 5))}
        store.put(items.values())
        newest = store.of_user("ada", limit=NUM_NEWEST)
        assert newest == [make_item(number) for number in range(NUM_NEWEST + 4, 4, -1)]
        left = store.erase_user("ada", CREATED_MS + MANY)
        assert {each.item_id for each in left} == set(items)
        assert store.items(items) == {}

    @pytest.mark.parametrize("limit", [0, -1, NUM_NEWEST + 1])
    def test_a_number_of_items_that_are_not_at_hand_is_refused(self, limit: int) -> None:
        with pytest.raises(SettingsError, match=f"limit must be 1 to {NUM_NEWEST}, got {limit}"):
            self.make_store().of_user("ada", limit)

    def test_an_erasure_forgets_what_was_made_until_then_and_nothing_else(self) -> None:
        store, (old, new) = self.make_store(), (make_item(1), make_item(2))
        store.put([old, new, make_item(3, user_id="eve")])
        assert store.erase_user("ada", old.provenance.created_ms) == (erased_item(old),)
        assert store.of_user("ada", limit=9) == [new]
        assert store.items([old.item_id, new.item_id]) == {new.item_id: new}
        assert store.of_user("eve", limit=9) == [make_item(3, user_id="eve")]

    def test_an_erasure_cut_short_can_be_repeated_until_it_is_settled(self) -> None:
        store, items = self.make_store(), [make_item(1), make_item(2)]
        store.put(items)
        left = store.erase_user("ada", CREATED_MS + 9)
        assert store.erase_user("ada", CREATED_MS + 9) == left
        assert set(left) == set(map(erased_item, items))
        store.settle_erasure("ada", [items[0].item_id, "gen-none"])
        assert store.erase_user("ada", CREATED_MS + 9) == (erased_item(items[1]),)
        store.settle_erasure("ada", [items[1].item_id])
        assert store.erase_user("ada", CREATED_MS + 9) == ()

    def test_what_was_made_before_an_erasure_cannot_be_put_after_it(self) -> None:
        """A worker may wake up late with what it made for a user who is erased by now."""
        store, (old, new) = self.make_store(), (make_item(1), make_item(2))
        store.erase_user("ada", old.provenance.created_ms)
        assert store.put([old, new]) == {old.item_id}
        assert store.items([old.item_id, new.item_id]) == {new.item_id: new}
        assert store.of_user("ada", limit=9) == [new]

    def test_what_was_begun_before_an_erasure_cannot_be_put_after_it(self) -> None:
        """It was made after the erasure, of the history from before."""
        store, item = self.make_store(), make_item()
        store.erase_user("ada", CREATED_MS)
        assert store.put([item], begun_ms=CREATED_MS) == {item.item_id}
        assert store.of_user("ada", limit=9) == []
        assert store.put([item], begun_ms=CREATED_MS + 1) == frozenset()
        assert store.of_user("ada", limit=9) == [item]

    def test_an_earlier_erasure_changes_nothing_after_a_later_one(self) -> None:
        store, item = self.make_store(), make_item()
        store.erase_user("ada", CREATED_MS + 9)
        store.erase_user("ada", CREATED_MS - 9)
        assert store.put([item]) == {item.item_id}
