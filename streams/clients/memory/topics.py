"""The broker in memory: topics, groups and transactions.

Rules: one lock, `changed`, guards a broker, and everybody who waits for something waits on it. A record is there for
all as soon as it was appended; for readers of what is committed, when its transaction is.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from uuid import uuid4

from streams.clients.base import NewTopic, TopicDescription
from streams.clients.memory.groups import MemoryGroup
from streams.clients.memory.partition import MemoryBatch, MemoryPartition
from streams.clients.memory.transactions import MemoryTransactions
from streams.errors import ClientError
from streams.record import Batch, Record, TopicPartition


class MemoryBroker:
    """All topics and groups. With `create_topics`, a topic comes into being, with one partition, when it is used."""

    def __init__(self, *, create_topics: bool = False) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.groups: dict[str, MemoryGroup] = defaultdict(MemoryGroup)
        self.transactions = MemoryTransactions(self.changed, self.groups)
        self._create_topics = create_topics
        self._topics: dict[str, list[MemoryPartition]] = {}
        self._configs: dict[str, Mapping[str, str]] = {}
        self.ids: dict[str, bytes] = {}

    def create(self, topic: NewTopic) -> None:
        """Make a topic; one that exists stays as it is."""
        with self.changed:
            if topic.name not in self._topics:
                self._topics[topic.name] = [MemoryPartition() for _ in range(max(topic.partitions, 1))]
                self._configs[topic.name] = dict(topic.config)
                self.ids[topic.name] = uuid4().bytes
                self.changed.notify_all()

    def delete(self, topic: str) -> None:
        """Remove a topic, if it exists."""
        with self.changed:
            self._topics.pop(topic, None)
            self._configs.pop(topic, None)
            self.ids.pop(topic, None)
            self.changed.notify_all()

    def topics(self) -> list[str]:
        """The names of all topics."""
        return list(self._topics)

    def partitions(self, topic: str) -> list[MemoryPartition]:
        """The partitions of a topic. Raises: ClientError when there is no such topic."""
        if topic not in self._topics:
            if not self._create_topics:
                raise ClientError(
                    f"topic {topic!r} does not exist (topics: {', '.join(self._topics) or 'none'}): create it"
                )
            self.create(NewTopic(topic, 1))
        return self._topics[topic]

    def describe(self, topic: str) -> TopicDescription | None:
        """Partition count and settings, None when there is no such topic."""
        if topic not in self._topics:
            return None
        return TopicDescription(topic, len(self._topics[topic]), self._configs[topic])

    def partition(self, partition: TopicPartition) -> MemoryPartition:
        """One partition. Raises: ClientError when it does not exist."""
        partitions = self.partitions(partition.topic)
        if not 0 <= partition.partition < len(partitions):
            raise ClientError(
                f"topic {partition.topic!r} has {len(partitions)} partition(s), not a {partition.partition}"
            )
        return partitions[partition.partition]

    def append(self, partition: TopicPartition, columns: Batch) -> int:
        """Add records; the answer is the offset after the last."""
        with self.changed:
            log = self.partition(partition)
            log.append(columns)
            self.changed.notify_all()
            return log.end

    def read(
        self, partition: TopicPartition, offset: int, limit: int, *, read_committed: bool = False
    ) -> MemoryBatch | None:
        """Up to `limit` records from `offset` on, None when nothing is there to read."""
        return self.partition(partition).read(partition, offset, limit, read_committed=read_committed)

    def records(self, topic: str, *, read_committed: bool = False) -> list[Record]:
        """All records of a topic as they lie there, partition by partition (tests)."""
        found = []
        for number in range(len(self.partitions(topic))):
            batch = self.read(TopicPartition(topic, number), 0, 1 << 40, read_committed=read_committed)
            if batch:
                columns = batch.columns()
                found += [columns.record(index) for index in range(len(columns))]
        return found
