"""What a generate worker remembers of one user: the mark of the last image, and the job in hand.

In:  the user's history after each change, requests, jobs that start and end.
Out: a value that says whether another image is worth it, and that survives as bytes.

New likes and drift are differences between the history as it is and as it was when the last image
was started. So a history that comes twice, or late, counts once; an undone like is taken off again.

The store, which an image is planned from, may be ahead of the topic that tells of histories: a
history that is older than the image, empty or erased perhaps, then comes after it. So no history
calls a job off, and an erasure takes away only what was made of what it erased.
"""

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from pigeon_recsys.errors import LogError
from pigeon_recsys.records import Reference, Vectors
from pigeon_recsys.streaming.generation_requests import GenerationRequest
from pigeon_recsys.streaming.jobs import GenerationJob
from pigeon_recsys.streaming.trigger import DAY_MS, Decision, Demand
from pigeon_recsys.streaming.trigger_settings import TriggerSettings

FORMAT = 1  # of the bytes
NUM_RECENT = 16  # jobs remembered, so that they are not done again and their references vary
DIGEST_BYTES = 4  # of an item id: among hundreds of likes, two rarely share one


@dataclass(frozen=True, slots=True)
class Mark:
    """The history as the last image saw it."""

    likes: frozenset[bytes] = frozenset()  # digests of the liked item ids
    taste: bytes = b""  # float16 values of the taste vector; empty without one
    since_ms: int = 0  # time of the oldest event in it

    @classmethod
    def of(cls, liked: Iterable[str], taste: Vectors | None, since_ms: int) -> "Mark":
        """Return the mark of a history."""
        stored = b"" if taste is None else np.asarray(taste, np.float16).tobytes()
        return cls(frozenset(map(_digest, liked)), stored, since_ms)

    def new_likes(self, liked: Iterable[str]) -> int:
        """Return how many liked items were not liked then."""
        return len({_digest(item_id) for item_id in liked} - self.likes)

    def drift(self, taste: Vectors | None) -> float:
        """Return 1 − cosine between taste now and then, 0 where there was or is none."""
        then = np.frombuffer(self.taste, np.float16).astype(np.float32)
        if taste is None or taste.shape != then.shape:
            return 0.0
        length = float(np.linalg.norm(then) * np.linalg.norm(taste))
        return max(0.0, 1 - float(then @ taste) / length) if length > 0 else 0.0


@dataclass(frozen=True, slots=True)
class RecentJob:
    """A job that was started before."""

    key: str
    reference_item_id: str | None
    since_ms: int = 0  # time of the oldest event that it was made of


