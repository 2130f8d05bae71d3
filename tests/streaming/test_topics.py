"""The topics: what is joined by user is cut alike, every reader has dead letters."""

from pigeon_recsys.streaming.dead_letters import SUFFIX
from pigeon_recsys.streaming.topics import TopicNames, streaming_topics

NAMES = TopicNames(events="clicks")
TOPICS = {topic.name: topic for topic in streaming_topics(12, NAMES)}


def test_topics_keyed_by_user_have_the_same_partitions() -> None:
    keyed = ("clicks", "histories", "generation-requests", "generated-items", "generation-state")
    assert {TOPICS[name].num_partitions for name in (*keyed, "exposures")} == {12}


def test_what_is_the_newest_of_a_user_is_compacted_and_never_expires() -> None:
    for name in ("histories", "generation-state"):
        assert TOPICS[name].configs == {"cleanup.policy": "compact"}


def test_every_topic_that_is_read_has_dead_letters_kept_for_a_month() -> None:
    letters = {name for name in TOPICS if name.endswith(SUFFIX)}
    slates = ("decisions", "exposures", "outcomes")
    read = ("clicks", "histories", "generation-requests", "generated-items", *slates)
    assert letters == {name + SUFFIX for name in read}
    assert {TOPICS[name].configs["retention.ms"] for name in letters} == {str(30 * 86_400_000)}
