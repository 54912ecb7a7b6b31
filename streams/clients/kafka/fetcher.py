"""Keeps one fetch in flight per broker, whatever the processing thread does meanwhile.

A second one goes beside it for partitions that came while the first waits for records, so that none has to wait for
another's.
Lives on the network loop. What arrives goes to `deliver` at once, all of a fetch together, so that the next fetch can
leave and who waits is woken once; when more waits than `buffer_bytes`, fetching pauses until some was taken. Rules: a partition is in at most one fetch; every `seek`
begins a new epoch of the partition, and what an older epoch fetched is thrown away.
Errors that pass by themselves are retried with fresh metadata; others go to `fail`.
A leader that is told of the `rack` may name a replica nearer by (KIP-392): that is read from for a while, and the leader is
asked again when the time is over, another one leads, or anything is wrong with the replica, an offset that it lacks included.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient

from streams.clients.kafka.codes import Code, name_of
from streams.clients.kafka.hot import Fetch
from streams.clients.kafka.network import Line, Outage, changed_within, described
from streams.clients.kafka.record_batches import FetchedBatch, split
from streams.errors import ClientError, OffsetOutOfRange, StreamsError
from streams.record import TopicPartition

log = logging.getLogger(__name__)

SHORT_POLL_MS = 25
"""How long a fetch may wait at the broker while a partition it leaves out may come back any moment."""
WAITING_S = 0.02
"""A fetch that is under way for longer has found nothing, and waits."""
RETRY_S = 0.1
LATEST_PARTS = 8
"""How many parts the answer for a partition has in Fetch 11."""
PASSING = frozenset(
    {
        Code.UNKNOWN_SERVER_ERROR,
        Code.REPLICA_NOT_AVAILABLE,
        Code.FENCED_LEADER_EPOCH,
        Code.UNKNOWN_LEADER_EPOCH,
        Code.OFFSET_NOT_AVAILABLE,
        Code.UNKNOWN_TOPIC_ID,
        Code.INCONSISTENT_TOPIC_ID,
    }
)
"""What Kafka's consumer fetches again after (FetchCollector), beyond what aiokafka knows as retriable."""


_Way = tuple[int, Line]
"""A broker, and the connection to it."""


class FetchSettings(NamedTuple):
    """Sizes in bytes; `wait_ms` is how long a fetch may wait at the broker when there is nothing to fetch.

    `replica_s` is how long a replica that a leader has named is read from before the leader is asked again.
    """

    max_bytes: int
    max_partition_bytes: int
    buffer_bytes: int
    read_committed: bool
    wait_ms: int = 500
    rack: str = ""
    replica_s: float = 300.0


class Replica(NamedTuple):
    """A broker to read a partition from in place of the leader that has named it, and until when."""

    node: int
    leader: int
    until: float


class PartitionState:
    """Where fetching of one partition stands."""

    __slots__ = (
        "end_offset",
        "epoch",
        "failed",
        "held",
        "in_flight",
        "offset",
        "outage",
        "paused",
        "replica",
        "retry_at",
    )

    def __init__(self, offset: int, epoch: int) -> None:
        self.offset = offset
        self.epoch = epoch
        self.paused = False
        self.failed = False
        """Nothing more can be read from here; a new offset makes it good."""
        self.held: list[Delivery] = []
        """What a fetch that was under way brought while the partition is paused."""
        self.in_flight = False
        self.retry_at = 0.0
        self.outage: Outage | None = None
        """Since when the broker has had nothing but errors for it."""
        self.end_offset: int | None = None
        self.replica: Replica | None = None


class Delivery(NamedTuple):
    """What arrived for a partition: batches, and the end of what the broker had then."""

    partition: TopicPartition
    epoch: int
    batches: list[FetchedBatch]
    end_offset: int


class Failure(NamedTuple):
    """What ended the reading of a partition; like a delivery it is void once the partition has another epoch."""

    partition: TopicPartition
    epoch: int
    error: StreamsError


