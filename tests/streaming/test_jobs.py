"""Jobs: a key names what is made, and nothing else; a job survives as JSON."""

import json
from dataclasses import replace

import pytest

from pigeon_recsys.errors import UnknownItem
from pigeon_recsys.records import Reference
from pigeon_recsys.streaming.jobs import KEY_DIGITS, GenerationJob
from pigeon_recsys.testing.fakes import FakeCatalog

JOB = GenerationJob(
    "ada",
    "hash",
    ("item-01", "item-02"),
    Reference("item-03", "a cat"),
    0,
    "v1",
    "request",
    2,
    8,
    9,
)


@pytest.mark.parametrize(
    "changed",
    [
        {"user_id": "bob"},
        {"history_hash": "other"},
        {"reference": Reference("item-04", "a cat")},
        {"reference": Reference("item-03", "a dog")},
        {"seed": 1},
        {"generator_version": "v2"},
    ],
)
def test_the_key_changes_with_what_is_made(changed: dict[str, object]) -> None:
    assert replace(JOB, **changed).key != JOB.key  # type: ignore[arg-type]


def test_the_key_is_the_same_whyever_and_whenever_it_is_made() -> None:
    other = replace(JOB, reason="new likes", priority=0, started_ms=1, request_id="r")
    assert other.key == JOB.key
    assert len(JOB.key) == KEY_DIGITS


def test_parts_of_a_key_do_not_run_into_each_other() -> None:
    one = replace(JOB, user_id="ab", history_hash="c")
    assert one.key != replace(JOB, user_id="a", history_hash="bc").key


def test_a_task_shows_the_pictures_in_order_and_each_attempt_another_seed() -> None:
    catalog = FakeCatalog()
    first, again, second = (JOB.task(catalog, attempt) for attempt in (0, 0, 1))
    assert [image.item_id for image in first.history] == ["item-01", "item-02"]
    assert first.reference_pixels is not None
    assert first.seed == again.seed != second.seed
    text_only = replace(JOB, reference=Reference(text="a cat")).task(catalog, 0)
    assert text_only.reference_pixels is None


def test_a_job_whose_items_are_gone_cannot_be_made() -> None:
    with pytest.raises(UnknownItem, match="gone"):
        replace(JOB, history_item_ids=("gone",)).task(FakeCatalog(), 0)


def test_json_brings_a_job_back() -> None:
    assert GenerationJob.from_json(json.loads(json.dumps(JOB.to_json()))) == JOB
    with pytest.raises(ValueError, match="a job has the fields"):
        GenerationJob.from_json({"user_id": "ada"})
