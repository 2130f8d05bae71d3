"""What became of a slate, as the feed reports it: shown, clicked, liked, skipped, hidden.

In:  reports from outside, checked here, all faults told together.
Out: exposures and outcomes in the slate log. An outcome says what the user's history is told of
     it, and a log that reaches ingest (Kafka) tells it.

    shown   an exposure           click   an outcome; the history learns of it where that is set
    like    an outcome, a like    skip    an outcome, a skip    hide   an outcome, a skip
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pigeon_recsys.decisions import HISTORY_EVENTS, MAX_ID, OUTCOMES, Exposure, Outcome, SlateEntry
from pigeon_recsys.errors import RequestError, SettingsError
from pigeon_recsys.ports import SlateLog
from pigeon_recsys.records import LIKE, SKIP
from pigeon_recsys.streaming.messages import MAX_AHEAD_MS

SHOWN = "shown"
KINDS = (SHOWN, *OUTCOMES)
MAX_AGE_MS = 30 * 86_400_000  # a phone may have been offline for long; decisions are kept as long
MAX_POSITION = 10_000


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that happened to one item of a slate."""

    user_id: str
    request_id: str  # of the slate
    item_id: str
    kind: str  # one of KINDS
    at_ms: int  # epoch milliseconds, UTC
    position: int | None = None  # 0 is shown first; of an item that was shown
    creative_id: str | None = None  # as the slate's placement names it


@dataclass(frozen=True)
class FeedbackSettings:
    """What a user's history is told; add `click: like` where a click is as good as a like."""

    history_events: Mapping[str, str] = field(
        default_factory=lambda: {"like": LIKE, "skip": SKIP, "hide": SKIP}
    )
    max_age_ms: int = MAX_AGE_MS
    max_ahead_ms: int = MAX_AHEAD_MS  # of this clock

    def __post_init__(self) -> None:
        for kind, event in self.history_events.items():
            if kind not in OUTCOMES or event not in HISTORY_EVENTS:
                raise SettingsError(
                    f"feedback.history_events maps {kind!r} to {event!r}. It maps "
                    f"{', '.join(OUTCOMES)} to {' or '.join(HISTORY_EVENTS)}."
                )


class Feedback:
    """Takes reports in; as safe to share between threads as its log."""

    def __init__(
        self,
        log: SlateLog,
        settings: FeedbackSettings | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._log = log
        self._settings = settings or FeedbackSettings()
        self._now_ms = now_ms

    def take(self, reports: Sequence[Report]) -> list[Exposure]:
        """Log reports, all or none, and return what was shown.

        Raises `RequestError` with every fault and its path.
        """
        now_ms = self._now_ms()
        faults = [
            f"reports[{number}].{fault}"
            for number, report in enumerate(reports)
            for fault in self._faults(report, now_ms)
        ]
        if faults:
            raise RequestError(faults)
        entries = [self._entry(report) for report in reports]
        if entries:
            self._log.write(entries)
        return [each for each in entries if isinstance(each, Exposure)]

    def _faults(self, report: Report, now_ms: int) -> Iterator[str]:
        """Yield what is wrong with a report, without ids, which may be anything."""
        for name in ("user_id", "request_id", "item_id", "creative_id"):
            if (value := getattr(report, name)) is None:
                continue
            num_chars = len(value)
            if not 1 <= num_chars <= MAX_ID:
                yield f"{name}: has {num_chars} characters, 1 to {MAX_ID} allowed"
        if report.kind not in KINDS:
            yield f"kind: must be one of {', '.join(KINDS)}, got {report.kind[:MAX_ID]!r}"
        if report.kind == SHOWN and report.position is None:
            yield "position: must say where the item was shown, 0 first"
        if report.position is not None and not 0 <= report.position <= MAX_POSITION:
            yield f"position: must be from 0 to {MAX_POSITION}, got {report.position}"
        first_ms, last_ms = now_ms - self._settings.max_age_ms, now_ms + self._settings.max_ahead_ms
        if not first_ms <= report.at_ms <= last_ms:
            yield (
                f"at_ms: must be epoch milliseconds from {first_ms} to {last_ms}, "
                f"got {report.at_ms}"
            )

    def _entry(self, report: Report) -> SlateEntry:
        about = (report.user_id, report.at_ms, report.request_id, report.item_id)
        for kind in OUTCOMES:
            if report.kind == kind:
                return Outcome(*about, kind, self._settings.history_events.get(kind))
        assert report.position is not None
        return Exposure(*about, report.position, report.creative_id)
