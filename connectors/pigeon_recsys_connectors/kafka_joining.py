"""A group's answer that comes between two polls counts.

In:  a consumer of a group.
Out: the same consumer; where it has joined while nobody polled, its next poll takes the answer.

kafka-python 3.0 throws such an answer away and joins again, a rebalance for all of the group.
Workers that do much between short polls would go on joining for ever.
"""

from typing import Any

from kafka import KafkaConsumer
from kafka.structs import MemberState


def keep_answers(consumer: KafkaConsumer) -> None:
    """Let the consumer keep what the group answers until a poll takes it."""
    coordinator = consumer._coordinator
    join = coordinator._do_join_and_sync_async
    kept: Any = None  # a generation, and the assignment in it

    async def join_or_take_answer() -> Any:
        nonlocal kept
        is_taken = coordinator.state != MemberState.REBALANCING
        if kept and not is_taken and kept[0] is coordinator._generation:
            return kept[1]
        kept = None
        assignment = await join()
        kept = coordinator._generation, assignment
        return assignment

    coordinator._do_join_and_sync_async = join_or_take_answer
