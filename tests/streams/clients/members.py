"""What tests of groups need: an assignor that gives partitions out in turn, and a listener that writes down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.clients.base import Assignment, Subscription
from streams.record import TopicPartition


class RoundRobin:
    """Gives partitions out in turn, to members in the order of what they say of themselves."""

    def __init__(self, says: bytes = b"", *, cooperative: bool = False, name: str = "round-robin") -> None:
        self.name = name
        self.cooperative = cooperative
        self.told: list[bytes] = []
        self._says = says

    def user_data(self) -> bytes:
        return self._says

    def on_assignment(self, user_data: bytes) -> None:
        self.told.append(user_data)

    def stands(self, user_data: bytes, partitions: Mapping[str, int] | None) -> bool:
        said, _, counted = user_data.removeprefix(b"for ").partition(b" of ")
        return said == self._says and (partitions is None or counted == str(sum(partitions.values())).encode())

    def assign(self, partitions: Mapping[str, int], members: Sequence[Subscription]) -> Mapping[str, Assignment]:
        every = [TopicPartition(topic, number) for topic, count in partitions.items() for number in range(count)]
        ranked = sorted(members, key=lambda member: (member.user_data, member.member_id))
        return {
            member.member_id: Assignment(
                tuple(every[index :: len(ranked)]), b"for %b of %d" % (member.user_data, len(every))
            )
            for index, member in enumerate(ranked)
        }


class Log:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, frozenset[TopicPartition]]] = []
        self.owned: frozenset[TopicPartition] = frozenset()

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self.said.append(("revoked", partitions))
        self.owned -= partitions

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self.said.append(("assigned", partitions))
        self.owned = partitions

    def lost(self, partitions: frozenset[TopicPartition]) -> None:
        self.said.append(("lost", partitions))
        self.owned -= partitions
