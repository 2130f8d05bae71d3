"""A worker's life: it ends when told or idle, and outlives a log that fails."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from pigeon_recsys.errors import LogError
from pigeon_recsys.streaming import running
from pigeon_recsys.streaming.running import run_steps, stop_on_signals, work_on_log
from pigeon_recsys.testing.fake_event_log import FakeEventLog, FakeTopics


def test_steps_go_on_until_nothing_has_been_done_for_a_while() -> None:
    left = [3, 2, 1]
    done = list(run_steps(lambda: left.pop() if left else 0, threading.Event(), idle_s=0.01))
    assert done == [1, 2, 3]


def test_a_signal_ends_the_steps_after_the_one_in_hand() -> None:
    with stop_on_signals() as stop:
        steps = run_steps(lambda: 1, stop)
        assert next(steps) == 1
        os.kill(os.getpid(), signal.SIGTERM)
        assert list(steps) == []


HANGING = """
import threading
from pigeon_recsys.streaming.running import stop_on_signals
with stop_on_signals(limit_s=0.5) as stop:
    print("ready", flush=True)
    stop.wait()
    threading.Event().wait()
"""


def test_what_hangs_after_the_signal_is_left_at_the_limit() -> None:
    """As a store does that neither answers nor closes the connection."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", HANGING]
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "something still hangs 0.5 s after the signal to stop" in err


class Life:
    """Logs that are opened one after the other; steps on them as told."""

    def __init__(self, *happens: Callable[[], int]) -> None:
        self.happens = list(happens)
        self.opened: list[FakeEventLog] = []
        self.closed: list[FakeEventLog] = []
        self.refuses = 0  # openings, after the first

    def open(self) -> FakeEventLog:
        if self.opened and self.refuses:
            self.refuses -= 1
            raise LogError("no broker answers")
        life = self

        class Log(FakeEventLog):
            def close(self) -> None:
                life.closed.append(self)

        self.opened.append(Log(FakeTopics({"events": 1}), ["events"]))
        return self.opened[-1]

    def step_on(self, log: FakeEventLog) -> Callable[[], int]:
        assert log is self.opened[-1]
        return lambda: self.happens.pop(0)() if self.happens else 0


def fails() -> int:
    raise LogError("the broker is gone")


def test_a_log_that_fails_is_opened_anew_as_often_as_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(running, "FIRST_WAIT_S", 0.001)
    life = Life(lambda: 1, fails, lambda: 2)
    life.refuses = 3
    done = list(work_on_log(life.open, life.step_on, threading.Event(), idle_s=0.01))
    assert done == [1, 2]
    assert len(life.opened) == 2
    assert life.closed == life.opened, "each log is left"


def test_a_log_that_cannot_be_opened_at_first_is_an_error() -> None:
    def refuse() -> FakeEventLog:
        raise LogError("no broker answers at nowhere")

    with pytest.raises(LogError, match="nowhere"):
        list(work_on_log(refuse, Life().step_on, threading.Event()))


def test_a_worker_that_cannot_begin_is_an_error() -> None:
    def refuse(log: FakeEventLog) -> Callable[[], int]:
        raise LogError("there is no topic 'histories'")

    life = Life()
    with pytest.raises(LogError, match="no topic"):
        list(work_on_log(life.open, refuse, threading.Event()))
    assert len(life.closed) == 1


def test_waiting_for_a_log_ends_when_told() -> None:
    stop = threading.Event()
    life = Life(fails)
    life.refuses = 10**6
    threading.Timer(0.2, stop.set).start()
    assert list(work_on_log(life.open, life.step_on, stop)) == []
