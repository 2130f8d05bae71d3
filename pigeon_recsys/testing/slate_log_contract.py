"""What every `SlateLog` must do; inherit and supply `make_log` and `logged`.

class TestMyLog(SlateLogContract):
    def make_log(self):
        return MyLog(...)

    def logged(self):
        return [...]

`make_log` returns an empty log each time it is called, and `logged` what the newest of them holds,
in any order.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from pigeon_recsys.decisions import (
    MAX_CANDIDATES,
    MAX_ID,
    MAX_OFFERED,
    MAX_TEXT,
    Decision,
    Exposure,
    Offered,
    Outcome,
    SlateEntry,
)
from pigeon_recsys.errors import EventError
from pigeon_recsys.ports import SlateLog
from pigeon_recsys.records import Placement

AT_MS = 1_767_225_600_000  # 2026-01-01
HOUR_MS = 3_600_000


def make_decision(number: int = 1, **changed: Any) -> Decision:
    """Return a decision to show a picture, with a value in every field."""
    made = f"gen-{number}"
    decision = Decision(
        request_id=f"slate-{number}",
        user_id="ada é 漢字",
        surface="home",
        at_ms=AT_MS + number,
        action=made,
        propensity=0.3 * (0.1 + 0.2),  # no short decimals
        slot_propensity=0.3,
        rung="stored",
        reason=f"generated item {made} in place 2",
        placements=(
            Placement(0, "item-1", 7.5, is_generated=False, probability=0.4),
            Placement(1, made, 0.25, is_generated=True, probability=0.25),
            Placement(2, "item-2", -1.0, is_generated=False, creative_id="gen-other"),
        ),
        num_candidates=2,
        candidate_ids=("item-1", "item-2"),
        candidate_scores=(7.5, -1.0),
        candidate_probabilities=(0.4, None),
        offered=(
            Offered(made, "item", "pigeon", 0.5, 0.25, "placed", "in place 2", 0.1 + 0.2),
            Offered("gen-other", "creative", "pigeon", None, None, "min_score", "too low"),
        ),
        experiment="slot-2026",
        bucket="treated",
        context={"hour_sin": -0.5, "recency": 1 / 3},
        versions={"ranker": "r-1", "policy": "thompson-3"},
        history_hash="0123456789abcdef",
        latency_ms={"history": 1.25, "rank": 2.5},
        total_ms=4.75,
        deadline_ms=25.0,
        candidate_raw_scores=(0.6, None),
    )
    return replace(decision, **changed)


def make_empty_decision(number: int = 1) -> Decision:
    """Return a decision with as little in it as there can be."""
    return Decision(
        request_id=f"empty-{number}",
        user_id="bob",
        surface="",
        at_ms=AT_MS + number,
        action=None,
        propensity=1.0,
        slot_propensity=0.0,
        rung="catalog",
        reason="",
        placements=(),
        num_candidates=0,
        candidate_ids=(),
        candidate_scores=(),
        candidate_probabilities=(),
    )


def make_exposure(number: int = 1) -> Exposure:
    """Return an exposure of the picture that a decision shows."""
    return Exposure("ada é 漢字", AT_MS + number, f"slate-{number}", f"gen-{number}", 1)


def make_outcome(number: int = 1, **changed: Any) -> Outcome:
    """Return a like of the same picture, of which the history is told."""
    made = Outcome("ada é 漢字", AT_MS + number, f"slate-{number}", f"gen-{number}", "like", "like")
    return replace(made, **changed)


class SlateLogContract(ABC):
    """Inherit and supply `make_log` and `logged`."""

    @abstractmethod
    def make_log(self) -> SlateLog:
        """Return an empty log."""

    @abstractmethod
    def logged(self) -> Iterable[SlateEntry]:
        """Return what the newest log holds, in any order."""

    def check(self, *entries: SlateEntry) -> None:
        """Log entries in one batch; they must come back exactly."""
        log = self.make_log()
        assert isinstance(log, SlateLog)
        log.write(entries)
        log.close()
        assert sorted(map(repr, self.logged())) == sorted(map(repr, entries))

    def test_every_field_of_every_entry_comes_back_exactly(self) -> None:
        clicked = make_outcome(kind="click", event=None)
        hidden = make_outcome(2, kind="hide", event="skip")
        self.check(make_decision(), make_exposure(), make_outcome(), clicked, hidden)

    def test_what_is_empty_comes_back_empty(self) -> None:
        self.check(make_empty_decision())

    def test_batches_add_up_whatever_days_they_are_of(self) -> None:
        log = self.make_log()
        batches: list[list[SlateEntry]] = [
            [make_decision(number), make_exposure(number)]
            for number in (1, 2, 50 * HOUR_MS, -50 * HOUR_MS)
        ]
        for batch in batches:
            log.write(batch)
        log.close()
        expected = [entry for batch in batches for entry in batch]
        assert sorted(map(repr, self.logged())) == sorted(map(repr, expected))

    def test_an_entry_has_a_bounded_size_and_keeps_the_choice(self) -> None:
        num = MAX_CANDIDATES + 5
        decision = make_decision(
            reason="x" * 2 * MAX_TEXT,
            num_candidates=num,
            candidate_ids=tuple(f"item-{number}" for number in range(num)),
            candidate_scores=(0.5,) * num,
            candidate_probabilities=(None,) * num,
            candidate_raw_scores=(0.25,) * num,
        )
        others = (replace(decision.offered[1], item_id=f"gen-{n}") for n in range(9, 9 + num))
        log = self.make_log()
        log.write([replace(decision, offered=(*others, decision.offered[0]))])
        log.close()
        (found,) = self.logged()
        assert isinstance(found, Decision)
        assert found.num_candidates == num
        assert found.candidate_ids == decision.candidate_ids[:MAX_CANDIDATES]
        assert found.candidate_raw_scores == decision.candidate_raw_scores[:MAX_CANDIDATES]
        assert len(found.reason) == MAX_TEXT
        assert len(found.offered) == MAX_OFFERED
        assert found.item_propensity == decision.item_propensity

    @pytest.mark.parametrize("user_id", ["x" * (MAX_ID + 1), "\ud800"], ids=["long", "no Unicode"])
    def test_a_batch_with_an_entry_that_cannot_be_written_is_refused_whole(
        self, user_id: str
    ) -> None:
        log = self.make_log()
        log.write([make_exposure(1)])
        with pytest.raises(EventError):
            log.write([make_exposure(2), replace(make_exposure(3), user_id=user_id)])
        log.write([make_exposure(4)])
        log.close()
        assert sorted(map(repr, self.logged())) == sorted(
            map(repr, [make_exposure(1), make_exposure(4)])
        )
