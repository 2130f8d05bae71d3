"""The life of a broker: started, killed, brought back, stopped; and starts that fail."""

import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from kafka_broker import broker as broker_module
from kafka_broker.broker import Broker
from kafka_broker.connection import connect
from kafka_broker.errors import BrokerError
from kafka_broker.guard import processes_on

MakeProgram = Callable[[str, str], Path]

# Answers as Java does, formats in no time, and then does what a test says.
FAKE_JAVA = """
case "$*" in
    -version) echo 'openjdk version "17.0.15"' >&2; exit 0 ;;
    *StorageTool*) {format} ;;
    *) {run} ;;
esac
"""


@pytest.fixture
def start_with(
    make_program: MakeProgram, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Broker]:
    """Start a broker on a Java that does as told; its folder is made under `tmp_path`/temp."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(broker_module, "kafka_jars", lambda _: tmp_path / "jars")

    def start(format: str = "exit 0", run: str = "exit 0") -> Broker:
        java = make_program("java", FAKE_JAVA.format(format=format, run=run))
        return Broker.start(environment={"JAVA_HOME": str(java.parent.parent)})

    return start


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[list[Path]]:
    """Prove that a failed start leaves no folder."""
    yield []
    assert not list((tmp_path / "temp").iterdir())


def send(broker: Broker, topic: str, values: list[bytes]) -> None:
    """Write records and wait until the broker has them."""
    with KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all") as producer:
        for sent in [producer.send(topic, value) for value in values]:
            sent.get(30)


def read(broker: Broker, topic: str) -> list[bytes]:
    """Return every record of a topic of one partition."""
    partition = TopicPartition(topic, 0)
    with KafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=None) as consumer:
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        found: list[bytes] = []
        while consumer.position(partition) < end:
            for records in consumer.poll(1000).values():
                found += [record.value for record in records]
    return found


@pytest.mark.kafka
@pytest.mark.slow
def test_a_killed_broker_comes_back_with_its_records_and_a_stopped_one_is_gone() -> None:
    """One broker for the whole story, because a start takes seconds.

    While it is down, another program takes its port: the restart says so and can be repeated.
    """
    with Broker.start() as broker:
        address = broker.bootstrap
        admin = connect(address)
        admin.create_topics(["likes"], wait_for_metadata=True)
        admin.close()
        send(broker, "likes", [b"one", b"two"])
        broker.kill()
        assert not processes_on(broker.folder)
        with (
            socket.create_server(("127.0.0.1", broker.port)),
            pytest.raises(BrokerError, match=f"port {broker.port} is taken"),
        ):
            broker.restart()
        broker.restart()
        assert broker.bootstrap == address
        send(broker, "likes", [b"three"])
        assert read(broker, "likes") == [b"one", b"two", b"three"]
    assert not processes_on(broker.folder)
    assert not broker.folder.exists()
    broker.stop()  # again, without effect


def test_a_port_that_is_taken_is_refused_before_anything_is_made() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port} is taken by another program"):
            Broker.start(port, environment={"JAVA_HOME": "/nowhere"})


def test_a_machine_without_java_is_told_what_to_install() -> None:
    with pytest.raises(BrokerError, match="default-jre-headless"):
        Broker.start(environment={"JAVA_HOME": "/nowhere"})


@pytest.mark.usefixtures("folders")
def test_a_broker_that_ends_at_once_shows_the_end_of_its_log(
    start_with: Callable[..., Broker], tmp_path: Path
) -> None:
    with pytest.raises(BrokerError) as caught:
        start_with(run='for i in $(seq 40); do echo "fault $i"; done; exit 3')
    message = str(caught.value)
    assert "ended with exit code 3 before it answered. If a class is not found, delete " in message
    assert f"{tmp_path}/jars and it is fetched anew" in message
    assert "fault 10\n" not in message
    assert message.endswith("Its log ends:\n" + "\n".join(f"  fault {i}" for i in range(11, 41)))


@pytest.mark.usefixtures("folders")
def test_a_folder_that_cannot_be_prepared_is_an_error(start_with: Callable[..., Broker]) -> None:
    with pytest.raises(BrokerError, match=r"could not prepare its folder \(exit code 4\)"):
        start_with(format="echo 'no room'; exit 4")


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize(
    ("when", "fault"), [("format", "did not prepare its folder"), ("run", "did not answer")]
)
def test_a_broker_that_hangs_is_given_up_and_killed(
    start_with: Callable[..., Broker], monkeypatch: pytest.MonkeyPatch, when: str, fault: str
) -> None:
    """This one does not listen to SIGTERM."""
    monkeypatch.setattr(broker_module, "START_TIMEOUT_S", 1.0)
    with pytest.raises(BrokerError, match=f"{fault} within 1 s"):
        start_with(**{when: "trap '' TERM; echo stuck; while true; do sleep 0.1; done"})


@pytest.mark.usefixtures("folders")
def test_a_broker_that_ends_by_itself_is_an_error(
    start_with: Callable[..., Broker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "is_listening", lambda _: True)
    monkeypatch.setattr(broker_module, "takes_requests", lambda _: True)
    with (
        start_with(run="echo 'out of memory'; exit 3") as broker,
        pytest.raises(BrokerError, match="ended with exit code 3.*\n  out of memory"),
    ):
        broker.wait()
