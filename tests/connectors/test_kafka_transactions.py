"""Transactions end in time, also where the client library would wait for ever."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import CommitFailedError, KafkaTimeoutError

from kafka_broker.ports import free_port
from pigeon_recsys.errors import LogError
from pigeon_recsys_connectors import kafka_transactions
from pigeon_recsys_connectors.kafka_transactions import Transactions

SETTINGS = {"bootstrap_servers": "here:1", "transaction_timeout_ms": 100}


class Producer:
    """Stands for kafka-python's: waits for ever, or fails, where it is told to."""

    made: list["Producer"]
    commits: list[Any]  # what each commit meets: an error, "silence", or nothing
    abort: Any = None
    start: Any = None

    def __init__(self, **settings: object) -> None:
        self.made.append(self)
        self.settings = settings
        self.told: list[str] = []
        self._sender = SimpleNamespace(force_close=lambda: self.told.append("force"))

    def init_transactions(self) -> None:
        self.told.append("init")
        meet(self.start)

    def begin_transaction(self) -> None:
        self.told.append("begin")

    def send_offsets_to_transaction(self, *_: object) -> None:
        self.told.append("offsets")

    def commit_transaction(self) -> None:
        self.told.append("commit")
        meet(self.commits.pop(0))

    def abort_transaction(self) -> None:
        self.told.append("abort")
        meet(self.abort)

    def close(self, timeout: float) -> None:
        self.told.append("close")


def meet(what: Any) -> None:
    if what == "silence":
        threading.Event().wait()
    if what is not None:
        raise what


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> type[Producer]:
    monkeypatch.setattr(Producer, "made", [], raising=False)
    monkeypatch.setattr(kafka_transactions, "KafkaProducer", Producer)
    monkeypatch.setattr(kafka_transactions, "check_reachable", lambda bootstrap: None)
    monkeypatch.setattr(kafka_transactions, "MARGIN_S", 0.1)
    return Producer


def run(transactions: Transactions) -> None:
    transactions.run([], {}, None)


def test_without_offsets_none_are_sent(
    producer: type[Producer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer, "commits", [None], raising=False)
    Transactions(SETTINGS).run([])
    assert producer.made[0].told == ["init", "begin", "commit"]


def test_one_that_no_broker_answers_ends_in_time_and_the_next_has_another_producer(
    producer: type[Producer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The producer given up must send nothing more: its records would come after all."""
    monkeypatch.setattr(producer, "commits", ["silence", None], raising=False)
    transactions = Transactions(SETTINGS)
    with pytest.raises(KafkaTimeoutError, match=r"no answer of the brokers in 0.2 s"):
        run(transactions)
    run(transactions)
    silent, working = producer.made
    assert silent.told[-2:] == ["force", "close"]
    assert working.told == ["init", "begin", "offsets", "commit"]


@pytest.mark.parametrize("abort", [None, "silence"])
def test_one_that_is_refused_is_aborted_and_the_next_has_another_producer(
    producer: type[Producer], monkeypatch: pytest.MonkeyPatch, abort: str | None
) -> None:
    """kafka-python's would send the refused offsets along with the next."""
    monkeypatch.setattr(producer, "commits", [CommitFailedError(), None], raising=False)
    monkeypatch.setattr(producer, "abort", abort)
    transactions = Transactions(SETTINGS)
    with pytest.raises(CommitFailedError):
        run(transactions)
    run(transactions)
    refused, working = producer.made
    assert refused.told[-3:] == ["abort", "force", "close"]
    transactions.close()
    assert working.told == ["init", "begin", "offsets", "commit", "close"]


def test_refused_and_not_aborted_it_ends_in_the_time_of_one(
    producer: type[Producer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit for each would let a worker take twice as long to stop as is promised."""
    refused, started_s = CommitFailedError(), time.monotonic()

    def late(*_: object) -> None:
        time.sleep(0.15)
        raise refused

    monkeypatch.setattr(producer, "commit_transaction", late)
    monkeypatch.setattr(producer, "abort", "silence")
    with pytest.raises(CommitFailedError):
        run(Transactions(SETTINGS))
    assert time.monotonic() - started_s < 0.3


def test_one_that_cannot_begin_lets_go_of_its_producer(
    producer: type[Producer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer, "start", KafkaTimeoutError("no coordinator"))
    with pytest.raises(KafkaTimeoutError, match="no coordinator"):
        Transactions(SETTINGS)
    assert producer.made[0].told == ["init", "close"]
    assert producer.made[0].settings["max_block_ms"] == 200


def test_where_no_broker_listens_no_producer_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails to connect leaves threads, and it would try for half a minute."""
    monkeypatch.setattr(kafka_transactions, "KafkaProducer", None)
    nowhere = f"127.0.0.1:{free_port()}"
    with pytest.raises(LogError, match=f"no Kafka broker answers at {nowhere}"):
        Transactions({**SETTINGS, "bootstrap_servers": nowhere})
