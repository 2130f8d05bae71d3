"""The ladder: the best picture in reach, work given up is kept, and every rung says why not."""

import threading
import time
from collections.abc import Sequence

import pytest

from pigeon_recsys.deadline import Deadline
from pigeon_recsys.errors import SettingsError, UnknownItem
from pigeon_recsys.generation.ladder import Found, Ladder, LadderSettings, Rung
from pigeon_recsys.records import (
    GeneratedItem,
    Generation,
    GenerationTask,
    HistoryImage,
    Reference,
)
from pigeon_recsys.testing.fake_laddered_generator import FakeLadderedGenerator
from pigeon_recsys.testing.fake_stores import FakeGeneratedItemStore
from pigeon_recsys.testing.fakes import FakeCatalog, FakeEmbedder, FakeGenerator

CAKE, TREE = Reference("item-07", "cake"), Reference("item-08", "tree")
QUICK = {Rung.FRESH: 5000.0, Rung.FEW_STEPS: 5.0, Rung.REDRAW: 1.0}
ENDLESS = Deadline.after(None)


def make_task(user_id: str, reference: Reference, seed: int = 0) -> GenerationTask:
    shown = HistoryImage("item-01", FakeCatalog(num_items=2).pixels("item-01"))
    return GenerationTask(user_id, (shown,), "hash", reference, None, seed)


def described(made: Generation, begun_ms: int = 0) -> GeneratedItem:
    vector = FakeEmbedder().embed([made.pixels])[0]
    return GeneratedItem(made.item_id, "", vector, "", "test", made.provenance)


class Keeping:
    """Keeps items in a store, as the service does."""

    def __init__(self) -> None:
        self.store = FakeGeneratedItemStore()

    def __call__(self, made: Generation, begun_ms: int = 0) -> GeneratedItem:
        item = described(made)
        self.store.put([item])
        return item


