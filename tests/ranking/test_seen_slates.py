"""What became of slates: only what was seen counts, and only what is known by then."""

from datetime import date
from pathlib import Path

import pytest

from pigeon_recsys.commands import log_arguments
from pigeon_recsys.decisions import OUTCOMES, SlateEntry
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ranking import seen_slates
from pigeon_recsys.ranking.seen_slates import OutcomeRules, SeenSlates
from tests.ranking.seen_log import (
    AT_MS,
    DAY_MS,
    HOUR_MS,
    ITEM,
    MADE,
    decision_of,
    said,
    seen,
    write_log,
)

SLATE = decision_of(1)
ABOUT = (SLATE, seen(SLATE, MADE), seen(SLATE, ITEM))


def found(folder: Path, *entries: SlateEntry, **rules: object) -> dict[str, bool]:
    """Return what is known of the one slate's items."""
    slates = list(SeenSlates(write_log(folder, *entries), OutcomeRules(**rules)))  # type: ignore[arg-type]
    assert [each.decision for each in slates] == [SLATE]
    return dict(slates[0].is_good)


def test_what_was_seen_and_liked_is_good_and_what_was_only_seen_is_not(tmp_path: Path) -> None:
    assert found(tmp_path, *ABOUT, said(SLATE, MADE)) == {MADE: True, ITEM: False}


def test_an_outcome_without_an_exposure_is_left_out_and_counted(tmp_path: Path) -> None:
    log = write_log(tmp_path, SLATE, seen(SLATE, ITEM), said(SLATE, MADE))
    slates = SeenSlates(log)
    assert [dict(each.is_good) for each in slates] == [{ITEM: False}]
    assert slates.num_unseen == 1


def test_a_slate_that_nobody_saw_is_none(tmp_path: Path) -> None:
    assert list(SeenSlates(write_log(tmp_path, SLATE, said(SLATE, ITEM)))) == []


def test_a_click_is_good_only_where_the_rules_say_so(tmp_path: Path) -> None:
    entries = (*ABOUT, said(SLATE, MADE, "click"))
    assert found(tmp_path, *entries) == {MADE: False, ITEM: False}
    both = found(tmp_path, *entries, good=frozenset({"like", "click"}))
    assert both == {MADE: True, ITEM: False}


@pytest.mark.parametrize("taken_back", ["skip", "hide"])
def test_the_last_word_counts_and_of_two_at_once_the_bad_one(
    tmp_path: Path, taken_back: str
) -> None:
    for number, (like_ms, bad_ms, is_good) in enumerate(
        [(1, 2, False), (2, 1, True), (3, 3, False)]
    ):
        entries = (said(SLATE, MADE, "like", like_ms), said(SLATE, MADE, taken_back, bad_ms))  # type: ignore[arg-type]
        assert found(tmp_path / str(number), *ABOUT, *entries)[MADE] is is_good


def test_a_click_after_a_hide_takes_nothing_back(tmp_path: Path) -> None:
    entries = (said(SLATE, MADE, "hide", 1), said(SLATE, MADE, "click", 2))
    assert not found(tmp_path, *ABOUT, *entries)[MADE]


def test_an_outcome_counts_until_the_window_after_its_exposure_ends(tmp_path: Path) -> None:
    late = seen(SLATE, MADE, after_ms=HOUR_MS)
    for after_ms, is_good in ((2 * HOUR_MS, True), (2 * HOUR_MS + 1, False)):
        liked = said(SLATE, MADE, "like", after_ms)
        known = found(tmp_path / str(after_ms), SLATE, late, liked, window_ms=HOUR_MS)
        assert known == {MADE: is_good}


def test_what_the_log_does_not_know_the_end_of_is_left_out_liked_or_not(tmp_path: Path) -> None:
    log = write_log(tmp_path, *ABOUT, said(SLATE, MADE), end_ms=SLATE.at_ms + DAY_MS - 1)
    slates = SeenSlates(log)
    assert list(slates) == []
    assert slates.num_waiting == 3  # with the last entry's own
    assert len(list(SeenSlates(log, OutcomeRules(window_ms=DAY_MS - 1)))) == 1


def test_days_choose_decisions_and_outcomes_of_the_next_day_count(tmp_path: Path) -> None:
    late = decision_of(DAY_MS - 1)  # one millisecond before midnight
    later = decision_of(DAY_MS)
    entries = [entry for each in (SLATE, late, later) for entry in (each, seen(each, ITEM, 5))]
    log = write_log(tmp_path, *entries, said(late, ITEM, "like", HOUR_MS))
    day = date(2026, 1, 1)
    slates = SeenSlates(log, OutcomeRules(first=day, last=day))
    assert {each.decision.request_id: each.is_good[ITEM] for each in slates} == {
        "r1": False,
        late.request_id: True,
    }
    next_day = OutcomeRules(first=date(2026, 1, 2))
    assert [each.decision for each in SeenSlates(log, next_day)] == [later]
    assert later.at_ms == AT_MS + DAY_MS


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ({"good": frozenset()}, r"good outcomes must be of like, click, got \[\]"),
        ({"good": frozenset({"hide"})}, r"good outcomes must be of like, click, got \['hide'\]"),
        ({"window_ms": 0.0}, "the window must be above 0 hours and finite, got 0"),
        ({"window_ms": float("nan")}, "the window must be above 0 hours and finite, got nan"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(rules: dict[str, object], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        OutcomeRules(**rules)  # type: ignore[arg-type]


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="none is no folder. Name the folder of a decision log"):
        SeenSlates(tmp_path / "none")


def test_the_options_of_the_commands_are_those_of_the_rules() -> None:
    assert log_arguments.WINDOW_HOURS == seen_slates.WINDOW_HOURS
    assert log_arguments.MAY_BE_GOOD == seen_slates.MAY_BE_GOOD
    assert set(OUTCOMES) == {*seen_slates.MAY_BE_GOOD, *seen_slates.BAD}
