"""Every metric of the streaming workers: its name, its meaning, its labels.

Names are Prometheus': base units, `_total` for what only grows. Labels are topics, partitions,
stores and reasons, never users. `/metrics` (metrics.py), the dashboard, the alerts and
docs/operations.md speak of these and no others.
"""

from dataclasses import dataclass
from typing import Literal

AGE_BUCKETS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21_600, 86_400, 604_800)
WORK_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
JOB_BUCKETS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)


@dataclass(frozen=True)
class Metric:
    """One metric as Prometheus knows it."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The names a query may use."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)


LAG = Metric(
    "gauge", "pigeon_lag_records", "Records not committed as read.", ("topic", "partition")
)
RESTORING = Metric(
    "gauge", "pigeon_partitions_restoring", "Partitions whose state is still being restored."
)
STEPPED_AT = Metric(
    "gauge",
    "pigeon_last_step_timestamp_seconds",
    "When the worker's loop last completed a step, as Unix time.",
)
READ = Metric(
    "counter",
    "pigeon_records_read_total",
    "Records polled; what is polled again after a failure counts again.",
    ("topic", "partition"),
)
TRANSACTION_S = Metric(
    "histogram",
    "pigeon_transaction_seconds",
    "Time of a transaction on the log.",
    buckets=WORK_BUCKETS_S,
)
LOG_FAILURES = Metric(
    "counter",
    "pigeon_log_failures_total",
    "Refusals of the log: moved (partitions are another worker's by now) or failed.",
    ("kind",),
)
STORE_FAILURES = Metric(
    "counter", "pigeon_store_failures_total", "Reads and writes that a store refused.", ("store",)
)
WAITED_S = Metric(
    "counter", "pigeon_waited_seconds_total", "Time waited after failures, reading nothing."
)
DEAD_LETTERS = Metric(
    "counter",
    "pigeon_dead_letters_total",
    "Records sent to their topic's dead-letter topic.",
    ("topic", "reason"),
)
EVENTS = Metric(
    "counter", "pigeon_events_counted_total", "Events that are in the store and committed."
)
CHANGED = Metric(
    "counter", "pigeon_histories_changed_total", "Histories that a batch of events changed."
)
BATCH_S = Metric(
    "histogram",
    "pigeon_batch_seconds",
    "Time of a batch from its records to its commit.",
    buckets=WORK_BUCKETS_S,
)
EVENT_AGE_S = Metric(
    "histogram",
    "pigeon_event_age_seconds",
    "Age of an event, by its own time, when its history is committed.",
    buckets=AGE_BUCKETS_S,
)
JOBS_STARTED = Metric(
    "counter", "pigeon_jobs_started_total", "Jobs started, by what triggered them.", ("reason",)
)
JOBS_MADE = Metric("counter", "pigeon_jobs_made_total", "Jobs whose picture is published.")
JOBS_REUSED = Metric(
    "counter",
    "pigeon_jobs_reused_total",
    "Jobs made whose picture was there already: cache hits, without GPU time.",
)
JOB_FAILURES = Metric(
    "counter", "pigeon_job_failures_total", "Tries at a job that failed.", ("reason",)
)
JOB_S = Metric(
    "histogram",
    "pigeon_job_seconds",
    "Time of a job from its start to its publication.",
    buckets=JOB_BUCKETS_S,
)
IMAGE_AGE_S = Metric(
    "histogram",
    "pigeon_image_age_seconds",
    "Age of what triggered a job when its picture is published.",
    buckets=AGE_BUCKETS_S,
)
GENERATOR_S = Metric(
    "counter", "pigeon_generator_seconds_total", "Time the generator, so the GPU, worked."
)
JOBS_WAITING = Metric("gauge", "pigeon_jobs_waiting", "Jobs that wait for a place in the pool.")
JOBS_RUNNING = Metric("gauge", "pigeon_jobs_running", "Jobs that have a place in the pool.")
BREAKER = Metric(
    "gauge", "pigeon_breaker_open", "1 while the generator's breaker is open and no job starts."
)

METRICS = tuple(each for each in list(vars().values()) if isinstance(each, Metric))
