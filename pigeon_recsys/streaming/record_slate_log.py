"""The decision log as records of topics: the port `SlateLog` on any `RecordWriter`.

In:  batches of entries.
Out: one record each on `decisions`, `exposures` or `outcomes`, keyed by user; and for an outcome
     that the user's history is to know, an interaction for ingest, in the same transaction.

Where user ids are hashed, the log's records are keyed by the word for the user. Interactions are
not: a history belongs to a user.
"""

from collections.abc import Iterator, Sequence

from pigeon_recsys.decisions import (
    Decision,
    Exposure,
    Outcome,
    SlateEntry,
    bounded,
    check_may_hash,
    without_user_id,
)
from pigeon_recsys.errors import EventError
from pigeon_recsys.history.events import Interacted
from pigeon_recsys.streaming.codecs import Codecs
from pigeon_recsys.streaming.event_log import NewRecord, RecordWriter
from pigeon_recsys.streaming.sending import event_record
from pigeon_recsys.streaming.topics import TopicNames

REFUSED = "no topic takes an entry. Send ids of 1 to 256 characters and numbers that are finite"


class RecordSlateLog:
    """Implements `SlateLog`; closes the writer with itself."""

    def __init__(
        self,
        writer: RecordWriter,
        topics: TopicNames | None = None,
        codecs: Codecs | None = None,
        *,
        hash_users: bool = False,
    ) -> None:
        if hash_users:
            check_may_hash()
        self._writer = writer
        self._topics = topics or TopicNames()
        self._codecs = codecs or Codecs()
        self._hash_users = hash_users

    def write(self, entries: Sequence[SlateEntry]) -> None:
        """Write a batch in one transaction. Raises `LogError` and `EventError`."""
        try:
            records = [record for entry in entries for record in self._records(entry)]
        except ValueError as exc:
            raise EventError("wrong-schema", f"{REFUSED} ({type(exc).__name__})") from exc
        self._writer.write(records)

    def close(self) -> None:
        """Let go of the writer."""
        self._writer.close()

    def _records(self, entry: SlateEntry) -> Iterator[NewRecord]:
        logged = bounded(without_user_id(entry) if self._hash_users else entry)
        topic, value = self._encoded(logged)
        yield NewRecord(topic, logged.user_id.encode(), value)
        if isinstance(entry, Outcome) and entry.event is not None:
            yield event_record(self._topics.events, _interaction(entry), self._codecs.events)

    def _encoded(self, entry: SlateEntry) -> tuple[str, bytes]:
        match entry:
            case Decision():
                return self._topics.decisions, self._codecs.decisions.encode(entry)
            case Exposure():
                return self._topics.exposures, self._codecs.exposures.encode(entry)
            case Outcome():
                return self._topics.outcomes, self._codecs.outcomes.encode(entry)


def _interaction(outcome: Outcome) -> Interacted:
    assert outcome.event is not None
    return Interacted(
        outcome.user_id, outcome.event_id, outcome.at_ms, outcome.item_id, outcome.event
    )
