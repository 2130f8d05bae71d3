"""A Kafka broker with an own listener for passwords and one that encrypts as well."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka_broker.broker import Broker
from kafka_broker.secure_listener import SecureListener, make_keystore

USER, PASSWORD = "ada", "tr0ub4dor-3"


@dataclass(frozen=True)
class SecuredKafka:
    """Addresses, and the settings by which a client gets in."""

    broker: Broker
    with_password: SecureListener
    encrypted: SecureListener
    ca: Path

    @property
    def password_settings(self) -> dict[str, Any]:
        return {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": USER,
            "sasl_plain_password": PASSWORD,
        }

    def scram_settings(self, mechanism: str) -> dict[str, Any]:
        """Those of a client that does not send its password."""
        return {**self.password_settings, "sasl_mechanism": mechanism}

    @property
    def encrypted_settings(self) -> dict[str, Any]:
        return {
            **self.password_settings,
            "security_protocol": "SASL_SSL",
            "ssl_cafile": str(self.ca),
        }


@contextmanager
def secured_kafka(folder: Path) -> Iterator[SecuredKafka]:
    """Start a broker; its keystore and certificate lie in `folder`."""
    keystore, ca = make_keystore(folder)
    with_password = SecureListener({USER: PASSWORD})
    encrypted = SecureListener({USER: PASSWORD}, keystore)
    with Broker.start(secured=[with_password, encrypted]) as broker:
        yield SecuredKafka(broker, with_password, encrypted, ca)
