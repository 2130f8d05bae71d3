"""Pictures on request: a ticket now, the picture later.

In:  a user, what the picture should show, a seed.
Out: a ticket whose id is the job's key, and on asking again, what has become of it.

The same request of a user with the same history has the same key: it is one job, however often it
is sent and to whichever process. What is known of a ticket lies in the image store, where every
process finds it, after a restart too:

    results/…/KEY.json    the job's result, written by whoever made the picture
    tickets/…/KEY.json    that it was asked for, and when; or why it failed

A ticket names no user. One that nobody finishes in `lost_after_s` has failed: ask again. An
erasure deletes the tickets of the user's pictures, and of what its process has in hand; any other
is deleted when it is asked for after `KEPT_S`.
"""

import json
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pigeon_recsys.errors import EventError, PigeonError, public_text
from pigeon_recsys.generation.image_names import result_name, ticket_name
from pigeon_recsys.hashed_ids import without_user
from pigeon_recsys.ports import ImageStore
from pigeon_recsys.records import GeneratedItem, Reference
from pigeon_recsys.streaming.demand_table import Turn
from pigeon_recsys.streaming.generated_messages import GeneratedItemCodec
from pigeon_recsys.streaming.generation_requests import GenerationRequest
from pigeon_recsys.streaming.jobs import KEY_DIGITS, GenerationJob
from pigeon_recsys.streaming.planning import Planner
from pigeon_recsys.streaming.trigger import PRIORITY, Demand
from pigeon_recsys.streaming.user_demand import UserDemand

logger = logging.getLogger(__name__)

Status = Literal["queued", "running", "done", "failed", "unknown"]
LOST_AFTER_S = 900.0  # some hundred pictures before it, on a CPU
KEPT_S = 86_400.0  # a ticket without a result: whoever asked has given up, or asked again
MAX_REASON = 1_000  # characters
REASON = "request"
HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What is known of a picture that somebody asked for."""

    ticket_id: str
    status: Status
    item: GeneratedItem | None = None  # of one that is done
    reason: str = ""  # of one that failed


class Making(Protocol):
    """How jobs are done: in this process, or by workers."""

    def start(self, job: GenerationJob, request: GenerationRequest) -> None:
        """See to it that a job is done. Raises `GeneratorBusy` or `LogError`, and it is not."""

    def is_running(self, key: str) -> bool:
        """Say whether a job is being made now, as far as this process knows."""

    def forget(self, user_id: str) -> Sequence[str]:
        """Drop a user's jobs that are in hand here, as far as can be, and return their keys."""

    def close(self) -> None:
        """Start no more."""


class Tickets:
    """Tickets in the image store; threads and processes share them."""

    def __init__(
        self,
        images: ImageStore,
        codec: GeneratedItemCodec,
        lost_after_s: float = LOST_AFTER_S,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._images = images
        self._codec = codec
        self._lost_after_s = lost_after_s
        self._now_s = now_s

    def find(self, key: str) -> Ticket:
        """Return a ticket that is queued, done, failed or unknown. Raises `ImageStoreError`."""
        if len(key) != KEY_DIGITS or not HEX.issuperset(key):
            return Ticket(key, "unknown")
        if (item := self._result(key)) is not None:
            return Ticket(key, "done", item)
        value = self._images.read(ticket_name(key))
        if value is None:
            return Ticket(key, "unknown")
        try:
            told = json.loads(value)
            asked_s, reason = float(told["asked_s"]), str(told["reason"])
        except (ValueError, TypeError, KeyError):
            return Ticket(key, "unknown")  # as if it had not been written
        age_s = self._now_s() - asked_s
        if age_s > KEPT_S:
            self.delete(key)
            return Ticket(key, "unknown")
        if reason:
            return Ticket(key, "failed", reason=reason)
        if age_s > self._lost_after_s:
            lost = f"nobody has made it in {age_s:.0f} s. Ask for it again."
            return Ticket(key, "failed", reason=lost)
        return Ticket(key, "queued")

    def write(self, key: str, reason: str = "") -> None:
        """Note that a picture was asked for, or why there is none. Raises `ImageStoreError`."""
        told = {"asked_s": self._now_s(), "reason": reason[:MAX_REASON]}
        self._images.write(ticket_name(key), json.dumps(told).encode())

    def delete(self, key: str) -> None:
        """Forget that a picture was asked for. Raises `ImageStoreError`."""
        self._images.delete(ticket_name(key))

    def fail(self, job: GenerationJob, error: Exception) -> None:
        """Note why there is no picture, without saying for whom."""
        logger.warning("ticket %s: %s", job.key, without_user(error, job.user_id))
        told = public_text(error) if isinstance(error, PigeonError) else type(error).__name__
        self.write(job.key, without_user(told, job.user_id) or type(error).__name__)

    def _result(self, key: str) -> GeneratedItem | None:
        value = self._images.read(result_name(key))
        if value is None:
            return None
        try:
            return self._codec.decode(value)
        except EventError:
            return None  # a result that cannot be read is none: it is made again


class Generations:
    """Requests for pictures. Threads may share it."""

    def __init__(
        self,
        planner: Planner,
        tickets: Tickets,
        making: Making,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._planner = planner
        self._tickets = tickets
        self._making = making
        self._now_ms = now_ms

    def request(self, user_id: str, reference: Reference, seed: int = 0) -> Ticket:
        """Ask for a picture and return its ticket; one that failed is tried again.

        Raises `UnknownUser`, `UnknownItem` or `GenerationError` for what cannot be drawn,
        `GeneratorBusy` where too much waits, and `StoreError` or `LogError`.
        """
        now_ms = self._now_ms()
        request = GenerationRequest(user_id, uuid.uuid4().hex, now_ms, reference, seed)
        user = UserDemand(user_id, Demand(request=request))
        job = self._planner.plan(Turn(0, user, REASON, PRIORITY[REASON]), now_ms).job
        known = self.status(job.key)
        if known.status not in ("unknown", "failed"):
            return known
        self._tickets.write(job.key)
        try:
            self._making.start(job, request)
        except Exception as exc:
            self._tickets.fail(job, exc)
            raise
        return Ticket(job.key, "queued")

    def status(self, ticket_id: str) -> Ticket:
        """Return what has become of a ticket; `unknown` for an id that is none.

        Raises `ImageStoreError`.
        """
        ticket = self._tickets.find(ticket_id)
        if ticket.status != "done" and self._making.is_running(ticket_id):
            return Ticket(ticket_id, "running")
        return ticket

    def forget(self, user_id: str) -> None:
        """Drop what is to be made for a user, and its tickets, as when the user is erased.

        Raises `ImageStoreError`.
        """
        for key in self._making.forget(user_id):
            self._tickets.delete(key)

    def close(self) -> None:
        """Take no more requests, and stop what is being made."""
        self._making.close()
