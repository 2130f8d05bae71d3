"""Workers come and go all the time, and some sleep until their partitions are others'."""

import signal
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.connectors.faults.crew import Crew, Worker, crew
from tests.connectors.faults.mix import Mix
from tests.connectors.faults.plant import NUM_PARTITIONS, Plant
from tests.connectors.faults.sending import Sender
from tests.connectors.faults.verdict import Verdict
from tests.connectors.faults.watch import Watch, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SEED = 7
NUM_RECORDS, NUM_USERS, NUM_REQUESTS = 4_000, 60, 150
NUM_CHANGES, LONGEST_S = 12, 3.0
DEADLINE_S = 120.0


def test_a_storm_of_rebalances_loses_nothing_and_does_nothing_twice(
    plant: Plant, sender: Sender, tell: Callable[..., None]
) -> None:
    plant = replace(plant, picture_s=0.03)
    mix = Mix.of(plant, SEED)
    users = [f"u{number}" for number in range(NUM_USERS)]
    with crew(plant, "ingest", "generate") as workers:
        sender.send(mix.sent(mix.likes(users, 1)))
        wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        requests = [mix.request(mix.chance.choice(users), n) for n in range(NUM_REQUESTS)]
        flow = mix.flow(NUM_RECORDS, users, [])
        sent = mix.sent(mix.mingled(flow, mix.bad(1) + requests))
        size = -(-len(sent) // NUM_CHANGES)
        for number in range(NUM_CHANGES):
            sender.begin(sent[number * size : (number + 1) * size])
            _come_or_go(workers, mix)
            mix.pause(LONGEST_S)
        sender.finish()
        recovery_s = wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        stop_s = workers.stop()
    counts = Verdict(plant, mix).check()
    tell(counts, changes=NUM_CHANGES, seed=SEED, recovery_s=recovery_s, stop_s=stop_s)


def _come_or_go(workers: Crew, mix: Mix) -> None:
    """Let a worker join, or one leave, in good order or not; one of each role stays."""
    role = mix.chance.choice(("ingest", "generate"))
    there = workers.of(role)
    if len(there) == 1 or (len(there) < 3 and mix.chance.random() < 0.5):
        workers.hire(role)
    elif mix.chance.random() < 0.5:
        workers.dismiss(mix.chance.choice(there))
    else:
        workers.lose(mix.chance.choice(there))


def test_a_worker_that_wakes_after_its_partitions_moved_does_nothing_twice(
    plant: Plant, sender: Sender, tell: Callable[..., None]
) -> None:
    """Both sleep in the middle of their work, with records read and jobs in hand."""
    plant = replace(plant, picture_s=0.1)
    mix = Mix.of(plant, SEED)
    users = [f"u{number}" for number in range(NUM_USERS)]
    with crew(plant, "ingest", "ingest", "generate", "generate") as workers:
        wait_until(lambda: _not_shared(workers), DEADLINE_S, plant)
        sender.send(mix.sent(mix.likes(users, 3)))
        sender.begin(mix.sent(mix.flow(1_000, users, [])))
        sleepers = [workers.of(role)[0] for role in ("ingest", "generate")]
        wait_until(lambda: "" if Watch(plant).num_in_hand else "a job in hand", DEADLINE_S, plant)
        for worker in sleepers:
            worker.signal(signal.SIGSTOP)
        sender.finish()
        wait_until(lambda: _not_taken_over(workers, sleepers), DEADLINE_S, plant)
        wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        for worker in sleepers:
            worker.signal(signal.SIGCONT)
        wait_until(lambda: _not_shared(workers), DEADLINE_S, plant)
        sender.send(mix.sent(mix.likes(users, 3, first=3)))
        wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        stop_s = workers.stop()
    tell(Verdict(plant, mix).check(), zombies=len(sleepers), seed=SEED, stop_s=stop_s)


def _not_shared(workers: Crew) -> str:
    """Say who holds how many partitions, unless each worker has some and together they have all."""
    for role, num_topics in (("ingest", 1), ("generate", 2)):
        held = [worker.num_held for worker in workers.of(role)]
        if not all(held) or sum(held) != num_topics * NUM_PARTITIONS:
            return f"the {role} workers hold {held} partitions"
    return ""


def _not_taken_over(workers: Crew, sleepers: list[Worker]) -> str:
    """Say who does not hold all partitions yet."""
    for role, num_topics in (("ingest", 1), ("generate", 2)):
        (awake,) = [worker for worker in workers.of(role) if worker not in sleepers]
        if awake.num_held != num_topics * NUM_PARTITIONS:
            return f"{awake} holds {awake.num_held} partitions"
    return ""
