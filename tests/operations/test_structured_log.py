"""Log lines are JSON objects, of bounded length, without a user in clear."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from pigeon_recsys.hashed_ids import hashed
from pigeon_recsys.operations.structured_log import MAX_CHARACTERS, JsonFormatter, json_logs


class Lines:
    """A logger, and what it wrote."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.handler = logging.StreamHandler(self.stream)
        self.handler.setFormatter(JsonFormatter())
        self.logger = logging.getLogger("tests.structured_log")
        self.logger.addHandler(self.handler)
        self.logger.propagate = False

    def last(self) -> dict[str, Any]:
        lines = self.stream.getvalue().splitlines()
        found: dict[str, Any] = json.loads(lines[-1])
        return found


@pytest.fixture
def lines() -> Iterator[Lines]:
    found = Lines()
    yield found
    found.logger.removeHandler(found.handler)


def test_a_line_has_time_level_logger_message_and_fields(lines: Lines) -> None:
    lines.logger.warning(
        "lag of %s", "p0", extra={"lag": 3, "share": float("nan"), "place": ("t", 0)}
    )
    line = lines.last()
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "WARNING",
        "logger": "tests.structured_log",
        "message": "lag of p0",
        "lag": 3,
        "share": "nan",
        "place": "('t', 0)",
    }


def test_time_is_utc_in_milliseconds() -> None:
    record = logging.makeLogRecord({"created": 1_767_225_600.0496, "msg": "x"})
    assert json.loads(JsonFormatter().format(record))["time"] == "2026-01-01T00:00:00.050Z"


def test_a_field_cannot_take_the_place_of_another(lines: Lines) -> None:
    lines.logger.warning("x", extra={"level": "none"})
    assert lines.last()["level"] == "WARNING"


def test_an_exception_is_one_bounded_field_that_ends_with_its_name(lines: Lines) -> None:
    try:
        raise ValueError("long " * MAX_CHARACTERS + "the end")
    except ValueError:
        lines.logger.exception("it broke")
    assert len(lines.stream.getvalue().splitlines()) == 1
    exception = lines.last()["exception"]
    assert len(exception) == MAX_CHARACTERS
    assert exception.endswith("the end")


def test_a_user_id_given_as_a_field_is_hashed(lines: Lines) -> None:
    lines.logger.warning("x", extra={"user_id": "ada@example.com"})
    assert lines.last()["user"] == hashed("ada@example.com")
    assert "ada" not in lines.stream.getvalue()


def test_the_root_handlers_write_json_only_meanwhile() -> None:
    handler = logging.StreamHandler(stream := io.StringIO())
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with json_logs():
            logging.getLogger("a").warning("x")
        logging.getLogger("a").warning("y")
    finally:
        root.removeHandler(handler)
    first, second = stream.getvalue().splitlines()
    assert json.loads(first)["message"] == "x"
    assert second == "y"
