"""What a partition knows of its idempotent producers: epoch, the last five batches, and the transaction under way.

A batch is in order if its sequence follows the last; it is a duplicate if it equals one of the five. Open transactions
bound the last stable offset. All of it is derived from batch headers: a snapshot file plus a replay of the batches behind
it gives the state back.

Rules: knows headers, not records; one writer, the event loop.
Source: Kafka's ProducerStateManager, ProducerAppendInfo; the snapshot file byte for byte (ProducerSnapshot version 1).
"""

from collections.abc import Iterable
from struct import Struct
from typing import NamedTuple

from crc32c import crc32c

from broker.errors import BrokerError, ErrorCode
from broker.protocol.record_batch import MAX_SEQUENCE, NO_SEQUENCE, BatchHeader

CACHED_BATCHES = 5
NO_EPOCH = -1
NO_OFFSET = -1
LAST_EPOCH = 2**15 - 1
MOST_ATTEMPTS = 1_000
_SNAPSHOT_VERSION = 1
_SNAPSHOT_HEAD = Struct(">hIi")
_SNAPSHOT_ENTRY = Struct(">qhiqiqiq")
_CRC_FROM = 6


class CachedBatch(NamedTuple):
    """A batch as a duplicate is recognized by."""

    last_sequence: int
    last_offset: int
    offset_delta: int
    timestamp: int

    @property
    def first_sequence(self) -> int:
        """Sequence of the first record."""
        return (self.last_sequence - self.offset_delta) & MAX_SEQUENCE

    @property
    def base_offset(self) -> int:
        """Offset of the first record."""
        return self.last_offset - self.offset_delta


class Producer:
    """One producer id in one partition."""

    __slots__ = ("batches", "coordinator_epoch", "epoch", "last_timestamp", "producer_id", "transaction_start")

    def __init__(self, producer_id: int) -> None:
        self.producer_id = producer_id
        self.epoch = NO_EPOCH
        self.batches: tuple[CachedBatch, ...] = ()
        self.coordinator_epoch = -1
        self.last_timestamp = -1
        self.transaction_start = NO_OFFSET

    @property
    def last_sequence(self) -> int:
        """Sequence of the last record of this epoch; -1 before the first."""
        return self.batches[-1].last_sequence if self.batches else NO_SEQUENCE

    def duplicate_of(self, header: BatchHeader) -> CachedBatch | None:
        """The cached batch that a batch repeats."""
        if header.producer_epoch != self.epoch:
            return None
        last = header.last_sequence
        for batch in self.batches:
            if batch.last_sequence == last and batch.first_sequence == header.base_sequence:
                return batch
        return None


class CompletedTransaction(NamedTuple):
    """A transaction whose marker was appended at `last_offset`."""

    producer_id: int
    first_offset: int
    last_offset: int
    committed: bool


class Attempt(NamedTuple):
    """What was tried to be written of a transaction that has no batch here yet."""

    epoch: int
    lowest_sequence: int
    joins: bool


