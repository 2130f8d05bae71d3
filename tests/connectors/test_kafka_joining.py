"""An answer of the group is kept for the next poll, and a new member claims nothing."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.coordinator.base import Generation
from kafka.structs import MemberState

from pigeon_recsys_connectors import kafka_joining
from pigeon_recsys_connectors.kafka_joining import mend_joining

SESSION_S = 8.0


class Coordinator:
    """Stands for kafka-python's: each join gives the next generation and its assignment."""

    def __init__(self) -> None:
        self.config = {"session_timeout_ms": SESSION_S * 1000}
        self.state = MemberState.UNJOINED
        self._generation = Generation.NO_GENERATION
        self.num_joins = 0

    async def _do_join_and_sync_async(self) -> bytes:
        self.state = MemberState.REBALANCING
        self.num_joins += 1
        self._generation = Generation(self.num_joins, "member", "protocol")
        return b"%d" % self.num_joins

    def throw_out(self) -> None:
        self.state, self._generation = MemberState.UNJOINED, Generation(-1, "", None)


class Joining:
    """A consumer whose joining is mended, and how often it was told to claim nothing."""

    def __init__(self) -> None:
        self.coordinator = Coordinator()
        self.num_disowned = 0
        consumer: Any = SimpleNamespace(_coordinator=self.coordinator)
        mend_joining(consumer, self._disown)

    def join(self) -> bytes:
        return asyncio.run(self.coordinator._do_join_and_sync_async())

    def _disown(self) -> None:
        self.num_disowned += 1


@pytest.fixture
def joining(monkeypatch: pytest.MonkeyPatch) -> Joining:
    monkeypatch.setattr(kafka_joining, "time", SimpleNamespace(monotonic=clock_s))
    return Joining()


def clock_s() -> float:
    return 100.0


def test_an_answer_that_no_poll_took_is_given_again(joining: Joining) -> None:
    assert [joining.join(), joining.join()] == [b"1", b"1"]
    assert joining.coordinator.num_joins == 1


def test_an_answer_that_was_taken_is_given_no_more(joining: Joining) -> None:
    joining.join()
    joining.coordinator.state = MemberState.STABLE
    assert joining.join() == b"2"


def test_thrown_out_it_joins_anew_and_claims_nothing(joining: Joining) -> None:
    joining.join()
    joining.coordinator.throw_out()
    assert joining.join() == b"2"
    assert joining.num_disowned == 2


def test_a_member_keeps_its_claims_in_a_rebalance(joining: Joining) -> None:
    joining.join()
    joining.coordinator.state = MemberState.STABLE
    joining.join()
    assert joining.num_disowned == 1  # before it was one


def test_an_answer_older_than_the_session_does_not_count(
    joining: Joining, monkeypatch: pytest.MonkeyPatch
) -> None:
    joining.join()
    late = SimpleNamespace(monotonic=lambda: clock_s() + SESSION_S)
    monkeypatch.setattr(kafka_joining, "time", late)
    assert joining.join() == b"2"


def test_an_answer_of_a_generation_before_does_not_count(joining: Joining) -> None:
    joining.join()
    joining.coordinator._generation = Generation(5, "member", "protocol")
    assert joining.join() == b"2"
