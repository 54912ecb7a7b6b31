"""The transaction coordinator: transactional ids as a table of states in `__transaction_state`, on the runtime.

Everything a transaction will need after a crash is durable before it is acted on: that partitions belong to it before
anything is written there, its outcome before the first marker. An end is answered when all markers are durable, so that a
client's next transaction never meets the last one. After a restart, what was prepared is finished.

Fencing is reported as PRODUCER_FENCED; older request versions get INVALID_PRODUCER_EPOCH from their handler.
Must not know versions, responses or sockets, nor what lies in the partitions.
"""

import dataclasses
import logging
from collections.abc import Callable, Collection, Sequence

from broker.config import BrokerConfig
from broker.coordinators.runtime import Done, Marker, Origin, Runtime, StateRecord, WhenCommitted
from broker.coordinators.transaction import (
    COMPLETED_BY,
    IDLE,
    MAX_EPOCH,
    ProducerEpoch,
    TopicPartition,
    Transaction,
    TransactionState,
    parse_transaction,
    parse_transaction_key,
    transaction_key,
    transaction_value,
)
from broker.errors import BrokerError, ErrorCode
from broker.log.partition_log import PartitionLog

logger = logging.getLogger(__name__)

WriteMarker = Callable[[TopicPartition, Marker, Done], None]
"""Writes a marker into a partition; calls back when it is durable, also where the partition is gone."""

ProducerReply = Callable[[ErrorCode, ProducerEpoch], None]
Completed = Callable[[Transaction], None]
NOBODY = ProducerEpoch(-1, -1)


