"""The runbook of docs/operations.md: its commands are run as they are written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pigeon_recsys.streaming.dead_letters import SUFFIX
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from tests.connectors.operated import USER, Ingest, like, wait_until
from tests.connectors.reading import read_all

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

TOPICS = ("interactions", "histories", "generation-requests", "generated-items", "generation-state")
UNTIL_IDLE = ("--until-idle", "3")
BAD = b"\xff no event"


def runbook(repo_root: Path, chapter: str) -> list[str]:
    """Return the code blocks of a chapter."""
    page = (repo_root / "docs/operations.md").read_text()
    text = page.split(f"### {chapter}\n")[1].split("\n### ")[0]
    return re.findall(r"```\w+\n(.*?)```", text, re.DOTALL)


def real(command: str, ingest: Ingest) -> str:
    """Return a command of the runbook for this test's broker, store, topics and groups."""
    for written, ours in (
        (r"^python", sys.executable),
        (r"^pigeon-recsys", f"{sys.executable} -m pigeon_recsys.cli"),
        (r"HOST:PORT", ingest.kafka),
        (r"HOST:9464", ingest.at),
        (r"DIR", str(ingest.store)),
        (r"pigeon-ingest", ingest.group),
        (rf"(?<![-\w])({'|'.join(TOPICS)})(?!\w)", rf"{ingest.prefix}-\1"),
        (r"\{0\.\.11\}", "{0..1}"),
    ):
        command = re.sub(written, ours, command)
    return command


def environment() -> dict[str, str]:
    path = os.pathsep.join(sys.path)
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def run(command: str, ingest: Ingest, *more: str) -> str:
    """Run a command of the runbook and return what it prints."""
    line = " ".join([real(command, ingest), *more])
    found = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, env=environment()
    )
    assert found.returncode == 0, f"{line}\n{found.stderr}"
    return found.stdout


def prints(command: str, ingest: Ingest, word: str) -> bool:
    """Run a command that does not end by itself until it has printed a word."""
    started = ["bash", "-c", f"exec {real(command, ingest)}"]
    with subprocess.Popen(
        started, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        found = any(word in line for line in process.stdout)
        process.kill()
    return found


def commands(repo_root: Path, chapter: str, program: str = "python -m kafka.admin") -> list[str]:
    """Return the lines of a chapter that run a program; a line may go on after a backslash."""
    blocks = "".join(runbook(repo_root, chapter)).replace("\\\n", " ")
    return [line for line in blocks.splitlines() if line.startswith(program)]


def test_a_day_is_reprocessed_as_the_runbook_says(ingest: Ingest, repo_root: Path) -> None:
    ingest.send(like(1), like(2))
    ingest.start()
    wait_until(lambda: ingest.metric("pigeon_events_counted_total") == 2)
    for command in commands(repo_root, "Lag grows"):
        assert ingest.events in run(command, ingest)
    ingest.stop()
    store = FeastHistoryStore.open(ingest.store)
    before = store.states([USER])
    (reset,) = commands(repo_root, "Reprocess a day")
    run(reset, ingest)
    ingest.start()
    wait_until(lambda: ingest.metric("pigeon_events_counted_total") == 2)
    assert ingest.metric("pigeon_histories_changed_total") == 0
    ingest.stop()
    assert store.states([USER]) == before


def test_a_user_is_erased_as_the_runbook_says(ingest: Ingest, repo_root: Path) -> None:
    ingest.send(like(1))
    ingest.start()
    wait_until(lambda: ingest.metric("pigeon_events_counted_total") == 1)
    (code,) = runbook(repo_root, "A user's erasure")
    for placeholder, real in (
        ('"USER"', repr(USER)),
        ("HOST:PORT", ingest.kafka),
        ('"interactions"', repr(ingest.events)),
    ):
        assert placeholder in code
        code = code.replace(placeholder, real)
    exec(code, {})
    wait_until(lambda: ingest.metric("pigeon_events_counted_total") == 2)
    ingest.stop()
    assert FeastHistoryStore.open(ingest.store).recent(USER, 9).item_ids == ()


def test_a_poison_message_is_read_sent_back_and_passed_as_the_runbook_says(
    ingest: Ingest, repo_root: Path
) -> None:
    chapter = "A poison message"
    ingest.send((USER, BAD))
    ingest.start()
    wait_until(lambda: ingest.metric("pigeon_dead_letters_total") == 1)
    (read,) = commands(repo_root, chapter, "python -m kafka.consumer")
    assert prints(read, ingest, "malformed")
    (replay,) = commands(repo_root, chapter, "pigeon-recsys stream replay")
    assert "1 dead letters sent back" in run(replay, ingest, "--group", f"{ingest.group}-replay")
    wait_until(lambda: ingest.metric("pigeon_dead_letters_total") == 2)
    letters = read_all(ingest.kafka, ingest.events + SUFFIX)
    assert [dict(letter.headers)["attempts"] for letter in letters] == [b"1", b"2"]
    (ready,) = commands(repo_root, "Broker down", "curl")
    assert '"problems"' in run(ready, ingest)
    (describe,) = commands(repo_root, "Broker down")
    assert "cluster_id" in run(describe, ingest)
    ingest.stop()
    (skip,) = commands(repo_root, chapter)
    run(re.sub(r":3:1205", ":0:0", skip), ingest)


def test_partitions_are_changed_as_the_runbook_says(ingest: Ingest, repo_root: Path) -> None:
    """Who had a history before goes on with it on the new topics."""
    ingest.send(like(1))
    ingest.start()
    wait_until(lambda: ingest.metric("pigeon_events_counted_total") == 1)
    ingest.stop()
    chapter = "Change the number of partitions"
    (topics,) = commands(repo_root, chapter, "pigeon-recsys stream topics")
    others = [f"--{name} {ingest.prefix}-{name}" for name in ("exposures", "decisions", "outcomes")]
    run(topics, ingest, *others)
    moved = Ingest(ingest.kafka, ingest.prefix, ingest.store, ingest.at, suffix="-2")
    moved.send(like(2))
    (again,) = commands(repo_root, chapter, "pigeon-recsys stream ingest")
    assert "1 records: 1 histories changed" in run(again, ingest, *UNTIL_IDLE)
    assert FeastHistoryStore.open(ingest.store).recent(USER, 9).item_ids == ("i1", "i2")
    (record,) = read_all(ingest.kafka, f"{ingest.prefix}-histories-2")
    assert record.key == USER.encode()
