"""The assignor claims what its member has, and nothing more."""

from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment

from pigeon_recsys_connectors.kafka_assignor import CopartitioningAssignor


def test_a_member_that_was_thrown_out_claims_nothing() -> None:
    """A partition claimed by a member that did not have it any more went to nobody."""
    assignor = CopartitioningAssignor()
    assignor.on_assignment(ConsumerProtocolAssignment(1, [("events", [0, 1])], b""), 7)
    (claimed,) = assignor.metadata({"events"}).owned_partitions
    assert claimed.partitions == [0, 1]
    assignor.disown()
    assert assignor.metadata({"events"}).owned_partitions == []