class TransactionCoordinator:
    """All transactional ids of this broker."""

    def __init__(
        self,
        config: BrokerConfig,
        logs: Sequence[PartitionLog],
        clock_ms: Callable[[], int],
        when_committed: WhenCommitted,
        *,
        new_producer_id: Callable[[], int],
        write_marker: WriteMarker,
    ) -> None:
        self._config = config
        self._clock_ms = clock_ms
        self._runtime = Runtime(logs, self._replay, when_committed, clock_ms)
        self.coordinator_epoch = max(log.leader_epoch for log in logs)
        self._new_producer_id = new_producer_id
        self._write_marker = write_marker
        self._transactions: dict[str, Transaction] = {}
        self._finishing: set[str] = set()
        self._writing: Transaction | None = None

    def load(self) -> None:
        """Read all transactional ids from the log, and finish what was prepared."""
        self._runtime.load(self._forget)
        self._finish_prepared()

    def _finish_prepared(self) -> None:
        """Finish what was prepared and nobody is at: after a start, or where a disk refused the record of the end."""
        for transaction in list(self._transactions.values()):
            if transaction.state in COMPLETED_BY and transaction.transactional_id not in self._finishing:
                logger.info("transaction %s: finishing %s", transaction.transactional_id, transaction.state.shown)
                self._finish(transaction, _nobody_asked)

    def taken_back(self, log: PartitionLog) -> None:
        """What a disk refused to sync never happened: transactional ids are again as the log has them."""
        self._runtime.taken_back(log, self._forget)

    def _forget(self, partition: int) -> None:
        self._transactions = {
            name: known for name, known in self._transactions.items() if self._runtime.partition_of(name) != partition
        }

    def _replay(self, record: StateRecord, origin: Origin) -> None:
        del origin
        transactional_id = parse_transaction_key(record.key)
        if transactional_id is None:
            return
        if record.value is None:
            self._transactions.pop(transactional_id, None)
            return
        if self._writing is not None and self._writing.transactional_id == transactional_id:
            self._transactions[transactional_id] = self._writing
            return
        before = self._transactions.get(transactional_id)
        after = parse_transaction(transactional_id, record.value)
        self._transactions[transactional_id] = after if before is None else after.following(before)

    def _write(self, transaction: Transaction, done: Done) -> None:
        """Store a transactional id; memory keeps it whole, with what its record does not hold."""
        record = StateRecord(transaction_key(transaction.transactional_id), transaction_value(transaction))
        self._writing = transaction
        try:
            self._runtime.write(transaction.transactional_id, [record], done)
        finally:
            self._writing = None

    # ---- producers

    def init(
        self, transactional_id: str, timeout_ms: int, expected: ProducerEpoch | None, reply: ProducerReply
    ) -> None:
        """Give a producer its epoch, fencing whoever had the id before; an open transaction is aborted first (51).

        `expected` is what a producer believes to be, when it asks for a new epoch after an error; that alone lets it ask
        twice. Who comes without is another producer, and what the one before asks again is refused. Raises: BrokerError.
        """
        if not transactional_id:
            raise BrokerError(ErrorCode.INVALID_REQUEST)
        if not 0 < timeout_ms <= self._config.transaction_max_timeout_ms:
            raise BrokerError(ErrorCode.INVALID_TRANSACTION_TIMEOUT)
        now_ms = self._clock_ms()
        transaction = self._transactions.get(transactional_id)
        if transaction is None:
            fresh = self._fresh(transactional_id, timeout_ms, now_ms)
            self._write(fresh, lambda error: reply(error, fresh.producer))
            return
        if expected is not None and not transaction.has_had(expected):
            raise BrokerError(ErrorCode.PRODUCER_FENCED)
        if transaction.state is TransactionState.ONGOING:  # ended before epochs are compared, as by Kafka
            self._abort_and_fence(transaction)
        if transaction.state not in IDLE:
            raise BrokerError(ErrorCode.CONCURRENT_TRANSACTIONS)
        if expected is not None and expected not in {transaction.producer, transaction.previous}:
            raise BrokerError(ErrorCode.PRODUCER_FENCED)
        producer = self._next_epoch(transaction, expected)
        renewed = transaction.become(
            TransactionState.EMPTY, now_ms, producer=producer, previous=expected, partitions=(), timeout_ms=timeout_ms
        )
        self._write(renewed, lambda error: reply(error, producer))

    def _fresh(self, transactional_id: str, timeout_ms: int, now_ms: int) -> Transaction:
        return Transaction(
            transactional_id=transactional_id,
            producer=ProducerEpoch(self._new_producer_id(), 0),
            timeout_ms=timeout_ms,
            state=TransactionState.EMPTY,
            update_ms=now_ms,
        )

    def _next_epoch(self, transaction: Transaction, expected: ProducerEpoch | None) -> ProducerEpoch:
        if expected is not None and expected != transaction.producer:
            return transaction.producer
        if transaction.producer.epoch >= MAX_EPOCH:
            return ProducerEpoch(self._new_producer_id(), 0)
        return transaction.bumped

    # ---- what belongs to a transaction

    def add_partitions(
        self, transactional_id: str, producer: ProducerEpoch, partitions: Collection[TopicPartition], done: Done
    ) -> None:
        """Let partitions take part; the first ones begin the transaction. Raises: BrokerError."""
        transaction = self._checked(transactional_id, producer)
        if transaction.state in COMPLETED_BY:
            raise BrokerError(ErrorCode.CONCURRENT_TRANSACTIONS)
        known = transaction.partitions if transaction.state is TransactionState.ONGOING else frozenset()
        if transaction.state is TransactionState.ONGOING and known.issuperset(partitions):
            self._runtime.after_writes(transactional_id, done)
            return
        grown = transaction.become(TransactionState.ONGOING, self._clock_ms(), partitions=known.union(partitions))
        self._write(grown, done)

    def include(
        self, transactional_id: str, producer: ProducerEpoch, partitions: Collection[TopicPartition]
    ) -> PartitionLog | None:
        """Let partitions take part because the producer writes there (Produce 12, TxnOffsetCommit 5). Raises: BrokerError.

        The log whose present end must be committed before the write is acknowledged; None if all took part already.
        """
        transaction = self._checked(transactional_id, producer)
        if transaction.state is TransactionState.ONGOING and transaction.partitions.issuperset(partitions):
            return None
        errors: list[ErrorCode] = []
        self.add_partitions(transactional_id, producer, partitions, errors.append)
        if errors and errors[0]:
            raise BrokerError(errors[0])
        return self._runtime.log_of(transactional_id)

    def verify(
        self,
        transactional_id: str,
        producer: ProducerEpoch,
        partition: TopicPartition,
        absent: ErrorCode = ErrorCode.INVALID_TXN_STATE,
    ) -> None:
        """Whether a producer may write to a partition now, as part of its transaction. Raises: BrokerError.

        `absent` is what a version calls a partition that was not added.
        """
        transaction = self._checked(transactional_id, producer, fenced=ErrorCode.INVALID_PRODUCER_EPOCH)
        if transaction.state in COMPLETED_BY:
            raise BrokerError(ErrorCode.CONCURRENT_TRANSACTIONS)
        if transaction.state is not TransactionState.ONGOING or partition not in transaction.partitions:
            raise BrokerError(
                absent, f"{partition[0]}-{partition[1]} does not belong to the transaction of {transactional_id!r}"
            )

    def _checked(
        self, transactional_id: str, producer: ProducerEpoch, *, fenced: ErrorCode = ErrorCode.PRODUCER_FENCED
    ) -> Transaction:
        if not transactional_id:
            raise BrokerError(ErrorCode.INVALID_REQUEST)
        transaction = self._transactions.get(transactional_id)
        if transaction is None or transaction.producer.producer_id != producer.producer_id:
            raise BrokerError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
        if transaction.producer.epoch != producer.epoch:
            raise BrokerError(fenced)
        return transaction

    # ---- the end

    def end(
        self, transactional_id: str, producer: ProducerEpoch, reply: ProducerReply, *, commit: bool, bump: bool = False
    ) -> None:
        """Commit or abort; the reply carries the producer's next epoch if it is to be bumped (EndTxn 5).

        Repeating an end that has happened succeeds; the opposite is INVALID_TXN_STATE. Raises: BrokerError.
        """
        if bump:
            self._end_bumping(transactional_id, producer, reply, commit=commit)
            return
        transaction = self._checked(transactional_id, producer)
        if transaction.state is TransactionState.ONGOING:
            self._prepare(transaction, reply, commit=commit)
        else:
            self._repeat(transaction, reply, commit=commit)

    def _end_bumping(
        self, transactional_id: str, producer: ProducerEpoch, reply: ProducerReply, *, commit: bool
    ) -> None:
        """Every end gives the producer a new epoch, so an end of the epoch before can only be a repetition.

        Where nothing has ended since the producer's id was given out there is nothing to repeat: it is fenced.
        """
        if not transactional_id:
            raise BrokerError(ErrorCode.INVALID_REQUEST)
        transaction = self._transactions.get(transactional_id)
        repeated = transaction is not None and transaction.was_ended_by(producer)
        if transaction is None or (producer.producer_id != transaction.producer.producer_id and not repeated):
            raise BrokerError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
        if repeated and transaction.state not in {TransactionState.ONGOING, TransactionState.EMPTY}:
            self._repeat(transaction, reply, commit=commit)
        elif producer != transaction.producer or transaction.state in COMPLETED_BY:
            raise BrokerError(ErrorCode.PRODUCER_FENCED)
        elif transaction.state is TransactionState.ONGOING:
            self._prepare(transaction, reply, commit=commit, producer=transaction.bumped)
        elif commit:
            raise BrokerError(ErrorCode.INVALID_TXN_STATE, f"{transactional_id!r} has no transaction to commit")
        else:
            self._prepare(transaction, reply, commit=False, producer=transaction.bumped)

    def _repeat(self, transaction: Transaction, reply: ProducerReply, *, commit: bool) -> None:
        """Answer an end that was asked for before, or refuse the opposite of it."""
        state, current = transaction.state, transaction.producer
        if state is (TransactionState.COMPLETE_COMMIT if commit else TransactionState.COMPLETE_ABORT):
            self._runtime.after_writes(transaction.transactional_id, lambda error: reply(error, current))
        elif state is (TransactionState.PREPARE_COMMIT if commit else TransactionState.PREPARE_ABORT):
            raise BrokerError(ErrorCode.CONCURRENT_TRANSACTIONS)
        else:
            raise BrokerError(ErrorCode.INVALID_TXN_STATE)

    def _prepare(
        self, transaction: Transaction, reply: ProducerReply, *, commit: bool, producer: ProducerEpoch | None = None
    ) -> None:
        state = TransactionState.PREPARE_COMMIT if commit else TransactionState.PREPARE_ABORT
        prepared = transaction.become(state, self._clock_ms(), producer=producer, previous=transaction.producer)
        if transaction.state is not TransactionState.ONGOING:  # ended without having begun
            prepared = dataclasses.replace(prepared, start_ms=prepared.update_ms)

        def completed(ended: Transaction) -> None:
            # A producer that was given a new epoch may write to partitions of its next transaction before it adds them
            # (Produce 12). Until the disk has the note of this end, a restart writes the markers again, into those too.
            if producer is None:
                reply(ErrorCode.NONE, ended.producer)
            else:
                self._runtime.after_writes(ended.transactional_id, lambda _: reply(ErrorCode.NONE, ended.producer))

        def stored(error: ErrorCode) -> None:
            if error:
                reply(error, prepared.producer)
            else:
                self._finish(prepared, completed)

        self._write_prepared(prepared, stored)

    def _write_prepared(self, prepared: Transaction, done: Done) -> None:
        """Store that an end is decided. Until the disk has it no marker may say so: nobody else is to finish it."""
        self._finishing.add(prepared.transactional_id)

        def stored(error: ErrorCode) -> None:
            if error:
                self._finishing.discard(prepared.transactional_id)
            done(error)

        self._write(prepared, stored)

    def _abort_and_fence(self, transaction: Transaction) -> None:
        """Abort under a new epoch, so that the producer of the old one can add nothing more.

        It may ask for that epoch as long as no other producer has come: one that was merely too slow goes on, as in Kafka.
        """
        prepared = transaction.become(
            TransactionState.PREPARE_ABORT,
            self._clock_ms(),
            producer=transaction.bumped,
            previous=transaction.producer,
        )
        self._write_prepared(prepared, lambda error: None if error else self._finish(prepared, _nobody_asked))
        raise BrokerError(ErrorCode.CONCURRENT_TRANSACTIONS)

    def _finish(self, prepared: Transaction, done: Completed) -> None:
        """Write a marker into every partition, then note that the transaction is complete."""
        commit = prepared.state is TransactionState.PREPARE_COMMIT
        marker = Marker(*prepared.producer, commit, self.coordinator_epoch)
        outstanding = len(prepared.partitions)
        self._finishing.add(prepared.transactional_id)

        def written(_: ErrorCode) -> None:
            nonlocal outstanding
            outstanding -= 1
            if outstanding == 0:
                self._complete(prepared, done)

        for partition in prepared.partitions:
            self._write_marker(partition, marker, written)
        if not prepared.partitions:
            self._complete(prepared, done)

    def _complete(self, prepared: Transaction, done: Completed) -> None:
        """Note the end; a producer whose epochs are used up goes on under a new id."""
        exhausted = prepared.producer.epoch > MAX_EPOCH
        completed = prepared.become(
            COMPLETED_BY[prepared.state],
            self._clock_ms(),
            partitions=(),
            producer=ProducerEpoch(self._new_producer_id(), 0) if exhausted else None,
            previous=prepared.previous,
        )
        self._write(completed, lambda _: self._finishing.discard(completed.transactional_id))
        done(completed)

    # ---- time

    def abort_timed_out(self) -> int:
        """Abort and fence transactions that took longer than their timeout; how many. Finishes what was left prepared."""
        self._finish_prepared()
        now_ms = self._clock_ms()
        late = [
            transaction
            for transaction in self._transactions.values()
            if transaction.state is TransactionState.ONGOING and transaction.start_ms + transaction.timeout_ms < now_ms
        ]
        for transaction in late:
            logger.info("transaction %s: aborted after %d ms", transaction.transactional_id, transaction.timeout_ms)
            try:
                self._abort_and_fence(transaction)
            except BrokerError:
                continue
        return len(late)

    def expire(self) -> int:
        """Forget transactional ids nobody has used for long; how many."""
        before_ms = self._clock_ms() - self._config.transactional_id_expiration_ms
        old = [t for t in self._transactions.values() if t.state in IDLE and t.update_ms < before_ms]
        for transaction in old:
            record = StateRecord(transaction_key(transaction.transactional_id), None)
            self._runtime.write(transaction.transactional_id, [record], lambda _: None)
        return len(old)

    # ---- reading

    def transactional_ids(self) -> list[str]:
        """Every id."""
        return sorted(self._transactions)

    def describe(self, transactional_id: str) -> Transaction | None:
        """One id, for reading."""
        return self._transactions.get(transactional_id)

    def under_way(self) -> set[tuple[int, TopicPartition]]:
        """(producer id, partition) of everything that takes part in a transaction that has not ended."""
        return {
            (transaction.producer.producer_id, partition)
            for transaction in self._transactions.values()
            for partition in transaction.partitions
        }


def _nobody_asked(completed: Transaction) -> None:
    """No client waits for this end."""
    logger.info("transaction %s: %s", completed.transactional_id, completed.state.shown)
