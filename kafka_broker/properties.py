"""The configuration of one broker that is its own controller, on loopback.

In:  its folder, its two ports, and further listeners that are secured.
Out: the text of server.properties.
"""

from collections.abc import Sequence
from pathlib import Path

from kafka_broker.ports import LOOPBACK
from kafka_broker.secure_listener import SecureListener

CLUSTER_ID = "pigeon-recsys-broker-A"  # any 16 bytes in base64
NODE_ID = 1

# One broker cannot hold a second copy of anything; the defaults ask for three.
ONE_COPY = {
    "default.replication.factor": 1,
    "min.insync.replicas": 1,
    "offsets.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.replication.factor": 1,
}
# Fifty partitions each by default, all opened when the first group or transaction comes.
SMALL = {
    "offsets.topic.num.partitions": 8,
    "transaction.state.log.num.partitions": 8,
    "log.cleaner.dedupe.buffer.size": 16 * 2**20,  # bytes; the default is half of the heap
    "num.io.threads": 4,
    "num.network.threads": 2,
}
BEHAVIOUR = {
    "auto.create.topics.enable": "false",  # a misspelt topic is an error
    # A broker that was killed comes back after as long; the default is 9 s.
    "broker.session.timeout.ms": 4000,
    "broker.heartbeat.interval.ms": 500,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,  # lets a test choose to notice a dead worker soon
    "log.retention.ms": -1,  # events dated long ago stay, as long as the broker does
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
}


def server_properties(
    folder: Path, port: int, controller_port: int, secured: Sequence[SecureListener] = ()
) -> str:
    """Return server.properties for a broker whose data lies in `folder`."""
    plain = f"PLAINTEXT://{LOOPBACK}:{port}"
    advertised = ",".join([plain, *(each.url for each in secured)])
    protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"}
    protocols |= {each.name: each.protocol for each in secured}
    identity = {
        "process.roles": "broker,controller",
        "node.id": NODE_ID,
        "controller.quorum.voters": f"{NODE_ID}@{LOOPBACK}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": ",".join(f"{k}:{v}" for k, v in protocols.items()),
        "listeners": f"{advertised},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": advertised,
        "log.dirs": folder / "data",
    }
    settings: dict[str, object] = {**identity, **ONE_COPY, **SMALL, **BEHAVIOUR}
    for each in secured:
        settings |= each.properties
    return "".join(f"{name}={value}\n" for name, value in settings.items())
