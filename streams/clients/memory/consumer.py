"""A consumer over a MemoryBroker, alone or as a member of a group.

Groups rebalance as Kafka's classic ones do: all members join again before anybody is assigned anything. Before that
they let go of everything, or, with a cooperative assignor, afterwards of what is to go elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from streams.clients.base import (
    Assignor,
    Before,
    GroupMetadata,
    Matches,
    OffsetAndMetadata,
    RebalanceListener,
    Subscription,
)
from streams.clients.handover import withhold
from streams.clients.memory.done import Done, passed
from streams.clients.memory.groups import MemoryGroup
from streams.clients.memory.topics import MemoryBroker
from streams.clients.raw_batch import RawBatch
from streams.errors import OffsetOutOfRange, TaskMigrated
from streams.record import TopicPartition


class MemoryConsumer:
    """A `Consumer` over a MemoryBroker; new groups begin at the first record."""

    def __init__(
        self, broker: MemoryBroker, group: str | None, *, read_committed: bool = False, max_records: int = 1000
    ) -> None:
        self.member_id = f"member-{id(self):x}"
        self._broker = broker
        self._group_id = group or ""
        self._group = broker.groups[group] if group is not None else None
        self._read_committed = read_committed
        self._max_records = max_records
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._listener: RebalanceListener | None = None
        self._named: tuple[str, ...] = ()
        self._matches: Matches | None = None
        self._generation = -1
        self._expired: tuple[tuple[str, ...], Assignor] | None = None
        self._woken = False

    def subscribe(
        self, topics: Sequence[str], assignor: Assignor, listener: RebalanceListener, matches: Matches | None = None
    ) -> None:
        """Join the group; partitions come and go from inside `poll`."""
        assert self._group is not None, "a consumer without a group can only assign"
        with self._broker.changed:
            self._listener, self._named, self._matches = listener, tuple(topics), matches
            self._group.members[self.member_id] = (self._topics(), assignor)
            self._begin_rebalance(self._group)

    def rejoin(self, taken: str | None = None) -> None:
        """Leave the group and join it as a new member; the listener hears nothing of what is let go."""
        del taken  # names are nobody's here
        assert self._group is not None, "a consumer without a group cannot join one"
        with self._broker.changed:
            subscription = self._expired or self._group.members[self.member_id]
            self._group.leave(self.member_id)
            self._expired, self._positions, self._generation = None, {}, -1
            self._group.members[self.member_id] = subscription
            self._begin_rebalance(self._group)

    def enforce_rebalance(self) -> None:
        """Have the group assign anew."""
        assert self._group is not None, "a consumer without a group has none to rebalance"
        with self._broker.changed:
            self._begin_rebalance(self._group)

    def group_metadata(self, *, beyond: int | None = None) -> GroupMetadata:
        """Who this member is now: joining happens inside `poll`, so it is never on its way elsewhere."""
        del beyond
        assert self._group is not None, "a consumer without a group is no member"
        subscribed = self._listener is not None
        return GroupMetadata(self._group_id, self._generation, self.member_id if subscribed else "")

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Read these partitions without a group; positions of those read before stay."""
        self._positions = {
            partition: self._positions.get(partition, self._broker.partition(partition).start)
            for partition in partitions
        }
        self._paused &= self._positions.keys()

    def poll(self, timeout_s: float) -> list[RawBatch]:
        """All that has arrived, waiting up to `timeout_s` for something. Raises: OffsetOutOfRange, until a `seek`."""
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

    def attend(self) -> None:
        """Nothing: there is no network."""

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
        if self._is_gone(partition.topic):
            return None
        return self._broker.partition(partition).end - self._positions[partition]

    def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's committed offsets, once no transaction holds some; partitions without one are absent."""
        assert self._group is not None, "a consumer without a group has no committed offsets"
        known, asked = self._group.offsets, list(partitions)
        self._broker.transactions.wait_for(self._group_id, asked)
        return {partition: known[partition] for partition in asked if partition in known}

    def decided(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata | None]:
        """The group's committed offsets that no open transaction holds; None where there is none."""
        assert self._group is not None, "a consumer without a group has no committed offsets"
        held = self._broker.transactions.held(self._group_id)
        return {partition: self._group.offsets.get(partition) for partition in partitions if partition not in held}

    def begin_commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], after: Sequence[Before] = ()) -> Done:
        """Commit for the group, after all of these."""

        def work() -> None:
            passed(after)
            self.commit(offsets)

        return Done(work)

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
        there = (partition for partition in partitions if not self._is_gone(partition.topic))
        return {partition: self._broker.partition(partition).start for partition in there}

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last readable record of each."""
        if self._read_committed:
            return {partition: self._broker.partition(partition).stable_end for partition in partitions}
        return self.high_watermarks(partitions)

    def high_watermarks(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record of each, those of undecided transactions too."""
        return {partition: self._broker.partition(partition).end for partition in partitions}

    def offsets_at(self, partitions: Iterable[TopicPartition], timestamp: int) -> dict[TopicPartition, int]:
        """The first offset of each whose record is not older than `timestamp` in ms, else the end offset."""
        found = {}
        for partition in partitions:
            log = self._broker.partition(partition)
            later = (at for at, time in enumerate(log.timestamps) if time >= timestamp)
            found[partition] = log.start + next(later, len(log.timestamps))
        return found

    def topic_ids(self, topics: Iterable[str]) -> dict[str, bytes]:
        """The ids of those topics that exist."""
        return {topic: self._broker.ids[topic] for topic in topics if topic in self._broker.ids}

    def close(self) -> None:
        """Leave the group."""
        if self._group is None:
            return
        with self._broker.changed:
            if self._group.leave(self.member_id):
                self._begin_rebalance(self._group)

    def expire(self) -> None:
        """Drop out of the group as if the session had timed out: the next `poll` finds the partitions lost (tests)."""
        assert self._group is not None, "only members of a group expire"
        self._expired = self._group.members[self.member_id]
        self.close()

    def _fetch(self) -> list[RawBatch]:
        batches: list[RawBatch] = []
        gone: list[OffsetOutOfRange] = []
        for partition in self._positions.keys() - self._paused:
            if self._is_gone(partition.topic):
                continue
            log, position = self._broker.partition(partition), self._positions[partition]
            if not log.start <= position <= log.end:
                gone.append(OffsetOutOfRange(partition.topic, partition.partition, position))
                continue
            batch = self._broker.read(
                partition, self._positions[partition], self._max_records, read_committed=self._read_committed
            )
            if batch:
                self._positions[partition] = batch.next_offset
                if len(batch.columns()):
                    batches.append(batch)
        if gone and not batches:
            raise gone[0]
        return batches

    def _topics(self) -> tuple[str, ...]:
        """Those named, and those that match now."""
        found = filter(self._matches, self._broker.topics()) if self._matches is not None else ()
        return (*self._named, *sorted(set(found).difference(self._named)))

    def _is_gone(self, topic: str) -> bool:
        """Whether a topic that matched is there no longer."""
        return self._matches is not None and topic not in {*self._named, *self._broker.topics()}

    def _begin_rebalance(self, group: MemoryGroup) -> None:
        group.begin_rebalance()
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
        if self._topics() != group.members[self.member_id][0]:
            group.members[self.member_id] = (self._topics(), group.members[self.member_id][1])
            self._begin_rebalance(group)
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
        topics, assignor = group.members[self.member_id]
        if self._positions and not assignor.cooperative:
            listener.revoked(frozenset(self._positions))
            self._positions = {}
        group.joined[self.member_id] = Subscription(
            self.member_id, topics, assignor.user_data(), tuple(sorted(self._positions))
        )
        if group.joined.keys() == group.members.keys():
            self._lead(group, assignor)

    def _lead(self, group: MemoryGroup, assignor: Assignor) -> None:
        """All have joined, and the last of them divides."""
        members = list(group.joined.values())
        topics = {topic for member in members for topic in member.topics}
        counts = {topic: len(self._broker.partitions(topic)) for topic in sorted(topics) if not self._is_gone(topic)}
        group.assignments = withhold(assignor.assign(counts, members), members)
        group.forming = False
        self._broker.changed.notify_all()

    def _take_assignment(self, group: MemoryGroup, listener: RebalanceListener) -> None:
        self._generation = group.generations[self.member_id] = group.generation
        assignment = group.assignments[self.member_id]
        given = frozenset(assignment.partitions)
        gone = frozenset(self._positions) - given
        if gone:
            listener.revoked(gone)
        kept = {partition: offset for partition, offset in self._positions.items() if partition in given}
        self._positions = kept | {partition: self._start(group, partition) for partition in given - kept.keys()}
        self._paused &= kept.keys()
        group.members[self.member_id][1].on_assignment(assignment.user_data)
        listener.assigned(given)
        if gone:
            self._begin_rebalance(group)

    def _start(self, group: MemoryGroup, partition: TopicPartition) -> int:
        committed = group.offsets.get(partition)
        return committed.offset if committed else self._broker.partition(partition).start
