"""Settings of a secured cluster: read, checked, and never shown."""

from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from pigeon_recsys.errors import SettingsError
from pigeon_recsys_connectors.kafka_settings import KafkaSettings, read_kafka_settings

SECRET = "tr0ub4dor&3"
PLAIN = """\
security_protocol: SASL_PLAINTEXT
sasl_mechanism: PLAIN
sasl_plain_username: ada
sasl_plain_password: ${PASSWORD}
"""


def read(tmp_path: Path, text: str, **environment: str) -> dict[str, object]:
    path = tmp_path / "kafka.yaml"
    path.write_text(text)
    return read_kafka_settings(path, environment)


@pytest.mark.parametrize("client", [KafkaConsumer, KafkaProducer, KafkaAdminClient])
def test_all_clients_know_every_setting(client: type) -> None:
    assert KafkaSettings.model_fields.keys() <= client.DEFAULT_CONFIG.keys()  # type: ignore[attr-defined]


def test_a_variable_is_put_in_and_what_is_not_given_is_not_set(tmp_path: Path) -> None:
    assert read(tmp_path, PLAIN, PASSWORD=SECRET) == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "ada",
        "sasl_plain_password": SECRET,
    }


def test_the_example_of_the_module_is_right(tmp_path: Path) -> None:
    from pigeon_recsys_connectors import kafka_settings

    (tmp_path / "ca.pem").touch()
    lines = (kafka_settings.__doc__ or "").splitlines()
    example = "\n".join(line.strip() for line in lines if line.startswith("    "))
    text = example.replace("/etc/pigeon", str(tmp_path))
    assert read(tmp_path, text, PIGEON_KAFKA_PASSWORD=SECRET)["sasl_plain_password"] == SECRET


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (PLAIN, "sasl_plain_password names the environment variable PASSWORD, which is not set"),
        ("security_protocol: TLS", "security_protocol: Input should be 'PLAINTEXT', 'SSL'"),
        ("sasl_mechanism: PLAIN", "security_protocol: Field required"),
        (
            "security_protocol: SSL\nssl_cafiles: x",
            "ssl_cafiles is not known here. Known: security",
        ),
        ("security_protocol: SSL\ngroup_id: x", "group_id is not known here"),
        ("security_protocol: SSL\nssl_cafile: /no/ca", "ssl_cafile: there is no file /no/ca"),
        (
            "security_protocol: SASL_SSL\nsasl_mechanism: PLAIN",
            "SASL_SSL needs sasl_plain_password and sasl_plain_username",
        ),
        ("security_protocol: SASL_SSL", "SASL_SSL needs sasl_mechanism"),
        (
            f"security_protocol: SSL\nsasl_plain_password: {SECRET}",
            "sasl_plain_password would have no effect with SSL",
        ),
        (f"security_protocol: SSL\nssl_password: [{SECRET}]", "ssl_password: Input should be a"),
        (f"security_protocol: SSL\nssl_password: '{SECRET}\nx:", "line 3: not YAML"),
        (f"- {SECRET}", "must hold `name: value` lines"),
    ],
)
def test_a_fault_names_its_key_and_no_secret(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text)
    assert fault in str(caught.value)
    assert str(tmp_path / "kafka.yaml") in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read .*none.yaml"):
        read_kafka_settings(tmp_path / "none.yaml")
