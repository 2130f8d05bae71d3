"""Dead letters: records that cannot be used, kept with all that is needed to use them later.

In:  a record and what went wrong with it.
Out: a record for the dead-letter topic: the same key and value, and headers that tell why and
     from where; or, replayed, the record as it was, with a count of its attempts.
"""

import traceback
from collections.abc import Mapping

from pigeon_recsys.errors import (
    EventError,
    GenerationError,
    GenerationTimeout,
    UnknownItem,
    UnknownUser,
    WorkersLost,
)
from pigeon_recsys.streaming.event_log import NewRecord, Record

SUFFIX = ".dead-letters"
REASON, ERROR, STACK = "reason", "error", "stack"
SOURCE = "source"  # topic/partition/offset; the topic alone of a request that was read
ATTEMPTS = "attempts"  # how often the record has been tried and failed
MAX_STACK = 4_000  # characters
UNEXPECTED = "failed"  # the reason of an error that has no word of its own
REASONS: Mapping[type[Exception], str] = {
    GenerationTimeout: "timeout",
    WorkersLost: "workers-lost",
    GenerationError: "generation",
    UnknownItem: "unknown-item",
    UnknownUser: "unknown-user",
}


def reason_of(error: Exception) -> str:
    """Return a word to count by."""
    return error.reason if isinstance(error, EventError) else REASONS.get(type(error), UNEXPECTED)


def dead_letter(record: Record, error: Exception) -> NewRecord:
    """Return what goes to the dead-letter topic of the record's topic."""
    source = f"{record.topic}/{record.partition}/{record.offset}"
    headers = _headers(error, source, attempts(record) + 1)
    return NewRecord(record.topic + SUFFIX, record.key, record.value, headers=headers)


def failed_request(topic: str, key: bytes, value: bytes, error: Exception) -> NewRecord:
    """Return a dead letter for a request that was read and could not be answered."""
    return NewRecord(topic + SUFFIX, key, value, headers=_headers(error, topic, 1))


def _headers(error: Exception, source: str, count: int) -> tuple[tuple[str, bytes], ...]:
    told = {
        REASON: reason_of(error),
        ERROR: str(error),
        STACK: "".join(traceback.format_exception(error))[-MAX_STACK:],
        SOURCE: source,
        ATTEMPTS: str(count),
    }
    return tuple((name, text.encode(errors="replace")) for name, text in told.items())


def replayed(letter: Record) -> NewRecord:
    """Return the record of a dead letter for its own topic again; it keeps its count."""
    topic = letter.topic.removesuffix(SUFFIX)
    count = str(attempts(letter)).encode()
    return NewRecord(topic, letter.key, letter.value, headers=((ATTEMPTS, count),))


def attempts(record: Record) -> int:
    """Return how often a record has failed so far."""
    count = dict(record.headers).get(ATTEMPTS, b"0")
    return int(count) if count.isdigit() else 0
