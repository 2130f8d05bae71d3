"""Whatever happens inside, the caller's own slate is back in time, with the reason."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pigeon_recsys.errors import HistoryStoreError, RankingError
from pigeon_recsys.generation.ladder import LadderSettings, Rung
from pigeon_recsys.ranking.constraints import BlendPolicy
from pigeon_recsys.ranking.experiments import Experiment
from pigeon_recsys.records import (
    History,
    RankContext,
    RankItem,
    ScoredItem,
    SlotRequest,
    Vectors,
)
from pigeon_recsys.slot import kill_switch
from pigeon_recsys.slot.recent_slates import RecentSlates
from pigeon_recsys.slot.settings import SlotTest
from pigeon_recsys.slot.slot import Slot
from pigeon_recsys.testing.fakes import FakeCatalog, FakeHistoryStore, FakeRanker
from tests.slot.conftest import (
    ANYWHERE,
    LIKED,
    MakeRequest,
    MakeSlot,
    RecordingGenerator,
    history,
    ids,
)

OWN = tuple(ScoredItem(f"item-0{number}", float(number)) for number in (9, 5, 8, 6, 7))
OWN_IDS = [item.item_id for item in OWN]
DEADLINE_MS = 150.0
LATE_MS = 100.0  # what a busy machine may add


class Hanging:
    """Blocks whoever calls, until the test is over."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def __call__(self, *_: Any, **__: Any) -> Any:
        self.release.wait(20)
        raise HistoryStoreError("it took far too long")


@pytest.fixture
def hang() -> Any:
    hanging = Hanging()
    yield hanging
    hanging.release.set()


def method(name: str, does: Callable[..., Any], base: type) -> type:
    return type(f"With{name}", (base,), {name: lambda self, *a, **k: does(*a, **k)})


def raising(error: Exception) -> Callable[..., Any]:
    def raise_it(*_: Any, **__: Any) -> Any:
        raise error

    return raise_it


def own(request_of: MakeRequest, **changes: Any) -> SlotRequest:
    return request_of("ada", candidates=OWN, **changes)


@pytest.mark.parametrize("stage", ["history", "ranking", "pictures"])
def test_a_stage_that_hangs_costs_the_deadline_and_no_more(
    make_slot: MakeSlot, request_of: MakeRequest, hang: Hanging, stage: str
) -> None:
    hanging = {
        "history": {"histories": method("recent", hang, FakeHistoryStore)([])},
        "ranking": {"ranker": method("score", hang, FakeRanker)()},
        "pictures": {"catalog": method("pixels", hang, FakeCatalog)(num_items=10)},
    }[stage]
    hopeful = LadderSettings(expected_ms={Rung.FRESH: 1.0})
    slot = make_slot(replace(ANYWHERE, ladder=hopeful), **hanging)
    started = time.monotonic()
    slate = slot.fill(own(request_of, deadline_ms=DEADLINE_MS))
    took_ms = (time.monotonic() - started) * 1000
    assert took_ms < DEADLINE_MS + LATE_MS
    assert ids(slate) == OWN_IDS
    assert slate.rung == "catalog"
    if stage == "pictures":  # the ladder gives its rung up in time to blend
        assert slate.reason.startswith("no generated item: fresh: did not end in time")
    else:
        assert slate.reason == f"the deadline passed: {stage} took too long"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {
                "histories": method(
                    "recent", raising(HistoryStoreError("the store is down")), FakeHistoryStore
                )([])
            },
            "no generated item: HistoryStoreError, which the log explains",
        ),
        (
            {"ranker": method("score", raising(RankingError("no scores")), FakeRanker)()},
            "no generated item: no scores",
        ),
        (
            {"ranker": method("score", raising(ZeroDivisionError()), FakeRanker)()},
            "no generated item: ranking failed with ZeroDivisionError",
        ),
        ({"ranker": None}, "no generated item: no ranker is configured"),
    ],
)
@pytest.mark.parametrize("deadline_ms", [None, 5000.0])
def test_what_fails_leaves_the_callers_own_slate(
    make_slot: MakeSlot,
    request_of: MakeRequest,
    changes: dict[str, Any],
    reason: str,
    deadline_ms: float | None,
) -> None:
    slate = make_slot(**changes).fill(own(request_of, deadline_ms=deadline_ms))
    assert ids(slate) == OWN_IDS
    assert [place.score for place in slate.placements] == [item.score for item in OWN]
    assert slate.reason == reason


