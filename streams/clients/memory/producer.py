"""A producer over a MemoryBroker, with or without transactions; what it sends is acknowledged at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.clients.base import Before, GroupMetadata, OffsetAndMetadata
from streams.clients.memory.done import Done, passed
from streams.clients.memory.topics import MemoryBroker
from streams.clients.memory.transactions import MemoryTransaction
from streams.record import Batch, Headers, TopicPartition

TRANSACTION_TIMEOUT_MS = 10_000


class MemoryProducer:
    """A `Producer` over a MemoryBroker."""

    def __init__(
        self,
        broker: MemoryBroker,
        transactional_id: str | None = None,
        transaction_timeout_ms: int = TRANSACTION_TIMEOUT_MS,
    ) -> None:
        self.in_transaction = False
        self._broker = broker
        self._ends: dict[TopicPartition, int] = {}
        self._transaction = None
        if transactional_id is not None:
            with broker.changed:
                self._transaction = broker.transactions.take_over(transactional_id, transaction_timeout_ms / 1000)

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> Sequence[int]:
        """Append records to a partition; none is too large. Raises: ProducerFenced."""
        target = TopicPartition(topic, partition)
        columns = Batch(list(keys), list(values), list(timestamps), list(headers) if headers is not None else None)
        if self._transaction is None:
            self._ends[target] = self._broker.append(target, columns)
        elif len(columns):
            self._send_in_transaction(target, columns)
        return ()

    def partition_count(self, topic: str) -> int:
        """How many partitions the topic has."""
        return len(self._broker.partitions(topic))

    def flush(self) -> None:
        """Nothing waits."""

    def withdraw(self) -> None:
        """Nothing waits."""

    def release(self) -> None:
        """Nothing waits."""

    def seal(self) -> None:
        """Nothing is sent between this and the commit, which is over at once."""

    def begin_flush(self) -> Done:
        """Flush."""
        return Done(self.flush)

    @property
    def held_back(self) -> bool:
        """Never: no transaction waits for another."""
        return False

    def end_offset(self, topic: str, partition: int) -> int | None:
        """The offset after the last record that this producer wrote there, None before the first."""
        return self._ends.get(TopicPartition(topic, partition))

    def begin(self) -> None:
        """Begin a transaction."""
        assert self._transaction is not None, "this producer has no transactional id"
        assert not self.in_transaction, "the transaction before has not ended"
        self.in_transaction = True

    def send_offsets(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], group: GroupMetadata) -> None:
        """Add offsets of a group to the transaction. Raises: ProducerFenced, TaskMigrated."""
        transaction = self._begun()
        with self._broker.changed:
            self._broker.transactions.add_offsets(transaction, offsets, group)

    def begin_send_offsets(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], group: GroupMetadata) -> Done:
        """Add offsets of a group to the transaction."""
        return Done(lambda: self.send_offsets(offsets, group))

    def begin_commit(self, after: Sequence[Before] = ()) -> Done:
        """Commit, after all of these."""

        def work() -> None:
            passed(after)
            self.commit_transaction()

        return Done(work)

    def commit_transaction(self) -> None:
        """Make records and offsets visible at once. Raises: ProducerFenced."""
        self._end(commit=True)

    def abort_transaction(self) -> None:
        """Drop what was sent in this transaction, if there is one. Raises: ProducerFenced."""
        if self.in_transaction:
            self._end(commit=False)

    def close(self, *, abandon: bool = False) -> None:
        """Abort what is open, if this producer still may and is not told to leave it."""
        if not abandon and self._transaction is not None and self.in_transaction:
            self.in_transaction = False
            with self._broker.changed:
                if self._broker.transactions.is_current(self._transaction):
                    self._broker.transactions.end(self._transaction, commit=False)

    def _begun(self) -> MemoryTransaction:
        assert self._transaction is not None, "this producer has no transactional id"
        assert self.in_transaction, "no transaction has begun"
        return self._transaction

    def _send_in_transaction(self, target: TopicPartition, columns: Batch) -> None:
        transaction = self._begun()
        with self._broker.changed:
            self._broker.transactions.check(transaction)
            log = self._broker.partition(target)
            log.append(columns, transaction.transactional_id)
            transaction.partitions[target] = log
            self._ends[target] = log.end
            self._broker.changed.notify_all()

    def _end(self, *, commit: bool) -> None:
        transaction = self._begun()
        with self._broker.changed:
            self._ends |= self._broker.transactions.end(transaction, commit=commit)
            self.in_transaction = False
