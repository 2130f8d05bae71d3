"""What the service does, in numbers that Prometheus collects; labels never name users.

In:  answers and slates.
Out: the text of `/metrics`. Where the workers of a service keep their numbers in one folder, the
text sums up all of them.
"""

from pathlib import Path
from typing import Any

from pigeon_recsys.errors import MissingExtra
from pigeon_recsys.operations.metric_table import WORK_BUCKETS_S, Metric
from pigeon_recsys.records import Slate
from pigeon_recsys.slot.stages import NO_LIKES, NO_RANKER, UNKNOWN_USER

REQUESTS = Metric(
    "counter",
    "pigeon_http_requests_total",
    "Requests answered, by route, method and status.",
    ("route", "method", "status"),
)
REQUEST_S = Metric(
    "histogram",
    "pigeon_http_request_seconds",
    "Time from the head of a request to the end of its answer.",
    ("route",),
    WORK_BUCKETS_S,
)
IN_HAND = Metric("gauge", "pigeon_http_requests_in_hand", "Requests being answered now.")
SLATES = Metric(
    "counter",
    "pigeon_slates_total",
    "Slates, by the ladder's rung and by what became of the slot.",
    ("rung", "outcome"),
)
METRICS = (REQUESTS, REQUEST_S, IN_HAND, SLATES)

OUTCOMES = (  # how a reason begins, and the word it is counted by
    (UNKNOWN_USER, "unknown_user"),
    (NO_LIKES, "no_likes"),
    (NO_RANKER, "no_ranker"),
    ("the deadline", "deadline"),
    ("all ", "busy"),
    ("no generated item", "no_picture"),
    ("generated item", "not_placed"),
)


class HttpMetrics:
    """The metrics of one worker."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: where all workers keep their numbers; None keeps them in this process.

        prometheus_client keeps them there if its variable named the folder as it was imported.
        """
        try:
            import prometheus_client as prometheus
        except ModuleNotFoundError as exc:
            raise MissingExtra(
                "metrics", needed_for="showing metrics", library="prometheus-client"
            ) from exc
        self._prometheus = prometheus
        self._folder = folder
        self.content_type = prometheus.CONTENT_TYPE_LATEST
        self._registry = prometheus.CollectorRegistry()
        self._of = {metric: self._made(metric) for metric in METRICS}

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._of[REQUESTS].labels(route, method, status).inc()
        self._of[REQUEST_S].labels(route).observe(seconds)

    def in_hand(self, change: int) -> None:
        """Note that a request came, or was answered."""
        self._of[IN_HAND].inc(change)

    def filled(self, slate: Slate) -> None:
        """Count a slate."""
        self._of[SLATES].labels(str(slate.rung), outcome(slate)).inc()

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        registry = self._registry
        if self._folder is not None:
            from prometheus_client.multiprocess import MultiProcessCollector

            registry = self._prometheus.CollectorRegistry()
            MultiProcessCollector(registry, path=str(self._folder))  # type: ignore[no-untyped-call]
        return bytes(self._prometheus.generate_latest(registry))

    def _made(self, metric: Metric) -> Any:
        kinds = {
            "counter": self._prometheus.Counter,
            "gauge": self._prometheus.Gauge,
            "histogram": self._prometheus.Histogram,
        }
        more: dict[str, Any] = {"buckets": metric.buckets} if metric.buckets else {}
        if metric.kind == "gauge":
            more["multiprocess_mode"] = "livesum"
        return kinds[metric.kind](
            metric.name, metric.meaning, metric.labels, registry=self._registry, **more
        )


def outcome(slate: Slate) -> str:
    """Return the word by which a slate is counted."""
    if any(place.is_generated or place.creative_id for place in slate.placements):
        return "placed"
    for beginning, word in OUTCOMES:
        if slate.reason.startswith(beginning):
            return word
    return "other"


def forget_worker(pid: int, folder: Path) -> None:
    """Drop what a worker that ended has in hand, and its place among those that are asked."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
    (folder / f"{pid}.sock").unlink(missing_ok=True)
