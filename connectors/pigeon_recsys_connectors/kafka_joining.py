"""How a consumer joins its group.

In:  a consumer of a group, and what makes its assignor claim no partitions.
Out: the same consumer, joining in two ways that kafka-python 3.0 lacks.

- An answer of the group that comes between two polls counts. The library throws it away and joins
  again, a rebalance for all of the group: workers that do much between short polls would go on
  joining for ever. Nothing tells the group meanwhile that the worker is alive, so an answer counts
  for no longer than the group waits for a sign of life.
- Who joins as a new member claims nothing. The library goes on to claim what the member before
  had. A partition that is to move is kept from its new owner until the one who claims it gives it
  up; who does not have it never does, and nobody gets it.
"""

import time
from collections.abc import Callable
from typing import Any

from kafka import KafkaConsumer
from kafka.structs import MemberState


def mend_joining(consumer: KafkaConsumer, disown: Callable[[], None]) -> None:
    """Let the consumer keep what the group answers, and claim only what it has."""
    coordinator = consumer._coordinator
    join = coordinator._do_join_and_sync_async
    lifetime_s = coordinator.config["session_timeout_ms"] / 1000
    answer: Any = None  # a generation, the assignment in it, and when it came

    async def join_or_take_answer() -> Any:
        nonlocal answer
        is_taken = coordinator.state != MemberState.REBALANCING
        if answer and not is_taken:
            generation, assignment, came_s = answer
            is_young = time.monotonic() - came_s < lifetime_s
            if is_young and generation is coordinator._generation:
                return assignment
        answer = None
        if coordinator._generation.is_lost():
            disown()
        assignment = await join()
        answer = coordinator._generation, assignment, time.monotonic()
        return assignment

    coordinator._do_join_and_sync_async = join_or_take_answer
