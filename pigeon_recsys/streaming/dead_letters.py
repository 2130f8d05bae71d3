"""Dead letters: records that cannot be used, kept with all that is needed to use them later.

In:  a record and what went wrong with it.
Out: a record for the dead-letter topic: the same key and value, and headers that tell why and
     from where; or, replayed, the record as it was, with a count of its attempts.
"""

import traceback

from pigeon_recsys.errors import EventError
from pigeon_recsys.streaming.event_log import NewRecord, Record

SUFFIX = ".dead-letters"
REASON, ERROR, STACK = "reason", "error", "stack"
SOURCE = "source"  # topic/partition/offset
ATTEMPTS = "attempts"  # how often the record has been tried and failed
UNEXPECTED = "failed"  # the reason of an error that is no fault of the event's
MAX_STACK = 4_000  # characters


def dead_letter(record: Record, error: Exception) -> NewRecord:
    """Return what goes to the dead-letter topic of the record's topic."""
    reason = error.reason if isinstance(error, EventError) else UNEXPECTED
    stack = "".join(traceback.format_exception(error))[-MAX_STACK:]
    told = {
        REASON: reason,
        ERROR: str(error),
        STACK: stack,
        SOURCE: f"{record.topic}/{record.partition}/{record.offset}",
        ATTEMPTS: str(attempts(record) + 1),
    }
    headers = tuple((name, text.encode(errors="replace")) for name, text in told.items())
    return NewRecord(record.topic + SUFFIX, record.key, record.value, headers=headers)


def replayed(letter: Record) -> NewRecord:
    """Return the record of a dead letter for its own topic again; it keeps its count."""
    topic = letter.topic.removesuffix(SUFFIX)
    count = str(attempts(letter)).encode()
    return NewRecord(topic, letter.key, letter.value, headers=((ATTEMPTS, count),))


def attempts(record: Record) -> int:
    """Return how often a record has failed so far."""
    count = dict(record.headers).get(ATTEMPTS, b"0")
    return int(count) if count.isdigit() else 0
