"""Why a slate is as it is, told from what its making left behind.

In:  a draft and the slate it came to; catalog and image store for titles and pictures.
Out: a `SlateStory`: the feed as its user sees it, and what led to it, stage by stage.

A slate that was given up, at its deadline or for an error, was not made from what its draft holds;
the thread that was at work may even have gone on. `is_whole` tells, and what the draft holds is
shown all the same: it is what there was to find.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pigeon_recsys.generation.ladder import Rung
from pigeon_recsys.generation.sweep_record import SweepScore
from pigeon_recsys.ranking.blend_input import Offer
from pigeon_recsys.records import (
    GENERATED_PREFIX,
    GeneratedItem,
    Pixels,
    Placement,
    Provenance,
    Reference,
    Slate,
    SweepImage,
    TokenMask,
    Vectors,
)
from pigeon_recsys.service.pictured import Pictured, Pictures
from pigeon_recsys.slot.decision import NOT_CHOSEN
from pigeon_recsys.slot.draft import Draft

NUM_LIKED = 12  # newest liked items shown where no generator chose among them
PICTURES = "pictures"  # the stage that goes down the ladder

RungState = Literal["taken", "left out", "not tried", "not needed"]


@dataclass(frozen=True, slots=True)
class Tile:
    """One place of the feed."""

    placement: Placement
    shown: Pictured  # a creative has the title of the item that wears it
    made_id: str | None  # of the generated picture on it

    @property
    def is_generated(self) -> bool:
        """Whether its picture was made by a model."""
        return self.made_id is not None


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One candidate, before and after calibration."""

    item_id: str
    title: str
    given: float  # the caller's score, or the probability where the slot retrieved the item
    raw: float | None  # the ranker's; None: not scored, or not known to the catalog
    calibrated: float | None
    position: int | None  # on the slate


@dataclass(frozen=True, slots=True)
class OfferRow:
    """One generated picture on offer, and what became of it."""

    shown: Pictured
    item: GeneratedItem
    raw: float | None
    calibrated: float
    code: str  # `placed`, or the constraint that fired
    line: str
    position: int | None
    propensity: float | None  # given that the slot is filled; None: it was no choice


