"""One user's way through the product, with the pictures that show it.

In:  the slate a user was given and the catalog its items come from.
Out: a `UserStory`: history, reference, sweep and slate, ready to be drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pigeon_recsys.ports import ItemCatalog
from pigeon_recsys.records import (
    Generation,
    Pixels,
    Placement,
    Reference,
    Slate,
    TokenMask,
)


@dataclass(frozen=True, slots=True)
class PicturedItem:
    """An item as a person sees it."""

    item_id: str
    title: str
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class UserStory:
    """What one user liked, what was asked for, what was made and what the feed shows."""

    slate: Slate
    shown: tuple[PicturedItem, ...]  # one a placement, in the slate's order
    history: tuple[PicturedItem, ...] = ()  # the images the generator was given, oldest first
    reference: Reference | None = None
    reference_item: PicturedItem | None = None  # None for a reference that is text only

    def __post_init__(self) -> None:
        placed = tuple(placement.item_id for placement in self.slate.placements)
        pictured = tuple(item.item_id for item in self.shown)
        if placed != pictured:
            raise ValueError(
                f"story of {self.user_id!r}: the slate places {placed}, pictures show {pictured}"
            )

    @property
    def user_id(self) -> str:
        """The user the story is about."""
        return self.slate.user_id

    @property
    def generation(self) -> Generation | None:
        """What was made for this user, None for a slate from the catalog alone."""
        return self.slate.generation

    @property
    def masks(self) -> Mapping[str, TokenMask]:
        """Token masks of the history images, by item id."""
        masks = self.generation.history_masks if self.generation else ()
        return {mask.item_id: mask for mask in masks}

    @property
    def generated_placement(self) -> Placement | None:
        """Where the generated item stands in the slate; None where it was not placed."""
        return next((place for place in self.slate.placements if place.is_generated), None)


def tell_story(slate: Slate, catalog: ItemCatalog, *, liked: Sequence[str] = ()) -> UserStory:
    """Gather the pictures and titles behind `slate`.

    History and reference come from the generation's provenance. Where nothing was generated,
    `liked` says which history to show. Raises `UnknownItem` for an id the catalog lacks.
    """
    shown = tuple(
        _picture_placement(place, slate.generation, catalog) for place in slate.placements
    )
    if slate.generation is None:
        return UserStory(slate, shown, history=tuple(_picture(i, catalog) for i in liked))
    provenance = slate.generation.provenance
    reference = provenance.reference
    return UserStory(
        slate,
        shown,
        history=tuple(_picture(item_id, catalog) for item_id in provenance.history_item_ids),
        reference=reference,
        reference_item=_picture(reference.item_id, catalog) if reference.item_id else None,
    )


def _picture(item_id: str, catalog: ItemCatalog) -> PicturedItem:
    return PicturedItem(item_id, catalog.item(item_id).title, catalog.pixels(item_id))


def _picture_placement(
    place: Placement, generation: Generation | None, catalog: ItemCatalog
) -> PicturedItem:
    if generation is None or not place.is_generated:
        return _picture(place.item_id, catalog)
    if place.item_id != generation.item_id:  # a new picture for an item that exists
        return PicturedItem(place.item_id, catalog.item(place.item_id).title, generation.pixels)
    title = _reference_title(generation.provenance.reference, catalog)
    return PicturedItem(place.item_id, title, generation.pixels)


def _reference_title(reference: Reference, catalog: ItemCatalog) -> str:
    if reference.text.strip() or reference.item_id is None:
        return reference.text.strip()
    return catalog.item(reference.item_id).title
