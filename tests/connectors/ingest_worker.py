"""An ingest worker as a process of its own, for tests that kill it.

python -m tests.connectors.ingest_worker BOOTSTRAP GROUP EVENTS CHANGELOG FEAST_FOLDER
"""

import sys
from pathlib import Path

from pigeon_recsys.streaming.ingest import HistoryIngest, IngestSettings
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys.streaming.messages import MessageReader
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from pigeon_recsys_connectors.kafka_event_log import KafkaEventLog

QUICK = {"session_timeout_ms": 2000, "heartbeat_interval_ms": 300}
BATCH = 50  # records: small, so that kills meet many batches


def main(bootstrap: str, group: str, events: str, changelog: str, folder: str) -> None:
    """Work until killed; say when the first poll has come back."""
    log = KafkaEventLog(bootstrap, group, [events], max_polled=BATCH, consumer=QUICK)
    store = FeastHistoryStore.open(Path(folder))
    settings = IngestSettings(changelog=changelog, poll_s=0.2)
    worker = HistoryIngest(log, store, MessageReader(JsonEvents()), settings)
    worker.step()
    sys.stdout.write("working\n")
    sys.stdout.flush()
    while True:
        worker.step()


if __name__ == "__main__":
    main(*sys.argv[1:])
