"""Topics, groups and clients in memory: the same interfaces as Kafka's, for tests and the TopologyTestDriver.

Rules: a record is there for everybody as soon as `send` returns, and time passes only where `poll` is told to wait.
Groups rebalance as Kafka's classic ones do: all members let go and join again before anybody is assigned anything.
One lock guards a broker, so that workers on several threads may share it.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from streams.clients.base import (
    Assignment,
    Assignor,
    NewTopic,
    OffsetAndMetadata,
    RawBatch,
    RebalanceListener,
    Subscription,
    TopicDescription,
)
from streams.errors import ClientError, TaskMigrated
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

    def close(self) -> None:
        """Nothing to let go of."""


class MemoryConsumer:
    """A `Consumer` over a MemoryBroker; new groups begin at the first record."""

    def __init__(self, broker: MemoryBroker, group: str | None, *, max_records: int = 1000) -> None:
        self.member_id = f"member-{id(self):x}"
        self._broker = broker
        self._group = broker.groups[group] if group is not None else None
        self._max_records = max_records
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._listener: RebalanceListener | None = None
        self._generation = -1
        self._expired: tuple[tuple[str, ...], Assignor] | None = None
        self._woken = False

    def subscribe(self, topics: Sequence[str], assignor: Assignor, listener: RebalanceListener) -> None:
        """Join the group; partitions come and go from inside `poll`."""
        assert self._group is not None, "a consumer without a group can only assign"
        with self._broker.changed:
            self._listener = listener
            self._group.members[self.member_id] = (tuple(topics), assignor)
            self._begin_rebalance(self._group)

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Read these partitions without a group; positions of those read before stay."""
        self._positions = {
            partition: self._positions.get(partition, self._broker.partition(partition).start)
            for partition in partitions
        }
        self._paused &= self._positions.keys()

    def poll(self, timeout_s: float) -> list[RawBatch]:
        """All that has arrived, waiting up to `timeout_s` for something."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self._broker.changed:
                told = self._rebalance()
                batches = self._fetch()
                remaining = deadline - time.monotonic()
                if batches or told or self._woken or remaining <= 0:
                    self._woken = False
                    return batches
                self._broker.changed.wait(remaining)

    def wake(self) -> None:
        """Make a `poll` in progress, or the next one, return at once."""
        self._woken = True
        with self._broker.changed:
            self._broker.changed.notify_all()

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from `offset`."""
        self._positions[partition] = offset

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop fetching these until `resume`."""
        self._paused.update(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch these again."""
        self._paused.difference_update(partitions)

    def position(self, partition: TopicPartition) -> int:
        """The offset of the next record that `poll` will return of this partition."""
        return self._positions[partition]

    def lag(self, partition: TopicPartition) -> int | None:
        """How many records the broker has beyond `position`."""
        return self._broker.partition(partition).end - self._positions[partition]

    def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's committed offsets; partitions without one are absent."""
        assert self._group is not None, "a consumer without a group has no committed offsets"
        known = self._group.offsets
        return {partition: known[partition] for partition in partitions if partition in known}

    def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Commit for the group. Raises: TaskMigrated when it has moved on without this member."""
        assert self._group is not None, "a consumer without a group cannot commit"
        with self._broker.changed:
            if self._listener is not None and self.member_id not in self._group.members:
                raise TaskMigrated("this member is no longer in its group: rejoin")
            self._group.offsets.update(offsets)
            self._broker.changed.notify_all()

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset that still exists of each."""
        return {partition: self._broker.partition(partition).start for partition in partitions}

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record of each."""
        return {partition: self._broker.partition(partition).end for partition in partitions}

    def offsets_at(self, partitions: Iterable[TopicPartition], timestamp: int) -> dict[TopicPartition, int]:
        """The first offset of each whose record is not older than `timestamp` in ms, else the end offset."""
        found = {}
        for partition in partitions:
            log = self._broker.partition(partition)
            later = (at for at, time in enumerate(log.timestamps) if time >= timestamp)
            found[partition] = log.start + next(later, len(log.timestamps))
        return found

    def close(self) -> None:
        """Leave the group."""
        if self._group is None:
            return
        with self._broker.changed:
            if self._group.members.pop(self.member_id, None):
                self._group.joined.pop(self.member_id, None)
                self._begin_rebalance(self._group)

    def expire(self) -> None:
        """Drop out of the group as if the session had timed out: the next `poll` finds the partitions lost (tests)."""
        assert self._group is not None, "only members of a group expire"
        self._expired = self._group.members[self.member_id]
        self.close()

    def _fetch(self) -> list[RawBatch]:
        batches: list[RawBatch] = []
        for partition in self._positions.keys() - self._paused:
            batch = self._broker.read(partition, self._positions[partition], self._max_records)
            if batch:
                self._positions[partition] = batch.next_offset
                batches.append(batch)
        return batches

    def _begin_rebalance(self, group: MemoryGroup) -> None:
        group.generation += 1
        group.joined = {}
        group.assignments = {}
        group.forming = True
        self._broker.changed.notify_all()

    def _rebalance(self) -> bool:
        """Let go and join when the group forms a new generation; take what it assigns when all have joined.

        The answer is whether ownership changed.
        """
        group, listener = self._group, self._listener
        if group is None or listener is None:
            return False
        generation, owned = self._generation, len(self._positions)
        if self._expired is not None:
            self._come_back(group, listener)
        if self._generation != group.generation and self.member_id not in group.joined and group.forming:
            self._join(group, listener)
        if self._generation != group.generation and not group.forming:
            self._take_assignment(group, listener)
        return generation != self._generation or owned != len(self._positions)

    def _come_back(self, group: MemoryGroup, listener: RebalanceListener) -> None:
        """Learn that the session is over, and join as a new member."""
        assert self._expired is not None, "only the expired come back"
        lost, self._positions = frozenset(self._positions), {}
        listener.lost(lost)
        group.members[self.member_id], self._expired = self._expired, None
        self._begin_rebalance(group)

    def _join(self, group: MemoryGroup, listener: RebalanceListener) -> None:
        if self._positions:
            listener.revoked(frozenset(self._positions))
            self._positions = {}
        topics, assignor = group.members[self.member_id]
        group.joined[self.member_id] = Subscription(self.member_id, topics, assignor.user_data())
        if group.joined.keys() == group.members.keys():
            counts = {
                topic: len(self._broker.partitions(topic))
                for member in group.joined.values()
                for topic in member.topics
            }
            group.assignments = assignor.assign(counts, list(group.joined.values()))
            group.forming = False
            self._broker.changed.notify_all()

    def _take_assignment(self, group: MemoryGroup, listener: RebalanceListener) -> None:
        self._generation = group.generation
        partitions = group.assignments[self.member_id].partitions
        self._positions = {partition: self._start(group, partition) for partition in partitions}
        self._paused = set()
        listener.assigned(frozenset(partitions))

    def _start(self, group: MemoryGroup, partition: TopicPartition) -> int:
        committed = group.offsets.get(partition)
        return committed.offset if committed else self._broker.partition(partition).start


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
