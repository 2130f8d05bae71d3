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
