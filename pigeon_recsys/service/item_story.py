"""What is known of one generated picture: its making, its file, the slates that showed it.

In:  an item id; the store of items, the store of pictures, the newest slates of this process.
Out: an `ItemStory`, or none for an item that nobody here knows.
"""

from dataclasses import dataclass

from pigeon_recsys.errors import ImageStoreError
from pigeon_recsys.generation.picture_file import decode_provenance, is_unchanged
from pigeon_recsys.generation.png_text import BadProvenance
from pigeon_recsys.ports import GeneratedItemStore
from pigeon_recsys.records import GeneratedItem, Pixels, Slate
from pigeon_recsys.service.pictured import Pictured, Pictures, page_text
from pigeon_recsys.slot.recent_slates import MAX_SLATES, RecentSlates


@dataclass(frozen=True, slots=True)
class FileWord:
    """What the stored file says of itself."""

    source_type: str | None  # the IPTC's term, a URI
    is_unchanged: bool  # its pixels are those its record was written for
    fault: str = ""  # why it could not be read


@dataclass(frozen=True, slots=True)
class ItemStory:
    """A generated item and where it comes from."""

    item: GeneratedItem
    shown: Pictured
    is_stored: bool  # False: this process knows it from a request alone
    file: FileWord | None  # None: there is no file
    history: tuple[Pictured, ...]
    reference_shown: Pictured | None
    slates: tuple[Slate, ...]  # newest first, that placed it


def tell_item(
    item_id: str, pictures: Pictures, stored: GeneratedItemStore | None, recent: RecentSlates
) -> ItemStory | None:
    """Tell the story of a generated item. Raises `ItemStoreError`."""
    kept = stored.items([item_id]).get(item_id) if stored else None
    made, pixels = _made_lately(item_id, recent)
    if (item := kept or made) is None:
        return None
    provenance = item.provenance
    asked = provenance.reference.item_id
    return ItemStory(
        item=item,
        shown=pictures.of_made(item, pixels),
        is_stored=kept is not None,
        file=_file_word(item, pictures),
        history=tuple(map(pictures.of_catalog, provenance.history_item_ids)),
        reference_shown=None if asked is None else pictures.of_catalog(asked),
        slates=tuple(
            slate
            for _, slate in recent.newest(MAX_SLATES)
            if any(item_id in (place.item_id, place.creative_id) for place in slate.placements)
        ),
    )


def _made_lately(item_id: str, recent: RecentSlates) -> tuple[GeneratedItem | None, Pixels | None]:
    """Return an item, and its pixels, that a request in memory offered."""
    for draft, _ in recent.newest(MAX_SLATES):
        for item in draft.found.items:
            if item.item_id == item_id:
                made = draft.found.generation
                return item, made.pixels if made and made.item_id == item_id else None
    return None, None


def _file_word(item: GeneratedItem, pictures: Pictures) -> FileWord | None:
    try:
        file = pictures.file(item)
        if file is None:
            return None
        found = decode_provenance(file)
    except ImageStoreError as exc:
        return FileWord(None, is_unchanged=False, fault=page_text(exc))
    except BadProvenance as exc:
        return FileWord(None, is_unchanged=False, fault=str(exc))
    record = found.record
    return FileWord(found.source_type, record is not None and is_unchanged(file, record))
