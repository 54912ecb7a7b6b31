"""Sends record batches, idempotently: one request in flight per broker, one batch per partition in it.

Lives on the network loop. While a request is under way the processing thread fills the next batches (the producer
closes none of a partition that `holds` some, until it is told `ready`), so that batch size follows the broker's pace by
itself. Rules: a partition's batches leave in order, and the next only when the one
before is acknowledged, so sequence numbers never have gaps; what fails in passing is sent again, the very same bytes,
until `delivery_timeout_s` has gone by; what fails for good ends the producer, or, in a transaction, sending until
`drop`. Outside of transactions a broker that has lost what came before (an unclean leader election, a crash before the
disk had it) is no end: the partition begins anew with another identity. A partition is written to only when the transaction
covers it; all that wait for that are added at once. A batch that the broker does not take because of a record is cut in
halves, until those records are alone and `refused` is asked about them. Nothing of it was written, and nothing follows it
yet, so its sequence numbers are given once more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.transaction import InitProducerIdRequest

from streams.clients.base import Instead
from streams.clients.kafka.closed_batch import Batch
from streams.clients.kafka.codes import Code, name_of
from streams.clients.kafka.hot import Produce
from streams.clients.kafka.network import Outage, changed_within, described, translated
from streams.clients.kafka.open_batch import batch_like, records_in, renumbered
from streams.clients.kafka.producer_settings import SendSettings
from streams.clients.kafka.topic_search import not_writable, partitions_of
from streams.clients.kafka.transactions import FENCED, NOBODY, Transactions, refusal
from streams.clients.partitioner import partition_for
from streams.errors import (
    BrokerUnreachable,
    ClientError,
    ProducerFenced,
    ProductionError,
    StreamsError,
    TransactionAbortable,
)
from streams.record import TopicPartition

log = logging.getLogger(__name__)

ACKS_ALL = -1
NO_TRANSACTION_TIMEOUT = 2**31 - 1
RETRY_S = 0.1
DUPLICATE = kafka_errors.DuplicateSequenceNumber
BROKEN_TRANSACTION = (
    kafka_errors.InvalidTxnState,
    kafka_errors.OutOfOrderSequenceNumber,
    kafka_errors.UnknownProducerId,
)
LOST_BEFORE = {Code.OUT_OF_ORDER_SEQUENCE_NUMBER, Code.UNKNOWN_PRODUCER_ID}
"""The broker misses what it has acknowledged of this identity. Kafka's TransactionManager.canRetry begins sequences anew."""
NOT_ALLOWED = (
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.ClusterAuthorizationFailedError,
    kafka_errors.TransactionalIdAuthorizationFailed,
)
"""No fault of a record, so none of them is set aside for it."""
TOO_LARGE = {Code.MESSAGE_TOO_LARGE, Code.RECORD_LIST_TOO_LARGE}
OF_RECORDS = TOO_LARGE | {Code.INVALID_TIMESTAMP, Code.INVALID_RECORD}
"""Because of a record that the topic cannot have; the others of its batch are as good as any."""
MAYBE_WRITTEN = (kafka_errors.RequestTimedOutError, kafka_errors.NotEnoughReplicasAfterAppendError)
SMALLEST_BATCH = 1024
SEQUENCES = 0x7FFFFFFF
NOWHERE = -1
NOTHING: frozenset[str] = frozenset()


