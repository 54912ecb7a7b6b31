"""Topics and groups in memory: what a MemoryBroker holds.

Rules: one lock, `changed`, guards a broker, and everybody who waits for something waits on it. A record is there for
all as soon as it was appended.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence

from streams.clients.base import Assignment, Assignor, NewTopic, OffsetAndMetadata, Subscription, TopicDescription
from streams.errors import ClientError
from streams.record import Batch, Headers, Record, TopicPartition


class MemoryPartition:
    """The records of one partition, as columns; `start` is the first offset that still exists."""

    def __init__(self) -> None:
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        self.timestamps: list[int] = []
        self.headers: list[Headers] = []
        self.start = 0

    @property
    def end(self) -> int:
        """The offset after the last record."""
        return self.start + len(self.keys)

    def append(
        self,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None,
    ) -> None:
        """Add records at the end."""
        self.keys.extend(keys)
        self.values.extend(values)
        self.timestamps.extend(timestamps)
        self.headers.extend(headers if headers is not None else [()] * len(keys))

    def delete_before(self, offset: int) -> None:
        """Drop the records below `offset`."""
        count = min(max(offset - self.start, 0), len(self.keys))
        for column in (self.keys, self.values, self.timestamps, self.headers):
            del column[:count]
        self.start += count


class MemoryBatch:
    """Records of one partition from `first_offset` up to, not including, `next_offset`. A `RawBatch`."""

    def __init__(self, partition: TopicPartition, first_offset: int, columns: Batch) -> None:
        self.topic, self.partition = partition
        self.first_offset = first_offset
        self.next_offset = first_offset + len(columns)
        self.size = sum(
            len(key or b"") + len(value or b"") for key, value in zip(columns.keys, columns.values, strict=True)
        )
        self._columns = columns

    def columns(self) -> Batch:
        """The records."""
        return self._columns


class MemoryGroup:
    """A consumer group: who is in it, who has joined the generation being formed, and what it committed."""

    def __init__(self) -> None:
        self.generation = 0
        self.offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        self.members: dict[str, tuple[tuple[str, ...], Assignor]] = {}
        self.joined: dict[str, Subscription] = {}
        self.assignments: Mapping[str, Assignment] = {}
        self.forming = False


class MemoryBroker:
    """All topics and groups. With `create_topics`, a topic comes into being, with one partition, when it is used."""

    def __init__(self, *, create_topics: bool = False) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.groups: dict[str, MemoryGroup] = defaultdict(MemoryGroup)
        self._create_topics = create_topics
        self._topics: dict[str, list[MemoryPartition]] = {}
        self._configs: dict[str, Mapping[str, str]] = {}

    def create(self, topic: NewTopic) -> None:
        """Make a topic; one that exists stays as it is."""
        with self.changed:
            if topic.name not in self._topics:
                self._topics[topic.name] = [MemoryPartition() for _ in range(max(topic.partitions, 1))]
                self._configs[topic.name] = dict(topic.config)

    def delete(self, topic: str) -> None:
        """Remove a topic, if it exists."""
        with self.changed:
            self._topics.pop(topic, None)
            self._configs.pop(topic, None)

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
            log.append(columns.keys, columns.values, columns.timestamps, columns.headers)
            self.changed.notify_all()
            return log.end

    def read(self, partition: TopicPartition, offset: int, limit: int) -> MemoryBatch | None:
        """Up to `limit` records from `offset` on, None when there are none."""
        log = self.partition(partition)
        first = max(offset, log.start)
        at = first - log.start
        keys = log.keys[at : at + limit]
        if not keys:
            return None
        headers = log.headers[at : at + limit]
        columns = Batch(
            list(keys),
            log.values[at : at + limit],
            log.timestamps[at : at + limit],
            headers if any(headers) else None,
            offsets=range(first, first + len(keys)),
            topic=partition.topic,
            partition=partition.partition,
        )
        return MemoryBatch(partition, first, columns)

    def records(self, topic: str) -> list[Record]:
        """All records of a topic as they lie there, partition by partition (tests)."""
        found = []
        for number in range(len(self.partitions(topic))):
            batch = self.read(TopicPartition(topic, number), 0, 1 << 40)
            if batch:
                columns = batch.columns()
                found += [columns.record(index) for index in range(len(columns))]
        return found
