"""The options of a worker switch on what they say, and nothing else."""

import argparse
import logging
import urllib.request

import pytest

from pigeon_recsys.operations.arguments import add_operations_arguments, operating
from pigeon_recsys.operations.structured_log import JsonFormatter
from pigeon_recsys.streaming.observation import SILENT


def parse(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_operations_arguments(parser)
    return parser.parse_args(options)


def test_without_options_nobody_listens() -> None:
    with operating(parse()) as observer:
        assert observer is SILENT


def test_what_the_worker_tells_is_served_under_the_address_that_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with operating(parse("--operations", "0")) as observer:
        observer.dead_letter("interactions", "malformed")
        address = caplog.records[0].getMessage().split()[1].removesuffix("/healthz")
        with urllib.request.urlopen(f"{address}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    assert 'pigeon_dead_letters_total{reason="malformed",topic="interactions"} 1.0' in text
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{address}/metrics", timeout=5)


def test_logs_are_json_only_where_asked_for() -> None:
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    try:
        with operating(parse("--log-format", "json")):
            assert isinstance(handler.formatter, JsonFormatter)
        assert handler.formatter is None
    finally:
        logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize("limit", ["--hang-after", "--stall-after"])
@pytest.mark.parametrize("value", ["0", "-1", "soon", "inf", "nan"])
def test_a_limit_must_be_a_time(limit: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(f"{limit}={value}")
    assert f"must be seconds above 0, got '{value}'" in capsys.readouterr().err
