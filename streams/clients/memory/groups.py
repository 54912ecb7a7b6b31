"""A consumer group in memory: who is in it, who has joined the generation being formed, and what it committed."""

from __future__ import annotations

from collections.abc import Mapping

from streams.clients.base import Assignment, Assignor, GroupMetadata, OffsetAndMetadata, Subscription
from streams.errors import TaskMigrated
from streams.record import TopicPartition


class MemoryGroup:
    """See the module. `generations` is the one that each member was last assigned in."""

    def __init__(self) -> None:
        self.generation = 0
        self.offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        self.members: dict[str, tuple[tuple[str, ...], Assignor]] = {}
        self.generations: dict[str, int] = {}
        self.joined: dict[str, Subscription] = {}
        self.assignments: Mapping[str, Assignment] = {}
        self.forming = False

    def begin_rebalance(self) -> None:
        """Have all members join again."""
        self.generation += 1
        self.joined = {}
        self.assignments = {}
        self.forming = True

    def leave(self, member_id: str) -> bool:
        """Drop a member; the answer is whether there was one."""
        self.joined.pop(member_id, None)
        self.generations.pop(member_id, None)
        return self.members.pop(member_id, None) is not None

    def check(self, member: GroupMetadata) -> None:
        """Raises: TaskMigrated when offsets come from somebody who is no member now."""
        alone = member.generation < 0 and not self.members
        if not alone and self.generations.get(member.member_id) != member.generation:
            raise TaskMigrated(f"generation {member.generation} of member {member.member_id!r} is over: rejoin")
