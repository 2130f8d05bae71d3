"""Reach a Kafka cluster by kafka-python's admin client.

In:  the address of a broker.
Out: a client that is connected, or an error that tells what to do.
"""

import socket
from contextlib import closing

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from kafka_broker.errors import BrokerError

CONNECT_TIMEOUT_S = 10.0


def connect(bootstrap: str) -> KafkaAdminClient:
    """Return an admin client of the cluster; raise `BrokerError` when it does not answer."""
    check_listening(bootstrap)
    try:
        return KafkaAdminClient(
            bootstrap_servers=bootstrap.split(","),
            bootstrap_timeout_ms=int(CONNECT_TIMEOUT_S * 1000),
        )
    except KafkaError as exc:
        raise BrokerError(
            f"what listens at {bootstrap} does not answer as a Kafka broker ({exc}). "
            "Name the address of one."
        ) from exc


def check_listening(bootstrap: str) -> None:
    """Raise `BrokerError` unless something listens at one of the addresses.

    kafka-python would try until its time is up, log each try, and keep a thread for good.
    """
    faults = []
    for address in bootstrap.split(","):
        host, port = address.rsplit(":", 1)
        try:
            socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()
        except OSError as exc:
            faults.append(exc.strerror or str(exc))
        else:
            return
    raise BrokerError(
        f"no Kafka broker listens at {bootstrap} ({'; '.join(faults)}). "
        "Start one there, or name the address of one."
    )


def takes_requests(bootstrap: str) -> bool:
    """Say whether the cluster answers and has a broker that serves clients."""
    try:
        with closing(connect(bootstrap)) as admin:
            brokers = admin.describe_cluster()["brokers"]
    except (BrokerError, KafkaError):
        return False
    return any(not broker["is_fenced"] for broker in brokers)
