"""Topics, groups and clients in memory: the same interfaces as Kafka's, for tests and the TopologyTestDriver.

Time passes only where `poll` is told to wait; workers on several threads may share a broker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streams.clients.base import NewTopic, OnRefused, TopicDescription
from streams.clients.memory.consumer import MemoryConsumer
from streams.clients.memory.done import Done
from streams.clients.memory.groups import MemoryGroup
from streams.clients.memory.partition import MemoryBatch, MemoryPartition
from streams.clients.memory.producer import TRANSACTION_TIMEOUT_MS, MemoryProducer
from streams.clients.memory.topics import MemoryBroker
from streams.record import TopicPartition

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

    def begin_delete_records(self, before: Mapping[TopicPartition, int]) -> Done:
        """Begin to drop the records below these offsets."""
        return Done(lambda: self._delete_records(before))

    def _delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        with self._broker.changed:
            for partition, offset in before.items():
                self._broker.partition(partition).delete_before(offset)
            self._broker.changed.notify_all()

    def open_transactions(self) -> list[str]:
        """The ids whose transaction has begun, in order."""
        return self._broker.transactions.opened()

    def close(self) -> None:
        """Nothing to let go of."""


class MemoryClients:
    """The `Clients` of a worker over a MemoryBroker."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker

    def consumer(
        self, *, group: str | None, read_committed: bool = False, returns_as: str | None = None
    ) -> MemoryConsumer:
        """A consumer of its own; without a group it can only `assign`. Nobody is killed here, so nobody returns."""
        del returns_as
        return MemoryConsumer(self.broker, group, read_committed=read_committed)

    def producer(
        self,
        *,
        transactional_id: str | None = None,
        transaction_timeout_ms: int | None = None,
        refused: OnRefused | None = None,
        exclusive: frozenset[str] = frozenset(),
    ) -> MemoryProducer:
        """A producer; with an id, one that writes in transactions. Nothing is refused here, and nothing waits."""
        del refused, exclusive
        return MemoryProducer(self.broker, transactional_id, transaction_timeout_ms or TRANSACTION_TIMEOUT_MS)

    def admin(self) -> MemoryAdmin:
        """An admin client."""
        return MemoryAdmin(self.broker)

    def give_up(self) -> None:
        """Nobody ever waits."""

    def close(self) -> None:
        """Nothing to let go of."""
