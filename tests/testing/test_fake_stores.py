"""The stores in memory keep their contracts, and fail as often as they are told."""

import pytest

from pigeon_recsys.errors import ImageStoreError, ItemStoreError
from pigeon_recsys.testing.fake_stores import FakeGeneratedItemStore, FakeImageStore
from pigeon_recsys.testing.generated_item_store_contract import (
    GeneratedItemStoreContract,
    make_item,
)
from pigeon_recsys.testing.image_store_contract import ImageStoreContract


class TestFakeImageStore(ImageStoreContract):
    def make_store(self) -> FakeImageStore:
        return FakeImageStore()


class TestFakeGeneratedItemStore(GeneratedItemStoreContract):
    def make_store(self) -> FakeGeneratedItemStore:
        return FakeGeneratedItemStore()


def test_the_image_store_fails_as_often_as_told_and_keeps_nothing_of_it() -> None:
    store = FakeImageStore(failures_left=2)
    for _ in range(2):
        with pytest.raises(ImageStoreError, match="as it was told to"):
            store.write("a.png", b"1")
    assert store.contents == {}
    assert store.write("a.png", b"1") == "fake://a.png"


def test_the_item_store_fails_as_often_as_told_and_keeps_nothing_of_it() -> None:
    store = FakeGeneratedItemStore(failures_left=1)
    with pytest.raises(ItemStoreError, match="as it was told to"):
        store.put([make_item()])
    assert store.stored == {}
    store.put([make_item()])
    assert len(store.stored) == 1
