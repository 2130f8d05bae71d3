"""Workers are killed at random moments, and every event still counts once, every job ends once."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.connectors.faults.crew import crew
from tests.connectors.faults.generator import DIES
from tests.connectors.faults.mix import Mix
from tests.connectors.faults.plant import Plant
from tests.connectors.faults.sending import Sender
from tests.connectors.faults.verdict import Verdict
from tests.connectors.faults.watch import Watch, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SEED = 5
NUM_RECORDS, NUM_USERS, NUM_REQUESTS, NUM_KILLS = 20_000, 240, 600, 22
LONGEST_S = 3.0  # between two kills
DEADLINE_S = 120.0
MOST_TAKEOVERS, NUM_BESIDE = 3, 30


def test_killed_workers_lose_nothing_and_do_nothing_twice(
    plant: Plant, sender: Sender, tell: Callable[..., None]
) -> None:
    plant = replace(plant, picture_s=0.01)
    mix = Mix.of(plant, SEED)
    chance = mix.chance
    users = [f"u{number} é" for number in range(NUM_USERS)]
    erased, asking = users[::6], [user for number, user in enumerate(users) if number % 6]
    with crew(plant, "ingest", "ingest", "generate", "generate") as workers:
        sender.send(mix.sent(mix.likes([*asking, *(f"asks.{n}" for n in range(10))], 1)))
        wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        others = mix.bad(4) + mix.impossible([f"asks.{n}" for n in range(10)])
        others += [mix.request(chance.choice(asking), n) for n in range(NUM_REQUESTS)]
        sent = mix.sent(mix.mingled(mix.flow(NUM_RECORDS, users, erased), others))
        size = -(-len(sent) // (NUM_KILLS + 1))
        for number in range(NUM_KILLS + 1):
            sender.begin(sent[number * size : (number + 1) * size])
            if number < NUM_KILLS:
                mix.pause(LONGEST_S)
                workers.replace(chance)
        sender.finish()
        recovery_s = wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        stop_s = workers.stop()
    counts = Verdict(plant, mix).check()
    tell(counts, kills=NUM_KILLS, seed=SEED, recovery_s=recovery_s, stop_s=stop_s)


def test_a_job_that_kills_its_workers_is_given_up_and_the_others_are_made(
    plant: Plant, sender: Sender, tell: Callable[..., None]
) -> None:
    """The worker who starts it ends by it, and so do those who take it over."""
    plant = replace(plant, most_takeovers=MOST_TAKEOVERS)
    mix = Mix.of(plant, SEED)
    mix.failing = {f"{DIES}.0": "workers-lost"}
    users = [f"u{number}" for number in range(NUM_BESIDE)]
    num_ended = 0
    with crew(plant, "ingest", "generate", "generate") as workers:

        def missing() -> str:
            nonlocal num_ended
            num_ended += workers.replace_ended()
            return Watch(plant).unfinished()

        sender.send(mix.sent(mix.likes([*mix.failing, *users], 3)))
        wait_until(missing, DEADLINE_S, plant)
        workers.stop()
    counts = Verdict(plant, mix).check()
    assert num_ended == 1 + MOST_TAKEOVERS
    assert counts["published"] == NUM_BESIDE
    tell(counts, ended_by_it=num_ended, seed=SEED)
