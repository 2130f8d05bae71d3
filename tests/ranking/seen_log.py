"""A decision log of slates with one picture and one catalog item, and what became of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pigeon_recsys.decisions import Decision, Exposure, Offered, Outcome, OutcomeKind, SlateEntry
from pigeon_recsys.records import Placement
from pigeon_recsys.testing.slate_log_contract import AT_MS, HOUR_MS, make_empty_decision
from pigeon_recsys_connectors.parquet_slate_log import ParquetSlateLog

ITEM, MADE = "item-1", "gen-1"
DAY_MS = 24 * HOUR_MS


def decision_of(number: int, *, is_filled: bool = True, **changed: Any) -> Decision:
    """Return a decision of even chances; at half the time a picture stands above an item."""
    made = (Placement(0, MADE, 0.7, is_generated=True, probability=0.7),) if is_filled else ()
    decision = replace(
        make_empty_decision(number),
        request_id=f"r{number}",
        user_id=f"u{number % 50}",
        action=MADE if is_filled else None,
        propensity=0.5,
        slot_propensity=0.5,
        placements=(*made, Placement(len(made), ITEM, 3.0, is_generated=False, probability=0.4)),
        num_candidates=2,
        candidate_ids=(ITEM, "item-2"),
        candidate_scores=(3.0, 2.0),
        candidate_probabilities=(0.4, None),
        candidate_raw_scores=(0.6, None),
        offered=(Offered(MADE, "item", "generated", 0.9, 0.7, "placed", "", 1.0),),
    )
    return replace(decision, **changed)


def seen(decision: Decision, item_id: str, after_ms: int = 0) -> Exposure:
    at_ms = decision.at_ms + after_ms
    return Exposure(decision.user_id, at_ms, decision.request_id, item_id, 0)


def said(
    decision: Decision, item_id: str, kind: OutcomeKind = "like", after_ms: int = 1
) -> Outcome:
    at_ms = decision.at_ms + after_ms
    return Outcome(decision.user_id, at_ms, decision.request_id, item_id, kind)


def write_log(folder: Path, *entries: SlateEntry, end_ms: int = AT_MS + 10 * DAY_MS) -> Path:
    """Write a log whose last entry, of a slate that it does not hold, is at `end_ms`."""
    log = ParquetSlateLog(folder)
    log.write([*entries, Exposure("nobody", end_ms, "another", "item-9", 0)])
    return folder
