"""The catalog and the generated items in one, so that a published image is looked up like any item.

In:  a catalog, the stores of generated items and of their pictures.
Out: an `ItemCatalog` that knows both. A generated item is about what its reference is about.

It can be ranked, shown to its user, liked and found in histories from then on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pigeon_recsys.datasets.pictures import BadPicture, decode_picture
from pigeon_recsys.errors import ImageStoreError, UnknownItem
from pigeon_recsys.generation.image_names import picture_name
from pigeon_recsys.ports import GeneratedItemStore, ImageStore, ItemCatalog
from pigeon_recsys.records import GENERATED_PREFIX, GeneratedItem, Item, Pixels, ScoredItem


@dataclass(frozen=True)
class CatalogWithGenerated:
    """Implements `ItemCatalog`; also raises what the stores raise for generated items."""

    catalog: ItemCatalog
    items: GeneratedItemStore
    images: ImageStore

    def item(self, item_id: str) -> Item:
        """Return one item. Raises `UnknownItem`, `ItemStoreError`."""
        if not item_id.startswith(GENERATED_PREFIX):
            return self.catalog.item(item_id)
        reference = self._generated(item_id).provenance.reference
        attributes: Mapping[str, str | tuple[str, ...]] = {}
        title = words = reference.text
        if reference.item_id is not None:
            about = self.catalog.item(reference.item_id)
            attributes, title, words = about.attributes, about.title, about.instruction
        return Item(item_id, title, words, attributes)

    def has(self, item_ids: Sequence[str]) -> list[bool]:
        """Say of each id whether it is of the catalog's own items, which no generated one is."""
        return self.catalog.has(item_ids)

    def pixels(self, item_id: str) -> Pixels:
        """Return an item's picture. Raises `UnknownItem`, `ItemStoreError`, `ImageStoreError`."""
        if not item_id.startswith(GENERATED_PREFIX):
            return self.catalog.pixels(item_id)
        name = picture_name(self._generated(item_id).provenance.content_hash)
        file = self.images.read(name)
        if file is None:
            raise ImageStoreError(
                f"the image store holds no {name}, the picture of {item_id}. Restore it, or take "
                "the item out of the index."
            )
        try:
            return decode_picture(file)
        except BadPicture as exc:
            raise ImageStoreError(f"{name} in the image store {exc}") from exc

    def popular(self, limit: int) -> list[ScoredItem]:
        """Return the most liked items of the catalog: a generated one is for one user."""
        return self.catalog.popular(limit)

    def _generated(self, item_id: str) -> GeneratedItem:
        found = self.items.items([item_id])
        if item_id not in found:
            raise UnknownItem(item_id, where="the store of generated items")
        return found[item_id]
