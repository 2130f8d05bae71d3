"""The records that travel between the stages, in the order a request meets them.

Plain frozen data: no behaviour beyond what follows from the fields, no I/O. Pixels are
`uint8` arrays (height, width, 3) in RGB; embeddings are `float32`, of unit length.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Vectors = NDArray[np.float32]

ItemKind = Literal["item", "creative"]  # creative: a new picture for a catalog item

LIKE = "like"
SKIP = "skip"
NEUTRAL = "neutral"  # seen, neither liked nor skipped (a rating in the middle)
EVENTS = (LIKE, SKIP, NEUTRAL)

GENERATED_PREFIX = "gen-"  # of item ids; no catalog item's id begins so


@dataclass(frozen=True, slots=True)
class Interaction:
    """One user did one thing to one item."""

    user_id: str
    item_id: str
    event: str  # one of EVENTS
    at_ms: int  # epoch milliseconds, UTC


@dataclass(frozen=True, slots=True)
class Item:
    """One catalog item. Attribute values are strings, a list-valued one a tuple of them."""

    item_id: str
    title: str
    instruction: str  # what a text reference may say about it; never its style
    attributes: Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True)
class History:
    """A user's interactions, oldest first and newest last; the three tuples align."""

    user_id: str
    item_ids: tuple[str, ...]
    times_ms: tuple[int, ...]
    events: tuple[str, ...]
    version: int = 0  # never decreases for a user; a store refuses to go back
    # What a store says of a read, no part of what was read: equal histories may differ in it.
    written_ms: int | None = field(default=None, compare=False)  # when; None where no store says
    is_stale: bool = field(default=False, compare=False)  # older than the store was told to allow

    def __post_init__(self) -> None:
        if not len(self.item_ids) == len(self.times_ms) == len(self.events):
            raise ValueError(
                f"history of {self.user_id!r}: {len(self.item_ids)} items, "
                f"{len(self.times_ms)} times and {len(self.events)} events must be as many"
            )

    @cached_property
    def liked(self) -> tuple[str, ...]:
        """Liked item ids, oldest first, each once (its newest like counts).

        An item skipped after its like is no longer liked.
        """
        last: dict[str, str] = {}
        for item_id, event in zip(self.item_ids, self.events, strict=True):
            if event != NEUTRAL:
                last.pop(item_id, None)
                last[item_id] = event
        return tuple(item_id for item_id, event in last.items() if event == LIKE)

    @cached_property
    def content_hash(self) -> str:
        """Sixteen hex digits that change whenever an item, a time or an event does."""
        rows = zip(self.item_ids, self.times_ms, self.events, strict=True)
        text = "".join([f"{len(item)}:{item}|{at_ms}|{event}\n" for item, at_ms, event in rows])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Reference:
    """What the generated image should show: a catalog image, a text, or both."""

    item_id: str | None = None
    text: str = ""

    def __post_init__(self) -> None:
        if self.item_id is None and not self.text.strip():
            raise ValueError("a reference needs an item_id, a text, or both; got neither")


class ScoredItem(NamedTuple):
    """An item id with a score; larger is better. The scale belongs to whoever scored it.

    A named tuple, as every request makes hundreds of them.
    """

    item_id: str
    score: float


@dataclass(frozen=True, slots=True)
class RankItem:
    """One row for the ranker. A generated item has no id history, so its content speaks."""

    item_id: str
    embedding: Vectors  # (D,)
    attributes: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    is_generated: bool = False
    text: str = ""  # the item's title; of a generated one, the words it was made from
    text_embedding: Vectors | None = None  # (T,), in place of `text`, by the embedder of training


@dataclass(frozen=True, slots=True)
class RankContext:
    """The circumstances under which items are ranked."""

    at_ms: int  # epoch milliseconds, UTC: when the slate is shown


