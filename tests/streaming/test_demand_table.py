"""Whose turn it is: the most urgent first, never more than the day's GPU time, nobody forgotten."""

from pigeon_recsys.records import Reference
from pigeon_recsys.streaming.demand_table import DemandTable
from pigeon_recsys.streaming.generation_requests import GenerationRequest
from pigeon_recsys.streaming.jobs import GenerationJob
from pigeon_recsys.streaming.trigger import DAY_MS
from pigeon_recsys.streaming.trigger_settings import TriggerSettings
from pigeon_recsys.streaming.user_demand import Mark, UserDemand

NOON = 20_000 * DAY_MS + DAY_MS // 2
SETTINGS = TriggerSettings(min_new_likes=2, cooldown_s=60, daily_gpu_s=20)
LIKED = ["i1", "i2"]


def make_table(*user_ids: str) -> DemandTable:
    """Return a table of two partitions that knows the first, with users who like enough."""
    table = DemandTable(2, SETTINGS)
    users = [UserDemand(user_id).with_history(LIKED, None) for user_id in user_ids]
    table.take_over(0, users, NOON)
    return table


def started(user: UserDemand, now_ms: int = NOON) -> UserDemand:
    job = GenerationJob(user.user_id, "h", (), Reference("r"), 0, "v", "new likes", 1, 0, now_ms)
    return user.started(job, Mark.of(LIKED, None, NOON))


def turns(table: DemandTable, now_ms: int = NOON) -> list[str]:
    return [turn.user.user_id for turn in table.due(now_ms)]


def test_requests_come_first_then_who_has_waited_longest() -> None:
    table = make_table("bob")
    table.put(0, UserDemand("eve").with_history(LIKED, None), NOON + 1)
    asked = GenerationRequest("ada", "r", NOON, Reference("i"))
    table.put(0, UserDemand("ada").with_request(asked), NOON + 2)
    assert len(table) == 3
    assert turns(table, NOON + 3) == ["ada", "bob", "eve"]
    assert turns(table, NOON + 3) == [], "each has left the queue"
    assert len(table) == 0


def test_many_changes_make_one_turn() -> None:
    table = make_table("ada")
    for number in range(100):
        user = table.get(0, "ada").with_history([*LIKED, f"i{number}", "x"], None)
        table.put(0, user, NOON + number)
    assert turns(table, NOON + 100) == ["ada"]


def test_a_request_moves_a_waiting_user_forward() -> None:
    table = make_table("ada", "bob")
    asked = GenerationRequest("bob", "r", NOON, Reference("i"))
    table.put(0, table.get(0, "bob").with_request(asked), NOON)
    assert [(turn.user.user_id, turn.reason) for turn in table.due(NOON)] == [
        ("bob", "request"),
        ("ada", "new likes"),
    ]


def test_the_turn_comes_when_the_cooldown_is_over() -> None:
    table = make_table("ada")
    (turn,) = table.due(NOON)
    table.put(0, started(turn.user).ended(1.0, NOON).with_history(["i8", "i9"], None), NOON)
    assert turns(table, NOON + 59_999) == []
    assert turns(table, NOON + 60_000) == ["ada"]


def test_a_turn_put_off_comes_again() -> None:
    table = make_table("ada")
    (turn,) = table.due(NOON)
    table.put_off(turn, NOON + 500)
    assert turns(table, NOON + 499) == []
    assert turns(table, NOON + 500) == ["ada"]


def test_a_partition_spends_its_share_of_the_day_and_no_more() -> None:
    table = make_table("ada", "bob")
    table.put(0, UserDemand("eve").ended(9.0, NOON), NOON)
    assert table.gpu_s_left(0, NOON) == 1
    first = next(table.due(NOON))
    table.put(0, started(first.user).ended(1.5, NOON), NOON)
    assert table.gpu_s_left(0, NOON) == -0.5
    assert turns(table) == []
    midnight = (NOON // DAY_MS + 1) * DAY_MS
    assert turns(table, midnight) == ["bob"]
    assert table.gpu_s_left(0, midnight) == 10


def test_spending_is_known_again_after_a_takeover() -> None:
    table = DemandTable(2, SETTINGS)
    table.take_over(1, [UserDemand("ada").ended(4.0, NOON)], NOON)
    assert table.gpu_s_left(1, NOON) == 6


def test_a_partition_given_up_is_forgotten_with_its_turns() -> None:
    table = make_table("ada")
    table.take_over(1, [UserDemand("bob").with_history(LIKED, None)], NOON)
    table.give_up(0)
    assert table.partitions == {1}
    assert turns(table) == ["bob"]
    table.take_over(0, [], NOON)
    assert table.get(0, "ada") == UserDemand("ada")
