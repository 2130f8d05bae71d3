"""An image store and a store of generated items in memory, which can be told to fail."""

from collections.abc import Iterable

from pigeon_recsys.errors import ImageStoreError, ItemStoreError
from pigeon_recsys.generation.image_names import check_image_name
from pigeon_recsys.records import GeneratedItem


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

    def _fail_if_told(self) -> None:
        if self.failures_left:
            self.failures_left -= 1
            raise ImageStoreError("the fake image store fails as it was told to")


class FakeGeneratedItemStore:
    """Generated items in memory; the next `failures_left` calls fail."""

    def __init__(self, failures_left: int = 0) -> None:
        self.stored: dict[str, GeneratedItem] = {}
        self.failures_left = failures_left

    def put(self, items: Iterable[GeneratedItem]) -> None:
        """Store items; the last one of an id stays."""
        self._fail_if_told()
        self.stored.update({item.item_id: item for item in items})

    def items(self, item_ids: Iterable[str]) -> dict[str, GeneratedItem]:
        """Return those that are stored, by id."""
        self._fail_if_told()
        return {item_id: self.stored[item_id] for item_id in item_ids if item_id in self.stored}

    def _fail_if_told(self) -> None:
        if self.failures_left:
            self.failures_left -= 1
            raise ItemStoreError("the fake item store fails as it was told to")
