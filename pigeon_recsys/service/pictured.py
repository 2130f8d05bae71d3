"""Items as a person sees them: a title and a picture, or why there is none.

In:  ids of catalog items, generated items.
Out: `Pictured`. What cannot be shown says so in its place, so that one picture that is gone does
not take the rest of a page with it.
"""

import logging
from dataclasses import dataclass

from pigeon_recsys.datasets.pictures import BadPicture, decode_picture
from pigeon_recsys.errors import ImageStoreError, PigeonError, StoreError, UnknownItem, public_text
from pigeon_recsys.generation.image_names import picture_name, sweep_name
from pigeon_recsys.generation.sweep_record import BadSweepRecord, SweepRecord, decode_sweep
from pigeon_recsys.ports import ImageStore, ItemCatalog
from pigeon_recsys.records import GENERATED_PREFIX, GeneratedItem, Pixels, Reference

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pictured:
    """An item's title and picture."""

    item_id: str
    title: str
    pixels: Pixels | None
    missing: str = ""  # why there is no picture

    @property
    def is_generated(self) -> bool:
        """Whether it is a generated item; one that was liked stands in histories."""
        return self.item_id.startswith(GENERATED_PREFIX)


@dataclass(frozen=True)
class Pictures:
    """Looks up titles and pictures; threads may share it."""

    catalog: ItemCatalog
    images: ImageStore | None = None  # without one, stored pictures are not shown

    def of_catalog(self, item_id: str) -> Pictured:
        """Return a catalog item; one that the catalog does not tell of has its id for a title."""
        try:
            return Pictured(item_id, self.catalog.item(item_id).title, self.catalog.pixels(item_id))
        except (UnknownItem, StoreError) as exc:
            return Pictured(item_id, item_id, None, page_text(exc))

    def title(self, item_id: str) -> str:
        """Return a catalog item's title, or its id where the catalog does not tell it."""
        try:
            return self.catalog.item(item_id).title
        except (UnknownItem, StoreError):
            return item_id

    def of_made(self, item: GeneratedItem, pixels: Pixels | None = None) -> Pictured:
        """Return a generated item, with its stored picture where no pixels are given."""
        title = self.title_of_reference(item.provenance.reference)
        if pixels is not None:
            return Pictured(item.item_id, title, pixels)
        try:
            file = self.file(item)
            if file is None:
                where = (
                    "no image store is configured" if self.images is None else "it is not stored"
                )
                missing = f"there is no picture of {item.item_id}: {where}."
                return Pictured(item.item_id, title, None, missing)
            return Pictured(item.item_id, title, decode_picture(file))
        except ImageStoreError as exc:
            return Pictured(item.item_id, title, None, page_text(exc))
        except BadPicture as exc:
            return Pictured(item.item_id, title, None, str(exc))

    def title_of_reference(self, reference: Reference) -> str:
        """Return what a picture should show, in words."""
        if reference.text.strip() or reference.item_id is None:
            return reference.text.strip()
        return self.title(reference.item_id)

    def sweep(self, item: GeneratedItem) -> SweepRecord | None:
        """Return what was hidden and tried for a stored picture; None where nobody knows."""
        if self.images is None:
            return None
        try:
            file = self.images.read(sweep_name(item.provenance.content_hash))
            return None if file is None else decode_sweep(file)
        except (ImageStoreError, BadSweepRecord) as exc:
            logger.warning("the sweep of %s is not shown: %s", item.item_id, exc)
            return None

    def file(self, item: GeneratedItem) -> bytes | None:
        """Return the stored file of a generated item, None without one.

        Raises `ImageStoreError`.
        """
        if self.images is None:
            return None
        return self.images.read(picture_name(item.provenance.content_hash))


def page_text(error: PigeonError) -> str:
    """Return what a page may say of an error; where that is not all of it, the log has the rest."""
    told = public_text(error)
    if told != str(error):
        logger.warning("%s: %s", type(error).__name__, error)
    return told