def test_a_model_that_crashes_leaves_the_ranked_slate(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    crashing = method("generate", raising(MemoryError("no memory")), RecordingGenerator)()
    slate = make_slot(generator=crashing).fill(own(request_of))
    assert ids(slate) == OWN_IDS
    assert slate.reason == "no generated item: fresh: the generator failed with MemoryError"


def test_scores_that_are_no_numbers_leave_the_callers_own_slate(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    class Broken(FakeRanker):
        def score(
            self, history: History, items: Sequence[RankItem], context: RankContext | None = None
        ) -> Vectors:
            return np.full(len(items), 7.0, np.float32)

    slate = make_slot(ranker=Broken()).fill(own(request_of))
    assert ids(slate) == OWN_IDS
    assert "probability 7.0, which cannot be ranked" in slate.reason


def test_an_expired_deadline_is_answered_at_once(
    make_slot: MakeSlot, request_of: MakeRequest, generator: RecordingGenerator
) -> None:
    slate = make_slot().fill(own(request_of, deadline_ms=0.0))
    assert ids(slate) == OWN_IDS
    assert slate.reason == "the deadline was over before the work began"
    assert generator.tasks == []


def test_a_slot_whose_threads_all_hang_sheds_load(
    make_slot: MakeSlot, request_of: MakeRequest, hang: Hanging
) -> None:
    slot = make_slot(
        replace(ANYWHERE, threads=1), histories=method("recent", hang, FakeHistoryStore)([])
    )
    slot.fill(own(request_of, deadline_ms=20.0))
    started = time.monotonic()
    slate = slot.fill(own(request_of, deadline_ms=5000.0))
    assert time.monotonic() - started < 1
    assert slate.reason == "all 1 threads are busy"
    assert ids(slate) == OWN_IDS


def test_a_closed_slot_still_answers(make_slot: MakeSlot, request_of: MakeRequest) -> None:
    slot = make_slot()
    slot.close()
    slate = slot.fill(own(request_of, deadline_ms=1000.0))
    assert (ids(slate), slate.reason) == (OWN_IDS, "the slot is closed")


@pytest.mark.parametrize(
    ("blending", "reason"),
    [
        (replace(ANYWHERE.blending, enabled=False), "no generated item: kill_switch"),
        (replace(ANYWHERE.blending, other_surfaces="deny"), "no generated item: surface_off"),
    ],
)
def test_a_slot_that_is_switched_off_reads_nothing(
    make_slot: MakeSlot, request_of: MakeRequest, blending: BlendPolicy, reason: str
) -> None:
    broken = method("recent", raising(AssertionError("it was read")), FakeHistoryStore)([])
    slot = make_slot(replace(ANYWHERE, blending=blending), histories=broken)
    slate = slot.fill(own(request_of, surface="never heard of"))
    assert (ids(slate), slate.reason) == (OWN_IDS, reason)


def test_a_kill_file_switches_a_running_slot_off_and_on(
    make_slot: MakeSlot, request_of: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kill_switch, "LOOK_S", 0.0)
    file = tmp_path / "off"
    slot = make_slot(replace(ANYWHERE, kill_file=file))
    with_slot = slot.fill(own(request_of))
    file.touch()
    without = slot.fill(own(request_of))
    assert (ids(without), without.reason) == (OWN_IDS, "no generated item: kill_file")
    file.unlink()
    assert ids(slot.fill(own(request_of))) == ids(with_slot) != OWN_IDS


def test_users_of_a_bucket_without_the_slot_get_their_own_slate(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    test = SlotTest(Experiment("autumn", {"with": 0.5, "without": 0.5}), frozenset({"without"}))
    users = [f"user-{number}" for number in range(40)]
    histories = FakeHistoryStore([history(user, LIKED) for user in users])
    slot = make_slot(replace(ANYWHERE, test=test), histories=histories)
    for user in users:
        slate = slot.fill(request_of(user, candidates=OWN))
        bucket = test.experiment.bucket(user)
        assert any(place.is_generated for place in slate.placements) == (bucket == "with")
        if bucket == "without":
            assert slate.reason == "no generated item: the user is in bucket without"


def test_many_threads_share_a_slot(make_slot: MakeSlot, request_of: MakeRequest) -> None:
    slot = make_slot(replace(ANYWHERE, threads=4))
    expected = ids(slot.fill(own(request_of)))
    slates: list[list[str]] = []

    def work() -> None:
        for _ in range(20):
            slates.append(ids(slot.fill(own(request_of))))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert slates == [expected] * 80


@pytest.mark.parametrize("deadline_ms", [0, -1.5, float("-inf")])
def test_a_deadline_that_is_over_is_over(
    slot: Slot, request_of: MakeRequest, deadline_ms: float
) -> None:
    slate = slot.fill(own(request_of, deadline_ms=deadline_ms))
    assert slate.reason == "the deadline was over before the work began"


def test_of_a_repeated_candidate_the_first_counts(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    twice = (*OWN, ScoredItem("item-09", 0.5))
    slate = make_slot().fill(request_of("nobody", candidates=twice, slate_size=10))
    assert ids(slate) == OWN_IDS


def test_a_deadline_of_ages_is_waited_for_no_longer_than_the_system_can(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    slate = make_slot().fill(own(request_of, deadline_ms=1e300))
    assert any(place.is_generated for place in slate.placements)


def test_an_id_that_is_no_text_costs_no_exception(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    failing = method("recent", raising(HistoryStoreError("down: '\ud800'")), FakeHistoryStore)([])
    slate = make_slot(histories=failing).fill(request_of("\ud800", candidates=OWN))
    assert ids(slate) == OWN_IDS


class Unsafe:
    def unsafe(self, images: Sequence[Any]) -> Vectors:
        return np.ones(len(images), np.float32)


def test_an_unsafe_picture_is_not_offered(make_slot: MakeSlot, request_of: MakeRequest) -> None:
    slate = make_slot(safety=Unsafe()).fill(own(request_of))
    assert ids(slate) == OWN_IDS
    assert "unsafe" in slate.reason


def test_a_slate_that_began_before_its_user_was_forgotten_is_not_kept(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    recent = RecentSlates()
    make_slot(recent=recent).fill(own(request_of))
    assert len(recent.newest(9)) == 1

    class Forgetting(FakeRanker):
        def score(
            self, history: History, items: Sequence[RankItem], context: RankContext | None = None
        ) -> Vectors:
            recent.forget("ada")
            return super().score(history, items, context)

    make_slot(recent=recent, ranker=Forgetting()).fill(own(request_of, request_id="r2"))
    assert recent.newest(9) == []
