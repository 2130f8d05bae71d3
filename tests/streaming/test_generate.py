"""The generate worker: what is worth an image gets one, once, and says why where it does not."""

import pytest

from pigeon_recsys.history.events import Erased, HistoryEvent, TakenBack
from pigeon_recsys.records import Reference
from pigeon_recsys.streaming.dead_letters import SUFFIX
from pigeon_recsys.streaming.event_log import NewRecord
from pigeon_recsys.streaming.generation_requests import GenerationRequest, JsonRequests
from pigeon_recsys.streaming.trigger import DAY_MS
from pigeon_recsys.testing.fakes import FakeGenerator
from tests.streaming.pipeline import HISTORIES, NOON, SETTINGS, Worker, World, like
from tests.streaming.protobuf_codecs import protobuf_codecs


def test_enough_likes_make_one_image_that_can_be_looked_up() -> None:
    world = World()
    world.likes("ada", 1)
    world.likes("ada", 2, 3)
    Worker(world).run()
    (item,) = world.published()
    assert item.reason == "new likes"
    assert item.provenance.history_item_ids == ("item-01", "item-02", "item-03")
    assert item.image.removeprefix("fake://") in world.images.contents
    assert world.items.items([item.item_id]) == {item.item_id: item}
    assert len(world.generator.made) == 1
    (home,) = {r.partition for r in world.topics.records(HISTORIES)}
    assert [r.partition for r in world.topics.records(SETTINGS.generated)] == [home]


def test_too_few_likes_make_none() -> None:
    world = World()
    world.likes("ada", 1, 2)
    Worker(world).run()
    assert world.published() == []


def test_users_share_a_batch() -> None:
    world = World()
    for user_id in ("ada", "bob", "eve"):
        world.likes(user_id, 1, 2, 3)
    Worker(world).run()
    assert world.generator.batches == [3]
    assert {item.provenance.user_id for item in world.published()} == {"ada", "bob", "eve"}


def test_a_request_is_answered_with_what_it_asked_for() -> None:
    world = World()
    world.likes("ada", 1)
    world.ask("ada", "r1", "item-07")
    Worker(world).run()
    (item,) = world.published()
    assert (item.reason, item.provenance.reference.item_id) == ("request", "item-07")


def test_requests_and_items_may_be_written_in_another_way() -> None:
    """A request in JSON is none then, and a job that failed asks again in the same way."""
    world = World(codecs=protobuf_codecs())
    for user_id in ("ada", "bad"):
        world.likes(user_id, 1)
        world.ask(user_id, "r1", "item-07")
    json = GenerationRequest("ada", "r2", NOON, Reference("item-08"))
    world.write_request(b"ada", JsonRequests().encode(json))
    Worker(world, generator=FakeGenerator(fails_for=["bad"])).run()
    (item,) = world.published()
    assert (item.reason, item.provenance.reference.item_id) == ("request", "item-07")
    letters = dict(world.letters())
    assert letters.keys() == {"generation", "malformed"}
    again = world.codecs.requests.decode(letters["generation"])
    assert (again.user_id, again.reference) == ("bad", Reference("item-07"))


def test_a_request_redelivered_costs_nothing_and_makes_no_second_item() -> None:
    world = World()
    world.likes("ada", 1)
    for _ in range(3):
        world.ask("ada", "r1", "item-07")
        Worker(world).run()
    assert len(world.generator.made) == len(world.published()) == 1


def test_likes_during_a_job_wait_for_it_and_the_cooldown() -> None:
    world = World()
    world.likes("ada", 1, 2, 3)
    worker = Worker(world)
    worker.step()
    world.likes("ada", 4, 5, 6)
    worker.run()
    assert len(world.published()) == 1
    world.now_ms += 60_000
    worker.run()
    first, second = world.published()
    assert first.job_key != second.job_key
    assert first.provenance.reference != second.provenance.reference, "not the same again"


@pytest.mark.parametrize(
    ("user_id", "item_id", "reason"),
    [("nobody", "item-07", "unknown-user"), ("ada", "no-such-item", "unknown-item")],
)
def test_a_request_that_cannot_be_answered_is_a_dead_letter(
    user_id: str, item_id: str, reason: str
) -> None:
    world = World()
    world.likes("ada", 1)
    world.ask(user_id, "r1", item_id)
    Worker(world).run()
    ((told, value),) = world.letters()
    assert told == reason
    assert JsonRequests().decode(value).request_id == "r1"
    assert world.published() == []


