"""What a worker does, in numbers that Prometheus collects.

In:  what the worker tells its observer.
Out: the text that `/metrics` serves; metric_table.py says what each number means.
"""

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pigeon_recsys.errors import MissingExtra
from pigeon_recsys.operations import metric_table as table
from pigeon_recsys.operations.metric_table import METRICS, Metric
from pigeon_recsys.streaming.event_log import Place
from pigeon_recsys.streaming.observation import Observer

MAX_REASONS = 40  # of one metric: a codec from outside may make up words without end
OTHER = "other"


class StreamMetrics(Observer):
    """The metrics of one worker, in a registry of their own."""

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        try:
            import prometheus_client as prometheus
        except ModuleNotFoundError as exc:
            raise MissingExtra(
                "metrics", needed_for="showing metrics", library="prometheus-client"
            ) from exc
        kinds = {
            "counter": prometheus.Counter,
            "gauge": prometheus.Gauge,
            "histogram": prometheus.Histogram,
        }
        self._now_s = now_s
        self._generate = prometheus.generate_latest
        self.content_type = prometheus.CONTENT_TYPE_LATEST
        self.registry = prometheus.CollectorRegistry()
        self._of: dict[Metric, Any] = {}
        for metric in METRICS:
            more = {"buckets": metric.buckets} if metric.buckets else {}
            self._of[metric] = kinds[metric.kind](
                metric.name, metric.meaning, metric.labels, registry=self.registry, **more
            )
        self._reasons: dict[Metric, set[str]] = {}
        self._lagging: set[Place] = set()

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return bytes(self._generate(self.registry))

    def stepped(self, lag: Callable[[], Mapping[Place, int]]) -> None:
        """Note the time and the lag; a partition that has moved away has none here."""
        self._of[table.STEPPED_AT].set(self._now_s())
        waiting = lag()
        for place, count in waiting.items():
            self._of[table.LAG].labels(*place).set(count)
        with warnings.catch_warnings():  # where values are kept in files, it warns that they stay
            warnings.simplefilter("ignore", UserWarning)
            for place in self._lagging - waiting.keys():
                self._of[table.LAG].remove(*place)
        self._lagging = set(waiting)

    def restoring(self, num_partitions: int) -> None:
        """Note it."""
        self._of[table.RESTORING].set(num_partitions)

    def polled(self, places: Iterable[Place]) -> None:
        """Count by partition."""
        for place, count in Counter(places).items():
            self._of[table.READ].labels(*place).inc(count)

    def transaction(self, seconds: float, read: Mapping[Place, int]) -> None:
        """Note its time."""
        self._of[table.TRANSACTION_S].observe(seconds)

    def log_failed(self, kind: str) -> None:
        """Count it."""
        self._of[table.LOG_FAILURES].labels(kind).inc()

    def store_failed(self, kind: str) -> None:
        """Count it."""
        self._of[table.STORE_FAILURES].labels(kind).inc()

    def waited(self, seconds: float) -> None:
        """Add it up."""
        self._of[table.WAITED_S].inc(seconds)

    def dead_letter(self, topic: str, reason: str) -> None:
        """Count it by its reason."""
        metric = table.DEAD_LETTERS
        self._of[metric].labels(topic, self._bounded(metric, reason)).inc()

    def batch_finished(
        self, seconds: float, event_times_ms: Iterable[int], num_changed: int
    ) -> None:
        """Note its time, and the age of each event now: 0 for one ahead of this clock."""
        self._of[table.BATCH_S].observe(seconds)
        self._of[table.CHANGED].inc(num_changed)
        times_ms, now_ms = list(event_times_ms), self._now_s() * 1000
        self._of[table.EVENTS].inc(len(times_ms))
        for at_ms in times_ms:
            self._of[table.EVENT_AGE_S].observe(max(0.0, now_ms - at_ms) / 1000)

    def job_started(self, reason: str) -> None:
        """Count it by its trigger."""
        self._count(table.JOBS_STARTED, reason)

    def job_made(self, seconds: float, gpu_seconds: float, age_s: float, was_cached: bool) -> None:
        """Count it, with its times."""
        self._of[table.JOBS_MADE].inc()
        self._of[table.JOBS_REUSED].inc(was_cached)
        self._of[table.JOB_S].observe(seconds)
        self._of[table.GENERATOR_S].inc(gpu_seconds)
        self._of[table.IMAGE_AGE_S].observe(max(0.0, age_s))

    def job_failed(self, reason: str) -> None:
        """Count it by its reason."""
        self._count(table.JOB_FAILURES, reason)

    def waiting(self, jobs_waiting: int, jobs_running: int) -> None:
        """Note both."""
        self._of[table.JOBS_WAITING].set(jobs_waiting)
        self._of[table.JOBS_RUNNING].set(jobs_running)

    def breaker(self, is_open: bool) -> None:
        """Note it."""
        self._of[table.BREAKER].set(is_open)

    def _count(self, metric: Metric, reason: str) -> None:
        self._of[metric].labels(self._bounded(metric, reason)).inc()

    def _bounded(self, metric: Metric, reason: str) -> str:
        """Return the reason, or `OTHER` where the metric has met too many of them."""
        known = self._reasons.setdefault(metric, set())
        if reason not in known and len(known) >= MAX_REASONS:
            return OTHER
        known.add(reason)
        return reason