class Fetcher:
    """See the module. All methods but `taken` are called on the network loop."""

    def __init__(
        self,
        client: AIOKafkaClient,
        settings: FetchSettings,
        *,
        deliver: Callable[[list[Delivery]], None],
        fail: Callable[[StreamsError | Failure], None],
    ) -> None:
        self._client = client
        self._settings = settings
        self._deliver = deliver
        self._fail = fail
        self._states: dict[TopicPartition, PartitionState] = {}
        self._changed = asyncio.Event()
        self._arrived: list[Delivery] = []
        """What is about to be delivered."""
        self._delivered_bytes = self._taken_bytes = 0
        """Each is written by one thread, and read by both."""
        self._full = False
        self._outage = Outage("fetching")
        self._fetches: set[asyncio.Task[None]] = set()
        self._busy: dict[_Way, float] = {}
        """Since when fetches are under way."""
        self._main = asyncio.get_running_loop().create_task(self._run())

    def start(self, partition: TopicPartition, offset: int, epoch: int) -> None:
        """Fetch a partition from `offset` on, whatever was fetched of it before; a pause is kept, and its replica."""
        before = self._states.get(partition)
        state = self._states[partition] = PartitionState(offset, epoch)
        if before:
            state.paused, state.replica = before.paused, before.replica
        self._changed.set()

    def stop(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch these no longer."""
        for partition in partitions:
            self._states.pop(partition, None)

    def pause(self, partitions: Iterable[TopicPartition], *, paused: bool) -> None:
        """Stop fetching for a while, or go on."""
        for partition in partitions:
            if partition in self._states:
                self._states[partition].paused = paused
                if not paused:
                    self._collect_held(self._states[partition])
        self._deliver_arrived()
        self._changed.set()

    def taken(self, size: int) -> bool:
        """The processing thread, which calls this, took batches of so many bytes; whether `go_on` is to be called for it."""
        self._taken_bytes += size
        return self._full

    def go_on(self) -> None:
        """There is room again."""
        self._changed.set()

    async def close(self) -> None:
        """End all fetches."""
        tasks = [self._main, *self._fetches]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            try:
                retry_s = self._launch()
            except Exception as error:
                log.exception("the fetcher failed")
                self._fail(ClientError(f"fetching failed: {error}"))
                return
            await changed_within(self._changed, retry_s)

    def _launch(self) -> float | None:
        """Send what fetches can be sent; the answer is when to look again, None: when told."""
        self._full = True  # before the look: whoever takes something after it has to say so
        if self._delivered_bytes - self._taken_bytes >= self._settings.buffer_bytes:
            return None
        self._full = False
        now = asyncio.get_running_loop().time()
        by_way, left_out, retry_s = self._by_way(now)
        for way, partitions in by_way.items():
            node, line = way
            wait_ms = SHORT_POLL_MS if node in left_out or line is Line.FETCHING_BESIDE else self._settings.wait_ms
            self._busy[way] = now
            asked = {partition: self._states[partition] for partition in partitions}
            for state in asked.values():
                state.in_flight = True
            task = asyncio.get_running_loop().create_task(self._fetch(way, asked, wait_ms))
            self._fetches.add(task)
            task.add_done_callback(self._fetches.discard)
        return retry_s

    def _by_way(self, now: float) -> tuple[dict[_Way, list[TopicPartition]], set[int], float | None]:
        """Partitions to fetch now by way, leaders with partitions left out, and the wait until one may be retried."""
        by_way: dict[_Way, list[TopicPartition]] = defaultdict(list)
        left_out: set[int] = set()
        retry_s: float | None = None
        for partition, state in self._states.items():
            node = self._client.cluster.leader_for_partition(partition)
            if node is None or node == -1:
                self._client.add_topic(partition.topic)
                self._client.force_metadata_update()
                retry_s = RETRY_S
                continue
            node = self._nearest(state, node, now) if state.replica else node
            if state.retry_at > now:
                retry_s = min(retry_s or RETRY_S, state.retry_at - now)
            elif state.failed:
                continue
            elif state.paused:
                left_out.add(node)
            elif not state.in_flight and (line := self._free_line(node, now)) is not None:
                by_way[node, line].append(partition)
            elif not state.in_flight:
                retry_s = min(retry_s or RETRY_S, WAITING_S)
        return by_way, left_out, retry_s

    def _nearest(self, state: PartitionState, leader: int, now: float) -> int:
        """The replica that the leader has named, as long as that holds; else the leader.

        Source: Kafka's AbstractFetch.selectReadReplica; SubscriptionState forgets it when another broker leads.
        """
        replica = state.replica
        if replica is not None and replica.leader == leader and now < replica.until:
            if self._client.cluster.broker_metadata(replica.node) is not None:
                return replica.node
            self._client.force_metadata_update()
        state.replica = None
        return leader

    def _free_line(self, node: int, now: float) -> Line | None:
        """The connection for a fetch from a broker, None while there is none."""
        since = self._busy.get((node, Line.FETCHING))
        if since is None:
            return Line.FETCHING
        waits = now - since >= WAITING_S and (node, Line.FETCHING_BESIDE) not in self._busy
        return Line.FETCHING_BESIDE if waits else None

    async def _fetch(self, way: _Way, asked: dict[TopicPartition, PartitionState], wait_ms: int) -> None:
        node, line = way
        try:
            response = await self._client.send(node, self._request(asked, wait_ms), group=line)
            for topic, answers in response.topics:
                for answer in answers:
                    partition = TopicPartition(topic, answer[0])
                    self._accept(partition, asked[partition], answer)
            self._deliver_arrived()
            self._outage.over()
        except kafka_errors.KafkaError as error:
            self._outage.failed(described(error))
            for state in asked.values():
                state.replica = None
            self._retry_later(asked.values())
        except Exception as error:
            log.exception("an answer to a fetch could not be read")
            self._failed(ClientError(f"the broker's answer to a fetch could not be read: {error}"))
            self._retry_later(asked.values())
        finally:
            for state in asked.values():
                state.in_flight = False
            del self._busy[way]
            self._changed.set()

    def _request(self, asked: dict[TopicPartition, PartitionState], wait_ms: int) -> Fetch:
        by_topic: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for partition, state in asked.items():
            by_topic[partition.topic].append((partition.partition, state.offset, self._settings.max_partition_bytes))
        settings = self._settings
        isolation = int(settings.read_committed)
        return Fetch(wait_ms, 1, settings.max_bytes, isolation, list(by_topic.items()), rack_id=settings.rack)

    def _accept(self, partition: TopicPartition, state: PartitionState, answer: Any) -> None:
        """Take one partition's part of a response: (partition, error, high watermark, [LSO, ...], records)."""
        if self._states.get(partition) is not state:
            return
        error = kafka_errors.for_code(answer[1])
        if error is not kafka_errors.NoError:
            self._refused(partition, state, answer[1], error)
            return
        if state.outage is not None:
            state.outage.over()
            state.outage = None
        if self._settings.rack and (node := _named(answer)) is not None:
            leader = self._client.cluster.leader_for_partition(partition)
            until = asyncio.get_running_loop().time() + self._settings.replica_s
            state.replica = None if leader is None else Replica(node, leader, until)
        end_offset = answer[3] if self._settings.read_committed else answer[2]
        try:
            fetched = split(partition, answer[-1], state.offset, self._aborted(answer))
        except StreamsError as failure:
            self._end(partition, state, failure)
            return
        state.offset = fetched.next_offset
        if fetched.batches or state.end_offset != end_offset:
            state.end_offset = end_offset
            state.held.append(Delivery(partition, state.epoch, fetched.batches, end_offset))
            if not state.paused:
                self._collect_held(state)

    def _collect_held(self, state: PartitionState) -> None:
        for delivery in state.held:
            self._delivered_bytes += sum(batch.size for batch in delivery.batches)
        self._arrived += state.held
        state.held.clear()

    def _deliver_arrived(self) -> None:
        if self._arrived:
            arrived, self._arrived = self._arrived, []
            self._deliver(arrived)

    def _failed(self, error: StreamsError | Failure) -> None:
        """Tell of a failure, after what arrived before it."""
        self._deliver_arrived()
        self._fail(error)

    def _aborted(self, answer: Any) -> list[tuple[int, int]] | None:
        """The aborted transactions of an answer; they stand before the records, or before a preferred replica."""
        if not self._settings.read_committed:
            return None
        return next((part for part in answer[4:-1] if isinstance(part, list)), None)

    def _refused(self, partition: TopicPartition, state: PartitionState, code: int, error: type[Exception]) -> None:
        replica, state.replica = state.replica, None
        if error is kafka_errors.OffsetOutOfRangeError and replica is not None:
            log.debug("%s: broker %d has no offset %d yet, or no longer", partition, replica.node, state.offset)
        elif error is kafka_errors.OffsetOutOfRangeError:
            self._end(partition, state, OffsetOutOfRange(partition.topic, partition.partition, state.offset))
        elif code in PASSING or getattr(error, "retriable", False):
            state.outage = state.outage or Outage(f"the fetch of {partition}")
            state.outage.failed(_name(code, error))
            self._client.force_metadata_update()
            self._retry_later([state])
        else:
            self._end(
                partition, state, ClientError(f"{partition} cannot be read: the broker answers {_name(code, error)}")
            )

    def _end(self, partition: TopicPartition, state: PartitionState, error: StreamsError) -> None:
        """Read no more of a partition, and tell why."""
        state.failed = True
        self._failed(Failure(partition, state.epoch, error))

    def _retry_later(self, states: Iterable[PartitionState]) -> None:
        retry_at = asyncio.get_running_loop().time() + RETRY_S
        for state in states:
            state.retry_at = retry_at


def _named(answer: Any) -> int | None:
    """The broker to read from that a leader's answer names; only the latest version has room for one."""
    return answer[-2] if len(answer) == LATEST_PARTS and answer[-2] >= 0 else None


def _name(code: int, error: type[Exception]) -> str:
    """What a code is called: aiokafka calls those that it does not know alike."""
    return name_of(code) if error is kafka_errors.UnknownError else error.__name__
