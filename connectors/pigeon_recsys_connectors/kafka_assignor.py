"""Who gets which partition: the same number of every topic goes to the same worker.

A worker that joins two topics by their key needs both partitions in which a user's records lie.
kafka-python's cooperative assignor deals out each topic by itself. So the topic with the most
partitions is dealt out by it, and the others follow.
"""

from typing import Any

from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment


class CopartitioningAssignor(CooperativeStickyAssignor):  # type: ignore[misc]
    """Every worker of the group reads the same topics."""

    name = "cooperative-sticky-copartitioned"

    def disown(self) -> None:
        """Claim nothing when joining next: the group has given all to others."""
        self.member_assignment = None

    def assign(self, cluster: Any, members: Any) -> dict[str, ConsumerProtocolAssignment]:
        """Return each member's partitions, of all its topics."""
        topics = sorted({topic for member in members for topic in member.metadata.topics})
        numbers = {topic: cluster.partitions_for_topic(topic) or set() for topic in topics}
        self._leading = max(topics, key=lambda topic: len(numbers[topic]))
        return {
            member_id: ConsumerProtocolAssignment(
                self.version,
                [
                    (topic, [number for number in dealt if number in numbers[topic]])
                    for _, dealt in assignment.assigned_partitions
                    for topic in topics
                ],
                b"",
            )
            for member_id, assignment in super().assign(cluster, members).items()
        }

    def parse_member_metadata(self, metadata: Any) -> Any:
        """Return what a member says, reduced to the topic that is dealt out."""
        parsed = super().parse_member_metadata(metadata)
        owned = [place for place in parsed.partitions if place.topic == self._leading]
        return parsed._replace(partitions=owned, subscription=[self._leading])