@dataclass(frozen=True, slots=True)
class HistoryImage:
    """One history image as the generator sees it."""

    item_id: str
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class GenerationTask:
    """Everything a generator needs to make one user's image; no look-ups are left to do."""

    user_id: str
    history: tuple[HistoryImage, ...]  # oldest first, at most the model's history length
    history_hash: str
    reference: Reference
    reference_pixels: Pixels | None
    seed: int


@dataclass(frozen=True, slots=True)
class SweepImage:
    """The image made at one reference-mask ratio, with the selection scorer's verdict."""

    reference_mask_ratio: float  # share of the reference's tokens hidden, α_r
    pixels: Pixels
    history_score: float  # mean cosine similarity to the history images
    reference_score: float  # cosine similarity to the reference
    score: float  # ½ history + ½ reference


@dataclass(frozen=True, slots=True)
class TokenMask:
    """Which tokens of one image the model kept, row by row over the image's token grid."""

    item_id: str
    rows: int
    columns: int
    keep: tuple[bool, ...]  # rows × columns values

    def __post_init__(self) -> None:
        if len(self.keep) != self.rows * self.columns:
            raise ValueError(f"{len(self.keep)} keep flags for {self.rows}x{self.columns} tokens")


def content_hash(pixels: Pixels) -> str:
    """Return the sha256 of a picture's shape and bytes, 64 hex digits."""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def generated_item_id(content_hash: str) -> str:
    """Return the item id of a generated picture."""
    return GENERATED_PREFIX + content_hash[:16]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a generated image comes from; enough to make it again."""

    content_hash: str  # of the pixels
    model: str
    weights_version: str
    user_id: str
    history_hash: str
    history_item_ids: tuple[str, ...]
    reference: Reference
    reference_mask_ratio: float
    seed: int
    steps: int
    history_score: float
    reference_score: float
    checks_passed: tuple[str, ...]
    created_ms: int
    token_seed: int | None = None  # of the preference tokens, where `seed` only painted them


@dataclass(frozen=True, slots=True)
class Generation:
    """All that one generation task produced."""

    item_id: str  # `gen-` and the first 16 hex digits of the content hash
    pixels: Pixels
    sweep: tuple[SweepImage, ...]
    history_masks: tuple[TokenMask, ...]
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class GeneratedItem:
    """A published generation: what a feed needs to show it and to rank it."""

    item_id: str
    image: str  # URL of the picture in the image store
    embedding: Vectors = field(compare=False)  # (D,), of the picture
    job_key: str  # names the job it was made by, the same however often the job was tried
    reason: str  # why it was made, e.g. `new likes`
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class ErasedItem:
    """A generated item that was erased: what its traces outside of the item store go by."""

    item_id: str
    content_hash: str  # names the picture
    job_key: str  # names the result


@dataclass(frozen=True, slots=True)
class SlotRequest:
    """One call to the slot. Without candidates of the caller's own, the index retrieves some."""

    request_id: str
    user_id: str
    reference: Reference | None = None
    candidates: tuple[ScoredItem, ...] = ()  # in the order of the caller's ranking
    slate_size: int = 10
    seed: int = 0
    surface: str = "feed"  # where the slate is shown, as the settings name it
    deadline_ms: float | None = None  # from the call on; None: the slot's own


@dataclass(frozen=True, slots=True)
class Placement:
    """One position of a slate."""

    position: int  # 0 is shown first
    item_id: str
    score: float  # the caller's; of a generated item its probability
    is_generated: bool
    probability: float | None = None  # of a like, calibrated; None: not known
    creative_id: str | None = None  # the generated picture that a catalog item wears


@dataclass(frozen=True, slots=True)
class Slate:
    """What goes to the feed, and why the slot was filled or left empty."""

    request_id: str
    user_id: str
    placements: tuple[Placement, ...]
    reason: str  # e.g. `generated item gen-1 in place 3`, `unknown user: cold-start slate`
    rung: str = "catalog"  # of the ladder: where the generated picture came from
    generation: Generation | None = None  # also given when it was made but not placed
    items: tuple[GeneratedItem, ...] = ()  # those that are placed
