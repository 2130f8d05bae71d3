"""A slate's entry in the decision log, with the exact chance of what was decided.

In:  a finished draft and the slate that went out.
Out: a `Decision`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np

from pigeon_recsys.decisions import Decision, Offered
from pigeon_recsys.ranking.beliefs import BetaBeliefs, LinearBeliefs
from pigeon_recsys.ranking.beliefs_document import beliefs_to_json
from pigeon_recsys.ranking.blend_input import BlendRequest, Candidates, Offer
from pigeon_recsys.ranking.constraints import BlendConstraints
from pigeon_recsys.ranking.eligibility import is_in_share
from pigeon_recsys.ranking.exploration import SlotBeliefs, SlotChoice, SlotPolicy
from pigeon_recsys.ranking.scoring import GENERATED, Ranked
from pigeon_recsys.records import Slate, Vectors
from pigeon_recsys.slot.draft import Draft
from pigeon_recsys.slot.parts import SlotParts

Scored = tuple[float | None, ...]  # None: not known

NOT_CHOSEN = "not_chosen"  # an offer that was no choice, or that the policy left out


def certain_choice(
    placeable: Sequence[Offer], request: BlendRequest, constraints: BlendConstraints
) -> SlotChoice:
    """Return the choice without a policy: the best item, by chance of the share alone."""
    if not placeable:
        return SlotChoice(None, 1.0, 0.0, {})
    best = max(placeable, key=lambda offer: offer.probability).item_id
    chances = {offer.item_id: float(offer.item_id == best) for offer in placeable}
    if is_in_share(request, constraints):
        return SlotChoice(best, constraints.share, constraints.share, chances)
    return SlotChoice(None, 1 - constraints.share, constraints.share, chances)


def versions_of(parts: SlotParts, policy: SlotPolicy | None) -> dict[str, str]:
    """Return the versions of what decides, where the parts tell them."""
    told = {
        "ranker": getattr(parts.ranker, "weights_sha256", None),
        "calibration": getattr(parts.calibration, "version", None),
        "embedder": getattr(parts.embedder, "weights_sha256", None),
        "generator": getattr(parts.generator, "version", None),
        "policy": None if policy is None else _policy_version(policy, parts.beliefs),
    }
    return {name: version for name, version in told.items() if version}


def _policy_version(policy: SlotPolicy, beliefs: SlotBeliefs) -> str:
    """Return sixteen hex digits that change whenever a rule or a belief of ours does."""
    told = [
        beliefs_to_json(each)
        if isinstance(each, BetaBeliefs | LinearBeliefs)
        else type(each).__name__
        for each in (beliefs.slot, beliefs.item)
    ]
    return hashlib.sha256(f"{policy} {json.dumps(told)}".encode()).hexdigest()[:16]


def decision_of(
    draft: Draft,
    slate: Slate,
    versions: Mapping[str, str],
    allowed_ms: float | None,
    total_ms: float,
) -> Decision:
    """Return what to log of a slate; of one that was given up, what is known of it."""
    request = draft.request
    is_whole = draft.became(slate)
    choice = draft.choice if is_whole else None
    items = draft.items or request.candidates
    ranked = draft.ranked if is_whole else None
    candidates = Candidates(items) if ranked is None else ranked.candidates
    probabilities, raw_scores = _scores(ranked, len(items))
    return Decision(
        request_id=request.request_id,
        user_id=request.user_id,
        surface=request.surface,
        at_ms=draft.at_ms,
        action=choice.item_id if choice else None,
        propensity=choice.propensity if choice else 1.0,
        slot_propensity=choice.slot_propensity if choice else 0.0,
        rung=slate.rung,
        reason=slate.reason,
        placements=slate.placements,
        num_candidates=len(items),
        candidate_ids=candidates.item_ids,
        candidate_scores=candidates.scores,
        candidate_probabilities=probabilities,
        offered=_offered(draft, choice) if is_whole else (),
        experiment=draft.experiment,
        bucket=draft.bucket,
        context=draft.context,
        versions=versions,
        history_hash=draft.history.content_hash if draft.history else "",
        latency_ms=dict(draft.times_ms),
        total_ms=total_ms,
        deadline_ms=allowed_ms,
        candidate_raw_scores=raw_scores,
    )


def _scores(ranked: Ranked | None, num_items: int) -> tuple[Scored, Scored]:
    """Return the candidates' probabilities and the ranker's own scores; without any, none."""
    if ranked is None:
        return (None,) * num_items, ()
    scores = ranked.scores
    probabilities = tuple(_plain(scores.calibrated))
    if scores.raw is scores.calibrated:  # without a calibration: nothing to convert once more
        return probabilities, probabilities
    return probabilities, tuple(_plain(scores.raw))


def _offered(draft: Draft, choice: SlotChoice | None) -> tuple[Offered, ...]:
    assert draft.blended is not None
    assert draft.ranked is not None
    raw = _plain(draft.ranked.offer_scores.raw)
    rows = []
    for offer, score in zip(draft.ranked.offers, raw, strict=True):
        verdict = draft.blended.verdicts.get(offer.item_id)
        rows.append(
            Offered(
                item_id=offer.item_id,
                kind=offer.kind,
                source=GENERATED,
                score=score,
                probability=offer.probability,
                code=verdict.code if verdict else NOT_CHOSEN,
                line=verdict.line if verdict else f"generated item {offer.item_id} not chosen",
                propensity=choice.item_propensities.get(offer.item_id) if choice else None,
            )
        )
    return tuple(rows)


def _plain(column: Vectors) -> list[float | None]:
    """Return a column as numbers, None for nan."""
    values: list[float | None] = column.tolist()
    for number in np.flatnonzero(np.isnan(column)):
        values[number] = None
    return values
