"""What is remembered of a user: differences to the last image, and back from bytes the same."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pigeon_recsys.errors import LogError
from pigeon_recsys.records import Reference, Vectors
from pigeon_recsys.streaming.generation_requests import GenerationRequest
from pigeon_recsys.streaming.jobs import GenerationJob
from pigeon_recsys.streaming.trigger import DAY_MS
from pigeon_recsys.streaming.trigger_settings import TriggerSettings
from pigeon_recsys.streaming.user_demand import NUM_RECENT, Mark, UserDemand

NOON = 20_000 * DAY_MS + DAY_MS // 2
SETTINGS = TriggerSettings(min_new_likes=2, min_drift=0.5, cooldown_s=60)
EAST, NORTH = np.array([1, 0], np.float32), np.array([0, 1], np.float32)


def job(number: int = 0, *, at_ms: int = NOON) -> GenerationJob:
    return GenerationJob(
        "ada", f"hash-{number}", ("i1", "i2"), Reference(f"ref-{number}"), 0, "v1",
        "new likes", 1, 0, at_ms,
    )  # fmt: skip


def started(liked: list[str], taste: Vectors) -> UserDemand:
    """Return a user whose image of this history has been made."""
    user = UserDemand("ada").with_history(liked, taste)
    return user.started(job(), Mark.of(liked, taste, NOON)).ended(2.0, NOON)


def test_likes_count_from_the_last_image_on() -> None:
    user = started(["i1", "i2"], EAST)
    assert user.with_history(["i1", "i2"], EAST).demand.new_likes == 0
    grown = user.with_history(["i1", "i2", "i3", "i4"], EAST)
    assert grown.demand.new_likes == 2
    assert grown.with_history(["i1", "i2", "i3", "i4"], EAST) == grown, "twice counts once"
    assert grown.with_history(["i1", "i4"], EAST).demand.new_likes == 1, "undone is taken off"


def test_drift_is_the_turn_of_taste_since_the_last_image() -> None:
    user = started(["i1"], EAST)
    assert user.with_history(["i1"], EAST).demand.drift == pytest.approx(0, abs=1e-3)
    assert user.with_history(["i1"], NORTH).demand.drift == pytest.approx(1, abs=1e-3)
    assert user.with_history(["i1"], None).demand.drift == 0
    assert UserDemand("ada").with_history(["i1"], NORTH).demand.drift == 0, "no image before"
    wider = np.ones(3, np.float32)  # of another embedder
    assert user.with_history(["i1"], wider).demand.drift == 0


def test_takeovers_are_counted_for_the_job_in_hand_alone() -> None:
    """Bytes of an earlier version, which did not count them, are read as none."""
    busy = UserDemand("ada").with_history(["i1"], EAST).started(job(), Mark.of(["i1"], EAST, NOON))
    taken = busy.taken_over().taken_over()
    assert taken.takeovers == UserDemand.from_bytes(taken.to_bytes()).takeovers == 2
    assert taken.ended(1.0, NOON).takeovers == taken.without_erased(NOON).takeovers == 0
    earlier = busy.to_bytes().replace(b',"takeovers":0', b"")
    assert UserDemand.from_bytes(earlier) == busy


def test_without_a_like_nothing_new_is_wanted() -> None:
    user = UserDemand("ada").with_history(["i1", "i2"], EAST)
    busy = user.started(job(), Mark.of(["i1", "i2"], EAST, NOON))
    empty = busy.with_history([], None)
    assert empty.job == busy.job
    assert (empty.demand.new_likes, empty.demand.drift) == (0, 0)
    assert empty.demand.starts_today == 1, "what was spent stays spent"


def test_an_erasure_takes_what_was_made_of_older_events() -> None:
    """All of it where the last image knew one; else what is remembered of images before."""
    user = UserDemand("ada")
    for number, since_ms in enumerate((NOON, NOON + 1, NOON + 9)):
        user = user.ended(1.0, NOON).started(job(number), Mark.of([], EAST, since_ms))
    assert user.without_erased(-1) == user, "never erased"
    assert user.without_erased(NOON - 1) == user
    later = user.without_erased(NOON + 1)
    assert [each.key for each in later.recent] == [job(2).key]
    assert replace(later, recent=user.recent) == user
    assert later.without_erased(NOON + 1) == later, "twice counts once"
    assert user.without_erased(NOON + 9) == UserDemand("ada")


def test_of_a_request_its_own_time_counts() -> None:
    request = GenerationRequest("ada", "r1", NOON, Reference("i7"))
    for user in (UserDemand("ada"), UserDemand("ada").started(job(), Mark(since_ms=NOON + 9))):
        asking = user.with_request(request)
        assert asking.without_erased(NOON - 1).demand.request == request
        assert asking.without_erased(NOON).demand.request is None


def test_bytes_of_an_earlier_version_know_no_times() -> None:
    """What was made before is taken for old, so that an erasure leaves none of it."""
    user = UserDemand("ada").started(job(), Mark.of(["i1"], EAST, 0))
    content = json.loads(user.to_bytes())
    del content["since_ms"]
    content["recent"] = [each[:2] for each in content["recent"]]
    assert UserDemand.from_bytes(json.dumps(content).encode()) == user


def test_nothing_starts_while_a_job_is_in_hand() -> None:
    user = UserDemand("ada").with_history(["i1", "i2"], EAST)
    assert user.decide(NOON, 1, SETTINGS).action == "now"
    busy = user.started(job(), Mark()).with_history(["i3", "i4"], EAST)
    assert busy.decide(NOON + DAY_MS, 1, SETTINGS).action == "nothing"
    assert busy.ended(1.0, NOON).decide(NOON + DAY_MS, 1, SETTINGS).action == "now"


def test_jobs_are_remembered_for_a_while() -> None:
    user = UserDemand("ada")
    for number in range(NUM_RECENT + 1):
        user = user.started(job(number), Mark()).ended(0.0, NOON)
    assert user.has_done(job(NUM_RECENT).key)
    assert user.has_done(job(1).key)
    assert not user.has_done(job(0).key)
    assert [each.reference_item_id for each in user.recent][-1] == f"ref-{NUM_RECENT}"


def test_gpu_time_counts_by_the_day() -> None:
    user = UserDemand("ada").ended(2.0, NOON).ended(3.0, NOON + 1)
    assert user.gpu_s_on_day_of(NOON) == 5
    assert user.gpu_s_on_day_of(NOON + DAY_MS) == 0
    assert user.ended(1.0, NOON + DAY_MS).gpu_s_on_day_of(NOON + DAY_MS) == 1


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
references = st.builds(Reference, st.none() | texts, texts.filter(lambda text: text.strip() != ""))
requests = st.builds(
    GenerationRequest, texts, texts, st.integers(0, NOON), references, st.integers(0, 9)
)
jobs = st.builds(
    GenerationJob, texts, texts, st.lists(texts).map(tuple), references, st.integers(0, 9), texts,
    texts, st.integers(0, 2), st.integers(0, NOON), st.integers(0, NOON), texts,
)  # fmt: skip


@given(
    st.lists(texts, min_size=1, max_size=9), st.lists(jobs, max_size=3), st.booleans(),
    st.none() | requests,
)  # fmt: skip
def test_bytes_bring_everything_back(
    liked: list[str], history: list[GenerationJob], is_busy: bool, request: GenerationRequest | None
) -> None:
    user = UserDemand("ada").with_history(liked, EAST)
    for each in history:
        user = user.started(each, Mark.of(liked, NORTH, NOON)).ended(0.1, NOON)
    if request is not None:
        user = user.with_request(request)
    if is_busy:
        user = user.started(job(), Mark.of(liked, None, NOON))
    assert UserDemand.from_bytes(user.to_bytes()) == user
    assert UserDemand.from_bytes(user.to_bytes()).to_bytes() == user.to_bytes()


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"{}", UserDemand("ada").to_bytes().replace(b'"format":1', b'"format":2')],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(LogError, match="state on the topic of generation state cannot be read"):
        UserDemand.from_bytes(data)
