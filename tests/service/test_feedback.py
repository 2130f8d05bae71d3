"""What the feed reports becomes exposures and outcomes, and says what histories are told."""

from dataclasses import replace
from typing import Any

import pytest

from pigeon_recsys.decisions import Exposure, Outcome
from pigeon_recsys.errors import RequestError, SettingsError
from pigeon_recsys.service.feedback import MAX_AGE_MS, Feedback, FeedbackSettings, Report
from pigeon_recsys.testing.fake_slate_log import FakeSlateLog

NOW_MS = 1_767_225_600_000
SHOWN = Report("ada", "slate-1", "gen-1", "shown", NOW_MS, position=1)


def take(*reports: Report, settings: FeedbackSettings | None = None) -> FakeSlateLog:
    log = FakeSlateLog()
    Feedback(log, settings, now_ms=lambda: NOW_MS).take(reports)
    return log


def test_what_was_shown_is_an_exposure() -> None:
    log = take(SHOWN)
    assert log.entries == [Exposure("ada", NOW_MS, "slate-1", "gen-1", 1)]


def test_an_outcome_says_what_the_history_is_told_and_keeps_what_was_done() -> None:
    told = {"click": None, "like": "like", "skip": "skip", "hide": "skip"}
    log = take(*(replace(SHOWN, kind=kind) for kind in told))
    assert log.entries == [
        Outcome("ada", NOW_MS, "slate-1", "gen-1", kind, event)  # type: ignore[arg-type]
        for kind, event in told.items()
    ]


def test_a_click_is_a_like_where_that_is_set() -> None:
    settings = FeedbackSettings({"click": "like"})
    log = take(replace(SHOWN, kind="click"), replace(SHOWN, kind="hide"), settings=settings)
    assert [each.event for each in log.outcomes] == ["like", None]


def test_all_faults_are_told_with_their_paths_and_nothing_is_logged() -> None:
    log = FakeSlateLog()
    reports = [
        SHOWN,
        replace(SHOWN, kind="purchase", user_id=""),
        replace(SHOWN, position=None, at_ms=NOW_MS - MAX_AGE_MS - 1),
        replace(SHOWN, position=-1, item_id="x" * 257),
    ]
    with pytest.raises(RequestError) as caught:
        Feedback(log, now_ms=lambda: NOW_MS).take(reports)
    assert [fault.split(",")[0] for fault in caught.value.faults] == [
        "reports[1].user_id: has 0 characters",
        "reports[1].kind: must be one of shown",
        "reports[2].position: must say where the item was shown",
        f"reports[2].at_ms: must be epoch milliseconds from {NOW_MS - MAX_AGE_MS} to "
        f"{NOW_MS + 300_000}",
        "reports[3].item_id: has 257 characters",
        "reports[3].position: must be from 0 to 10000",
    ]
    assert log.entries == []


def test_no_reports_are_no_batch() -> None:
    assert take().batches == []


@pytest.mark.parametrize("events", [{"purchase": "like"}, {"like": "neutral"}])
def test_a_setting_that_maps_what_is_not_known_is_refused(events: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="feedback.history_events maps '.*' to '.*'. It maps"):
        FeedbackSettings(events)
