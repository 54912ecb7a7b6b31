"""The producer: columns become record batches on the processing thread, the sender delivers them from the network's.

Rules: one lock per `send`, none per record; a batch is closed when it is full, by `flush`, and when it has waited
`linger_s`, or nothing follows and it was to wait for no longer than BRIEFLY_S, and those before it are acknowledged,
for until then it may as well grow; closed batches go to the sender in order; while `buffer_bytes` are unacknowledged,
`send` blocks. What went wrong in the background is raised by the next `send` or `flush`, and after that by all of them,
until the transaction in which it went wrong is aborted. What is sent between two calls of `seal` is a section, numbered
from 0: batches of a section that follows a transaction wait here until that has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from aiokafka.client import AIOKafkaClient

from streams.clients.base import Before, GroupMetadata, OffsetAndMetadata, Pending
from streams.clients.kafka.closed_batch import Batch
from streams.clients.kafka.network_loop import Call, NetworkLoop, Over, passed
from streams.clients.kafka.open_batch import OpenBatch, size_alone
from streams.clients.kafka.producer_settings import CODECS, ProducerSettings
from streams.clients.kafka.sender import Sender
from streams.clients.kafka.topic_search import partitions_of
from streams.clients.kafka.transactions import Transactions
from streams.errors import BrokerUnreachable, ProducerFenced, StreamsError
from streams.record import Headers, TopicPartition

ANNOUNCE_AFTER_S = 0.005
"""How long after its first record a transaction is told which partitions it touches: mostly all of them are known then."""
BRIEFLY_S = 0.005
"""Who lingers for no longer than this is in a hurry, and is told by `release` when to leave instead of by a clock."""
SLOWLY_S = 0.02
"""When such output leaves by the clock, where what follows it takes that long."""


class KafkaProducer:
    """See the module. A `Producer`."""

    def __init__(self, network: NetworkLoop, client: AIOKafkaClient, settings: ProducerSettings) -> None:
        self._network = network
        self._client = client
        self._settings = settings
        self._codec = CODECS[settings.compression]
        self._lock = threading.Lock()
        self._open: dict[TopicPartition, OpenBatch] = {}
        self._closed: deque[Batch] = deque()
        self._section = 0
        self._ends: dict[TopicPartition, int] = {}
        self._sealed_ends: dict[TopicPartition, int] = {}
        """The ends as of the last section that was sealed, or flushed: what was acknowledged of later ones is left out."""
        self._unacknowledged_bytes = self._sealed_bytes = 0
        self._error: StreamsError | None = None
        self._wanted = self._handing_over = False
        """Whether something is closed that could leave at once, and whether the sender is about to be told so.

        What it cannot send yet it is given when what it has is acknowledged, or the transaction before has ended.
        """
        self._lingering = self._announcing = False
        self._released = self._releasing = False
        """Whether the owner says `release`, and whether what it has said is yet to be done."""
        self._announced: set[TopicPartition] = set()
        """Partitions of the section that is being filled, which its transaction has been told of, or is about to be."""
        self._overdue: set[TopicPartition] = set()
        """Open batches that have waited for long enough, and now wait for those before them. On the network loop."""
        self._acknowledged_some = asyncio.Event()
        self._ended = self._unusable = False
        self.in_transaction = False
        """Whether a transaction has begun and is not sealed, nor has it ended."""
        self._transaction_sealed = False
        self._sendable = math.inf if settings.transactional_id is None else 0
        """The last section that may be sent: that of the transaction that is open at the broker."""
        self._committing: Call[None] | None = None
        self._written: set[TopicPartition] = set()
        try:
            self._sender, self._transactions = network.call(self._start())
        except BaseException:
            network.call(client.close())
            raise

    async def _start(self) -> tuple[Sender, Transactions | None]:
        transactions, settings = None, self._settings
        if settings.transactional_id is not None:
            within_s, timeout_ms = settings.sending.delivery_timeout_s, settings.transaction_timeout_ms
            transactions = Transactions(self._client, settings.transactional_id, timeout_ms, within_s=within_s)
            await transactions.take_over()
        sender = Sender(
            self._client,
            settings.sending,
            transactions,
            acknowledged=self._acknowledged,
            failed=self._failed,
            ready=self._sender_ready,
        )
        return sender, transactions

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> Sequence[int]:
        """Append records to a partition, but for those too large for any batch, whose indices are the answer.

        Blocks only while the buffers are full.
        """
        assert self._transactions is None or self.in_transaction, "no transaction has begun"
        assert len(keys) == len(values) == len(timestamps), "columns are equally long"
        target = TopicPartition(topic, partition)
        refused: list[int] = []
        self._wait_for_room()
        with self._lock:
            at, count = 0, len(keys)
            while at < count:
                # Only the first record of a batch may be larger than a batch, so only those have to be looked at.
                if size_alone(keys[at], values[at], headers[at] if headers else ()) > self._settings.record_bytes:
                    refused.append(at)
                    at += 1
                    continue
                batch = self._open.get(target) or self._new_batch(target)
                done = batch.extend(keys, values, timestamps, headers, at)
                if not done:
                    self._close_batch(target)
                at += done
            self._hand_over()
        return refused

    def partition_count(self, topic: str) -> int:
        """How many partitions the topic has. Raises: ClientError when it stays unknown."""
        known = self._client.cluster.partitions_for_topic(topic)
        if known:
            return len(known)
        return self._network.call(
            partitions_of(
                self._client,
                topic,
                answer_s=self._settings.sending.delivery_timeout_s,
                topic_s=self._settings.sending.topic_wait_s,
            )
        )

    def flush(self) -> None:
        """Wait until all that was sent is acknowledged. Raises: ProductionError, ClientError, TaskMigrated."""
        with self._lock:
            self._close_all()
        self._wait_until(lambda: not self._unacknowledged_bytes)
        with self._lock:
            self._sealed_ends = dict(self._ends)

    def withdraw(self) -> None:
        """Forget what was sent to exclusive topics and has not left; the broker is not waited for."""
        exclusive = self._settings.sending.exclusive
        with self._lock:
            self._open = {target: batch for target, batch in self._open.items() if target.topic not in exclusive}
        self._network.call(self._withdraw())

    def release(self) -> None:
        """Nothing follows for the moment: what would linger for a few ms only leaves as soon as it can."""
        if self._settings.linger_s > BRIEFLY_S:
            return
        self._released = True
        if self._open and not self._releasing:
            self._releasing = True
            self._network.soon(self._release_open)

    def seal(self) -> None:
        """End a section. An open transaction takes no more records, and the next may begin."""
        with self._lock:
            self._close_all()
            self._section += 1
            self._announced.clear()
            self._sealed_bytes = self._unacknowledged_bytes
            self._sealed_ends = dict(self._ends)
            self._transaction_sealed, self.in_transaction = self.in_transaction, False

    def begin_flush(self) -> Pending[None]:
        """Wait until all that was sealed is acknowledged. Errors as those of `flush`."""
        with self._lock:
            if not self._sealed_bytes and self._error is None:
                return Over()
        return self._network.begin(self._flushed())

    def end_offset(self, topic: str, partition: int) -> int | None:
        """The offset after the last record that this producer wrote there, None before the first.

        Of what the last flush covered, or the last commit; then after the control record that ends its transaction.
        """
        return self._sealed_ends.get(TopicPartition(topic, partition))

    @property
    def held_back(self) -> bool:
        """Whether more waits for a transaction to end than the buffers are meant for."""
        return self._transaction_sealed and (
            self._unacknowledged_bytes - self._sealed_bytes >= self._settings.buffer_bytes
        )

    # Transactions

    def begin(self) -> None:
        """Begin a transaction; the broker hears of it with the first record or offset."""
        assert self._transactions is not None, "this producer has no transactional id"
        assert not self.in_transaction, "the transaction before has not ended"
        self._raise_error()
        self.in_transaction = True

    def send_offsets(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], group: GroupMetadata) -> None:
        """Add offsets of a group to the transaction, while what was sent before is on its way.

        Raises: TaskMigrated when the group has moved on; ProducerFenced, TransactionAbortable, ClientError.
        """
        with self._lock:
            self._raise_error()
            self._close_all()
        self.begin_send_offsets(offsets, group).result()

    def begin_send_offsets(
        self, offsets: Mapping[TopicPartition, OffsetAndMetadata], group: GroupMetadata
    ) -> Call[None]:
        """The same for a sealed transaction, without waiting for it."""
        self._raise_error()
        return self._network.begin(self._in_doubt(self._begun().add_offsets(offsets, group)))

    def commit_transaction(self) -> None:
        """Flush, and commit. Raises: ProducerFenced, TransactionAbortable, ProductionError, ClientError."""
        self._begun()
        self.seal()
        self.begin_commit().result()

    def begin_commit(self, after: Sequence[Before] = ()) -> Call[None]:
        """The same for a sealed transaction, after all of these, without waiting for it."""
        self._committing = self._network.begin(self._commit(self._begun(), after))
        return self._committing

    def abort_transaction(self) -> None:
        """Drop what was sent in this transaction, and in one that follows it.

        One that is being committed is waited for. Raises: ProducerFenced, ClientError; then only `close` is left.
        """
        self._settle()
        if not (self.in_transaction or self._transaction_sealed):
            return
        if isinstance(self._error, ProducerFenced):
            raise self._error
        with self._lock:
            self._open.clear()
            self._closed.clear()
            self._announced.clear()
            self._sendable = self._section
        try:
            self._network.call(self._abort())
        except StreamsError as error:
            self._unusable = True
            self._error = error
            raise
        with self._lock:
            self._error = None
            self._unacknowledged_bytes = self._sealed_bytes = 0
            self.in_transaction = False
            self._transaction_over()
        self._network.soon(self._sender.go_on)

    def _begun(self) -> Transactions:
        assert self._transactions is not None, "this producer has no transactional id"
        assert self.in_transaction or self._transaction_sealed, "no transaction has begun"
        return self._transactions

    def _settle(self) -> None:
        """Once no commit is under way; how it ended is for who began it."""
        committing, self._committing = self._committing, None
        if committing is not None:
            with contextlib.suppress(StreamsError):
                committing.result()

    async def _in_doubt(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done to the transaction; fenced once, fenced for good."""
        try:
            await work
        except ProducerFenced as error:
            self._error = error
            raise

    async def _flushed(self) -> None:
        """Once all that was sealed is acknowledged."""
        while self._sealed_bytes and self._error is None:
            self._acknowledged_some.clear()
            await self._acknowledged_some.wait()
        self._raise_error()

    async def _commit(self, transactions: Transactions, after: Sequence[Before]) -> None:
        await passed(after)
        await self._flushed()
        await self._sender.settled()
        await self._in_doubt(transactions.end(commit=True))
        with self._lock:
            self._transaction_over()
            self._sendable = self._section
        self._give_to_sender()
        self._announce()

    async def _abort(self) -> None:
        transactions = self._begun()
        doubtful = await self._sender.drop()
        await transactions.end(commit=False)
        if doubtful:
            await transactions.take_over()
            self._sender.start_anew()

    def _transaction_over(self) -> None:
        """A control record follows whatever was written. Under the lock."""
        self._transaction_sealed = False
        for partition in self._written:
            self._ends[partition] += 1
        self._written.clear()
        self._sealed_ends = dict(self._ends)

    # The end

    def give_up(self) -> None:
        """End the waiting of `send` and `flush`, with BrokerUnreachable; from any thread."""
        self._failed(BrokerUnreachable("the broker has not acknowledged all writes, and nobody waits for it any more"))

    def close(self, *, abandon: bool = False) -> None:
        """Flush and disconnect; an open transaction is aborted, if this producer still may. `abandon`: disconnect only."""
        try:
            if self._ended or self._unusable or abandon:
                return
            self._settle()
            if (self.in_transaction or self._transaction_sealed) and not isinstance(self._error, ProducerFenced):
                self.abort_transaction()
            elif self._error is None:
                self.flush()
        finally:
            self._network.call(self.disconnect())

    @property
    def closed(self) -> bool:
        """Whether it is disconnected, or about to be."""
        return self._ended

    async def disconnect(self) -> None:
        """Disconnect without a flush, on the network loop; a second time it does nothing."""
        if self._ended:
            return
        self._ended = True
        await self._sender.close()
        if self._transactions is not None:
            await self._transactions.close()
        await self._client.close()

    # On the processing thread

    def _wait_for_room(self) -> None:
        self._raise_error()
        if not self._has_room():
            self._wait_until(self._has_room)

    def _has_room(self) -> bool:
        return self._unacknowledged_bytes < self._settings.buffer_bytes or self._transaction_sealed

    def _wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait for what acknowledgements bring about. Raises: what went wrong with them, BrokerUnreachable at the end."""
        self._network.wait_for(lambda: holds() or self._error is not None)
        self._raise_error()
        if not holds():
            raise BrokerUnreachable("the producer was closed before all writes were acknowledged: flush it before")

    # The same, with the lock

    def _new_batch(self, target: TopicPartition) -> OpenBatch:
        transactional = self._transactions is not None
        batch_bytes = self._sender.batch_bytes.get(target.topic, self._settings.batch_bytes)
        batch = self._open[target] = OpenBatch(self._codec, batch_bytes, transactional=transactional)
        if transactional and target not in self._announced:
            self._announced.add(target)
            if not self._announcing:
                self._announcing = True
                self._network.soon(self._announce_soon)
        return batch

    def _close_batch(self, target: TopicPartition) -> None:
        open_batch = self._open.pop(target)
        if open_batch.count:
            batch = Batch(target, open_batch, self._section)
            self._unacknowledged_bytes += batch.size
            self._closed.append(batch)
            if self._section <= self._sendable and not self._sender.holds(target):
                self._wanted = True

    def _close_all(self) -> None:
        for target in list(self._open):
            self._close_batch(target)
        self._hand_over()

    def _hand_over(self) -> None:
        """Have closed batches taken, and open ones closed before long."""
        if self._wanted and not self._handing_over:
            self._handing_over = True
            self._network.soon(self._give_to_sender)
        if self._open and not self._lingering:
            self._lingering = True
            self._network.soon(self._linger)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    # On the network loop

    def _give_to_sender(self) -> None:
        with self._lock:
            self._wanted = self._handing_over = False
            batches = []
            while self._closed and self._closed[0].section <= self._sendable:
                batches.append(self._closed.popleft())
        if batches:
            self._sender.add(batches)

    async def _withdraw(self) -> None:
        self._give_to_sender()
        self._sender.withdraw()

    def _announce_soon(self) -> None:
        self._network.loop.call_later(ANNOUNCE_AFTER_S, self._announce)

    def _announce(self) -> None:
        """Have the transaction cover what is being written to; of one that follows another when that has ended."""
        with self._lock:
            self._announcing = False
            targets = list(self._open) if self._section <= self._sendable else []
        if targets:
            self._sender.expect(targets)

    def _linger(self) -> None:
        self._network.loop.call_later(SLOWLY_S if self._released else self._settings.linger_s, self._linger_over)

    def _linger_over(self) -> None:
        self._lingering = False
        self._let_go_open()

    def _release_open(self) -> None:
        self._releasing = False
        self._let_go_open()

    def _let_go_open(self) -> None:
        """Have leave what is open, as soon as those before it are acknowledged."""
        with self._lock:
            self._overdue.update(self._open)
        self._close_overdue()

    def _sender_ready(self) -> None:
        if self._overdue:
            self._close_overdue()
        elif self._closed:
            self._give_to_sender()

    def _close_overdue(self) -> None:
        """Close what has waited for long enough, but for partitions of which the sender holds batches."""
        ready = [target for target in self._overdue if not self._sender.holds(target)]
        self._overdue.difference_update(ready)
        with self._lock:
            for target in ready:
                if target in self._open:
                    self._close_batch(target)
        self._give_to_sender()

    def _acknowledged(self, batch: Batch, base_offset: int) -> None:
        with self._lock:
            full = self._unacknowledged_bytes >= self._settings.buffer_bytes
            self._unacknowledged_bytes -= batch.size
            sealed = batch.section < self._section
            if sealed:
                self._sealed_bytes -= batch.size
            if base_offset >= 0:
                end = self._ends[batch.partition] = base_offset + batch.count
                if sealed:
                    self._sealed_ends[batch.partition] = end
                if self._transactions is not None:
                    self._written.add(batch.partition)
        if full or not self._unacknowledged_bytes:  # what `send` or `flush` may wait for
            self._network.tell()
        self._acknowledged_some.set()

    def _failed(self, error: StreamsError) -> None:
        with self._lock:
            self._error = self._error or error
        self._network.soon(self._network.tell)
        self._network.soon(self._acknowledged_some.set)
