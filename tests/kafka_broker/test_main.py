"""`make kafka`: what it prints, how it ends, and how it fails."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kafka_broker import __main__ as command
from kafka_broker.connection import takes_requests
from kafka_broker.errors import BrokerError
from kafka_broker.guard import processes_on
from kafka_broker.ports import free_port


@pytest.mark.kafka
@pytest.mark.slow
def test_it_prints_where_it_answers_and_ends_on_a_signal_without_trace(
    repo_root: Path, tmp_path: Path
) -> None:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "kafka_broker", "--port", str(port)],
        cwd=repo_root,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"PIGEON_KAFKA=127.0.0.1:{port}\n"
        assert takes_requests(f"127.0.0.1:{port}")
        (folder,) = tmp_path.iterdir()
        process.send_signal(signal.SIGTERM)
        printed = process.stdout.read()
    assert process.returncode == 0
    assert f"export PIGEON_KAFKA=127.0.0.1:{port}\n" in printed
    assert printed.endswith("kafka: stopped\n")
    assert not processes_on(folder)
    assert list(tmp_path.iterdir()) == []


def test_a_fault_is_one_message_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise BrokerError("there is no java on PATH. Install it.")

    monkeypatch.setattr(command.Broker, "start", fail)
    assert command.main([]) == 1
    assert capsys.readouterr().err == "kafka: there is no java on PATH. Install it.\n"


@pytest.mark.parametrize("port", ["0", "65536", "-1", "kafka"])
def test_a_port_that_cannot_be_is_bad_usage(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main([f"--port={port}"])
    assert f"a port is 1 to 65535, got '{port}'" in capsys.readouterr().err


def test_fetching_only_starts_no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []
    monkeypatch.setattr(command, "kafka_jars", fetched.append)
    monkeypatch.setattr(command, "run", pytest.fail)
    assert command.main(["--fetch-only"]) == 0
    assert len(fetched) == 1


def test_make_kafka_runs_it_on_the_port_that_is_asked_for(repo_root: Path) -> None:
    dry_run = subprocess.run(
        ["make", "--dry-run", "kafka", "PORT=9092"],
        cwd=repo_root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ".venv/bin/python -m kafka_broker --port 9092\n" in dry_run.stdout
