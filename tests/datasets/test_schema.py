"""dataset.yaml: every wrong key is named, with what may stand in its place."""

import pytest

from pigeon_recsys.datasets.faults import FaultList
from pigeon_recsys.datasets.schema import EventColumns, RatingColumns, parse_spec

EVENTS = """\
name: tiny
task: sticker
items:
  file: items.parquet
  id: item_id
  title: name
  image: image
  attributes: [style]
  instruction: [name]
interactions:
  file: interactions.parquet
  user: user_id
  item: item_id
  time: timestamp
  event: event
  positive: [like]
  negative: [skip]
"""
RATINGS = EVENTS.replace(
    "  event: event\n  positive: [like]\n  negative: [skip]\n",
    "  rating: stars\n  positive: {at_least: 4}\n  negative: {at_most: 2.5}\n",
)


def faults_of(content: str) -> list[str]:
    faults = FaultList()
    assert parse_spec(content.encode(), faults) is None
    return [str(fault) for fault in faults]


def test_events_are_read() -> None:
    faults = FaultList()
    spec = parse_spec(EVENTS.encode(), faults)
    assert spec is not None
    assert isinstance(spec.interactions, EventColumns)
    assert spec.interactions.negative == ["skip"]
    assert spec.interactions.neutral == []
    assert len(faults) == 0


def test_ratings_are_read() -> None:
    spec = parse_spec(RATINGS.encode(), FaultList())
    assert spec is not None
    assert isinstance(spec.interactions, RatingColumns)
    assert spec.interactions.positive.at_least == 4.0


@pytest.mark.parametrize("line", ["  negative: [skip]\n", "  negative: {at_most: 2.5}\n"])
def test_negative_may_be_left_out(line: str) -> None:
    content = EVENTS if "skip" in line else RATINGS
    assert parse_spec(content.replace(line, "").encode(), FaultList()) is not None


def test_text_that_is_not_yaml() -> None:
    (fault,) = faults_of("name: [unclosed")
    assert fault.startswith("dataset.yaml: is not YAML: while parsing a flow sequence")
    assert fault.endswith("Correct it there.")


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "a: 2025-99-99", "\x00", "a: !!python/tuple []"]
)
def test_hostile_yaml_is_a_fault(content: str) -> None:
    (fault,) = faults_of(content)
    assert fault.startswith("dataset.yaml: is not YAML: ")


@pytest.mark.parametrize(("content", "shown"), [("", "None"), ("- a", "['a']"), ("tiny", "'tiny'")])
def test_yaml_without_keys(content: str, shown: str) -> None:
    assert faults_of(content) == [
        f"dataset.yaml: must hold keys such as `name:` and `items:`, holds {shown}."
    ]


def test_an_unknown_key_is_a_fault_so_a_typo_fails() -> None:
    assert faults_of(EVENTS.replace("attributes:", "atributes:")) == [
        "dataset.yaml: items.attributes is missing. "
        "Keys there: file, id, title, image, attributes, instruction.",
        "dataset.yaml: items.atributes is not a known key. "
        "Keys there: file, id, title, image, attributes, instruction.",
    ]


def test_an_unknown_key_at_the_top() -> None:
    assert faults_of(EVENTS + "licence: MIT\n") == [
        "dataset.yaml: licence is not a known key. Keys there: name, task, items, interactions."
    ]


def test_neither_event_nor_rating() -> None:
    assert faults_of(EVENTS.replace("  event: event\n", "")) == [
        "dataset.yaml: interactions.event is missing. Keys there: file, user, item, time, event, "
        "positive, negative, neutral (or `rating` for `event`)."
    ]


def test_both_event_and_rating() -> None:
    assert faults_of(EVENTS + "  rating: stars\n") == [
        "dataset.yaml: interactions.rating is not a known key. Keys there: file, user, item, "
        "time, event, positive, negative, neutral (or `rating` for `event`)."
    ]


def test_a_missing_section() -> None:
    assert faults_of(EVENTS[: EVENTS.index("interactions:")]) == [
        "dataset.yaml: interactions is missing. Keys there: name, task, items, interactions."
    ]


def test_an_unknown_task() -> None:
    assert faults_of(EVENTS.replace("task: sticker", "task: song")) == [
        "dataset.yaml: task: Input should be 'sticker' or 'poster', got 'song'."
    ]


def test_a_value_of_the_wrong_type() -> None:
    assert faults_of(EVENTS.replace("name: tiny", "name: 7").replace("[style]", "style")) == [
        "dataset.yaml: name: Input should be a valid string, got 7.",
        "dataset.yaml: items.attributes: Input should be a valid list, got 'style'.",
    ]


def test_a_section_that_is_a_list() -> None:
    assert faults_of(EVENTS[: EVENTS.index("interactions:")] + "interactions: []\n") == [
        "dataset.yaml: interactions: Input should be a valid dictionary or instance of "
        "EventColumns, got []."
    ]


def test_thresholds_given_for_events() -> None:
    assert faults_of(EVENTS.replace("[like]", "{at_least: 4}")) == [
        "dataset.yaml: interactions.positive: Input should be a valid list, got {'at_least': 4}."
    ]


def test_a_threshold_misspelt() -> None:
    assert faults_of(RATINGS.replace("at_least", "atleast")) == [
        "dataset.yaml: interactions.positive.at_least is missing. Keys there: at_least.",
        "dataset.yaml: interactions.positive.atleast is not a known key. Keys there: at_least.",
    ]


def test_a_threshold_that_is_not_finite() -> None:
    assert faults_of(RATINGS.replace("at_most: 2.5", "at_most: .nan")) == [
        "dataset.yaml: interactions.negative.at_most: Input should be a finite number, got nan."
    ]


def test_thresholds_that_overlap() -> None:
    assert faults_of(RATINGS.replace("at_most: 2.5", "at_most: 4.0")) == [
        "dataset.yaml: interactions: negative.at_most (4.0) must be below positive.at_least (4.0)."
    ]


def test_an_event_listed_twice() -> None:
    assert faults_of(EVENTS.replace("[skip]", "[skip, like]")) == [
        "dataset.yaml: interactions: each event may be listed once; listed twice: like."
    ]
