"""More workers do more: one, two and four share twelve partitions, by the group and nothing else.

The generator sleeps as long as a GPU would work, so the machine's cores do not bound the images.
"""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from kafka.partitioner.default import murmur2

from tests.connectors.faults.crew import Crew, crew
from tests.connectors.faults.mix import Mix
from tests.connectors.faults.plant import NUM_PARTITIONS, Plant
from tests.connectors.faults.sending import Sender
from tests.connectors.faults.verdict import Verdict
from tests.connectors.faults.watch import Watch, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SEED = 10
COUNTS = (1, 2, 4)
USERS_EACH = 4  # of a partition, in each round
PICTURE_S = 0.3
DEADLINE_S = 120.0


def test_two_and_four_workers_make_more_images_a_second_than_one(
    plant: Plant, sender: Sender, tell: Callable[..., None]
) -> None:
    """By the generator's time alone it would be 2 and 4 times as many."""
    plant = replace(plant, picture_s=PICTURE_S)
    mix = Mix.of(plant, SEED)
    names = even_users()
    seconds: dict[int, float] = {}
    with crew(plant, "ingest") as workers:
        for count in COUNTS:
            workers.hire(*["generate"] * (count - len(workers.of("generate"))))
            wait_until(lambda count=count: not_shared(workers, count), DEADLINE_S, plant)  # type: ignore[misc]
            users = list(itertools.islice(names, USERS_EACH * NUM_PARTITIONS))
            sender.send(mix.sent(mix.likes(users, 3)))
            started_s = time.monotonic()
            wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
            seconds[count] = time.monotonic() - started_s
        workers.stop()
    tell(Verdict(plant, mix).check(), **{f"{n}_workers_s": each for n, each in seconds.items()})
    assert seconds[1] > 1.4 * seconds[2]
    assert seconds[1] > 2 * seconds[4]


def not_shared(workers: Crew, count: int) -> str:
    """Say who holds what, unless all hold as many partitions of both topics."""
    held = [worker.num_held for worker in workers.of("generate")]
    even = 2 * NUM_PARTITIONS // count
    return "" if held == [even] * count else f"the generate workers hold {held} partitions"


def even_users() -> Iterator[str]:
    """Yield new users without end, of each round as many in every partition."""
    numbers = itertools.count()
    while True:
        found: Counter[int] = Counter()
        while found.total() < USERS_EACH * NUM_PARTITIONS:
            name = f"u{next(numbers)}"
            partition = (murmur2(name.encode()) & 0x7FFFFFFF) % NUM_PARTITIONS
            if found[partition] < USERS_EACH:
                found[partition] += 1
                yield name
