"""The ingest benchmark: it measures what it says, on a real broker, with provenance."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks import _ingest_workload, stream_ingest
from tests.benchmarks.conftest import ReadResult

SMALL = ["--events", "600", "--users", "40", "--partitions", "3", "--max-polled", "200"]
SHORT = ["--repeats", "1", "--rate", "50", "--age-s", "2", "--workers", "1"]


@pytest.mark.slow
def test_it_writes_rates_ages_recovery_and_scale(
    tmp_path: Path, read_result: ReadResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_ingest, "SENT_BEFORE_KILL_S", 1.0)
    out = tmp_path / "ingest.json"
    stream_ingest.main([*SMALL, *SHORT, "--out", str(out)])
    settings, figures = read_result(out)
    assert (settings["events"], settings["max_polled"], settings["store"]) == (600, 200, "sqlite")
    rates = figures["per_process"]
    ratio = rates["ingest"]["events_per_s"] / rates["bare"]["events_per_s"]
    assert rates["over_bare_events_per_s"] == pytest.approx(ratio, abs=0.001)
    assert figures["age"]["events"] == 100
    assert 0 < figures["age"]["p50_ms"] <= figures["age"]["p99_ms"] <= figures["age"]["most_ms"]
    assert figures["recovery"]["recovered_s"] > 0
    assert [row["workers"] for row in figures["scale"]] == [1]
    assert figures["scale"][0]["events_per_s"] > 0


def test_the_events_are_as_unequal_as_users_are() -> None:
    """Of 2,000 users by 1 / rank, the first has 1 / 8.18 of all events: 1,223 of 10,000."""
    events = _ingest_workload.make_events(10_000, 2_000)
    counts = Counter(event.user_id for event in events)
    assert counts.most_common(1)[0][0] == "user-000000"
    assert counts["user-000000"] == pytest.approx(1_223, rel=0.1)
    assert len({event.event_id for event in events}) == 10_000
    assert events == sorted(events, key=lambda event: event.at_ms)