def test_what_cannot_be_read_is_a_dead_letter_and_stops_nobody() -> None:
    world = World()
    world.write_request(b"ada", b"no request")
    world.topics.write([NewRecord(HISTORIES, b"ada", b"no history", 0)])
    world.likes("ada", 1, 2, 3)
    Worker(world).run()
    assert [reason for reason, _ in world.letters()] == ["malformed"]
    assert len(world.letters(HISTORIES + SUFFIX)) == 1
    assert len(world.published()) == 1


def test_a_picture_that_keeps_failing_is_a_dead_letter_that_asks_again() -> None:
    world = World()
    world.likes("bad", 1, 2, 3)
    world.likes("good", 1, 2, 3)
    worker = Worker(world, generator=FakeGenerator(fails_for=["bad"]))
    for _ in range(5):
        worker.step()
        worker.make()
        world.now_ms += 2_000
    worker.run()
    ((reason, value),) = world.letters()
    assert reason == "generation"
    assert JsonRequests().decode(value).user_id == "bad"
    assert [item.provenance.user_id for item in world.published()] == ["good"]


def test_a_user_erased_gets_no_image_any_more_and_is_forgotten() -> None:
    world = World()
    world.likes("ada", 1, 2, 3)
    worker = Worker(world)
    worker.step()
    world.learn("ada", Erased("ada", NOON))
    worker.step()
    assert worker.make() == 0
    worker.run()
    assert world.published() == []
    assert world.topics.records(SETTINGS.state)[-1].value is None


def test_a_job_ends_though_every_like_is_taken_back_meanwhile() -> None:
    world = World()
    world.likes("ada", 1, 2, 3)
    worker = Worker(world)
    worker.step()
    events = [like("ada", number) for number in (1, 2, 3)]
    world.learn("ada", *(TakenBack("ada", each.event_id, each.at_ms) for each in events))
    worker.run()
    assert len(world.published()) == 1


@pytest.mark.parametrize("emptied_by", ["taking back", "erasure"])
def test_a_history_older_than_the_job_calls_nothing_off(emptied_by: str) -> None:
    """The store knows of a like before the topic has told how the history came to be empty."""
    world = World()
    first, again = like("ada", 1), like("ada", 2)
    emptied: dict[str, HistoryEvent] = {
        "taking back": TakenBack("ada", first.event_id, first.at_ms),
        "erasure": Erased("ada", first.at_ms),
    }
    told = [world.keep("ada", event) for event in (first, emptied[emptied_by], again)]
    worker = Worker(world)
    world.ask("ada", "r1", "item-07")
    worker.step()
    for state in told:
        world.tell(state)
    worker.step()
    worker.run()
    (item,) = world.published()
    assert item.provenance.history_item_ids == (again.item_id,)


def test_an_erasure_counts_though_the_user_is_back_in_the_same_moment() -> None:
    """The topic tells of both at once; the picture of what was erased is not wanted any more."""
    world = World()
    world.likes("ada", 1, 2, 3)
    worker = Worker(world)
    worker.step()
    world.learn("ada", Erased("ada", like("ada", 3).at_ms), like("ada", 4))
    worker.run()
    assert world.published() == []
    world.likes("ada", 5, 6)
    worker.run()
    (item,) = world.published()
    assert item.provenance.history_item_ids == ("item-04", "item-05", "item-06")


def test_a_full_pool_takes_no_more_and_forgets_nobody() -> None:
    world = World()
    for number in range(9):
        world.likes(f"user-{number}", 1, 2, 3)
    worker = Worker(world, capacity=2)
    assert worker.step().num_in_hand == 2
    worker.run()
    assert len(world.published()) == 9


def test_what_is_left_of_the_budget_goes_on_tomorrow() -> None:
    world = World()
    worker = Worker(world)
    for number in range(SETTINGS.trigger.daily_images + 1):
        world.likes("ada", 1, 5)
        world.ask("ada", f"r{number}", None, f"{number} cats")
        worker.run()
        world.now_ms += 1
    assert len(world.published()) == SETTINGS.trigger.daily_images
    world.now_ms += DAY_MS
    worker.run()
    assert len(world.published()) == SETTINGS.trigger.daily_images + 1
