"""When is it worth making a user another image? A pure function of what is known of the user.

In:  a user's demand (what happened since the last image), the time, the GPU time left today.
Out: now, later (and when to ask again), or not at all, with the reason.

    request          somebody asked for an image                      priority 2
    new likes        `min_new_likes` or more since the last image     priority 1
    taste drift      taste has moved by `min_drift` since then        priority 0

Many events make one job: a demand is kept until the job starts. Nothing here reads a clock, a
store or a random number, so a replay of the same events makes the same decisions.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from pigeon_recsys.streaming.generation_requests import GenerationRequest
from pigeon_recsys.streaming.trigger_settings import TriggerSettings

DAY_MS = 86_400_000  # days are UTC's

Action = Literal["now", "later", "nothing"]
PRIORITY = {"request": 2, "new likes": 1, "taste drift": 0}


@dataclass(frozen=True, slots=True)
class Demand:
    """What has happened to a user since the last image was started, and what was made today."""

    new_likes: int = 0
    drift: float = 0.0
    request: GenerationRequest | None = None  # the newest; its image shows what was asked for last
    last_start_ms: int | None = None
    starts_today: int = 0

    def with_history(self, *, new_likes: int, drift: float) -> "Demand":
        """Return the demand under a history; both count from the last image on."""
        if new_likes < 0:
            raise ValueError(f"new_likes must not be negative, got {new_likes}")
        return replace(self, new_likes=new_likes, drift=drift)

    def with_request(self, request: GenerationRequest) -> "Demand":
        """Return the demand after somebody asked for an image; the newest request counts."""
        is_newer = self.request is None or request.order > self.request.order
        return replace(self, request=request) if is_newer else self

    def started(self, now_ms: int) -> "Demand":
        """Return what is left once a job starts: nothing but the count of the day."""
        return Demand(last_start_ms=now_ms, starts_today=self._starts_on_day_of(now_ms) + 1)

    def decide(self, now_ms: int, gpu_s_left: float, settings: TriggerSettings) -> "Decision":
        """Return whether to start a job now."""
        reason = self._reason(settings)
        if reason is None:
            return Decision("nothing", f"{self.new_likes} new likes, drift {self.drift:.2f}")
        waits = list(self._waits(reason, now_ms, gpu_s_left, settings))
        if waits:
            at_ms, why = max(waits)
            return Decision("later", why, at_ms)
        return Decision("now", reason, now_ms, PRIORITY[reason])

    def _waits(
        self, reason: str, now_ms: int, gpu_s_left: float, settings: TriggerSettings
    ) -> Iterator[tuple[int, str]]:
        """Yield until when and for what a job has to wait."""
        tomorrow_ms = (now_ms // DAY_MS + 1) * DAY_MS
        if self._starts_on_day_of(now_ms) >= settings.daily_images:
            yield tomorrow_ms, "daily budget of the user is spent"
        if gpu_s_left <= 0:
            yield tomorrow_ms, "daily GPU budget is spent"
        if reason != "request" and self.last_start_ms is not None:
            ready_ms = self.last_start_ms + round(settings.cooldown_s * 1000)
            if now_ms < ready_ms:
                yield ready_ms, "cooldown"

    def _reason(self, settings: TriggerSettings) -> str | None:
        if self.request is not None:
            return "request"
        if self.new_likes >= settings.min_new_likes:
            return "new likes"
        return "taste drift" if self.drift >= settings.min_drift else None

    def _starts_on_day_of(self, now_ms: int) -> int:
        is_today = (
            self.last_start_ms is not None and self.last_start_ms // DAY_MS >= now_ms // DAY_MS
        )
        return self.starts_today if is_today else 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about a demand, and why."""

    action: Action
    reason: str
    at_ms: int | None = None  # when to start, or when to ask again
    priority: int = 0  # of a job that starts; higher first, then older first
