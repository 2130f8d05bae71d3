"""Generate workers lag behind: the store knows more of a user than the topic has told them."""

from collections.abc import Callable

import pytest

from pigeon_recsys.history.events import Interacted, TakenBack
from pigeon_recsys.records import LIKE
from tests.connectors.faults.crew import crew
from tests.connectors.faults.mix import START_MS, Mix
from tests.connectors.faults.plant import BATCH, Plant
from tests.connectors.faults.sending import Sender
from tests.connectors.faults.verdict import Verdict
from tests.connectors.faults.watch import Watch, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SEED = 5
NUM_USERS = BATCH  # three histories and a request each: several polls of two workers
DEADLINE_S = 60.0


def test_requests_are_answered_though_histories_from_before_are_read_after_them(
    plant: Plant, sender: Sender, tell: Callable[..., None]
) -> None:
    """A like, the like taken back, another like, a request; only then the workers begin."""
    mix = Mix.of(plant, SEED)
    users = [f"u{number}" for number in range(NUM_USERS)]
    first = [Interacted(user, "e-1", START_MS, "item-01", LIKE) for user in users]
    back = [TakenBack(each.user_id, each.event_id, each.at_ms) for each in first]
    again = [Interacted(user, "e-2", START_MS, "item-02", LIKE) for user in users]
    watch = Watch(plant)
    with crew(plant, "ingest") as workers:
        for events in (first, back, again):
            sender.send(mix.sent(map(mix.event, events)))
            wait_until(lambda: watch.unread_by("ingest"), DEADLINE_S, plant)
        sender.send(mix.sent(mix.request(user, number) for number, user in enumerate(users)))
        workers.hire("generate", "generate")
        wait_until(watch.unfinished, DEADLINE_S, plant)
        workers.stop()
    counts = Verdict(plant, mix).check()
    assert counts["published"] == NUM_USERS
    tell(counts, seed=SEED)
