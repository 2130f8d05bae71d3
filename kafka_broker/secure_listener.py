"""Listeners of a broker that ask who is there, or encrypt, or both: for tests of clients.

In:  users and their passwords; a keystore, whose certificate is made here too.
Out: what server.properties has to say, and the address clients take.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kafka_broker.ports import LOOPBACK, free_port
from kafka_broker.programs import find_java

KEYSTORE_PASSWORD = "not-a-secret"  # keytool insists on one
MODULES = "org.apache.kafka.common.security"
SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
DISTINGUISHED_NAME = f"CN={LOOPBACK}"


@dataclass(frozen=True)
class SecureListener:
    """One further listener on a free port."""

    users: Mapping[str, str] = field(default_factory=dict)  # passwords, by PLAIN and SCRAM alike
    keystore: Path | None = None  # PKCS12 with key and certificate; none: no SSL
    port: int = field(default_factory=free_port)

    @property
    def protocol(self) -> str:
        """The security protocol in Kafka's words."""
        kind = "SSL" if self.keystore else "PLAINTEXT"
        return f"SASL_{kind}" if self.users else kind

    @property
    def name(self) -> str:
        """The listener's name: one of a kind."""
        return f"{self.protocol}_{self.port}"

    @property
    def bootstrap(self) -> str:
        """The address clients take."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """The address in Kafka's words."""
        return f"{self.name}://{self.bootstrap}"

    @property
    def properties(self) -> dict[str, object]:
        """The lines of server.properties."""
        told: dict[str, object] = {}
        if self.users:
            users = " ".join(f'user_{name}="{word}"' for name, word in self.users.items())
            told["sasl.enabled.mechanisms"] = ",".join(["PLAIN", *SCRAM])
            told["plain.sasl.jaas.config"] = f"{MODULES}.plain.PlainLoginModule required {users};"
            for each in SCRAM:
                scram = f"{MODULES}.scram.ScramLoginModule required;"
                told[f"{each.lower()}.sasl.jaas.config"] = scram
        if self.keystore:
            told["ssl.keystore.type"] = "PKCS12"
            told["ssl.keystore.location"] = self.keystore
            told["ssl.keystore.password"] = KEYSTORE_PASSWORD
        return {f"listener.name.{self.name.lower()}.{key}": each for key, each in told.items()}


def scram_arguments(listeners: Sequence[SecureListener]) -> list[str]:
    """Return what formats a broker's folder with the users of some listeners.

    SCRAM proves a password without sending it, against a hash that the broker's metadata hold.
    """
    users = {user: word for listener in listeners for user, word in listener.users.items()}
    return [
        f"--add-scram={mechanism}=[name={user},password={word}]"
        for user, word in users.items()
        for mechanism in SCRAM
    ]


def make_keystore(folder: Path, environment: Mapping[str, str] = os.environ) -> tuple[Path, Path]:
    """Make a key whose certificate, for loopback, signs itself; return keystore and certificate.

    The certificate, in PEM, is what a client trusts. Java's own keytool makes both.
    """
    keytool = find_java(environment).resolve().with_name("keytool")
    keystore, certificate = folder / "broker.p12", folder / "broker.pem"
    common = ["-alias", "broker", "-keystore", str(keystore), "-storepass", KEYSTORE_PASSWORD]
    subprocess.run(
        [
            *(str(keytool), "-genkeypair", *common, "-storetype", "PKCS12", "-keyalg", "RSA"),
            *("-dname", DISTINGUISHED_NAME, "-ext", f"san=ip:{LOOPBACK}", "-ext", "bc=ca:true"),
        ],
        check=True,
        capture_output=True,
    )
    exported = subprocess.run(
        [str(keytool), "-exportcert", "-rfc", *common], check=True, capture_output=True
    )
    certificate.write_bytes(exported.stdout)
    return keystore, certificate
