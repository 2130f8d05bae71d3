"""The queue of jobs: urgent first, tried again as often as told, a failing generator left alone."""

import pytest

from pigeon_recsys.errors import (
    GenerationError,
    ImageStoreError,
    SettingsError,
    UnknownItem,
)
from pigeon_recsys.records import GeneratedItem, Reference
from pigeon_recsys.streaming.breaker import BreakerSettings
from pigeon_recsys.streaming.job_queue import Failed, JobQueue, Made, QueueSettings, Waiting
from pigeon_recsys.streaming.jobs import GenerationJob
from tests.streaming.generated import generated_item

SETTINGS = QueueSettings(
    batch_size=2, max_attempts=2, first_wait_s=1, longest_wait_s=3,
    breaker=BreakerSettings(failures=3, wait_s=10),
)  # fmt: skip
BAD = GenerationError("blank")


def job(user_id: str, priority: int = 0, started_ms: int = 0) -> GenerationJob:
    return GenerationJob(
        user_id, "h", ("i",), Reference("r"), 0, "v", "new likes", priority, 0, started_ms
    )


def make_queue(*jobs: GenerationJob) -> JobQueue:
    queue = JobQueue(SETTINGS)
    for each in jobs:
        queue.add(each, 0)
    return queue


def users(batch: list[Waiting]) -> list[str]:
    return [each.job.user_id for each in batch]


def item() -> GeneratedItem:
    return generated_item()


def fail(queue: JobQueue, error: Exception, now_s: float, **given: bool) -> list[Waiting]:
    batch = queue.take(now_s)
    queue.finish(batch, [Failed(error, 1.0, **given)] * len(batch), now_s)
    return batch


def test_a_batch_is_the_most_urgent_and_then_the_oldest() -> None:
    queue = make_queue(job("new", 0, 2), job("asked", 2, 3), job("old", 0, 1))
    assert users(queue.take(0)) == ["asked", "old"]
    assert (len(queue), queue.num_running) == (3, 2)
    assert users(queue.take(0)) == ["new"]
    assert queue.take(0) == []


def test_a_job_that_is_here_is_not_added_again() -> None:
    queue = make_queue(job("ada"), job("ada"))
    assert len(queue) == 1
    queue.take(0)
    queue.add(job("ada"), 0)
    assert (len(queue), queue.num_running) == (1, 1)


def test_what_is_made_has_ended() -> None:
    queue = make_queue(job("ada"))
    queue.finish(queue.take(0), [Made(item(), 2.5)], 0)
    (ended,) = queue.ended()
    assert (ended.job, ended.gpu_s, ended.attempts) == (job("ada"), 2.5, 1)
    assert queue.ended() == []
    assert len(queue) == 0


def test_a_picture_that_fails_is_tried_again_and_then_given_up() -> None:
    queue = make_queue(job("ada"))
    assert fail(queue, BAD, 0)[0].attempt == 1
    assert queue.take(0.9) == []
    (again,) = fail(queue, BAD, 1.0)
    assert again.job == job("ada")
    (ended,) = queue.ended()
    assert isinstance(ended.outcome, Failed)
    assert (ended.outcome.error, ended.gpu_s, ended.attempts) == (BAD, 2.0, 2)


def test_a_failure_that_lasts_is_given_up_at_once() -> None:
    queue = make_queue(job("ada"))
    fail(queue, UnknownItem("i"), 0, is_final=True)
    assert len(queue.ended()) == 1
    assert not queue.is_open


def test_a_store_is_asked_until_it_is_back_and_longer_each_time() -> None:
    queue, now_s = make_queue(job("ada")), 0.0
    for wait_s in (1, 2, 3, 3, 3, 3):
        fail(queue, ImageStoreError("full"), now_s)
        assert queue.take(now_s + wait_s - 0.01) == []
        now_s += wait_s
    queue.finish(queue.take(now_s), [Made(item())], now_s)
    (ended,) = queue.ended()
    assert ended.attempts == 1, "a store's failure is no failed picture"
    assert not queue.is_open


def test_failures_in_a_row_open_the_breaker_and_one_try_closes_it() -> None:
    queue = make_queue(*(job(f"u{number}") for number in range(9)))
    for _ in range(3):
        assert len(fail(queue, BAD, 0)) == 2
    assert queue.is_open
    assert queue.take(9.9) == []
    assert len(fail(queue, BAD, 10)) == 1, "half open, one job is tried"
    assert queue.take(19.9) == []
    trial = queue.take(20)
    assert len(trial) == 1
    assert queue.take(20) == [], "one at a time"
    queue.finish(trial, [Made(item())], 20)
    assert not queue.is_open
    assert len(queue.take(20)) == 2


def test_a_trial_that_says_nothing_of_the_generator_is_made_again() -> None:
    queue = make_queue(*(job(f"u{number}") for number in range(9)))
    for _ in range(3):
        fail(queue, BAD, 0)
    fail(queue, ImageStoreError("full"), 10)
    assert queue.is_open
    assert len(queue.take(10)) == 1


def test_one_good_picture_clears_the_generator() -> None:
    queue = make_queue(*(job(f"u{number}") for number in range(9)))
    for _ in range(4):
        batch = queue.take(0)
        queue.finish(batch, [Made(item()), Failed(BAD)], 0)
    assert not queue.is_open


def test_jobs_dropped_are_told_no_more_wherever_they_are() -> None:
    queue = make_queue(job("waits", 0), job("runs", 1), job("kept", 2), job("ends", 3))
    batch = queue.take(0)
    queue.finish(batch[:1], [Made(item())], 0)
    running = [*batch[1:], *queue.take(0)]
    queue.keep_only({job("kept").key})
    assert queue.ended() == []
    queue.finish(running, [Made(item())] * len(running), 0)
    assert [ended.job.user_id for ended in queue.ended()] == ["kept"]
    assert len(queue) == 0


def test_a_job_dropped_and_wanted_again_while_it_runs_is_told() -> None:
    queue = make_queue(job("ada"))
    batch = queue.take(0)
    queue.keep_only(set())
    queue.add(job("ada"), 0)
    queue.finish(batch, [Made(item())], 0)
    assert len(queue.ended()) == 1


@pytest.mark.parametrize("field", ["batch_size", "max_attempts", "first_wait_s"])
def test_settings_that_mean_nothing_are_refused(field: str) -> None:
    with pytest.raises(SettingsError, match=f"{field} must be above 0, got 0"):
        QueueSettings(**{field: 0})
    with pytest.raises(SettingsError, match="failures must be at least 1"):
        BreakerSettings(failures=0)
