"""Planning: the same history and demand give the same job; what was drawn is not drawn again."""

import pytest

from pigeon_recsys.errors import GenerationError, UnknownItem, UnknownUser
from pigeon_recsys.records import Reference
from pigeon_recsys.streaming.demand_table import Turn
from pigeon_recsys.streaming.generation_requests import GenerationRequest
from pigeon_recsys.streaming.planning import Planner
from pigeon_recsys.streaming.user_demand import UserDemand
from pigeon_recsys.testing.fakes import FakeIndex
from tests.streaming.pipeline import NOON, World


def make_planner(world: World) -> Planner:
    return Planner(world.histories, world.catalog, world.index, "v1")


def turn(user: UserDemand, reason: str = "new likes") -> Turn:
    return Turn(0, user, reason, 1)


def asked(item_id: str, seed: int = 0) -> UserDemand:
    request = GenerationRequest("ada", "r1", NOON, Reference(item_id), seed)
    return UserDemand("ada").with_request(request)


def test_the_same_demand_gives_the_same_job() -> None:
    world = World()
    world.likes("ada", 1, 2, 3)
    planner = make_planner(world)
    first, again = (planner.plan(turn(UserDemand("ada")), NOON) for _ in range(2))
    assert first == again
    assert first.job.generator_version == "v1"


def test_the_reference_is_neither_liked_nor_drawn_lately() -> None:
    world = World()
    world.likes("ada", 1, 2, 3)
    planner, user, drawn = make_planner(world), UserDemand("ada"), []
    for _ in range(9):
        plan = planner.plan(turn(user), NOON)
        drawn.append(plan.job.reference.item_id)
        user = user.started(plan.job, plan.mark).ended(0.0, NOON)
    assert len(set(drawn)) == 9, "each of the other items once"
    assert not {"item-01", "item-02", "item-03"} & set(drawn)
    with pytest.raises(GenerationError, match="no item of the catalog is left to draw"):
        planner.plan(turn(user), NOON)


def test_a_request_decides_what_is_drawn_and_its_seed() -> None:
    world = World()
    world.likes("ada", 1)
    plan = make_planner(world).plan(turn(asked("item-01", seed=7), "request"), NOON)
    assert plan.job.reference == Reference("item-01")
    assert (plan.job.seed, plan.job.request_id, plan.job.reason) == (7, "r1", "request")


def test_items_taken_down_are_neither_shown_nor_counted() -> None:
    world = World()
    world.likes("ada", 1, 2, 3)
    left = [item_id for item_id in world.catalog.item_ids if item_id != "item-02"]
    world.index = FakeIndex(left, world.index.vectors(left))
    plan = make_planner(world).plan(turn(UserDemand("ada")), NOON)
    assert plan.job.history_item_ids == ("item-01", "item-03")
    assert plan.mark.new_likes(["item-01", "item-02", "item-03"]) == 1


def test_what_cannot_be_drawn_says_why() -> None:
    world = World()
    planner = make_planner(world)
    with pytest.raises(UnknownUser, match="ada"):
        planner.plan(turn(UserDemand("ada")), NOON)
    world.likes("ada", 1)
    with pytest.raises(UnknownItem, match="no-such-item"):
        planner.plan(turn(asked("no-such-item")), NOON)
    left = ["item-05"]
    world.index = FakeIndex(left, world.index.vectors(left))
    with pytest.raises(GenerationError, match="none of the user's 1 likes is an indexed item"):
        make_planner(world).plan(turn(UserDemand("ada")), NOON)