@dataclass(frozen=True, slots=True)
class UserDemand:
    """All that is remembered of one user between two records."""

    user_id: str
    demand: Demand = field(default_factory=Demand)
    mark: Mark = field(default_factory=Mark)
    recent: tuple[RecentJob, ...] = ()  # newest last
    job: GenerationJob | None = None  # started, and neither published nor given up
    takeovers: int = 0  # of that job: how many workers took it up after the one who started it
    gpu_s: float = 0.0  # spent on the day of `gpu_ms`
    gpu_ms: int = 0

    def with_history(self, liked: Iterable[str], taste: Vectors | None) -> "UserDemand":
        """Return what is wanted under a history."""
        new_likes, drift = self.mark.new_likes(liked), self.mark.drift(taste)
        return replace(self, demand=self.demand.with_history(new_likes=new_likes, drift=drift))

    def without_erased(self, erased_ms: int) -> "UserDemand":
        """Return what is left where everything up to a time is erased: what is all of later.

        A job in hand is made of the history at the mark, and goes where that knows older events.
        """
        request = self.demand.request
        if request is not None and request.at_ms <= erased_ms:
            request = None
        if self.mark.since_ms <= erased_ms:
            return UserDemand(self.user_id, Demand(request=request))
        recent = tuple(each for each in self.recent if each.since_ms > erased_ms)
        return replace(self, demand=replace(self.demand, request=request), recent=recent)

    def with_request(self, request: GenerationRequest) -> "UserDemand":
        """Return what is wanted after a request."""
        return replace(self, demand=self.demand.with_request(request))

    def started(self, job: GenerationJob, mark: Mark) -> "UserDemand":
        """Return what is left when a job starts; a history at `mark` asks for nothing more."""
        recent = RecentJob(job.key, job.reference.item_id, mark.since_ms)
        return replace(
            self,
            demand=self.demand.started(job.started_ms),
            mark=mark,
            recent=(*self.recent, recent)[-NUM_RECENT:],
            job=job,
        )

    def taken_over(self) -> "UserDemand":
        """Return what is remembered once another worker takes up the job in hand."""
        return replace(self, takeovers=self.takeovers + 1)

    def answered(self) -> "UserDemand":
        """Return what is left when a request asks for what has been made before."""
        return replace(self, demand=replace(self.demand, request=None))

    def ended(self, gpu_s: float, now_ms: int, *, is_made: bool = True) -> "UserDemand":
        """Return what is left when the job is published or given up.

        One that was given up may be asked for again: its dead letter can be replayed.
        """
        spent = self.gpu_s_on_day_of(now_ms) + gpu_s
        recent = self.recent
        if not is_made and self.job is not None:
            recent = tuple(each for each in recent if each.key != self.job.key)
        return replace(self, job=None, takeovers=0, recent=recent, gpu_s=spent, gpu_ms=now_ms)

    def decide(self, now_ms: int, gpu_s_left: float, settings: TriggerSettings) -> Decision:
        """Return whether to start a job now; never while one is in hand."""
        if self.job is not None:
            return Decision("nothing", "a job is in hand")
        return self.demand.decide(now_ms, gpu_s_left, settings)

    def has_done(self, key: str) -> bool:
        """Say whether a job was started lately."""
        return any(each.key == key for each in self.recent)

    def gpu_s_on_day_of(self, now_ms: int) -> float:
        """Return the GPU time spent so far on the day of a moment."""
        return self.gpu_s if self.gpu_ms // DAY_MS == now_ms // DAY_MS else 0.0

    def to_bytes(self) -> bytes:
        """Return it as JSON; equal values give equal bytes."""
        content = {
            "format": FORMAT,
            "user_id": self.user_id,
            "demand": asdict(self.demand),
            "likes": _text(b"".join(sorted(self.mark.likes))),
            "taste": _text(self.mark.taste),
            "since_ms": self.mark.since_ms,
            "recent": [[job.key, job.reference_item_id, job.since_ms] for job in self.recent],
            "job": None if self.job is None else self.job.to_json(),
            "takeovers": self.takeovers,
            "gpu_s": self.gpu_s,
            "gpu_ms": self.gpu_ms,
        }
        return json.dumps(content, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "UserDemand":
        """Read what `to_bytes` wrote. Raises `LogError` on anything else."""
        try:
            content: dict[str, Any] = json.loads(data)
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']!r} instead of {FORMAT}")
            job = content["job"]
            return cls(
                user_id=str(content["user_id"]),
                demand=_read_demand(content["demand"]),
                mark=Mark(
                    likes=_read_likes(content["likes"]),
                    taste=base64.b64decode(content["taste"]),
                    since_ms=int(content.get("since_ms", 0)),  # earlier versions did not note it
                ),
                recent=tuple(RecentJob(*each) for each in content["recent"]),
                job=None if job is None else GenerationJob.from_json(job),
                takeovers=int(content.get("takeovers", 0)),  # earlier versions did not count
                gpu_s=float(content["gpu_s"]),
                gpu_ms=int(content["gpu_ms"]),
            )
        except (ValueError, TypeError, KeyError) as exc:
            raise LogError(
                f"a user's state on the topic of generation state cannot be read: {exc!r} in "
                f"{len(data)} bytes. Read it with the version that wrote it, or name another topic."
            ) from exc


def _read_demand(content: dict[str, Any]) -> Demand:
    request = content["request"]
    if request is not None:
        request = GenerationRequest(**{**request, "reference": Reference(**request["reference"])})
    return Demand(**{**content, "request": request})


def _read_likes(text: str) -> frozenset[bytes]:
    data = base64.b64decode(text)
    return frozenset(
        data[start : start + DIGEST_BYTES] for start in range(0, len(data), DIGEST_BYTES)
    )


def _digest(item_id: str) -> bytes:
    return hashlib.blake2b(item_id.encode(), digest_size=DIGEST_BYTES).digest()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
