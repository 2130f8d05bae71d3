"""A secured Kafka: the right settings work everywhere, wrong ones are told and never shown."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kafka_broker.secure_listener import make_keystore
from pigeon_recsys.errors import LogError
from pigeon_recsys.streaming.event_log import NewRecord, read_up_to
from pigeon_recsys.streaming.topics import Topic
from pigeon_recsys.testing.event_log_contract import polled_from
from pigeon_recsys_connectors import kafka_admission
from pigeon_recsys_connectors.kafka_admission import check_admitted
from pigeon_recsys_connectors.kafka_event_log import KafkaEventLog
from pigeon_recsys_connectors.kafka_topics import make_topics
from tests.connectors.secured_kafka import (
    PASSWORD,
    SecuredKafka,
    secured_kafka,
)

WRONG = "n0t-the-password"


@dataclass(frozen=True)
class Door:
    """One listener, and the settings that open it."""

    bootstrap: str
    settings: dict[str, Any]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    with secured_kafka(tmp_path_factory.mktemp("certificates")) as found:
        yield found


@pytest.fixture(params=["password", "encrypted", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def door(request: pytest.FixtureRequest, secured: SecuredKafka) -> Door:
    if request.param == "encrypted":
        return Door(secured.encrypted.bootstrap, secured.encrypted_settings)
    if request.param == "password":
        return Door(secured.with_password.bootstrap, secured.password_settings)
    return Door(secured.with_password.bootstrap, secured.scram_settings(request.param))


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_admission, "ADMIT_TIMEOUT_S", 1.0)


def test_topics_are_made_read_and_written(door: Door) -> None:
    protocol, mechanism = (door.settings[f] for f in ("security_protocol", "sasl_mechanism"))
    topic = f"secured-{protocol.lower()}-{mechanism.lower()}"
    assert make_topics(door.bootstrap, [Topic(topic, 1)], 1, door.settings) == [topic]
    log = KafkaEventLog(door.bootstrap, f"{topic}-group", [topic], security=door.settings)
    while not log.lag():
        log.poll(0.2)
    log.commit({(topic, 0): 0}, [NewRecord(topic, b"ada", b"1")])
    polled = polled_from(log, 1)
    log.commit(read_up_to(polled), [])
    assert [record.value for record in log.contents(topic, [0])] == [b"1"]
    log.close()


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize(
    ("encrypted", "wrong", "fault"),
    [
        (False, {"sasl_plain_password": WRONG}, "by SASL_PLAINTEXT: .* user name and password"),
        (
            False,
            {"sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_password": WRONG},
            "by SASL_PLAINTEXT: .* user name and password",
        ),
        (True, {"sasl_plain_password": WRONG}, "by SASL_SSL: .* user name, password"),
        (True, {"ssl_cafile": "other"}, "certificate verify failed"),
        (True, {"security_protocol": "SASL_PLAINTEXT"}, "by SASL_PLAINTEXT: .*Check protocol"),
        (False, {"security_protocol": "SASL_SSL"}, "by SASL_SSL: .*Handshake failed"),
    ],
)
def test_a_wrong_setting_is_told_without_its_secret(
    encrypted: bool,
    wrong: dict[str, str],
    fault: str,
    secured: SecuredKafka,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    listener = secured.encrypted if encrypted else secured.with_password
    settings = {**secured.encrypted_settings, "security_protocol": listener.protocol, **wrong}
    if "ssl_cafile" in wrong:
        settings["ssl_cafile"] = str(make_keystore(tmp_path)[1])
    with pytest.raises(LogError, match=fault) as caught:
        KafkaEventLog(listener.bootstrap, "group", ["events"], security=settings)
    assert "in --kafka-settings." in str(caught.value)
    with pytest.raises(LogError, match=fault):
        make_topics(listener.bootstrap, [Topic("events", 1)], 1, settings)
    for secret in (WRONG, PASSWORD):
        assert secret not in str(caught.value) + caplog.text


@pytest.mark.usefixtures("hurry")
def test_settings_that_are_missing_are_asked_for(secured: SecuredKafka) -> None:
    with pytest.raises(LogError, match="by PLAINTEXT: .*give --kafka-settings"):
        check_admitted(secured.with_password.bootstrap)


def test_the_library_s_log_is_left_as_it_was(secured: SecuredKafka) -> None:
    library = logging.getLogger("kafka")
    before = (library.propagate, list(library.handlers))
    check_admitted(secured.with_password.bootstrap, secured.password_settings)
    assert (library.propagate, library.handlers) == before
