"""Generators that hang, die, raise or return garbage: who is at fault fails, the rest goes on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pigeon_recsys.cli import main
from pigeon_recsys.streaming.breaker import BreakerSettings
from pigeon_recsys.streaming.dead_letters import SUFFIX
from pigeon_recsys.streaming.generated_messages import JsonGeneratedItems
from tests.connectors.faults.crew import crew
from tests.connectors.faults.generator import DIES, GARBAGE, HANGS, RAISES
from tests.connectors.faults.journal import MADE, Journal
from tests.connectors.faults.mix import Mix
from tests.connectors.faults.plant import QUEUE, Plant
from tests.connectors.faults.sending import Sender
from tests.connectors.faults.verdict import Verdict
from tests.connectors.faults.watch import Watch, num_read, wait_until
from tests.connectors.reading import read_all

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SEED = 9
NUM_USERS = 30
TIMEOUT_S = 5.0  # of a pass; a picture takes a millisecond
DEADLINE_S = 180.0


def test_some_jobs_that_break_their_generator_stop_nobody_else(
    plant: Plant, sender: Sender, tell: Callable[..., None]
) -> None:
    plant = replace(plant, timeout_s=TIMEOUT_S)
    mix = Mix.of(plant, SEED)
    mix.failing = dict.fromkeys((f"{mood}.0" for mood in (DIES, RAISES, *GARBAGE)), "generation")
    mix.failing[f"{HANGS}.0"] = "timeout"
    users = [f"u{number}" for number in range(NUM_USERS)]
    with crew(plant, "ingest", "generate", "generate") as workers:
        sender.send(mix.sent(mix.likes([*mix.failing, *users], 3)))
        wait_until(lambda: "" if Watch(plant).num_in_hand else "a job in hand", DEADLINE_S, plant)
        sender.send(mix.sent(mix.flow(300, users, [])))
        wait_until(lambda: _not_ingested(plant, mix), DEADLINE_S, plant)
        assert Watch(plant).num_in_hand, "ingest waited for the generators"
        wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        stop_s = workers.stop()
    counts = Verdict(plant, mix).check()
    assert counts["jobs failed"] == len(mix.failing)
    assert counts["published"] == NUM_USERS
    tell(counts, seed=SEED, stop_s=stop_s)


def _not_ingested(plant: Plant, mix: Mix) -> str:
    read, sent = (
        num_read(plant, "ingest", plant.topics.events),
        mix.num_records[plant.topics.events],
    )
    return "" if read == sent else f"{read} of {sent} events are ingested"


def test_a_generator_that_fails_for_all_opens_the_breaker_until_it_is_healed(
    plant: Plant, sender: Sender, tell: Callable[..., None]
) -> None:
    breaker = BreakerSettings(failures=3, wait_s=1.0)
    queue = replace(QUEUE, max_attempts=50, breaker=breaker)
    plant = replace(plant, queue=queue)
    mix = Mix.of(plant, SEED)
    users = [f"u{number}" for number in range(NUM_USERS)]
    plant.broken.touch()
    with crew(plant, "ingest", "generate") as workers:
        (generate,) = workers.of("generate")
        sender.send(mix.sent(mix.likes(users, 3)))
        wait_until(
            lambda: "" if "breaker open" in generate.listen().told else "an open breaker",
            DEADLINE_S,
            plant,
        )
        made = Journal(plant.journal).num(MADE)
        plant.broken.unlink()
        wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        assert generate.listen().told[-1] == "breaker closed"
        stop_s = workers.stop()
    counts = Verdict(plant, mix).check()
    assert counts["published"] == NUM_USERS
    tell(counts, made_in_vain=made, seed=SEED, stop_s=stop_s)


def test_a_worker_told_to_stop_ends_the_picture_in_hand_and_leaves_nothing(
    plant: Plant, sender: Sender, tell: Callable[..., None]
) -> None:
    """Its heir makes that picture anew: nothing was stored of it."""
    mix = Mix.of(plant, SEED)
    with crew(replace(plant, picture_s=600.0, timeout_s=600.0), "ingest", "generate") as workers:
        sender.send(mix.sent(mix.likes(["ada", "bob"], 3)))
        journal = Journal(plant.journal)
        wait_until(lambda: "" if journal.num(MADE) else "a picture being made", DEADLINE_S, plant)
        (generate,) = workers.of("generate")
        children = children_of(generate.process.pid)
        assert children, "the generator is a process of its own"
        stop_s = workers.stop()
        wait_until(lambda: _still_there(children), DEADLINE_S, plant)
    with crew(plant, "ingest", "generate") as workers:
        wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        workers.stop()
    counts = Verdict(plant, mix).check()
    assert counts["published"] == 2
    tell(counts, seed=SEED, stop_s=stop_s)


def children_of(pid: int | None) -> list[int]:
    """Return the processes that a process has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def _still_there(pids: list[int]) -> str:
    alive = [pid for pid in pids if Path(f"/proc/{pid}/cmdline").exists()]
    return f"processes {alive} outlive their worker" if alive else ""


def test_requests_that_failed_are_answered_after_a_fix_and_a_replay(
    plant: Plant, sender: Sender, capsys: pytest.CaptureFixture[str]
) -> None:
    """One was asked for; the other's job began by likes, and its letter asks for the same job."""
    plant = replace(plant, queue=replace(QUEUE, max_attempts=1))
    mix = Mix.of(plant, SEED)
    requests = plant.topics.requests
    plant.broken.touch()
    with crew(plant, "ingest", "generate") as workers:
        sender.send(mix.sent(mix.likes(["ada"], 1) + mix.likes(["bob"], 3)))
        wait_until(lambda: _not_ingested(plant, mix), DEADLINE_S, plant)
        wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        sender.send(mix.sent([mix.request("ada", 1)]))
        wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        assert len(read_all(plant.bootstrap, requests + SUFFIX)) == 2
        plant.broken.unlink()
        asked = ["--kafka", plant.bootstrap, "--topic", requests, "--until-idle", "3"]
        assert main(["stream", "replay", *asked, "--group", plant.group("replay")]) == 0
        assert f"2 dead letters sent back to {requests}" in capsys.readouterr().out
        wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        workers.stop()
    items = [
        JsonGeneratedItems().decode(each.value or b"")
        for each in read_all(plant.bootstrap, plant.topics.generated)
    ]
    assert {item.provenance.user_id for item in items} == {"ada", "bob"}
    assert len(items) == 2
    assert len(read_all(plant.bootstrap, requests + SUFFIX)) == 2
