"""Dead letters back to where they came from, after what stopped them has been put right.

In:  an event log that reads a dead-letter topic.
Out: the letters that lay there when the replay began, on their own topic again, each once.

A letter that fails again comes back as a new letter with a higher count. It is left for the next
replay: where workers are running and the fix is none, one replay would never end.
"""

from pigeon_recsys.streaming.dead_letters import replayed
from pigeon_recsys.streaming.event_log import EventLog, Place, read_up_to


class Replay:
    """One run over a dead-letter topic. One thread uses it."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._ends: dict[Place, int] = {}  # of the partitions when they were given to us

    def step(self, poll_s: float) -> int:
        """Send the next letters back in one transaction and return how many."""
        polled = self._log.poll(poll_s)
        if self._log.held().keys() - self._ends.keys():
            self._ends = {**self._log.ends(), **self._ends}
        letters = [each for each in polled if each.offset < self._ends[each.topic, each.partition]]
        if letters:
            self._log.commit(read_up_to(letters), [replayed(letter) for letter in letters])
        return len(letters)
