"""Logs that machines read: one JSON object a line.

In:  log records; what a call adds by `extra` becomes fields.
Out: {"time": "2026-01-01T00:00:00.000Z", "level": "WARNING", "logger": "…", "message": "…", …}

Users appear by the word of `hashed_ids.hashed` alone; a field `user_id` given by `extra` is
replaced by it under the name `user`. Long texts are cut, so that a line stays a line.
"""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pigeon_recsys.hashed_ids import hashed

MAX_CHARACTERS = 8_000  # of a message, an exception or a field
OWN = frozenset(
    (*vars(logging.LogRecord("", 0, "", 0, "", (), None)), "message", "asctime", "taskName")
)


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        seconds, ms = divmod(round(record.created * 1000), 1000)
        line: dict[str, Any] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{ms:03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": _cut(record.getMessage()),
        }
        for name, value in vars(record).items():
            if name == "user_id":
                line["user"] = hashed(str(value))
            elif name not in OWN and name not in line:
                line[name] = _plain(value)
        if record.exc_info:
            line["exception"] = _cut(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


@contextmanager
def json_logs() -> Iterator[None]:
    """Let the root logger's handlers write JSON while the block runs; warnings are logged too."""
    before = [(handler, handler.formatter) for handler in logging.getLogger().handlers]
    for handler, _ in before:
        handler.setFormatter(JsonFormatter())
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for handler, formatter in before:
            handler.setFormatter(formatter)


def _plain(value: object) -> bool | int | float | str | None:
    """Return what JSON can say of a value: numbers as they are where they are finite."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and abs(value) < float("inf"):
        return value
    return _cut(str(value))


def _cut(text: str) -> str:
    """Return a text whose end stays: there an exception names itself."""
    return text if len(text) <= MAX_CHARACTERS else "…" + text[1 - MAX_CHARACTERS :]
