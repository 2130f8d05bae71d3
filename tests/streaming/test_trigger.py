"""The trigger: worth it, allowed, or when to ask again; the same events decide the same."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.records import Reference
from pigeon_recsys.streaming.generation_requests import GenerationRequest
from pigeon_recsys.streaming.trigger import DAY_MS, Decision, Demand
from pigeon_recsys.streaming.trigger_settings import TriggerSettings

SETTINGS = TriggerSettings(
    min_new_likes=3, min_drift=0.5, cooldown_s=60, daily_images=2, daily_gpu_s=100
)
NOON = 20_000 * DAY_MS + DAY_MS // 2
CAT = GenerationRequest("ada", "r1", NOON, Reference(text="a cat"))


def decide(demand: Demand, now_ms: int = NOON, gpu_s_left: float = 100) -> Decision:
    return demand.decide(now_ms, gpu_s_left, SETTINGS)


def test_nothing_new_is_worth_nothing() -> None:
    assert decide(Demand()).action == "nothing"
    few = Demand().with_history(new_likes=2, drift=0.4)
    assert decide(few) == Decision("nothing", "2 new likes, drift 0.40")


def test_the_newest_history_counts_alone() -> None:
    demand = Demand().with_history(new_likes=4, drift=0.9).with_history(new_likes=3, drift=0.1)
    assert (demand.new_likes, demand.drift) == (3, 0.1)
    assert decide(demand) == Decision("now", "new likes", NOON, priority=1)


def test_a_drift_of_taste_is_enough_and_a_request_comes_first() -> None:
    drifted = Demand().with_history(new_likes=0, drift=0.5)
    assert decide(drifted) == Decision("now", "taste drift", NOON, priority=0)
    assert decide(drifted.with_request(CAT)) == Decision("now", "request", NOON, priority=2)


def test_the_newest_request_counts_in_whatever_order_they_come() -> None:
    dog = replace(CAT, request_id="r2", reference=Reference(text="a dog"))
    late = replace(CAT, request_id="r0", at_ms=NOON - 1)
    for order in itertools.permutations([CAT, dog, late]):
        demand = Demand()
        for request in order:
            demand = demand.with_request(request)
        assert demand.request == dog


def test_many_events_make_one_job() -> None:
    demand = Demand().with_request(CAT)
    for number in range(10):
        demand = demand.with_history(new_likes=number, drift=0.6)
    after = demand.started(NOON)
    assert after == Demand(last_start_ms=NOON, starts_today=1)
    assert decide(after).action == "nothing"


def test_likes_wait_for_the_cooldown_and_requests_do_not() -> None:
    eager = Demand().started(NOON).with_history(new_likes=3, drift=0.0)
    assert decide(eager, NOON + 59_999) == Decision("later", "cooldown", NOON + 60_000)
    assert decide(eager, NOON + 60_000).action == "now"
    assert decide(eager.with_request(CAT), NOON + 1).action == "now"


def test_a_user_who_has_spent_the_day_waits_for_the_next() -> None:
    spent = Demand().started(NOON).started(NOON + 1).with_request(CAT)
    midnight = (NOON // DAY_MS + 1) * DAY_MS
    assert decide(spent) == Decision("later", "daily budget of the user is spent", midnight)
    assert decide(spent, midnight).action == "now"
    assert spent.started(midnight).starts_today == 1


def test_who_waits_for_midnight_and_a_cooldown_waits_for_both() -> None:
    midnight = (NOON // DAY_MS + 1) * DAY_MS
    late = Demand().started(midnight - 2).started(midnight - 1).with_history(new_likes=3, drift=0)
    assert decide(late, midnight - 1) == Decision("later", "cooldown", midnight + 59_999)


def test_without_gpu_time_everybody_waits() -> None:
    waiting = decide(Demand().with_request(CAT), gpu_s_left=0)
    assert (waiting.action, waiting.reason) == ("later", "daily GPU budget is spent")


def test_a_clock_set_back_does_not_give_the_budget_back() -> None:
    spent = Demand().started(NOON).started(NOON + 1).with_request(CAT)
    assert decide(spent, NOON - DAY_MS).action == "later"


@given(
    st.lists(
        st.tuples(st.integers(0, 4 * 3_600_000), st.integers(0, 4), st.floats(0, 1), st.booleans()),
        max_size=40,
    )
)
def test_no_stream_of_events_breaks_budget_or_cooldown(
    stream: list[tuple[int, int, float, bool]],
) -> None:
    demand, now_ms = Demand(), NOON
    starts: list[tuple[int, str]] = []
    for gap_ms, new_likes, drift, is_request in stream:
        now_ms += gap_ms
        demand = demand.with_history(new_likes=new_likes, drift=drift)
        demand = demand.with_request(CAT) if is_request else demand
        decision = decide(demand, now_ms)
        if decision.action == "now":
            starts.append((now_ms, decision.reason))
            demand = demand.started(now_ms)
        elif decision.action == "later":
            assert decision.at_ms is not None
            assert decision.at_ms > now_ms
            assert decide(demand, decision.at_ms).action == "now"  # asking again then is enough
    for day in {at_ms // DAY_MS for at_ms, _ in starts}:
        assert sum(at_ms // DAY_MS == day for at_ms, _ in starts) <= SETTINGS.daily_images
    for (before_ms, _), (at_ms, reason) in itertools.pairwise(starts):
        assert reason == "request" or at_ms - before_ms >= 60_000


@pytest.mark.parametrize("field", ["min_new_likes", "min_drift", "cooldown_s", "daily_images"])
def test_settings_that_mean_nothing_are_refused(field: str) -> None:
    with pytest.raises(SettingsError, match=f"trigger.{field} must be above 0, got 0"):
        TriggerSettings(**{field: 0})


def test_likes_cannot_be_taken_from_a_demand() -> None:
    with pytest.raises(ValueError, match="got -1"):
        Demand().with_history(new_likes=-1, drift=0.0)
