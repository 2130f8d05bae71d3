"""docs/decision_log.md: its columns are those that are written, its estimate is right."""

import random
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from pigeon_recsys.decisions import Decision, Exposure, Offered, Outcome, SlateEntry
from pigeon_recsys.records import Placement
from pigeon_recsys.testing.slate_log_contract import make_empty_decision
from pigeon_recsys_connectors.parquet_slate_log import ParquetSlateLog

NUM_SIMULATED = 4_000
LIKES = {"gen-good": 0.8, "gen-bad": 0.1}  # the chance of a like
CHOSEN = {"gen-good": 0.3, "gen-bad": 0.7}  # the item's chance under the logging policy
SLOT = 0.5  # the chance of a filled slot


@pytest.fixture(scope="module")
def page(repo_root: Path) -> str:
    return (repo_root / "docs/decision_log.md").read_text()


def estimate(page: str, log: Path) -> float:
    """Run the page's code on a log."""
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {"log": log}
    exec(code, names)
    return float(names["estimate"])


def offered(item_id: str, probability: float, propensity: float) -> Offered:
    return Offered(item_id, "item", "pigeon", None, probability, "placed", "", propensity)


def decide(number: int, action: str | None) -> Decision:
    """Return a decision among two pictures, of which `gen-good` is the more probable."""
    choosable = tuple(offered(name, LIKES[name], CHOSEN[name]) for name in LIKES)
    propensity = 1 - SLOT if action is None else SLOT * CHOSEN[action]
    shown = "item-1" if action is None else action
    return replace(
        make_empty_decision(number),
        action=action,
        propensity=propensity,
        slot_propensity=SLOT,
        offered=choosable,
        placements=(Placement(0, shown, 1.0, is_generated=action is not None),),
    )


def like(decision: Decision, item_id: str) -> Outcome:
    return Outcome(decision.user_id, decision.at_ms, decision.request_id, item_id, "like", "like")


def test_the_estimate_is_what_is_worked_out_by_hand(page: str, tmp_path: Path) -> None:
    """Of four slates one shows gen-good and is liked: 1 / (0.5 × 0.3) / 4 = 1.6667.

    The like of gen-bad is another action's; that of an item on no slate, and the click, count for
    nothing; the like that came twice counts once.
    """
    good, bad, empty, good_unliked = (
        decide(number, action)
        for number, action in enumerate(("gen-good", "gen-bad", None, "gen-good"))
    )
    outcomes = [like(good, "gen-good"), like(good, "gen-good"), like(bad, "gen-bad")]
    outcomes += [like(good, "item-never-shown"), like(empty, "item-1")]
    outcomes.append(replace(like(good_unliked, "gen-good"), kind="click", event=None))
    log = ParquetSlateLog(tmp_path)
    log.write([good, bad, empty, good_unliked])
    log.write(outcomes)
    assert estimate(page, tmp_path) == pytest.approx(1 / (0.5 * 0.3) / 4)


def test_the_estimate_finds_the_truth_of_a_policy_that_was_not_run(
    page: str, tmp_path: Path
) -> None:
    """Always gen-good is liked in 80 of 100; the logging policy, at 0.5·(0.3·0.8 + 0.7·0.1), in 16.

    The estimate's standard error is at most √(0.8 / 0.15 / 4000) = 0.037.
    """
    rng = random.Random(7)
    entries: list[SlateEntry] = []
    for number in range(NUM_SIMULATED):
        filled = rng.choices(list(CHOSEN), list(CHOSEN.values()))[0]
        decision = decide(number, filled if rng.random() < SLOT else None)
        entries.append(decision)
        if decision.action is not None and rng.random() < LIKES[decision.action]:
            entries.append(like(decision, decision.action))
    ParquetSlateLog(tmp_path).write(entries)
    assert estimate(page, tmp_path) == pytest.approx(LIKES["gen-good"], abs=4 * 0.037)


@pytest.mark.parametrize("kind", [Decision, Exposure, Outcome, Offered, Placement])
def test_every_column_is_explained(page: str, kind: type) -> None:
    missing = [each.name for each in fields(kind) if f"`{each.name}`" not in page]
    assert missing == []


def test_the_page_names_the_bounds_that_hold(page: str) -> None:
    from pigeon_recsys.decisions import MAX_CANDIDATES, MAX_ID, MAX_OFFERED, MAX_TEXT

    for bound in (MAX_CANDIDATES, MAX_ID, MAX_OFFERED, MAX_TEXT):
        assert f"{bound:,}" in page
