"""A hang and a stalled partition fail the worker; idling and waiting for others do not."""

from dataclasses import dataclass, field

import pytest

from pigeon_recsys.operations.health import Patience, Problem, Watchdog

PLACE = ("interactions", 3)
OTHER = ("interactions", 4)
PATIENCE = Patience(start_s=100, hang_s=10, stall_s=30)


@dataclass
class Worker:
    """A watched worker, and the clock it is watched by."""

    now: float = 0.0
    lag: dict[tuple[str, int], int] = field(default_factory=lambda: {PLACE: 0})

    def __post_init__(self) -> None:
        self.watchdog = Watchdog(PATIENCE, clock=lambda: self.now)

    def step(self, seconds: float = 1.0, lag: dict[tuple[str, int], int] | None = None) -> None:
        self.now += seconds
        self.lag = self.lag if lag is None else lag
        self.watchdog.stepped(lambda: self.lag)

    def steps_for(self, seconds: int) -> None:
        for _ in range(seconds):
            self.step()


def whats(problems: list[Problem]) -> list[str]:
    return [problem.what for problem in problems]


@pytest.fixture
def worker() -> Worker:
    found = Worker()
    found.step()
    return found


def test_a_worker_that_idles_without_lag_is_alive_and_ready(worker: Worker) -> None:
    worker.steps_for(1000)
    assert worker.watchdog.alive() == worker.watchdog.ready() == []


def test_a_loop_that_makes_no_step_hangs_until_it_makes_one(worker: Worker) -> None:
    worker.now += 9.9
    assert worker.watchdog.alive() == []
    worker.now += 0.1
    (problem,) = worker.watchdog.alive()
    assert (problem.what, problem.for_s) == ("the worker's loop hangs", 10)
    assert whats(worker.watchdog.ready()) == ["the worker's loop hangs"]
    worker.step(0)
    assert worker.watchdog.alive() == []


def test_before_the_first_step_models_may_load() -> None:
    worker = Worker()
    worker.now = 99
    assert worker.watchdog.alive() == []
    worker.now = 100
    assert whats(worker.watchdog.alive()) == ["the worker's loop hangs"]


def test_a_partition_with_lag_that_does_not_move_is_stalled_and_named(worker: Worker) -> None:
    """The other one moves; lag that grows is no movement."""
    worker.step(lag={PLACE: 5, OTHER: 5})
    for left in range(28):
        worker.step(lag={PLACE: 5 + left, OTHER: 100 - left})
    assert worker.watchdog.alive() == []
    worker.step()
    (problem,) = worker.watchdog.alive()
    assert (problem.topic, problem.partition, problem.lag) == (*PLACE, 32)
    assert problem.for_s == 30
    told = problem.as_json(now_s=1_767_225_630.0)
    assert told == {
        "what": "a partition is stalled",
        "topic": "interactions",
        "partition": 3,
        "lag": 32,
        "since": "2026-01-01T00:00:00Z",
        "for_s": 30,
        "fix": "Restart the worker; if the partition stalls again, see docs/operations.md.",
    }


def test_a_commit_and_falling_lag_are_movement(worker: Worker) -> None:
    worker.step(lag={PLACE: 5})
    worker.steps_for(25)
    worker.watchdog.transaction(0.1, {PLACE: 1})
    worker.steps_for(25)
    worker.step(lag={PLACE: 4})
    worker.steps_for(25)
    assert worker.watchdog.alive() == []


def test_a_partition_that_comes_back_starts_anew(worker: Worker) -> None:
    worker.step(lag={PLACE: 5})
    worker.steps_for(25)
    worker.step(lag={OTHER: 5})
    worker.step(lag={PLACE: 5})
    worker.steps_for(25)
    assert worker.watchdog.alive() == []


def test_who_waits_for_a_store_is_alive_and_not_ready(worker: Worker) -> None:
    worker.step(lag={PLACE: 5})
    worker.watchdog.store_failed("histories")
    worker.steps_for(100)
    assert worker.watchdog.alive() == []
    (problem,) = worker.watchdog.ready()
    assert (problem.what, problem.for_s) == ("the store of histories fails", 100)
    worker.watchdog.store_worked("histories")
    assert worker.watchdog.ready() == []
    worker.steps_for(29)
    assert worker.watchdog.alive() == [], "the time of a stall begins when the store works again"
    worker.step()
    assert whats(worker.watchdog.alive()) == ["a partition is stalled"]


def test_a_failing_log_is_not_ready_until_it_answers(worker: Worker) -> None:
    worker.watchdog.log_failed("moved")
    assert worker.watchdog.ready() == []
    worker.watchdog.log_failed("failed")
    assert whats(worker.watchdog.ready()) == ["the log fails"]
    worker.watchdog.log_worked()
    assert worker.watchdog.ready() == []
    worker.watchdog.log_failed("failed")
    worker.watchdog.transaction(0.1, {PLACE: 1})
    assert worker.watchdog.ready() == []


def test_an_open_breaker_is_alive_and_not_ready(worker: Worker) -> None:
    worker.watchdog.breaker(True)
    assert worker.watchdog.alive() == []
    assert whats(worker.watchdog.ready()) == ["the generator's breaker is open"]
    worker.watchdog.breaker(False)
    assert worker.watchdog.ready() == []


def test_without_partitions_or_their_state_nobody_is_ready() -> None:
    worker = Worker(lag={})
    assert whats(worker.watchdog.ready()) == ["no partitions are assigned"]
    worker.step()
    assert whats(worker.watchdog.ready()) == ["no partitions are assigned"]
    worker.lag = {PLACE: 0}
    worker.watchdog.restoring(2)
    worker.step()
    worker.watchdog.restoring(1)
    (problem,) = worker.watchdog.ready()
    assert problem.what == "the state of 1 partitions is being restored"
    assert problem.for_s == 1
    worker.watchdog.restoring(0)
    assert worker.watchdog.ready() == []


def test_waiting_after_a_failure_is_a_sign_of_life(worker: Worker) -> None:
    for _ in range(5):
        worker.now += 9
        worker.watchdog.waited(9)
        assert worker.watchdog.alive() == []


def test_restoring_is_a_sign_of_life(worker: Worker) -> None:
    for left in range(5, 0, -1):
        worker.now += 9
        worker.watchdog.restoring(left)
        assert worker.watchdog.alive() == []
