"""What a generate worker remembers of its users, as the log has it.

In:  the partitions that the worker has, states read from the topic of generation state, changes.
Out: what is known of a user, whose turn it is, which jobs are in hand; and the records that make
     the changes last.

The memory is never ahead of the log for long: changes are taken out and committed at the end of
each step, and where that fails everything is forgotten and read again.
"""

from collections.abc import Iterator, Mapping

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.streaming.demand_table import DemandTable, Turn
from pigeon_recsys.streaming.event_log import EventLog, NewRecord, Place
from pigeon_recsys.streaming.observation import SILENT, Observer
from pigeon_recsys.streaming.trigger_settings import TriggerSettings
from pigeon_recsys.streaming.user_demand import UserDemand

Tenure = tuple[int, ...]  # of a partition in each topic that is read


class GenerationMemory:
    """Users by partition. One thread uses it."""

    def __init__(
        self,
        log: EventLog,
        reads: tuple[str, ...],
        state_topic: str,
        trigger: TriggerSettings,
        observer: Observer = SILENT,
    ) -> None:
        """Raises `SettingsError` for topics of different numbers of partitions, or `LogError`."""
        self._log = log
        self._reads = reads
        self._state_topic = state_topic
        self._trigger = trigger
        self._observer = observer
        self._num_partitions = _num_partitions(log, (*reads, state_topic))
        self.forget()

    def forget(self) -> None:
        """Know nothing, so that `follow` reads everything again."""
        self._table = DemandTable(self._num_partitions, self._trigger)
        self._tenures: dict[int, Tenure] = {}
        self._places: dict[str, tuple[int, str]] = {}  # of jobs in hand: partition and user
        self._changed: dict[tuple[int, str], UserDemand] = {}

    def __contains__(self, partition: int) -> bool:
        """Whether the users of a partition are known."""
        return partition in self._tenures

    @property
    def jobs_in_hand(self) -> frozenset[str]:
        """Keys of the jobs that have started and have no result yet."""
        return frozenset(self._places)

    @property
    def takeovers(self) -> dict[str, int]:
        """How often each job in hand was taken over."""
        return {key: self._table.get(*place).takeovers for key, place in self._places.items()}

    def follow(self, now_ms: int) -> list[str]:
        """Give up the partitions that were lost, read those that came; return their open jobs."""
        held = self._held(self._log.held())
        for number in [each for each, tenure in self._tenures.items() if held.get(each) != tenure]:
            self._table.give_up(number)
            del self._tenures[number]
            self._places = {k: place for k, place in self._places.items() if place[0] != number}
        new = {number: held[number] for number in held if number not in self._tenures}
        if not new:
            return []
        self._observer.restoring(len(new))
        users = self._read(new)
        for number in new:
            self._table.take_over(number, users[number], now_ms)
        self._tenures |= new
        jobs = {user.job.key: (n, user.user_id) for n in new for user in users[n] if user.job}
        self._places |= jobs
        self._observer.restoring(0)
        return list(jobs)

    def user(self, partition: int, user_id: str) -> UserDemand:
        """Return what is remembered of a user, or a beginning."""
        return self._table.get(partition, user_id)

    def owner_of(self, job_key: str) -> tuple[int, UserDemand] | None:
        """Return the partition and the user of a job in hand, None for any other."""
        place = self._places.get(job_key)
        return None if place is None else (place[0], self._table.get(*place))

    def remember(self, partition: int, user: UserDemand, now_ms: int) -> None:
        """Change what is remembered of a user, and of the job in hand."""
        before = self._table.get(partition, user.user_id)
        if before.job is not None:
            self._places.pop(before.job.key, None)
        if user.job is not None:
            self._places[user.job.key] = partition, user.user_id
        self._table.put(partition, user, now_ms)
        if user != before:
            self._changed[partition, user.user_id] = user

    def due(self, now_ms: int) -> Iterator[Turn]:
        """Yield whose job is to start, most urgent first; each has then left the queue."""
        return self._table.due(now_ms)

    def put_off(self, turn: Turn, until_ms: int) -> None:
        """Queue a turn that could not be taken, for another time."""
        self._table.put_off(turn, until_ms)

    def changes(self) -> list[NewRecord]:
        """Return the records of all changes since this was asked last."""
        changed, self._changed = self._changed, {}
        return [
            NewRecord(
                self._state_topic,
                user_id.encode(),
                None if user == UserDemand(user_id) else user.to_bytes(),
                partition,
            )
            for (partition, user_id), user in changed.items()
        ]

    def _held(self, tenures: Mapping[Place, int]) -> dict[int, Tenure]:
        """Return the partitions that the worker has in every topic it reads."""
        return {
            number: tuple(tenures[topic, number] for topic in self._reads)
            for number in range(self._num_partitions)
            if all((topic, number) in tenures for topic in self._reads)
        }

    def _read(self, partitions: Mapping[int, Tenure]) -> dict[int, list[UserDemand]]:
        """Return the users of some partitions by the newest record of each."""
        newest: dict[int, dict[bytes | None, bytes | None]] = {each: {} for each in partitions}
        for record in self._log.contents(self._state_topic, partitions):
            newest[record.partition][record.key] = record.value
        return {
            number: [UserDemand.from_bytes(value) for value in values.values() if value]
            for number, values in newest.items()
        }


def _num_partitions(log: EventLog, topics: tuple[str, ...]) -> int:
    counts = {topic: log.num_partitions(topic) for topic in topics}
    if len(set(counts.values())) > 1:
        raise SettingsError(
            f"these topics must have the same number of partitions, got {counts}. Make new ones "
            "with: pigeon-recsys stream topics"
        )
    return counts[topics[0]]