class Slow(FakeGenerator):
    """Waits until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = threading.Event()

    def generate(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        self.may_go_on.wait(10)
        return super().generate(tasks)


def best(ladder: Ladder, deadline: Deadline = ENDLESS, asked: Reference | None = CAKE) -> Found:
    return ladder.best("ada", asked, lambda: make_task("ada", asked or CAKE), deadline, 0)


def test_without_a_limit_the_first_rung_is_taken() -> None:
    found = best(Ladder(FakeLadderedGenerator(), described))
    assert (found.rung, found.passed) == (Rung.FRESH, {})
    assert found.generation is not None
    assert [item.item_id for item in found.items] == [found.generation.item_id]


@pytest.mark.parametrize(
    ("left_ms", "rung"),
    [(6000, Rung.FRESH), (200, Rung.FEW_STEPS), (13, Rung.REDRAW), (5, Rung.STORED)],
)
def test_the_best_rung_that_the_time_allows_is_taken(left_ms: float, rung: Rung) -> None:
    generator, keeping, now_s = FakeLadderedGenerator(), Keeping(), 100.0
    generator.generate([make_task("ada", CAKE)])  # leaves tokens to redraw
    ladder = Ladder(generator, keeping, keeping.store, LadderSettings(expected_ms=QUICK))
    keeping(FakeGenerator().generate([make_task("ada", CAKE, seed=5)])[0])
    found = best(ladder, Deadline.after(left_ms, lambda: now_s))
    assert found.rung is rung
    assert list(found.passed) == list(ladder.settings.rungs)[: ladder.settings.rungs.index(rung)]


def test_a_rung_that_takes_too_long_is_given_up_and_what_it_makes_is_kept() -> None:
    slow, keeping = Slow(), Keeping()
    settings = LadderSettings(expected_ms={Rung.FRESH: 1.0}, reserve_ms=0)
    ladder = Ladder(slow, keeping, keeping.store, settings)
    started = time.monotonic()
    found = best(ladder, Deadline.after(50))
    assert time.monotonic() - started < 1
    assert found.rung is Rung.CATALOG
    assert found.passed[Rung.FRESH] == "did not end in time; what it makes is kept for later."
    slow.may_go_on.set()
    until = time.monotonic() + 10
    while not keeping.store.stored and time.monotonic() < until:
        time.sleep(0.01)
    assert best(ladder, Deadline.after(0)).rung is Rung.STORED


def test_under_a_deadline_nobody_waits_for_a_worker() -> None:
    slow = Slow()
    ladder = Ladder(slow, described, None, LadderSettings(expected_ms={Rung.FRESH: 1.0}))
    best(ladder, Deadline.after(30))
    found = best(ladder, Deadline.after(1000))
    assert found.passed == {Rung.FRESH: "all 1 workers are busy."}
    slow.may_go_on.set()


def test_what_a_rung_takes_is_learned() -> None:
    settings = LadderSettings(expected_ms={Rung.FRESH: 400.0}, reserve_ms=0)
    ladder = Ladder(FakeGenerator(), described, None, settings)
    assert best(ladder, Deadline.after(300)).rung is Rung.CATALOG
    for _ in range(4):
        best(ladder)
    assert best(ladder, Deadline.after(300)).rung is Rung.FRESH


def test_a_task_that_cannot_be_gathered_is_tried_once() -> None:
    calls = []

    def gather() -> GenerationTask:
        calls.append(1)
        raise UnknownItem("item-99")

    ladder = Ladder(FakeLadderedGenerator(), described)
    found = ladder.best("ada", None, gather, ENDLESS, 0)
    assert (found.rung, len(calls), list(found.passed)) == (Rung.CATALOG, 1, [Rung.FRESH])


def test_stored_pictures_are_the_users_newest_of_the_reference_asked_for() -> None:
    keeping = Keeping()
    for seed, reference in enumerate((CAKE, TREE, CAKE)):
        keeping(FakeGenerator().generate([make_task("ada", reference, seed=seed)])[0])
    keeping(FakeGenerator().generate([make_task("bob", CAKE, seed=9)])[0])
    ladder = Ladder(None, keeping, keeping.store)
    of_cake = best(ladder, asked=CAKE).items
    assert {item.provenance.reference for item in of_cake} == {CAKE}
    assert {item.provenance.user_id for item in of_cake} == {"ada"}
    assert len(of_cake) == 2
    assert len(best(ladder, asked=None).items) == 3
    none = best(ladder, asked=Reference(text="a boat"))
    assert none.reason == "stored: of the user's pictures there are 3 of other references"


def test_a_store_that_fails_is_a_rung_left_out() -> None:
    store = FakeGeneratedItemStore(failures_left=1)
    found = best(Ladder(None, described, store))
    assert found.rung is Rung.CATALOG
    assert found.passed[Rung.STORED] == "ItemStoreError, which the log explains"


def test_a_closed_ladder_makes_nothing() -> None:
    ladder = Ladder(FakeGenerator(), described)
    ladder.close()
    assert best(ladder).passed == {Rung.FRESH: "the slot is closed."}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"rungs": (Rung.FRESH, Rung.FRESH)}, "ladder.rungs holds fresh twice"),
        ({"rungs": (Rung.CATALOG,)}, "ladder.rungs holds catalog, which always is the last one"),
        ({"workers": 0}, "ladder.workers must be 1 or more, got 0"),
        ({"reserve_ms": float("nan")}, "ladder.reserve_ms must be 0 or more, got nan"),
        ({"num_stored": 51}, "ladder.num_stored must be at most 50, got 51"),
        ({"expected_ms": {Rung.FRESH: 0}}, "ladder.expected_ms.fresh must be above 0, got 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, object], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        LadderSettings(**changes)  # type: ignore[arg-type]


def test_one_slow_picture_does_not_switch_a_rung_off_for_good() -> None:
    settings = LadderSettings(expected_ms={Rung.FRESH: 100.0}, reserve_ms=0)
    ladder = Ladder(FakeGenerator(), described, None, settings)
    ladder._expected_ms[Rung.FRESH] = 2000.0  # as a run on a busy machine leaves it
    rungs = [best(ladder, Deadline.after(200)).rung for _ in range(200)]
    assert rungs[0] is Rung.CATALOG
    assert rungs[-1] is Rung.FRESH


def test_what_is_kept_began_when_the_request_did() -> None:
    begun: list[int] = []

    def keep(made: Generation, begun_ms: int) -> GeneratedItem:
        begun.append(begun_ms)
        return described(made)

    Ladder(FakeGenerator(), keep).best("ada", CAKE, lambda: make_task("ada", CAKE), ENDLESS, 1234)
    assert begun == [1234]
