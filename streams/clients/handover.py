"""How partitions change hands in a cooperative rebalance (KIP-429): first let go, then given.

Rules: an assignor says who is to have what in the end; what another member still owns is withheld in this generation.
Its owner sees that it is to give it up, does so, and joins again; in the generation after, nobody owns it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.clients.base import Assignment, Subscription
from streams.record import TopicPartition


def withhold(assignments: Mapping[str, Assignment], members: Sequence[Subscription]) -> dict[str, Assignment]:
    """The assignments without what belongs to other members yet."""
    owners = {partition: member.member_id for member in members for partition in member.owned}

    def free(member_id: str, partition: TopicPartition) -> bool:
        return owners.get(partition, member_id) == member_id

    return {
        member_id: assignment._replace(
            partitions=tuple(partition for partition in assignment.partitions if free(member_id, partition))
        )
        for member_id, assignment in assignments.items()
    }
