"""Several listeners hear everything; the log is asked for its lag now and then."""

from collections.abc import Callable, Iterable, Mapping

from pigeon_recsys.errors import LogError
from pigeon_recsys.operations.observers import LAG_EVERY_S, TOLD, Observers
from pigeon_recsys.streaming.event_log import Place
from pigeon_recsys.streaming.observation import Observer

PLACE = ("interactions", 0)


class Ears(Observer):
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def stepped(self, lag: Callable[[], Mapping[Place, int]]) -> None:
        self.heard.append(("stepped", dict(lag())))

    def polled(self, places: Iterable[Place]) -> None:
        self.heard.append(("polled", list(places)))

    def log_failed(self, kind: str) -> None:
        self.heard.append(("log_failed", kind))

    def log_worked(self) -> None:
        self.heard.append("log_worked")

    def job_made(self, seconds: float, gpu_seconds: float, age_s: float, was_cached: bool) -> None:
        self.heard.append((seconds, gpu_seconds, age_s, was_cached))


def test_all_hear_all_even_what_can_be_read_once_only() -> None:
    ears = Ears(), Ears()
    observers = Observers(*ears)
    observers.polled(iter([PLACE, PLACE]))
    observers.job_made(1.0, gpu_seconds=0.5, age_s=2.0, was_cached=False)
    for each in ears:
        assert each.heard == [("polled", [PLACE, PLACE]), (1.0, 0.5, 2.0, False)]


def test_every_method_is_passed_on() -> None:
    assert set(TOLD) | {"stepped"} == {name for name in dir(Observer) if not name.startswith("_")}


def test_the_log_is_asked_for_its_lag_now_and_then() -> None:
    now, asked, ears = [0.0], [0], Ears()

    def lag() -> Mapping[Place, int]:
        asked[0] += 1
        return {PLACE: asked[0]}

    observers = Observers(ears, clock=lambda: now[0])
    for moment in (0.0, LAG_EVERY_S - 0.1, LAG_EVERY_S):
        now[0] = moment
        observers.stepped(lag)
    assert asked == [2]
    steps = [heard for heard in ears.heard if heard != "log_worked"]
    assert steps == [("stepped", {PLACE: 1}), ("stepped", {PLACE: 1}), ("stepped", {PLACE: 2})]


def test_a_log_that_cannot_tell_its_lag_has_failed_and_stops_nobody() -> None:
    now, ears = [0.0], Ears()

    def lag() -> Mapping[Place, int]:
        raise LogError("the broker is gone")

    observers = Observers(ears, clock=lambda: now[0])
    observers.stepped(lag)
    now[0] = LAG_EVERY_S
    observers.stepped(lambda: {PLACE: 0})
    assert ears.heard == [
        ("log_failed", "failed"),
        ("stepped", {}),
        "log_worked",
        ("stepped", {PLACE: 0}),
    ]
