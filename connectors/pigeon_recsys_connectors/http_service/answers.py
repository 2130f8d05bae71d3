"""What answers look like, made of the service's records."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pigeon_recsys.generation.ladder import Rung
from pigeon_recsys.generation.xmp import GENERATED as SOURCE_TYPE
from pigeon_recsys.records import GeneratedItem, Slate
from pigeon_recsys.service.erasure import ErasureReport
from pigeon_recsys.service.generations import Ticket

ITEM_URL, GENERATION_URL = "/v1/items/{item_id}", "/v1/generations/{generation_id}"
IMAGE_URL = f"{ITEM_URL}/image"


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class PlacementAnswer(_Answer):
    """One position of a slate."""

    position: int = Field(description="0 is shown first.")
    item_id: str = Field(description="Of the catalog, or of a generated item.")
    score: float = Field(description="The caller's; of a generated item its probability.")
    is_generated: bool = Field(
        description="Whether it is a generated item of its own; label it so."
    )
    probability: float | None = Field(description="Of a like, calibrated; null: not known.")
    creative_id: str | None = Field(description="The generated picture that a catalog item wears.")
    image_url: str | None = Field(
        description="Of the generated picture; null where there is none, or it is not stored."
    )


class SlateAnswer(_Answer):
    """What goes to the feed, and why the slot was filled or left empty."""

    request_id: str = Field(description="Joins the slate to its feedback.")
    placements: list[PlacementAnswer] = Field(description="The slate, the first position first.")
    reason: str = Field(description="Why the slot was filled or left empty.")
    rung: Rung = Field(description="Where the generated picture came from.")


class ReferenceAnswer(_Answer):
    """What a picture was asked to show."""

    item_id: str | None = Field(description="A catalog item whose picture was asked for.")
    text: str = Field(description="Words that were asked for.")


class ProvenanceAnswer(_Answer):
    """Where a picture comes from. What tells of the user is null without the scope `viewer`."""

    content_hash: str = Field(description="SHA-256 of the pixels.")
    model: str = Field(description="The backbone.")
    weights_version: str = Field(description="Of the model that made it.")
    history_hash: str = Field(description="Of the history that it was made from.")
    reference: ReferenceAnswer = Field(description="What it should show.")
    reference_mask_ratio: float = Field(
        description="Share of the reference's tokens that were hidden."
    )
    steps: int = Field(description="Of the decoder.")
    history_score: float = Field(
        description="Mean cosine similarity to the pictures of the history."
    )
    reference_score: float = Field(description="Cosine similarity to the reference.")
    checks_passed: list[str] = Field(description="What the picture was checked for.")
    created_ms: int = Field(description="When, epoch milliseconds, UTC.")
    user_id: str | None = Field(description="For whom it was made.")
    history_item_ids: list[str] | None = Field(
        description="Items of the history that the model saw."
    )
    seed: int | None = Field(description="Of the picture; a worker derives it from the user's id.")
    token_seed: int | None = Field(
        description="Of the preference tokens, where `seed` only painted them."
    )


class ItemAnswer(_Answer):
    """A generated item."""

    item_id: str = Field(description="Of the generated item.")
    image_url: str = Field(description="Where its picture is.")
    digital_source_type: str = Field(description="The IPTC's term, as the picture's file has it.")
    reason: str = Field(description="Why it was made.")
    provenance: ProvenanceAnswer = Field(description="Where the picture comes from.")


class GenerationAnswer(_Answer):
    """What has become of a picture that was asked for."""

    generation_id: str = Field(description="Of the ticket.")
    status: Literal["queued", "running", "done", "failed"] = Field(
        description="What has become of it."
    )
    status_url: str = Field(description="Where to ask again.")
    reason: str = Field(description="Of one that failed: why.")
    item: ItemAnswer | None = Field(description="Of one that is done: the item.")


class TakenAnswer(_Answer):
    """How many reports were taken."""

    taken: int = Field(description="Number of reports.")


class ErasureAnswer(_Answer):
    """How much was erased in each place."""

    at_ms: int = Field(description="The moment up to which the user is erased, epoch milliseconds.")
    erased: dict[str, int] = Field(description="Number of entries by place.")


class HealthAnswer(_Answer):
    """Whether the service works, and what does not."""

    status: Literal["ok", "failing", "draining"] = Field(
        description="Whether requests should be sent here."
    )
    problems: list[str] = Field(description="What does not work.")


def slate_answer(slate: Slate) -> SlateAnswer:
    """Return a slate as an answer."""
    stored = {item.item_id for item in slate.items if item.image}
    return SlateAnswer.model_construct(
        request_id=slate.request_id,
        placements=[
            PlacementAnswer.model_construct(
                position=place.position,
                item_id=place.item_id,
                score=place.score,
                is_generated=place.is_generated,
                probability=place.probability,
                creative_id=place.creative_id,
                image_url=_image_url(place.creative_id or place.item_id, stored),
            )
            for place in slate.placements
        ],
        reason=slate.reason,
        rung=Rung(slate.rung),
    )


def item_answer(item: GeneratedItem, shows_user: bool) -> ItemAnswer:
    """Return an item as an answer, with what tells of its user or without."""
    provenance = item.provenance
    of_user = (
        {name: getattr(provenance, name) for name in ("user_id", "seed", "token_seed")}
        | {"history_item_ids": list(provenance.history_item_ids)}
        if shows_user
        else dict.fromkeys(("user_id", "seed", "token_seed", "history_item_ids"))
    )
    return ItemAnswer(
        item_id=item.item_id,
        image_url=IMAGE_URL.format(item_id=item.item_id),
        digital_source_type=SOURCE_TYPE,
        reason=item.reason,
        provenance=ProvenanceAnswer(
            content_hash=provenance.content_hash,
            model=provenance.model,
            weights_version=provenance.weights_version,
            history_hash=provenance.history_hash,
            reference=ReferenceAnswer(
                item_id=provenance.reference.item_id, text=provenance.reference.text
            ),
            reference_mask_ratio=provenance.reference_mask_ratio,
            steps=provenance.steps,
            history_score=provenance.history_score,
            reference_score=provenance.reference_score,
            checks_passed=list(provenance.checks_passed),
            created_ms=provenance.created_ms,
            **of_user,
        ),
    )


def generation_answer(ticket: Ticket, shows_user: bool) -> GenerationAnswer:
    """Return a ticket, which must be known, as an answer."""
    assert ticket.status != "unknown"
    return GenerationAnswer(
        generation_id=ticket.ticket_id,
        status=ticket.status,
        status_url=GENERATION_URL.format(generation_id=ticket.ticket_id),
        reason=ticket.reason,
        item=ticket.item and item_answer(ticket.item, shows_user),
    )


def erasure_answer(report: ErasureReport) -> ErasureAnswer:
    """Return the report of an erasure that is complete."""
    erased: Mapping[str, int] = report.erased
    return ErasureAnswer(at_ms=report.at_ms, erased=dict(erased))


def _image_url(item_id: str, stored: set[str]) -> str | None:
    return IMAGE_URL.format(item_id=item_id) if item_id in stored else None
