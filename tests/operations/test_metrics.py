"""Metrics count what the worker tells, by labels that stay few."""

import sys

import pytest

from pigeon_recsys.errors import MissingExtra
from pigeon_recsys.operations.metric_table import METRICS
from pigeon_recsys.operations.metrics import MAX_REASONS, OTHER, StreamMetrics

NOW_S = 1_767_225_600.0
ADA = ("interactions", 0)
BOB = ("interactions", 1)


@pytest.fixture
def metrics() -> StreamMetrics:
    return StreamMetrics(now_s=lambda: NOW_S)


def value(metrics: StreamMetrics, name: str, **labels: str) -> float | None:
    found: float | None = metrics.registry.get_sample_value(name, labels)
    return found


def test_names_are_unique_and_prometheus_own() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert metric.name.startswith("pigeon_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.meaning.endswith(".")
        assert bool(metric.buckets) == (metric.kind == "histogram")
        if metric.buckets:
            assert metric.name.endswith("_seconds")
            assert sorted(metric.buckets) == list(metric.buckets)


def test_no_label_could_hold_a_user() -> None:
    labels = {label for metric in METRICS for label in metric.labels}
    assert labels == {"topic", "partition", "reason", "kind", "store"}


def test_every_metric_of_the_table_is_served_with_its_meaning(metrics: StreamMetrics) -> None:
    text = metrics.exposition().decode()
    for metric in METRICS:
        assert f"# TYPE {metric.name} {metric.kind}" in text
        assert f"# HELP {metric.name} {metric.meaning}" in text


def test_lag_is_told_by_partition_and_forgotten_when_it_moves(metrics: StreamMetrics) -> None:
    metrics.stepped(lambda: {ADA: 3, BOB: 0})
    assert value(metrics, "pigeon_lag_records", topic="interactions", partition="0") == 3
    assert value(metrics, "pigeon_last_step_timestamp_seconds") == NOW_S
    metrics.stepped(lambda: {BOB: 4})
    assert value(metrics, "pigeon_lag_records", topic="interactions", partition="0") is None
    assert value(metrics, "pigeon_lag_records", topic="interactions", partition="1") == 4


def test_a_batch_counts_its_events_and_their_ages(metrics: StreamMetrics) -> None:
    """Ages by hand: 2 s, and an event 1 s ahead of the clock, which counts as 0 s."""
    metrics.polled(iter([ADA, ADA, BOB]))
    times_ms = [int(NOW_S * 1000) - 2000, int(NOW_S * 1000) + 1000]
    metrics.batch_finished(0.2, iter(times_ms), 1)
    assert value(metrics, "pigeon_records_read_total", topic="interactions", partition="0") == 2
    assert value(metrics, "pigeon_events_counted_total") == 2
    assert value(metrics, "pigeon_histories_changed_total") == 1
    assert value(metrics, "pigeon_event_age_seconds_count") == 2
    assert value(metrics, "pigeon_event_age_seconds_sum") == 2
    assert value(metrics, "pigeon_event_age_seconds_bucket", le="0.1") == 1
    assert value(metrics, "pigeon_batch_seconds_sum") == 0.2


def test_a_job_counts_its_times_and_whether_its_picture_was_there(metrics: StreamMetrics) -> None:
    metrics.job_started("new likes")
    metrics.job_made(3.0, 2.5, 4.0, False)
    metrics.job_made(0.5, 0.0, 9.0, True)
    metrics.job_failed("timeout")
    metrics.waiting(4, 2)
    metrics.breaker(True)
    assert value(metrics, "pigeon_jobs_started_total", reason="new likes") == 1
    assert value(metrics, "pigeon_jobs_made_total") == 2
    assert value(metrics, "pigeon_jobs_reused_total") == 1
    assert value(metrics, "pigeon_job_seconds_sum") == 3.5
    assert value(metrics, "pigeon_generator_seconds_total") == 2.5
    assert value(metrics, "pigeon_image_age_seconds_sum") == 13
    assert value(metrics, "pigeon_job_failures_total", reason="timeout") == 1
    assert value(metrics, "pigeon_jobs_waiting") == 4
    assert value(metrics, "pigeon_jobs_running") == 2
    assert value(metrics, "pigeon_breaker_open") == 1


def test_failures_waits_and_restores_count(metrics: StreamMetrics) -> None:
    metrics.log_failed("moved")
    metrics.store_failed("histories")
    metrics.waited(1.5)
    metrics.restoring(3)
    metrics.transaction(0.01, {ADA: 7})
    assert value(metrics, "pigeon_log_failures_total", kind="moved") == 1
    assert value(metrics, "pigeon_store_failures_total", store="histories") == 1
    assert value(metrics, "pigeon_waited_seconds_total") == 1.5
    assert value(metrics, "pigeon_partitions_restoring") == 3
    assert value(metrics, "pigeon_transaction_seconds_count") == 1


def test_reasons_without_end_share_one_series(metrics: StreamMetrics) -> None:
    for number in range(MAX_REASONS + 5):
        metrics.dead_letter("interactions", f"reason {number}")
    metrics.dead_letter("interactions", "reason 0")
    name = "pigeon_dead_letters_total"
    assert value(metrics, name, topic="interactions", reason="reason 0") == 2
    assert value(metrics, name, topic="interactions", reason=OTHER) == 5
    assert value(metrics, name, topic="interactions", reason=f"reason {MAX_REASONS}") is None


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingExtra, match=r"prometheus-client. Run: .*pigeon-recsys\[metrics\]"):
        StreamMetrics()
