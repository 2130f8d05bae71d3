"""The merge benchmark: it merges what it says, and its ratios are of one run."""

import json
from pathlib import Path

import pytest

from benchmarks import history_merge
from pigeon_recsys.history.state import HistoryState


def test_it_writes_what_a_merge_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_merge, "TIMED", 5)
    out = tmp_path / "merge.json"
    history_merge.main(["--logs", "300", "600", "--out", str(out)])
    figures = json.loads(out.read_text())["figures"]
    assert [row["events"] for row in figures["by_log_length"]] == [300, 600]
    assert figures["by_log_length"][0]["over_shortest_log"] == 1
    assert all(row["merge_us"] > 0 for row in figures["by_capacity"])
    row = figures["by_batch"][1]
    assert row["events_per_s"] == pytest.approx(row["batch"] / row["merge_us"] * 1e6)


def test_a_log_holds_every_event_once_in_no_order_of_time() -> None:
    log = history_merge.make_log(50)
    assert len({event.event_id for event in log}) == 50
    assert log != sorted(log, key=lambda event: event.at_ms)
    assert len(HistoryState.empty("ada", 99).merged(log).entries) == 50
