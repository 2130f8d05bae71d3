"""What is kept for another picture: bounded, one user's own, and gone when it is forgotten."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.generation.preference_cache import (
    ENTRY_BYTES,
    SCORE_BYTES,
    CacheCounts,
    PreferenceCache,
    PreferenceKey,
    PreferenceTokens,
    task_key,
)
from pigeon_recsys.model.inference import WrittenSweep
from pigeon_recsys.testing.generator_contract import make_task

SIZE = ENTRY_BYTES + 4 * 4 + 4 + SCORE_BYTES + 2 * 4  # of what `tokens` returns
KEY_SIZE = 3  # of a user called `ada`


def tokens(seed: int = 1) -> PreferenceTokens:
    """Four tokens of four bytes, a keep mask of four, one score, a vector of two numbers."""
    written = WrittenSweep((0.5,), np.full((1, 4), seed, np.int32), (np.ones((2, 2), np.bool_),))
    return PreferenceTokens(seed, written, ((0.5, 0.9),), {"a": np.zeros(2, np.float32)})


def key(name: str, user_id: str = "ada") -> PreferenceKey:
    return PreferenceKey(user_id, name)


def filled(cache: PreferenceCache, *names: str) -> PreferenceCache:
    for name in names:
        cache.put(key(name), tokens(), epoch=cache.epoch)
    return cache


def test_what_is_put_is_found_and_counted() -> None:
    cache = filled(PreferenceCache(), "a")
    found = cache.get(key("a"))
    assert found is not None
    assert found.seed == 1
    assert cache.get(key("b")) is None
    assert cache.counts == CacheCounts(hits=1, misses=1, entries=1, num_bytes=SIZE + KEY_SIZE)


def test_the_least_recently_used_goes_where_there_are_too_many() -> None:
    cache = filled(PreferenceCache(max_entries=2), "a", "b")
    cache.get(key("a"))
    filled(cache, "c")
    assert cache.get(key("b")) is None
    assert cache.get(key("a")) is not None


def test_bytes_are_bounded_and_one_that_is_too_large_is_not_kept() -> None:
    """Two entries fit and a third does not; where not even one fits, nothing is kept."""
    cache = filled(PreferenceCache(max_bytes=2 * (SIZE + KEY_SIZE)), "a", "b", "c")
    assert cache.counts.entries == 2
    assert cache.get(key("a")) is None
    small = filled(PreferenceCache(max_bytes=SIZE), "a")
    assert small.counts == CacheCounts(0, 0, 0, 0)


def test_the_same_task_twice_counts_once() -> None:
    cache = filled(PreferenceCache(), "a", "a")
    assert cache.counts.num_bytes == SIZE + KEY_SIZE


def test_what_does_not_replace_gives_way_to_what_is_there() -> None:
    cache = filled(PreferenceCache(), "a")
    cache.put(key("a"), tokens(2), epoch=cache.epoch, replaces=False)
    cache.put(key("b"), tokens(3), epoch=cache.epoch, replaces=False)
    seeds = [found.seed for name in "ab" if (found := cache.get(key(name))) is not None]
    assert seeds == [1, 3]


def test_a_user_is_forgotten_and_no_other() -> None:
    cache = filled(PreferenceCache(), "a", "b")
    cache.put(key("a", "bob"), tokens(), epoch=cache.epoch)
    assert cache.forget("ada") == 2
    assert cache.forget("ada") == 0
    assert cache.get(key("a")) is None
    assert cache.get(key("a", "bob")) is not None
    assert cache.counts.num_bytes == SIZE + KEY_SIZE


def test_what_was_begun_before_an_erasure_is_not_kept_after_it() -> None:
    cache = PreferenceCache()
    begun = cache.epoch
    cache.forget("ada")
    cache.put(key("a"), tokens(), epoch=begun)
    assert cache.counts.entries == 0


def test_threads_may_share_one() -> None:
    cache = PreferenceCache(max_entries=5)
    start = threading.Barrier(4)

    def use(thread: int) -> None:
        start.wait(10)
        for number in range(200):
            name = str(number % 9)
            cache.put(key(name, str(thread)), tokens(), epoch=cache.epoch)
            cache.get(key(name, str(thread)))
            if number % 50 == 0:
                cache.forget(str(thread))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    counts = cache.counts
    assert counts.entries <= 5
    assert counts.num_bytes == counts.entries * (SIZE + 1)
    assert counts.hits + counts.misses == 800


@pytest.mark.parametrize("limits", [{"max_entries": 0}, {"max_bytes": -1}])
def test_limits_that_hold_nothing_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match=r"must be above 0, got (0|-1)\."):
        PreferenceCache(**limits)


def test_a_task_is_the_same_whatever_its_seed() -> None:
    assert task_key(make_task(seed=1), "v1") == task_key(make_task(seed=2), "v1")


def test_a_task_is_another_for_whatever_its_tokens_follow_from() -> None:
    """The same id with another picture is another task, and so is no picture at all."""
    task = make_task()
    assert task.reference_pixels is not None
    others = [
        (task, "v2"),
        (replace(task, user_id="bob"), "v1"),
        (replace(task, history_hash="other"), "v1"),
        (replace(task, history=task.history[1:]), "v1"),
        (replace(task, history=task.history[::-1]), "v1"),
        (replace(task, reference=replace(task.reference, item_id=None)), "v1"),
        (replace(task, reference=replace(task.reference, text="a dog")), "v1"),
        (replace(task, reference_pixels=task.reference_pixels + 1), "v1"),
        (replace(task, reference_pixels=None), "v1"),
    ]
    keys = {task_key(*other) for other in others}
    assert len(keys | {task_key(task, "v1")}) == len(others) + 1
