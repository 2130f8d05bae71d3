"""The users in a worker's partitions, and whose turn it is.

In:  what is remembered of each user, partition by partition; the time.
Out: users whose job is to start now, the most urgent first; the GPU time that is left today.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pigeon_recsys.streaming.trigger import DAY_MS
from pigeon_recsys.streaming.trigger_settings import TriggerSettings
from pigeon_recsys.streaming.user_demand import UserDemand

Key = tuple[int, str]  # partition and user id


@dataclass(frozen=True, slots=True)
class Turn:
    """A user whose job is to start."""

    partition: int
    user: UserDemand
    reason: str
    priority: int


class DemandTable:
    """All users of some of `num_partitions` partitions. One thread uses it.

    Each partition has its share of the daily GPU time of all, so that workers need not ask each
    other what they have spent.
    """

    def __init__(self, num_partitions: int, settings: TriggerSettings) -> None:
        self._settings = settings
        self._gpu_s_share = settings.daily_gpu_s / num_partitions
        self._users: dict[int, dict[str, UserDemand]] = {}
        self._spent: dict[int, tuple[int, float]] = {}  # day and GPU seconds, by partition
        self._ready: list[tuple[int, int, Key]] = []  # heap of (−priority, since, whose)
        self._later: list[tuple[int, Key]] = []  # heap of (when to ask again, whose)
        self._turns: dict[Key, tuple[int, Key] | tuple[int, int, Key]] = {}  # those that count

    @property
    def partitions(self) -> frozenset[int]:
        """Those that are known here."""
        return frozenset(self._users)

    def __len__(self) -> int:
        """How many users' turn it is."""
        return sum(len(turn) == 3 for turn in self._turns.values())

    def take_over(self, partition: int, users: Iterable[UserDemand], now_ms: int) -> None:
        """Know all users of a partition."""
        self._users[partition] = {user.user_id: user for user in users}
        self._spent[partition] = self._spent_on(now_ms // DAY_MS, partition)
        for user in self._users[partition].values():
            self._queue(partition, user, now_ms)

    def give_up(self, partition: int) -> None:
        """Forget a partition."""
        for user_id in self._users.pop(partition):
            self._turns.pop((partition, user_id), None)

    def get(self, partition: int, user_id: str) -> UserDemand:
        """Return what is remembered of a user, or a beginning."""
        return self._users[partition].get(user_id) or UserDemand(user_id)

    def put(self, partition: int, user: UserDemand, now_ms: int) -> None:
        """Remember a user as given, and queue the next decision."""
        day, spent = self._spent[partition]
        before = self.get(partition, user.user_id)
        self._users[partition][user.user_id] = user
        if day == now_ms // DAY_MS:
            spent += user.gpu_s_on_day_of(now_ms) - before.gpu_s_on_day_of(now_ms)
            self._spent[partition] = day, spent
        self._queue(partition, user, now_ms)

    def users(self, partition: int) -> Iterable[UserDemand]:
        """Return all users of a partition."""
        return self._users[partition].values()

    def gpu_s_left(self, partition: int, now_ms: int) -> float:
        """Return what a partition may still spend today."""
        day = now_ms // DAY_MS
        if self._spent[partition][0] != day:
            self._spent[partition] = self._spent_on(day, partition)
        return self._gpu_s_share - self._spent[partition][1]

    def due(self, now_ms: int) -> Iterator[Turn]:
        """Yield whose job is to start, most urgent first, then longest waiting.

        Who is yielded has left the queue, until `put` or `put_off`.
        """
        while self._later and self._later[0][0] <= now_ms:
            later = heapq.heappop(self._later)
            if self._counts(later, later[1]):
                partition, user_id = later[1]
                self._queue(partition, self._users[partition][user_id], now_ms)
        while self._ready:
            ready = heapq.heappop(self._ready)
            if not self._counts(ready, ready[2]):
                continue
            partition, user_id = ready[2]
            user = self._users[partition][user_id]
            decision = user.decide(now_ms, self.gpu_s_left(partition, now_ms), self._settings)
            if decision.action == "now":
                yield Turn(partition, user, decision.reason, decision.priority)
            else:
                self._queue(partition, user, now_ms)

    def put_off(self, turn: Turn, until_ms: int) -> None:
        """Queue a turn that could not be taken, for another time."""
        self._ask_again((turn.partition, turn.user.user_id), until_ms)

    def _queue(self, partition: int, user: UserDemand, now_ms: int) -> None:
        decision = user.decide(now_ms, self.gpu_s_left(partition, now_ms), self._settings)
        key = partition, user.user_id
        queued = self._turns.get(key)
        if decision.action == "now":
            is_as_urgent = (
                queued is not None and len(queued) == 3 and queued[0] == -decision.priority
            )
            if not is_as_urgent:
                ready = -decision.priority, now_ms, key
                self._turns[key] = ready
                heapq.heappush(self._ready, ready)
        elif decision.at_ms is not None:
            self._ask_again(key, decision.at_ms)
        else:
            self._turns.pop(key, None)

    def _ask_again(self, key: Key, at_ms: int) -> None:
        later = at_ms, key
        if self._turns.get(key) != later:
            self._turns[key] = later
            heapq.heappush(self._later, later)

    def _counts(self, turn: tuple[int, Key] | tuple[int, int, Key], key: Key) -> bool:
        """Say whether a place in a queue is the user's newest, and take it."""
        if self._turns.get(key) is not turn:
            return False
        del self._turns[key]
        return True

    def _spent_on(self, day: int, partition: int) -> tuple[int, float]:
        users = self._users[partition].values()
        return day, sum(user.gpu_s_on_day_of(day * DAY_MS) for user in users)
