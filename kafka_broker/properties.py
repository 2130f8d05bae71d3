"""The configuration of one broker that is its own controller, on loopback.

In:  its folder and its two ports.
Out: the text of server.properties.
"""

from pathlib import Path

from kafka_broker.ports import LOOPBACK

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
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,  # lets a test choose to notice a dead worker soon
    "log.retention.ms": -1,  # events dated long ago stay, as long as the broker does
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
}


def server_properties(folder: Path, port: int, controller_port: int) -> str:
    """Return server.properties for a broker whose data lies in `folder`."""
    listener = f"PLAINTEXT://{LOOPBACK}:{port}"
    identity = {
        "process.roles": "broker,controller",
        "node.id": NODE_ID,
        "controller.quorum.voters": f"{NODE_ID}@{LOOPBACK}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listeners": f"{listener},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": listener,
        "log.dirs": folder / "data",
    }
    settings = {**identity, **ONE_COPY, **SMALL, **BEHAVIOUR}
    return "".join(f"{name}={value}\n" for name, value in settings.items())
