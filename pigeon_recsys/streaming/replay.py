"""Dead letters back to where they came from, after what stopped them has been put right.

In:  an event log that reads a dead-letter topic.
Out: its records on their own topic again, each once; a letter that fails again comes back as a
     new letter with a higher count.
"""

from pigeon_recsys.streaming.dead_letters import replayed
from pigeon_recsys.streaming.event_log import EventLog, read_up_to


def replay_step(log: EventLog, poll_s: float) -> int:
    """Send the next letters back in one transaction and return how many."""
    letters = log.poll(poll_s)
    if letters:
        log.commit(read_up_to(letters), [replayed(letter) for letter in letters])
    return len(letters)
