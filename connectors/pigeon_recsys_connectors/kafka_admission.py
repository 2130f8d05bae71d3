"""Does a cluster let a client in? Asked before there are clients, which would go on trying.

In:  broker addresses and the settings that secure the connection.
Out: nothing, or an error that tells why not: nobody listens, a wrong password, another protocol.

kafka-python 3.0 tries for half a minute and then says that it could not connect; the reason is in
its log alone, so its log is where it is looked for.
"""

import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError, SaslAuthenticationFailedError

from pigeon_recsys.errors import LogError

FIXES = {  # by protocol
    "PLAINTEXT": "If they ask for a password or for encryption, give --kafka-settings.",
    "SSL": "Check the protocol and the certificates in --kafka-settings.",
    "SASL_PLAINTEXT": "Check protocol, mechanism, user name and password in --kafka-settings.",
    "SASL_SSL": "Check protocol, mechanism, user name, password and CA in --kafka-settings.",
}
REACH_TIMEOUT_S = 5.0
ADMIT_TIMEOUT_S = 5.0  # takes 20 ms where the cluster is well
TRY_EVERY_MS = 200  # often: a refused password shows as a lost connection most times


def check_admitted(bootstrap: str, security: Mapping[str, Any] | None = None) -> None:
    """Raise `LogError` where no broker answers, or none lets this client in."""
    check_reachable(bootstrap)
    with _heard_failures() as failures:
        try:
            admin = KafkaAdminClient(
                bootstrap_servers=bootstrap,
                bootstrap_timeout_ms=round(ADMIT_TIMEOUT_S * 1000),
                reconnect_backoff_max_ms=TRY_EVERY_MS,
                **(security or {}),
            )
        except (KafkaError, OSError) as exc:
            refused = [each for each in failures if isinstance(each, SaslAuthenticationFailedError)]
            reason = [*refused, *failures, exc][0]
            protocol = (security or {}).get("security_protocol", "PLAINTEXT")
            raise LogError(
                f"the Kafka brokers at {bootstrap} do not let this client in by {protocol}: "
                f"{reason}. {FIXES[protocol]}"
            ) from exc
    with closing(admin):
        pass


def check_reachable(bootstrap: str) -> None:
    """Raise `LogError` where nothing listens: a client that fails to connect leaves threads."""
    faults = []
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=REACH_TIMEOUT_S).close()
        except (OSError, ValueError) as exc:
            faults.append(f"{address}: {exc}")
        else:
            return
    raise LogError(f"no Kafka broker answers at {'; '.join(faults)}. Check the address.")


class _Listener(logging.Handler):
    """Keeps the exceptions that log calls name."""

    def __init__(self, failures: list[Exception]) -> None:
        super().__init__(logging.WARNING)
        self._failures = failures

    def emit(self, record: logging.LogRecord) -> None:
        told = record.args if isinstance(record.args, tuple) else ()
        self._failures += [each for each in told if isinstance(each, Exception)]


@contextmanager
def _heard_failures() -> Iterator[list[Exception]]:
    """Yield the exceptions that kafka-python logs in the block; they go nowhere else."""
    failures: list[Exception] = []
    library, listener = logging.getLogger("kafka"), _Listener(failures)
    propagated = library.propagate
    library.addHandler(listener)
    library.propagate = False
    try:
        yield failures
    finally:
        library.removeHandler(listener)
        library.propagate = propagated
