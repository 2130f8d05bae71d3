"""An image store and a store of generated items in memory, which can be told to fail."""

from collections.abc import Iterable

from pigeon_recsys.errors import ImageStoreError, ItemStoreError
from pigeon_recsys.generation.image_names import check_image_name
from pigeon_recsys.generation.user_items import (
    UserItems,
    check_limit,
    erased_item,
    newest_first,
)
from pigeon_recsys.records import ErasedItem, GeneratedItem


class FakeImageStore:
    """Pictures in memory; the next `failures_left` calls fail."""

    def __init__(self, failures_left: int = 0) -> None:
        self.contents: dict[str, bytes] = {}
        self.failures_left = failures_left

    def write(self, name: str, content: bytes) -> str:
        """Store under a name and return the URL."""
        check_image_name(name)
        self._fail_if_told()
        self.contents[name] = content
        return f"fake://{name}"

    def read(self, name: str) -> bytes | None:
        """Return what is stored under a name, None without it."""
        check_image_name(name)
        self._fail_if_told()
        return self.contents.get(name)

    def delete(self, name: str) -> bool:
        """Remove what is stored under a name; say whether there was anything."""
        check_image_name(name)
        self._fail_if_told()
        return self.contents.pop(name, None) is not None

    def _fail_if_told(self) -> None:
        if self.failures_left:
            self.failures_left -= 1
            raise ImageStoreError("the fake image store fails as it was told to")


class FakeGeneratedItemStore:
    """Generated items in memory; the next `failures_left` calls fail."""

    def __init__(self, failures_left: int = 0) -> None:
        self.stored: dict[str, GeneratedItem] = {}
        self.users: dict[str, UserItems] = {}
        self.failures_left = failures_left

    def put(self, items: Iterable[GeneratedItem], *, begun_ms: int | None = None) -> frozenset[str]:
        """Store items, the last one of an id; return those left out for an erasure."""
        self._fail_if_told()
        left_out: set[str] = set()
        for item in items:
            user_id = item.provenance.user_id
            known = self.users.get(user_id, UserItems())
            if not known.takes(item, begun_ms):
                left_out.add(item.item_id)
                continue
            self.users[user_id] = known.added([item])
            self.stored[item.item_id] = item
        return frozenset(left_out)

    def items(self, item_ids: Iterable[str]) -> dict[str, GeneratedItem]:
        """Return those that are stored, by id."""
        self._fail_if_told()
        return {item_id: self.stored[item_id] for item_id in item_ids if item_id in self.stored}

    def of_user(self, user_id: str, limit: int) -> list[GeneratedItem]:
        """Return a user's items, newest first."""
        check_limit(limit)
        found = self.items(self.users.get(user_id, UserItems()).newest(limit)).values()
        return newest_first(item for item in found if item.provenance.user_id == user_id)

    def erase_user(self, user_id: str, at_ms: int) -> tuple[ErasedItem, ...]:
        """Forget a user's items made at or before a moment; return all that is not settled."""
        self._fail_if_told()
        known = self.users.get(user_id, UserItems())
        gone = [
            self.stored.pop(item_id)
            for item_id in known.made_until(at_ms)
            if self.stored[item_id].provenance.user_id == user_id
        ]
        self.users[user_id] = known.erased(at_ms, map(erased_item, gone))
        return self.users[user_id].left

    def settle_erasure(self, user_id: str, item_ids: Iterable[str]) -> None:
        """Forget erased items whose traces elsewhere are gone."""
        self._fail_if_told()
        if user_id in self.users:
            self.users[user_id] = self.users[user_id].settled(frozenset(item_ids))

    def _fail_if_told(self) -> None:
        if self.failures_left:
            self.failures_left -= 1
            raise ItemStoreError("the fake item store fails as it was told to")
