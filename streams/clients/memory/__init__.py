"""Topics, groups and clients in memory: the same interfaces as Kafka's, for tests and the TopologyTestDriver.

Time passes only where `poll` is told to wait; workers on several threads may share a broker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from streams.clients.base import NewTopic, TopicDescription
from streams.clients.memory.consumer import MemoryConsumer
from streams.clients.memory.topics import MemoryBatch, MemoryBroker, MemoryGroup, MemoryPartition
from streams.record import Batch, Headers, TopicPartition

__all__ = [
    "MemoryAdmin",
    "MemoryBatch",
    "MemoryBroker",
    "MemoryClients",
    "MemoryConsumer",
    "MemoryGroup",
    "MemoryPartition",
    "MemoryProducer",
]


class MemoryProducer:
    """A `Producer` whose records are acknowledged at once."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._ends: dict[TopicPartition, int] = {}

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> None:
        """Append records to a partition."""
        target = TopicPartition(topic, partition)
        columns = Batch(list(keys), list(values), list(timestamps), list(headers) if headers is not None else None)
        self._ends[target] = self._broker.append(target, columns)

    def partition_count(self, topic: str) -> int:
        """How many partitions the topic has."""
        return len(self._broker.partitions(topic))

    def flush(self) -> None:
        """Nothing waits."""

    def end_offset(self, topic: str, partition: int) -> int | None:
        """The offset after the last record that this producer wrote there, None before the first."""
        return self._ends.get(TopicPartition(topic, partition))

    def close(self) -> None:
        """Nothing to let go of."""


class MemoryAdmin:
    """An `Admin` over a MemoryBroker."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def topics(self) -> list[str]:
        """The names of all topics, in order."""
        return sorted(self._broker.topics())

    def describe(self, topics: Iterable[str]) -> dict[str, TopicDescription]:
        """The topics that exist among these."""
        found = {name: self._broker.describe(name) for name in topics}
        return {name: description for name, description in found.items() if description is not None}

    def create(self, topics: Iterable[NewTopic]) -> None:
        """Make the topics; those that exist stay as they are."""
        for topic in topics:
            self._broker.create(topic)

    def delete(self, topics: Iterable[str]) -> None:
        """Delete the topics; missing ones are no error."""
        for topic in topics:
            self._broker.delete(topic)

    def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """Drop the records below these offsets."""
        with self._broker.changed:
            for partition, offset in before.items():
                self._broker.partition(partition).delete_before(offset)
            self._broker.changed.notify_all()

    def close(self) -> None:
        """Nothing to let go of."""


class MemoryClients:
    """The `Clients` of a worker over a MemoryBroker."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker

    def consumer(self, *, group: str | None, read_committed: bool = False) -> MemoryConsumer:
        """A consumer; there are no transactions here, so all that is read is committed."""
        assert isinstance(read_committed, bool)
        return MemoryConsumer(self.broker, group)

    def producer(self) -> MemoryProducer:
        """A producer."""
        return MemoryProducer(self.broker)

    def admin(self) -> MemoryAdmin:
        """An admin client."""
        return MemoryAdmin(self.broker)

    def close(self) -> None:
        """Nothing to let go of."""