@dataclass(frozen=True, slots=True)
class RungRow:
    """One rung of the ladder, and why it was taken or was not."""

    rung: Rung
    state: RungState
    why: str


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage, and when it began after the first one did."""

    name: str
    start_ms: float
    took_ms: float


@dataclass(frozen=True)
class ToldPicture:
    """A picture, made for this request or earlier, and how the model came to it."""

    item_id: str
    provenance: Provenance
    history_masks: tuple[TokenMask, ...]
    sweep: tuple[SweepImage | SweepScore, ...]
    stored_pixels: Pixels | None  # of one made earlier, whose sweep has no pictures


@dataclass(frozen=True)
class SlateStory:
    """A slate, and all that is known of how it came about."""

    draft: Draft
    slate: Slate
    is_whole: bool  # False: it was given up, and is the caller's own slate
    feed: tuple[Tile, ...]
    history: tuple[Pictured, ...]  # what the generator was given, or the newest liked items
    reference: Reference | None
    reference_shown: Pictured | None
    told: ToldPicture | None  # the picture that history, reference and sweep are told of
    offers: tuple[OfferRow, ...]
    candidates: tuple[ScoreRow, ...]
    rungs: tuple[RungRow, ...]  # empty where the ladder was not reached
    stages: tuple[StageRow, ...]
    allowed_ms: float | None  # None: no deadline

    @property
    def masks(self) -> Mapping[str, TokenMask]:
        """The masks of history pictures by item id; none where nobody kept them."""
        return {mask.item_id: mask for mask in self.told.history_masks} if self.told else {}

    @property
    def total_ms(self) -> float:
        """What all stages took."""
        return sum(stage.took_ms for stage in self.stages)

    @property
    def fired(self) -> tuple[OfferRow, ...]:
        """The generated pictures that are not on the slate."""
        return tuple(row for row in self.offers if row.position is None)


def tell_slate(
    draft: Draft, slate: Slate, pictures: Pictures, default_deadline_ms: float | None = None
) -> SlateStory:
    """Tell the story of a slate; the default deadline is that of requests without their own."""
    told = _told(draft, slate, pictures)
    given_ms = draft.request.deadline_ms
    reference = told.provenance.reference if told else draft.request.reference
    return SlateStory(
        draft=draft,
        slate=slate,
        is_whole=draft.became(slate),
        feed=tuple(_tiles(draft, slate, pictures)),
        history=_history(draft, told, pictures),
        reference=reference,
        reference_shown=_reference_shown(reference, pictures),
        told=told,
        offers=tuple(_offers(draft, slate, pictures)),
        candidates=tuple(_candidates(draft, slate, pictures)),
        rungs=_rungs(draft),
        stages=_stages(draft),
        allowed_ms=default_deadline_ms if given_ms is None else given_ms,
    )


def _tiles(draft: Draft, slate: Slate, pictures: Pictures) -> list[Tile]:
    made = {item.item_id: item for item in (*draft.found.items, *slate.items)}
    tiles = []
    for place in slate.placements:
        is_made = place.is_generated or place.item_id.startswith(GENERATED_PREFIX)
        made_id = place.item_id if is_made else place.creative_id
        item = made.get(made_id) if made_id else None
        if item is None:
            tiles.append(Tile(place, pictures.of_catalog(place.item_id), made_id))
            continue
        shown = pictures.of_made(item, _pixels(draft, item))
        if place.creative_id:
            title = pictures.title(place.item_id)
            shown = Pictured(place.item_id, title, shown.pixels, shown.missing)
        tiles.append(Tile(place, shown, made_id))
    return tiles


def _pixels(draft: Draft, item: GeneratedItem) -> Pixels | None:
    """Return the pixels of what was made for this request."""
    made = draft.found.generation
    return made.pixels if made is not None and made.item_id == item.item_id else None


def _told(draft: Draft, slate: Slate, pictures: Pictures) -> ToldPicture | None:
    """Return the picture that the slate shows, or else the newest on offer."""
    made = draft.found.generation
    if made is not None:
        return ToldPicture(made.item_id, made.provenance, made.history_masks, made.sweep, None)
    for item in (*slate.items, *draft.found.items):
        record = pictures.sweep(item)
        masks, sweep = (record.history_masks, record.sweep) if record else ((), ())
        pixels = pictures.of_made(item).pixels
        return ToldPicture(item.item_id, item.provenance, masks, sweep, pixels)
    return None


def _history(draft: Draft, told: ToldPicture | None, pictures: Pictures) -> tuple[Pictured, ...]:
    if told is not None:
        shown: Sequence[str] = told.provenance.history_item_ids
    else:
        shown = draft.history.liked[-NUM_LIKED:] if draft.history else ()
    return tuple(pictures.of_catalog(item_id) for item_id in shown)


def _reference_shown(reference: Reference | None, pictures: Pictures) -> Pictured | None:
    if reference is None or reference.item_id is None:
        return None
    return pictures.of_catalog(reference.item_id)


def _offers(draft: Draft, slate: Slate, pictures: Pictures) -> list[OfferRow]:
    ranked = draft.ranked
    if ranked is None:
        return []
    made = {item.item_id: item for item in draft.found.items}
    position_of = {
        place.creative_id or place.item_id: place.position
        for place in slate.placements
        if place.is_generated or place.creative_id
    }
    chances = draft.choice.item_propensities if draft.choice else {}
    rows = []
    for offer, raw in zip(ranked.offers, _plain(ranked.offer_scores.raw), strict=True):
        item = made[offer.item_id]
        code, line = _verdict(draft, offer, is_choice=offer.item_id in chances)
        rows.append(
            OfferRow(
                shown=pictures.of_made(item, _pixels(draft, item)),
                item=item,
                raw=raw,
                calibrated=offer.probability,
                code=code,
                line=line,
                position=position_of.get(offer.item_id),
                propensity=chances.get(offer.item_id),
            )
        )
    return rows


def _verdict(draft: Draft, offer: Offer, is_choice: bool) -> tuple[str, str]:
    """Return the code and the line of an offer; a policy gives the blend only what it chose."""
    if draft.blended is None:
        return NOT_CHOSEN, "the slate was given up before anything was placed"
    if (verdict := draft.blended.verdicts.get(offer.item_id)) is not None:
        return verdict.code, verdict.line
    if is_choice:
        return NOT_CHOSEN, f"generated item {offer.item_id} not chosen by the policy"
    return NOT_CHOSEN, f"generated item {offer.item_id} was no choice: no place is open to it"


def _candidates(draft: Draft, slate: Slate, pictures: Pictures) -> list[ScoreRow]:
    ranked, items = draft.ranked, draft.items or draft.request.candidates
    if ranked is not None:
        items = tuple(ranked.candidates.items)
        raw, calibrated = _plain(ranked.scores.raw), _plain(ranked.scores.calibrated)
    else:
        raw, calibrated = [None] * len(items), [None] * len(items)
    position_of = {place.item_id: place.position for place in slate.placements}
    return [
        ScoreRow(
            item.item_id,
            pictures.title(item.item_id),
            item.score,
            before,
            after,
            position_of.get(item.item_id),
        )
        for item, before, after in zip(items, raw, calibrated, strict=True)
    ]


def _rungs(draft: Draft) -> tuple[RungRow, ...]:
    if PICTURES not in draft.times_ms:
        return ()
    found, rungs = draft.found, list(Rung)
    taken = rungs.index(found.rung)
    rows = []
    for number, rung in enumerate(rungs):
        state: RungState
        if rung in found.passed:
            state, why = "left out", found.passed[rung]
        elif number == taken:
            state, why = "taken", ""
        elif number < taken:
            state, why = "not tried", "switched off, or a part it needs is not configured"
        else:
            state, why = "not needed", ""
        rows.append(RungRow(rung, state, why))
    return tuple(rows)


def _stages(draft: Draft) -> tuple[StageRow, ...]:
    rows, start_ms = [], 0.0
    for name, took_ms in dict(draft.times_ms).items():  # a copy: a thread may still write
        rows.append(StageRow(name, start_ms, took_ms))
        start_ms += took_ms
    return tuple(rows)


def _plain(column: Vectors) -> list[float | None]:
    """Return a column as numbers, None for nan."""
    return [None if math.isnan(value) else float(value) for value in column.tolist()]
