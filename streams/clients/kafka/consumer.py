"""The consumer: what the fetcher and the group member on the network loop hand over, taken by `poll`.

One queue carries everything in order: deliveries, rebalances, failures and wake-ups. Rules: a delivery or failure of an older
epoch (before a seek, or of a partition let go) is dropped; rebalances are answered from inside `poll`; records that
arrived before a failure are handed over before it is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import NamedTuple

from aiokafka.client import AIOKafkaClient

from streams.clients.base import Assignor, Before, GroupMetadata, Matches, OffsetAndMetadata, Pending, RebalanceListener
from streams.clients.kafka.fetcher import Delivery, Failure, Fetcher, FetchSettings
from streams.clients.kafka.group import GroupMember
from streams.clients.kafka.group_states import GroupSettings, Ownership, Rebalance
from streams.clients.kafka.lease import Lease
from streams.clients.kafka.network_loop import NetworkLoop, passed
from streams.clients.kafka.offsets import EARLIEST, LATEST, list_offsets
from streams.clients.kafka.topic_ids import TopicIds
from streams.clients.raw_batch import RawBatch
from streams.errors import StreamsError
from streams.record import TopicPartition


class Wake(NamedTuple):
    """Ends a `poll`."""


Item = list[Delivery] | Rebalance | Failure | StreamsError | Wake


class KafkaConsumer:
    """See the module. A `Consumer`; used by one thread, but for `wake`."""

    def __init__(
        self,
        network: NetworkLoop,
        client: AIOKafkaClient,
        fetching: FetchSettings,
        group: GroupSettings | None,
        lease: Lease,
        *,
        timeout_s: float,
    ) -> None:
        self._network = network
        self._client = client
        self._topic_ids = TopicIds(client)
        self._read_committed = fetching.read_committed
        self._timeout_s = timeout_s
        self._items: SimpleQueue[Item] = SimpleQueue()
        self._closed = False
        self._failure: Failure | StreamsError | None = None
        self._positions: dict[TopicPartition, int | None] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._epochs: dict[TopicPartition, int] = {}
        self._unplaced: set[TopicPartition] = set()
        self._paused: set[TopicPartition] = set()
        self._listener: RebalanceListener | None = None
        self._assignor: Assignor | None = None
        self._fetcher, self._member = network.call(self._parts(fetching, group, lease))

    async def _parts(
        self, fetching: FetchSettings, group: GroupSettings | None, lease: Lease
    ) -> tuple[Fetcher, GroupMember | None]:
        fetcher = Fetcher(self._client, fetching, deliver=self._arrived, fail=self._arrived)
        if group is None:
            return fetcher, None
        return fetcher, GroupMember(self._client, group, lease, tell=self._arrived, fail=self._arrived)

    def subscribe(
        self, topics: Sequence[str], assignor: Assignor, listener: RebalanceListener, matches: Matches | None = None
    ) -> None:
        """Join the group; partitions come and go from inside `poll`."""
        member = self._group_member()
        self._listener, self._assignor = listener, assignor
        self._network.call(member.subscribe(topics, assignor, matches))

    def rejoin(self, taken: str | None = None) -> None:
        """Leave the group and join it as a new member; the listener hears nothing of what is let go."""
        member = self._group_member()
        self._let_go(self._positions.keys())
        self._network.call(member.rejoin(taken))

    def enforce_rebalance(self) -> None:
        """Have the group assign anew."""
        self._network.soon(self._group_member().enforce_rebalance)

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Read these partitions without a group; positions of those read before stay, others begin at the first."""
        wanted = set(partitions)
        self._let_go(self._positions.keys() - wanted)
        self._place_later(wanted - self._positions.keys())

    def poll(self, timeout_s: float) -> list[RawBatch]:
        """All that has arrived, waiting up to `timeout_s` for something."""
        if self._unplaced - self._paused:
            self._place(self._unplaced - self._paused)
        self._raise_failure()
        deliveries: list[Delivery] = []
        item = self._next(timeout_s)
        while item is not None and self._handle(item, deliveries):
            item = self._next(0)
        batches = self._taken(deliveries)
        if not batches:
            self._raise_failure()
        return batches

    def wake(self) -> None:
        """Make a `poll` in progress, or the next one, return at once."""
        self._items.put(Wake())
        self._network.soon(self._network.tell)

    def attend(self) -> None:
        """Have done what can be done at once on the network loop, if it is time for it."""
        self._network.attend()

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from `offset`; what was fetched before is forgotten."""
        assert partition in self._positions, f"{partition} is not assigned"
        self._unplaced.discard(partition)
        self._positions[partition] = offset
        self._ends.pop(partition, None)
        self._network.soon(self._fetcher.start, partition, offset, self._new_epoch(partition))
        if partition in self._paused:
            self._set_paused([partition], paused=True)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop fetching these until `resume`, wherever they are placed meanwhile."""
        chosen = list(partitions)
        self._paused.update(chosen)
        self._set_paused(chosen, paused=True)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch these again."""
        chosen = list(partitions)
        self._paused.difference_update(chosen)
        self._set_paused(chosen, paused=False)

    def position(self, partition: TopicPartition) -> int:
        """The offset of the next record that `poll` will return of this partition."""
        if partition in self._unplaced:
            self._place({partition})
        position = self._positions[partition]
        assert position is not None, "placed partitions have a position"
        return position

    def lag(self, partition: TopicPartition) -> int | None:
        """How many records the broker has beyond `position`, as of the last fetch; None before the first."""
        position, end = self._positions.get(partition), self._ends.get(partition)
        return None if position is None or end is None else max(end - position, 0)

    def group_metadata(self, *, beyond: int | None = None) -> GroupMetadata:
        """Who this member is now, or once it is through to a generation after `beyond`."""
        member = self._group_member()
        if beyond is None:
            return member.metadata
        return self._network.call(member.generation_beyond(beyond, within_s=self._timeout_s))

    def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's committed offsets; partitions without one are absent."""
        member = self._group_member()
        return self._network.call(member.committed(list(partitions), within_s=self._timeout_s))

    def decided(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata | None]:
        """The group's committed offsets that no open transaction holds; None where there is none."""
        member = self._group_member()
        return self._network.call(member.decided(list(partitions), within_s=self._timeout_s))

    def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Commit for the group. Raises: TaskMigrated, RebalanceInProgress, ClientError."""
        self.begin_commit(offsets).result()

    def begin_commit(
        self, offsets: Mapping[TopicPartition, OffsetAndMetadata], after: Sequence[Before] = ()
    ) -> Pending[None]:
        """Begin a commit for the group, which is sent after all of these."""
        return self._network.begin(self._commit(self._group_member(), offsets, after))

    async def _commit(
        self, member: GroupMember, offsets: Mapping[TopicPartition, OffsetAndMetadata], after: Sequence[Before]
    ) -> None:
        await passed(after)
        await member.commit(offsets, within_s=self._timeout_s)

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset that still exists of each."""
        return self._list_offsets(partitions, EARLIEST)

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last readable record of each."""
        return self._list_offsets(partitions, LATEST)

    def high_watermarks(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record of each, those of undecided transactions too."""
        return self._list_offsets(partitions, LATEST, read_committed=False)

    def offsets_at(self, partitions: Iterable[TopicPartition], timestamp: int) -> dict[TopicPartition, int]:
        """The first offset of each whose record is not older than `timestamp` in ms, else the end offset."""
        found = self._list_offsets(partitions, timestamp)
        late = [partition for partition, offset in found.items() if offset < 0]
        return found | self.end_offsets(late)

    def topic_ids(self, topics: Iterable[str]) -> dict[str, bytes]:
        """The ids of those topics whose id a broker says, which Apache Kafka does since 2.8."""
        return self._network.call(self._topic_ids.of(set(topics)), self._timeout_s)

    def close(self) -> None:
        """Leave the group and disconnect."""
        self._network.call(self.disconnect())

    @property
    def closed(self) -> bool:
        """Whether it is disconnected, or about to be."""
        return self._closed

    async def disconnect(self) -> None:
        """The same, on the network loop; a second time it does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._member is not None:
            await self._member.close()
        await self._fetcher.close()
        await self._client.close()

    # Within

    def _group_member(self) -> GroupMember:
        assert self._member is not None, "this consumer has no group"
        return self._member

    def _list_offsets(
        self, partitions: Iterable[TopicPartition], timestamp: int, *, read_committed: bool | None = None
    ) -> dict[TopicPartition, int]:
        asked = list(partitions)
        if not asked:
            return {}
        read_committed = self._read_committed if read_committed is None else read_committed
        timeout_s = self._timeout_s
        return self._network.call(
            list_offsets(self._client, asked, timestamp, read_committed=read_committed, timeout_s=timeout_s)
        )

    def _next(self, timeout_s: float) -> Item | None:
        if self._member is not None:
            self._member.polling(waits=True)
        try:
            if timeout_s > 0 and self._items.empty():
                self._network.wait_for(lambda: not self._items.empty(), timeout_s)
            else:
                self._network.attend()
            return self._items.get_nowait()
        except Empty:
            return None
        finally:
            if self._member is not None:
                self._member.polling(waits=False)

    def _arrived(self, item: Item) -> None:
        """On the network loop."""
        self._items.put(item)
        self._network.tell()

    def _handle(self, item: Item, deliveries: list[Delivery]) -> bool:
        """Take up one item; the answer is whether `poll` should look for more."""
        if isinstance(item, list):
            deliveries += item
            return True
        if isinstance(item, Rebalance):
            self._rebalance(item)
            return True
        if isinstance(item, Failure) and not self._counts(item):
            return True
        if isinstance(item, Failure | StreamsError):
            self._failure = item
        return False

    def _counts(self, item: Delivery | Failure) -> bool:
        """Whether what arrived is of the partition as it is read now."""
        return item.partition in self._positions and self._epochs.get(item.partition) == item.epoch

    def _taken(self, deliveries: list[Delivery]) -> list[RawBatch]:
        """The batches of this epoch, with positions moved past them; room is made for as many bytes."""
        batches: list[RawBatch] = []
        size = 0
        for delivery in deliveries:
            size += sum(batch.size for batch in delivery.batches)
            if not self._counts(delivery):
                continue
            self._ends[delivery.partition] = delivery.end_offset
            if delivery.batches:
                self._positions[delivery.partition] = delivery.batches[-1].next_offset
                batches += delivery.batches
        if size and self._fetcher.taken(size):
            self._network.soon(self._fetcher.go_on)
        return batches

    def _rebalance(self, rebalance: Rebalance) -> None:
        """Tell the listener; whatever it raises, the group may go on."""
        assert self._listener is not None, "rebalances come to subscribers only"
        assert self._assignor is not None, "rebalances come to subscribers only"
        member = self._group_member()
        if rebalance.life != member.life:
            return
        listener, partitions = self._listener, rebalance.partitions
        user_data = b""
        try:
            if rebalance.ownership is Ownership.ASSIGNED:
                self._own(partitions)
                self._assignor.on_assignment(rebalance.user_data)
                listener.assigned(partitions)
            elif rebalance.ownership is Ownership.REVOKED and not member.lost:
                listener.revoked(partitions)
            elif rebalance.ownership is not Ownership.JOINING:
                listener.lost(partitions)
        finally:
            if rebalance.ownership is not Ownership.ASSIGNED:
                self._let_go(partitions)
                user_data = self._assignor.user_data()
            rebalance.done(user_data)

    def _own(self, partitions: frozenset[TopicPartition]) -> None:
        """Read these; what was read before goes on where it is."""
        self._let_go(self._positions.keys() - partitions)
        self._place_later(partitions - self._positions.keys())

    def _set_paused(self, partitions: list[TopicPartition], *, paused: bool) -> None:
        self._network.soon(lambda: self._fetcher.pause(partitions, paused=paused))

    def _let_go(self, partitions: Iterable[TopicPartition]) -> None:
        gone = list(partitions)
        for partition in gone:
            self._positions.pop(partition, None)
            self._ends.pop(partition, None)
            self._new_epoch(partition)
        self._unplaced.difference_update(gone)
        self._paused.difference_update(gone)
        self._network.soon(self._fetcher.stop, gone)

    def _place_later(self, partitions: Iterable[TopicPartition]) -> None:
        """Positions are looked up when they are first needed, so that a `seek` can spare it; paused ones wait for it."""
        for partition in partitions:
            self._positions[partition] = None
            self._unplaced.add(partition)

    def _place(self, partitions: set[TopicPartition]) -> None:
        """Start at the committed offset, or at the first record."""
        offsets: dict[TopicPartition, int] = {}
        if self._listener is not None:
            offsets = {partition: entry.offset for partition, entry in self.committed(partitions).items()}
        offsets |= self.beginning_offsets(partitions - offsets.keys())
        for partition, offset in offsets.items():
            self.seek(partition, offset)

    def _new_epoch(self, partition: TopicPartition) -> int:
        self._epochs[partition] = self._epochs.get(partition, 0) + 1
        return self._epochs[partition]

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if isinstance(failure, Failure):
            failure = failure.error if self._counts(failure) else None
        if failure is not None:
            raise failure