class ProducerState:
    """All producers of one partition."""

    __slots__ = ("_attempts", "_first_open", "_open", "_undecided", "producers")

    def __init__(self) -> None:
        self.producers: dict[int, Producer] = {}
        self._attempts: dict[int, Attempt] = {}
        self._open: dict[int, int] = {}
        self._undecided: list[CompletedTransaction] = []  # ended behind the high watermark
        self._first_open = NO_OFFSET

    @property
    def first_unstable_offset(self) -> int:
        """First offset of the earliest transaction that is open, or whose end is not committed yet; -1 without one."""
        return self._first_open

    @property
    def open_transactions(self) -> dict[int, int]:
        """Producer id -> first offset."""
        return dict(self._open)

    def is_writing(self, producer_id: int, epoch: int) -> bool:
        """Whether a producer has a transaction open in this very epoch, and there are later ones."""
        producer = self.producers.get(producer_id)
        if producer is None or producer.transaction_start == NO_OFFSET:
            return False
        return epoch == producer.epoch and epoch < LAST_EPOCH

    def check_epoch(self, producer_id: int, epoch: int) -> None:
        """Whether a producer's epoch is not past here. Raises: BrokerError with INVALID_PRODUCER_EPOCH."""
        producer = self.producers.get(producer_id)
        if producer is not None and epoch < producer.epoch:
            raise BrokerError(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"producer {producer_id} sent epoch {epoch}; {producer.epoch} is known",
            )

    def attempt(self, header: BatchHeader, *, joins: bool) -> None:
        """A batch of a transaction that is not open here yet is about to be checked with the transaction's coordinator.

        Until one is stored no higher sequence than the lowest attempted is. `joins`: the partition joins the transaction by
        being written to, and each transaction has an epoch of its own, so that its first sequence here is 0.
        Raises: BrokerError with INVALID_PRODUCER_EPOCH for an epoch that is past, before the coordinator is asked.
        """
        self.check_epoch(header.producer_id, header.producer_epoch)
        producer = self.producers.get(header.producer_id)
        if producer is not None and producer.transaction_start != NO_OFFSET and producer.epoch == header.producer_epoch:
            return
        known = self._attempts.get(header.producer_id)
        if known is None:
            if len(self._attempts) >= MOST_ATTEMPTS:
                del self._attempts[next(iter(self._attempts))]
            known = Attempt(header.producer_epoch, header.base_sequence, joins)
        elif header.producer_epoch > known.epoch:
            known = known._replace(epoch=header.producer_epoch, lowest_sequence=header.base_sequence)
        elif header.producer_epoch == known.epoch:
            known = known._replace(lowest_sequence=min(known.lowest_sequence, header.base_sequence))
        self._attempts[header.producer_id] = known

    def check(self, header: BatchHeader) -> CachedBatch | None:
        """Whether a client's batch may be appended: None if so, the batch it repeats if it does.

        Raises: BrokerError with INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER or INVALID_TXN_STATE.
        """
        producer = self.producers.get(header.producer_id)
        duplicate = None if producer is None else producer.duplicate_of(header)
        if duplicate is not None:
            return duplicate
        self.check_epoch(header.producer_id, header.producer_epoch)
        self._check_attempts(producer, header)
        if producer is not None:
            self._check_order(producer, header)
        return None

    def _check_attempts(self, producer: Producer | None, header: BatchHeader) -> None:
        attempt = self._attempts.get(header.producer_id)
        if attempt is None:
            return
        if attempt.joins and header.base_sequence and (producer is None or not producer.batches):
            raise _out_of_order(header, 0)
        if header.base_sequence > attempt.lowest_sequence:
            raise _out_of_order(header, attempt.lowest_sequence)

    def _check_order(self, producer: Producer, header: BatchHeader) -> None:
        if header.producer_epoch != producer.epoch:
            if header.base_sequence != 0 and producer.epoch != NO_EPOCH:
                raise _out_of_order(header, 0)
        elif producer.epoch != NO_EPOCH and not _follows(producer.last_sequence, header.base_sequence):
            raise _out_of_order(header, 0 if producer.last_sequence == MAX_SEQUENCE else producer.last_sequence + 1)
        if producer.transaction_start != NO_OFFSET and not header.is_transactional:
            raise BrokerError(
                ErrorCode.INVALID_TXN_STATE,
                f"producer {header.producer_id} has a transaction open and sent a batch outside it",
            )

    def check_marker(self, header: BatchHeader, coordinator_epoch: int) -> None:
        """Whether a marker may be appended.

        Raises: BrokerError with INVALID_PRODUCER_EPOCH or TRANSACTION_COORDINATOR_FENCED.
        """
        producer = self.producers.get(header.producer_id)
        if producer is None:
            return
        self.check_epoch(header.producer_id, header.producer_epoch)
        if producer.coordinator_epoch > coordinator_epoch:
            raise BrokerError(
                ErrorCode.TRANSACTION_COORDINATOR_FENCED,
                f"a marker of coordinator epoch {coordinator_epoch} came after one of {producer.coordinator_epoch}",
            )

    def append(self, header: BatchHeader, base_offset: int) -> None:
        """Take in a data batch that lies at `base_offset`."""
        producer = self._producer(header)
        if header.is_transactional:
            self._attempts.pop(header.producer_id, None)
        last_offset = base_offset + header.last_offset_delta
        batch = CachedBatch(header.last_sequence, last_offset, header.last_offset_delta, header.max_timestamp)
        producer.batches = (*producer.batches[-CACHED_BATCHES + 1 :], batch)
        producer.last_timestamp = header.max_timestamp
        if header.is_transactional and producer.transaction_start == NO_OFFSET:
            producer.transaction_start = base_offset
            self._open[header.producer_id] = base_offset
            self._find_first_open()

    def append_marker(
        self, header: BatchHeader, offset: int, *, committed: bool, coordinator_epoch: int
    ) -> CompletedTransaction | None:
        """Take in a marker; the transaction it ends, if one was open here."""
        producer = self._producer(header)
        self._attempts.pop(header.producer_id, None)
        producer.coordinator_epoch = coordinator_epoch
        producer.last_timestamp = header.max_timestamp
        first = producer.transaction_start
        if first == NO_OFFSET:
            return None
        producer.transaction_start = NO_OFFSET
        del self._open[header.producer_id]
        completed = CompletedTransaction(header.producer_id, first, offset, committed)
        self._undecided.append(completed)
        return completed

    def committed_up_to(self, high_watermark: int) -> None:
        """Transactions whose marker lies below the high watermark are decided for readers."""
        if self._undecided and self._undecided[0].last_offset < high_watermark:
            self._undecided = [ended for ended in self._undecided if ended.last_offset >= high_watermark]
            self._find_first_open()

    def last_stable_offset_after(self, completed: CompletedTransaction, end_offset: int) -> int:
        """The last stable offset as if `completed` were decided, for the aborted index."""
        return min((first for pid, first in self._open.items() if pid != completed.producer_id), default=end_offset)

    def expire(self, before_ms: int) -> int:
        """Forget producers without open transaction whose last batch is older; how many."""
        idle = [
            producer_id
            for producer_id, producer in self.producers.items()
            if producer.transaction_start == NO_OFFSET and producer.last_timestamp < before_ms
        ]
        for producer_id in idle:
            del self.producers[producer_id]
        return len(idle)

    def _producer(self, header: BatchHeader) -> Producer:
        producer = self.producers.get(header.producer_id)
        if producer is None:
            producer = self.producers[header.producer_id] = Producer(header.producer_id)
        if producer.epoch != header.producer_epoch:
            producer.epoch = header.producer_epoch
            producer.batches = ()
        return producer

    def _find_first_open(self) -> None:
        undecided = [ended.first_offset for ended in self._undecided]
        self._first_open = min([*self._open.values(), *undecided], default=NO_OFFSET)

    def snapshot(self) -> bytes:
        """The state as a Kafka snapshot file; of the five batches it keeps the last."""
        entries = b"".join(_pack_entry(producer) for producer in self.producers.values())
        tail = len(self.producers).to_bytes(4, "big") + entries
        return _SNAPSHOT_HEAD.pack(_SNAPSHOT_VERSION, crc32c(tail), len(self.producers)) + entries

    @classmethod
    def from_snapshot(cls, data: bytes) -> "ProducerState":
        """The state from a snapshot file.

        Raises: ValueError, if it is not whole.
        """
        if len(data) < _SNAPSHOT_HEAD.size:
            raise ValueError("a producer snapshot is shorter than its head")
        version, crc, count = _SNAPSHOT_HEAD.unpack_from(data)
        if version != _SNAPSHOT_VERSION or crc != crc32c(data[_CRC_FROM:]):
            raise ValueError(f"a producer snapshot of version {version} does not match its CRC")
        if len(data) != _SNAPSHOT_HEAD.size + count * _SNAPSHOT_ENTRY.size:
            raise ValueError(f"a producer snapshot of {count} entries has {len(data)} bytes")
        state = cls()
        for fields in _SNAPSHOT_ENTRY.iter_unpack(data[_SNAPSHOT_HEAD.size :]):
            state._restore(fields)
        state._find_first_open()
        return state

    def _restore(self, fields: tuple[int, ...]) -> None:
        producer_id, epoch, last_sequence, last_offset, offset_delta, timestamp, coordinator_epoch, start = fields
        producer = self.producers[producer_id] = Producer(producer_id)
        producer.epoch = epoch
        producer.last_timestamp = timestamp
        producer.coordinator_epoch = coordinator_epoch
        if last_sequence != NO_SEQUENCE:
            producer.batches = (CachedBatch(last_sequence, last_offset, offset_delta, timestamp),)
        if start >= 0:
            producer.transaction_start = start
            self._open[producer_id] = start

    def prepend(self, headers: Iterable[BatchHeader]) -> None:
        """Fill the cached batches of producers from the batches just before a snapshot, oldest first."""
        earlier: dict[int, list[CachedBatch]] = {}
        for header in headers:
            producer = self.producers.get(header.producer_id)
            if producer is not None and header.producer_epoch == producer.epoch and header.base_sequence >= 0:
                batch = CachedBatch(
                    header.last_sequence, header.last_offset, header.last_offset_delta, header.max_timestamp
                )
                earlier.setdefault(header.producer_id, []).append(batch)
        for producer_id, batches in earlier.items():
            producer = self.producers[producer_id]
            if producer.batches and batches[-1] == producer.batches[-1]:
                producer.batches = tuple(batches[-CACHED_BATCHES:])


def _pack_entry(producer: Producer) -> bytes:
    last = producer.batches[-1] if producer.batches else CachedBatch(NO_SEQUENCE, NO_OFFSET, 0, producer.last_timestamp)
    return _SNAPSHOT_ENTRY.pack(
        producer.producer_id,
        producer.epoch,
        last.last_sequence,
        last.last_offset,
        last.offset_delta,
        producer.last_timestamp,
        producer.coordinator_epoch,
        producer.transaction_start,
    )


def _follows(last_sequence: int, sequence: int) -> bool:
    return sequence == last_sequence + 1 or (sequence == 0 and last_sequence == MAX_SEQUENCE)


def _out_of_order(header: BatchHeader, expected: int) -> BrokerError:
    return BrokerError(
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        f"producer {header.producer_id}, epoch {header.producer_epoch}: sequence {header.base_sequence} came, "
        f"{expected} was expected",
    )
