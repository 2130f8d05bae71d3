"""A request that cannot be ranked is refused with every fault and its path, and what can is not."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from pigeon_recsys.errors import RequestError
from pigeon_recsys.records import Reference, ScoredItem, SlotRequest
from pigeon_recsys.slot.settings import SlotSettings
from pigeon_recsys.slot.slot import Slot
from pigeon_recsys.testing.fake_slate_log import FakeSlateLog
from tests.slot.conftest import MakeRequest, MakeSlot, ids

HUGE = 10**400  # more than a float can hold
HOLDS_NONE = "a whole number of 1329 bits, which no float holds"


class Unprintable:
    """Fails when it is shown."""

    def __repr__(self) -> str:
        raise ValueError("no")


def test_a_faulty_request_is_refused_with_every_fault_and_its_path(slot: Slot) -> None:
    candidates = (ScoredItem("", float("nan")), ScoredItem("gen-1", 1.0))
    faulty = SlotRequest("", "u" * 300, candidates=candidates, slate_size=0, seed=-1)
    with pytest.raises(RequestError) as caught:
        slot.fill(faulty)
    assert caught.value.faults == (
        "request_id must not be empty",
        "user_id must be at most 256 characters, got 300",
        "slate_size must be from 1 to 200, got 0",
        "seed must be from 0 to 9223372036854775807, got -1",
        "candidates.0.item_id must not be empty",
        "candidates.0.score must be a finite number, got nan",
        "candidates.1.item_id must not begin with 'gen-', got 'gen-1': the slot finds generated "
        "items itself",
    )


def test_values_of_other_types_are_faults_like_any_other(slot: Slot) -> None:
    wrong: Any = {
        "request_id": 5,
        "user_id": None,
        "surface": b"home",
        "reference": "a cat",
        "slate_size": "ten",
        "seed": True,
        "deadline_ms": "soon",
        "candidates": (ScoredItem(7, "high"), "item-1"),  # type: ignore[arg-type]
    }
    with pytest.raises(RequestError) as caught:
        slot.fill(SlotRequest(**wrong))
    assert caught.value.faults == (
        "request_id must be text, got 5",
        "user_id must be text, got None",
        "surface must be text, got b'home'",
        "reference must be a Reference, got 'a cat'",
        "slate_size must be a whole number, got 'ten'",
        "seed must be a whole number, got True",
        "deadline_ms must be a number, got 'soon'",
        "candidates.0.item_id must be text, got 7",
        "candidates.0.score must be a finite number, got 'high'",
        "candidates.1 must be a ScoredItem, got 'item-1'",
    )
    with pytest.raises(RequestError, match=r"^candidates must be a sequence, got 3$"):
        slot.fill(SlotRequest("r1", "ada", candidates=3))  # type: ignore[arg-type]


def test_long_strings_are_refused_and_ten_thousand_candidates(slot: Slot) -> None:
    many = tuple(ScoredItem(f"i{number}", 1.0) for number in range(10_000))
    with pytest.raises(RequestError) as caught:
        slot.fill(SlotRequest("r" * 1_000_000, "ada", candidates=many))
    assert caught.value.faults == (
        "request_id must be at most 256 characters, got 1000000",
        "candidates must be at most 2000, got 10000",
    )


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"reference": Reference("i", 5)}, "reference.text must be text, got 5"),  # type: ignore[arg-type]
        ({"reference": Reference("i", None)}, "reference.text must be text, got None"),  # type: ignore[arg-type]
        ({"deadline_ms": HUGE}, f"deadline_ms must be a number, got {HOLDS_NONE}"),
        ({"deadline_ms": True}, "deadline_ms must be a number, got True"),
        ({"deadline_ms": float("nan")}, "deadline_ms must be a number, got nan"),
        ({"deadline_ms": 5j}, "deadline_ms must be a number, got 5j"),
        ({"seed": 10**5000}, "seed must be from 0 to 9223372036854775807, got a whole number of "),
        ({"slate_size": HUGE}, f"slate_size must be from 1 to 200, got {HOLDS_NONE}"),
        (
            {"surface": Unprintable()},
            "surface must be text, got a value of type Unprintable that cannot be shown",
        ),
        (
            {"user_id": "a\x00b"},
            "user_id must hold no control characters, got 'a\\x00b': escape them",
        ),
        ({"request_id": "r\x7f"}, "request_id must hold no control characters"),
        (
            {"reference": Reference("a\nb")},
            "reference.item_id must hold no control characters, got 'a\\nb': escape them",
        ),
    ],
)
def test_what_code_may_send_and_json_may_not_is_a_fault(
    slot: Slot, request_of: MakeRequest, changes: dict[str, Any], fault: str
) -> None:
    with pytest.raises(RequestError) as caught:
        slot.fill(replace(request_of("ada"), **changes))
    (told,) = caught.value.faults
    assert told.startswith(fault)


@pytest.mark.parametrize(
    ("score", "shown"),
    [
        (HUGE, HOLDS_NONE),
        (True, "True"),
        (np.bool_(True), "np.True_"),
        (1j, "1j"),
        (np.complex64(1), "np.complex64(1+0j)"),
        (Decimal("1.5"), "Decimal('1.5')"),
        (np.array([1.0, 2.0]), "array([1., 2.])"),
        (np.float32("nan"), "np.float32(nan)"),
        (float("-inf"), "-inf"),
        (None, "None"),
    ],
)
def test_a_score_is_a_finite_real_number(
    slot: Slot, request_of: MakeRequest, score: Any, shown: str
) -> None:
    candidates = (ScoredItem("item-08", 1.0), ScoredItem("item-09", score))
    with pytest.raises(RequestError) as caught:
        slot.fill(request_of("ada", candidates=candidates))
    assert caught.value.faults == (f"candidates.1.score must be a finite number, got {shown}",)


@pytest.mark.parametrize("item_id", ["a\x00b", "\x00gen-1", "item-08\n", "\x7f"])
def test_candidates_hold_no_control_characters(
    slot: Slot, request_of: MakeRequest, item_id: str
) -> None:
    candidates = (ScoredItem("item-08", 1.0), ScoredItem(item_id, 1.0))
    with pytest.raises(RequestError, match=r"^candidates\.1\.item_id must hold no control char"):
        slot.fill(request_of("ada", candidates=candidates))


@pytest.mark.parametrize("request_", [None, {}, "r1"])
def test_a_request_is_a_slot_request(slot: Slot, request_: Any) -> None:
    with pytest.raises(RequestError, match=r"^request must be a SlotRequest, got "):
        slot.fill(request_)


def test_numbers_of_numpy_are_numbers_and_are_logged_as_pythons(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    """A log that writes JSON takes none of numpy's."""
    log = FakeSlateLog()
    candidates = (
        ScoredItem("item-08", np.float32(2)),
        ScoredItem("item-09", np.float64(1)),
        ScoredItem("item-07", np.int64(0)),  # type: ignore[arg-type]
    )
    slate = make_slot(log=log).fill(
        request_of(
            "nobody",
            candidates=candidates,
            deadline_ms=np.float32(5_000),
            slate_size=np.int64(3),
            seed=np.int32(1),
        )
    )
    assert ids(slate) == ["item-08", "item-09", "item-07"]
    (decision,) = log.decisions
    numbers = (*decision.candidate_scores, decision.deadline_ms)
    assert numbers == (2.0, 1.0, 0.0, 5_000.0)
    assert {type(number) for number in numbers} == {float}


def test_rare_characters_are_no_faults(slot: Slot, request_of: MakeRequest) -> None:
    rare = tuple(
        ScoredItem(f"item\u00a0{each}", 1.0) for each in ("\u200b", "\U0001f469\u200d", "é")
    )
    slate = slot.fill(request_of("nobody", candidates=rare))
    assert ids(slate) == [item.item_id for item in rare]


def test_too_many_candidates_are_refused_and_long_lists_of_faults_are_cut(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    slot = make_slot(SlotSettings(max_candidates=30))
    many = tuple(ScoredItem(f"i{number}", 1.0) for number in range(31))
    with pytest.raises(RequestError, match=r"^candidates must be at most 30, got 31$"):
        slot.fill(request_of("ada", candidates=many))
    bad = tuple(ScoredItem(f"i{number}", float("inf")) for number in range(30))
    with pytest.raises(RequestError, match="and 10 more$"):
        slot.fill(request_of("ada", candidates=bad))