class Sender:
    """See the module. All methods but `holds` are called on the network loop."""

    def __init__(
        self,
        client: AIOKafkaClient,
        settings: SendSettings,
        transactions: Transactions | None,
        *,
        acknowledged: Callable[[Batch, int], None],
        failed: Callable[[StreamsError], None],
        ready: Callable[[], None],
    ) -> None:
        self._client = client
        self._settings = settings
        self._transactions = transactions
        self._tell_acknowledged = acknowledged
        self._tell_failed = failed
        self._tell_ready = ready
        self._producer_id, self._epoch = NOBODY, NOBODY
        self._identities: dict[TopicPartition, tuple[int, int]] = {}
        """Those of partitions that began anew: the others need not, and what is under way to them stays as it is."""
        self._unresolved = 0
        """Batches with a sequence number of which nobody knows yet whether they were written."""
        self._halted = False
        self._adding: asyncio.Task[None] | None = None
        self._expected: set[TopicPartition] = set()
        """Partitions that batches are being filled for."""
        self._queues: dict[TopicPartition, deque[Batch]] = {}
        self._sequences: dict[TopicPartition, int] = defaultdict(int)
        self.batch_bytes: dict[str, int] = {}
        """What makes a batch full, by topic, where larger ones were refused; read from any thread."""
        self._in_flight: set[TopicPartition] = set()
        self._busy_nodes: set[int] = set()
        self._requests: set[asyncio.Task[None]] = set()
        self._outage = Outage("writing")
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._main = self._loop.create_task(self._run())

    def add(self, batches: list[Batch]) -> None:
        """Queue closed batches, in order."""
        for batch in batches:
            batch.deadline = self._loop.time() + self._settings.delivery_timeout_s
            self._queues.setdefault(batch.partition, deque()).append(batch)
        self._changed.set()

    def expect(self, partitions: Iterable[TopicPartition]) -> None:
        """Have the transaction cover partitions that are going to be written to, so that no batch has to wait for it."""
        self._expected.update(partitions)
        self._changed.set()

    async def settled(self) -> None:
        """Once nothing is being added to the transaction, nor will be until something is queued or expected again."""
        self._expected.clear()
        if self._adding is not None:
            await asyncio.wait([self._adding])

    def holds(self, partition: TopicPartition) -> bool:
        """Whether batches of a partition wait, or are under way: whatever comes now leaves after them.

        From any thread; who was told that it holds some is told afterwards that it is `ready`.
        """
        return partition in self._in_flight or partition in self._queues

    async def drop(self) -> bool:
        """Forget what is queued, when requests under way are over; whether broker and sender may disagree afterwards.

        Sending goes on with `go_on`.
        """
        self._halted = True
        while self._requests:
            await asyncio.gather(*self._requests, return_exceptions=True)
        self._queues.clear()
        self._expected.clear()
        return self._unresolved > 0

    def withdraw(self) -> None:
        """Forget what is queued for exclusive topics, but for what is under way.

        Of what was sent before, nobody knows whether it was written. It may leave a gap in the sequence numbers, and the
        partition begins anew: numbers given twice would hide what follows.
        """
        exclusive = self._settings.exclusive
        for partition in [each for each in self._queues if each.topic in exclusive]:
            for batch in self._queues.pop(partition):
                self._unresolved -= batch.data is not None
                self._tell_acknowledged(batch, NOWHERE)
        self._tell_ready()

    def go_on(self) -> None:
        """Send again, as the identity that the transactions have now."""
        self._halted = False
        self._changed.set()

    def start_anew(self) -> None:
        """With a new epoch all sequences begin at 0, and what was in doubt is refused."""
        self._unresolved = 0
        self._sequences.clear()

    async def close(self) -> None:
        """Stop sending; what was not acknowledged may or may not arrive."""
        tasks = [self._main, *self._requests]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._changed.wait()
            if self._transactions is None:
                self._producer_id, self._epoch = await self._init_producer_id()
            while True:
                self._changed.clear()
                try:
                    retry_s = self._launch()
                except TransactionAbortable as error:
                    self._failed(error)  # nothing more of this transaction; the next one is sent all the same
                    retry_s = None
                await changed_within(self._changed, retry_s)
        except StreamsError as error:
            self._failed(error)
        except Exception as error:
            log.exception("the sender failed")
            self._failed(ClientError(f"sending failed: {error}"))

    async def _init_producer_id(self) -> tuple[int, int]:
        """Ask any broker for the identity that makes retries harmless."""
        error = "no broker is known"
        deadline = self._loop.time() + self._settings.delivery_timeout_s
        while self._loop.time() < deadline:
            node = self._client.get_random_node()
            try:
                if node is not None:
                    answer = await self._client.send(node, _identity_request())
                    code = kafka_errors.for_code(answer.error_code)
                    if code is kafka_errors.NoError:
                        return answer.producer_id, answer.producer_epoch
                    error = code.__name__
            except kafka_errors.KafkaError as failure:
                error = str(failure) or type(failure).__name__
            await asyncio.sleep(RETRY_S)
            await self._client.force_metadata_update()
        raise BrokerUnreachable(f"the broker gives no producer id: {error}")

    def _launch(self) -> float | None:
        """Send what can be sent; the answer is when to look again, None: when told."""
        if self._halted:
            return None
        by_node: dict[int, list[Batch]] = defaultdict(list)
        withheld = self._withheld()
        if withheld and self._settings.lease.over:
            self.withdraw()
        retry_s = RETRY_S if withheld else None
        self._cover()
        for partition, queue in list(self._queues.items()):
            if partition in self._in_flight or partition.topic in withheld or not self._covered(partition):
                continue
            node = self._client.cluster.leader_for_partition(partition)
            if node is None or node == -1:
                self._client.add_topic(partition.topic)
                self._client.force_metadata_update()
                self._expire(queue[0], "no broker leads the partition")
                retry_s = RETRY_S
            elif node not in self._busy_nodes:
                by_node[node].append(self._take(partition, queue))
        for node, batches in by_node.items():
            self._busy_nodes.add(node)
            self._in_flight.update(batch.partition for batch in batches)
            self._start(self._send(node, batches))
        return retry_s

    def _withheld(self) -> frozenset[str]:
        """The topics that are not to be written to now: the group may have gone on, or has."""
        exclusive, lease = self._settings.exclusive, self._settings.lease
        return exclusive if exclusive and (lease.over or lease.doubtful(self._loop.time())) else NOTHING

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)
        return task

    def _covered(self, partition: TopicPartition) -> bool:
        return self._transactions is None or partition in self._transactions.partitions

    def _cover(self) -> None:
        """Have the transaction cover the partitions that wait for it, one request at a time."""
        if self._transactions is None or self._adding is not None:
            return
        missing = (self._queues.keys() | self._expected) - self._transactions.partitions
        self._expected.clear()
        if missing:
            self._adding = self._start(self._add_partitions(missing))

    async def _add_partitions(self, partitions: set[TopicPartition]) -> None:
        assert self._transactions is not None, "only transactions cover partitions"
        try:
            with translated():
                await self._transactions.add_partitions(partitions)
        except StreamsError as error:
            self._failed(error)
        except Exception as error:
            log.exception("partitions could not be added to the transaction")
            self._failed(ClientError(f"partitions could not be added to the transaction: {error}"))
        finally:
            self._adding = None
            self._changed.set()

    def _failed(self, error: StreamsError) -> None:
        self._halted = self._transactions is not None
        self._tell_failed(error)

    def _take(self, partition: TopicPartition, queue: deque[Batch]) -> Batch:
        """The next batch of a partition, with its sequence number if it is new."""
        batch = queue.popleft()
        if not queue:
            del self._queues[partition]
        if batch.data is None:
            producer_id, epoch = self._identity(partition)
            assert batch.filled is not None, "batches without data are still to be built"
            batch.data = batch.filled.build(producer_id, epoch, self._sequences[partition])
            batch.filled = None
            self._unresolved += 1
            self._sequences[partition] = (self._sequences[partition] + batch.count) & SEQUENCES
        return batch

    def _identity(self, partition: TopicPartition) -> tuple[int, int]:
        """The producer id and epoch to write as."""
        if self._transactions is not None:
            return self._transactions.producer_id, self._transactions.epoch
        return self._identities.get(partition, (self._producer_id, self._epoch))

    async def _begin_anew(self, batches: list[Batch]) -> None:
        """Have batches that the broker did not take be the first ones of a new identity; nothing else of theirs is under way."""
        identity = await self._init_producer_id()
        for batch in batches:
            assert batch.data is not None, "sent batches are built"
            self._identities[batch.partition] = identity
            self._sequences[batch.partition] = batch.count
            batch.data = renumbered(batch.data, *identity, 0)

    async def _send(self, node: int, batches: list[Batch]) -> None:
        try:
            again, reason = await self._exchange(node, batches)
            if again:
                self._again(again, reason)
                await asyncio.sleep(RETRY_S)
        except StreamsError as error:
            self._failed(error)
        except Exception as error:
            log.exception("an answer to a write could not be read")
            self._failed(ClientError(f"the broker's answer to a write could not be read: {error}"))
        finally:
            self._busy_nodes.discard(node)
            self._in_flight.difference_update(batch.partition for batch in batches)
            self._tell_ready()
            self._changed.set()

    async def _exchange(self, node: int, batches: list[Batch]) -> tuple[list[Batch], str]:
        """One request and its answer; what comes back are the batches to send again, and why."""
        if withheld := self._withheld():  # the process may have stood still since they were taken
            for batch in batches:
                if batch.partition.topic in withheld:
                    self._queues.setdefault(batch.partition, deque()).appendleft(batch)
            batches = [batch for batch in batches if batch.partition.topic not in withheld]
            if not batches:
                return [], ""
        waiting = {batch.partition: batch for batch in batches}
        try:
            answer = await self._client.send(node, self._request(batches))
        except kafka_errors.KafkaError as error:
            self._outage.failed(described(error))
            for batch in batches:
                batch.doubtful = batch.doubtful or not isinstance(error, kafka_errors.NodeNotReadyError)
            return batches, described(error)
        self._outage.over()
        again: list[Batch] = []
        anew: list[Batch] = []
        refused: list[tuple[Batch, Code]] = []
        reason = ""
        for topic, parts in answer.topics:
            for part in parts:
                batch = waiting.pop(TopicPartition(topic, part[0]))
                if self._transactions is None and part[1] in LOST_BEFORE:
                    anew.append(batch)
                    reason = name_of(part[1])
                elif part[1] in OF_RECORDS:
                    if not self._cut(batch, part[1]):
                        refused.append((batch, Code(part[1])))
                elif retriable := self._answered(batch, part):
                    again.append(batch)
                    reason = retriable
        for batch, code in refused:
            await self._ask(batch, code)
        if anew:
            log.warning("%s misses records that came before", ", ".join(str(batch.partition) for batch in anew))
            await self._begin_anew(anew)
        return again + anew + list(waiting.values()), reason

    def _request(self, batches: list[Batch]) -> Produce:
        by_topic: dict[str, list[tuple[int, Any]]] = defaultdict(list)
        for batch in batches:
            assert batch.data is not None, "taken batches are built"
            by_topic[batch.partition.topic].append((batch.partition.partition, batch.data))
        transactional_id = self._transactions.transactional_id if self._transactions is not None else None
        return Produce(transactional_id, ACKS_ALL, self._settings.request_timeout_ms, list(by_topic.items()))

    def _answered(self, batch: Batch, part: Any) -> str | None:
        """Take one partition's answer: (partition, error, base offset, ...); a reason if it is to be sent again."""
        error = kafka_errors.for_code(part[1])
        if error is kafka_errors.NoError or error is DUPLICATE:
            self._unresolved -= 1
            self._tell_acknowledged(batch, part[2])
            return None
        if part[1] in FENCED:
            raise ProducerFenced(
                "another producer took over from this one, its transaction timed out, or its id has expired: the broker "
                f"answers {name_of(part[1])}"
            )
        if self._transactions is not None and (
            issubclass(error, BROKEN_TRANSACTION) or part[1] == Code.TRANSACTION_ABORTABLE
        ):
            raise refusal(part[1], f"{batch.partition} takes no more records of this transaction: {name_of(part[1])}")
        if issubclass(error, NOT_ALLOWED):
            raise ClientError(not_writable(batch.partition, error.message))
        if part[1] == Code.CORRUPT_MESSAGE or getattr(error, "retriable", False):
            batch.doubtful = batch.doubtful or issubclass(error, MAYBE_WRITTEN)
            self._client.force_metadata_update()
            return str(error.__name__)
        raise _refused(batch, f"the broker answers {error.__name__}")

    def _cut(self, batch: Batch, code: int) -> bool:
        """Take a batch back that the broker refused as a whole, in halves; False for one that has one record only.

        Their sequence numbers are what its own were. If it is written after all, of an earlier attempt, they are out
        of order, and that is told.
        """
        assert batch.data is not None, "sent batches are built"
        partition = batch.partition
        self._unresolved -= 1
        self._sequences[partition] = (self._sequences[partition] - batch.count) & SEQUENCES
        if batch.count == 1:
            return False
        if code in TOO_LARGE:
            known = self.batch_bytes.get(partition.topic, batch.length)
            self.batch_bytes[partition.topic] = min(known, max(batch.length // 2, SMALLEST_BATCH))
        records = records_in(batch.data)
        middle, size = len(records) // 2, batch.size // 2
        parts = (
            Batch(partition, batch_like(batch.data, records[:middle]), batch.section, size=size),
            Batch(partition, batch_like(batch.data, records[middle:]), batch.section, size=batch.size - size),
        )
        for part in parts:
            part.deadline, part.in_place_of = batch.deadline, batch.in_place_of
        self._queues.setdefault(partition, deque()).extendleft(reversed(parts))
        return True

    async def _ask(self, batch: Batch, code: Code) -> None:
        """Have it decided what becomes of a record that was refused. Raises: StreamsError where nobody goes on."""
        assert batch.data is not None, "sent batches are built"
        why = f"the broker answers {code.name} to a record of {len(batch.data):,} bytes"
        if code in TOO_LARGE:
            why += ": raise the topic's max.message.bytes, or have larger ones left out by max_request_size"
        refused = self._settings.refused
        if batch.in_place_of is not None:
            raise batch.in_place_of
        if refused is None or batch.doubtful:  # dropped in doubt, its sequence numbers might hide what follows
            raise _refused(batch, why)
        record = records_in(batch.data)[0]
        try:
            instead = await self._loop.run_in_executor(None, refused, batch.partition.topic, record, ValueError(why))
        except StreamsError:
            raise
        except Exception as error:
            raise ClientError(f"the handler of records that cannot be written raised {error!r}") from error
        if instead is None:
            self._tell_acknowledged(batch, NOWHERE)
        else:
            await self._replace(batch, instead, _refused(batch, why))

    async def _replace(self, batch: Batch, instead: Instead, error: StreamsError) -> None:
        """Write something else in place of a record, in its section."""
        assert batch.data is not None, "sent batches are built"
        topic, record = instead
        settings = self._settings
        known = self._client.cluster.partitions_for_topic(topic)
        count = len(known) if known else await partitions_of(
            self._client, topic, answer_s=settings.delivery_timeout_s, topic_s=settings.topic_wait_s
        )  # fmt: skip
        number = batch.partition.partition % count if record.key is None else partition_for(record.key, count)
        filled = batch_like(batch.data, [record])
        other = Batch(TopicPartition(topic, number), filled, batch.section, size=batch.size)
        other.in_place_of = error
        self.add([other])

    def _again(self, batches: list[Batch], reason: str) -> None:
        """Put batches back in front of their queues."""
        for batch in batches:
            self._expire(batch, reason)
            self._queues.setdefault(batch.partition, deque()).appendleft(batch)

    def _expire(self, batch: Batch, reason: str) -> None:
        if self._loop.time() <= batch.deadline:
            return
        late = (
            f"{batch.count:,} record(s) for {batch.partition} are not acknowledged within "
            f"{self._settings.delivery_timeout_s:g} s: {reason}"
        )
        if self._transactions is not None:
            raise TransactionAbortable(late)
        raise BrokerUnreachable(late)


def _identity_request() -> Any:
    transactional_id: Any = None  # the annotation of aiokafka forgets that it may be absent
    return InitProducerIdRequest(transactional_id, NO_TRANSACTION_TIMEOUT)


def _refused(batch: Batch, reason: str) -> ProductionError:
    topic, partition = batch.partition
    return ProductionError(
        f"{batch.count:,} record(s) cannot be written: {reason}", node="producer", topic=topic, partition=partition
    )
