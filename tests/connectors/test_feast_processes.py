"""Processes that write the same users at once, one of them killed: nothing known is ever lost."""

from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from pigeon_recsys.testing.history_state_contract import like, state_of
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from tests.connectors.processes import Running, running

pytestmark = pytest.mark.slow

USERS = ("ada", "bob")
NUM_WRITERS = 3
NUM_JOINS = 12  # of each writer
NUM_BEFORE_KILL = 4
READY, DONE = "ready", "done"


def write(pipe: "Connection[object, object]", folder: Path, numbers: Sequence[int]) -> None:
    """Join one event a user at a time, and tell each once the store has it."""
    store = FeastHistoryStore.open(folder)
    pipe.send(READY)
    pipe.recv()
    for number in numbers:
        store.join(state_of([like(number, user)], user) for user in USERS)
        pipe.send(number)
    pipe.send(DONE)


@pytest.mark.parametrize("where", ["folder", "on_redis", "on_postgres"])
def test_processes_that_write_at_once_lose_nothing(
    where: str, request: pytest.FixtureRequest
) -> None:
    """Without the lock between processes most of the events are gone."""
    folder: Path = request.getfixturevalue(where)
    ranges = [range(n * NUM_JOINS, (n + 1) * NUM_JOINS) for n in range(NUM_WRITERS)]
    with ExitStack() as stack:
        writers = [stack.enter_context(running(write, folder, numbers)) for numbers in ranges]
        assert [writer.answer() for writer in writers] == [READY] * NUM_WRITERS
        for writer in writers:
            writer.pipe.send(READY)
        told = [writers[0].answer() for _ in range(NUM_BEFORE_KILL)]
        writers[0].process.kill()
        told += [number for writer in writers[1:] for number in until_done(writer)]
    numbers = [*ranges[0][:NUM_BEFORE_KILL], *ranges[1], *ranges[2]]
    assert told == numbers
    states = FeastHistoryStore.open(folder).states(USERS)
    for user in USERS:
        expected = {like(number, user).event_id for number in numbers}
        assert {entry.event_id for entry in states[user].entries} >= expected


def until_done(writer: Running) -> list[object]:
    """Return what a writer tells until it is done."""
    return list(iter(writer.answer, DONE))
