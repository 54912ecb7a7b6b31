"""What coordinators stand on: a compacted topic that holds their state, and the promise that an answer is durable.

A handler changes nothing itself: it gives records and a callback. `Runtime.write` appends the records, replays them into
memory, and calls back when they are committed, or at once with the error that kept them out. Loading at start is the same
replay, so recovery needs no second code. `Runtime.after_writes` gives reads the same care: what a crash could still
take back is not shown. Knows logs; must not know what the records mean, nor who asks.
"""

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from broker.errors import BrokerError, ErrorCode
from broker.log.partition_log import PartitionLog
from broker.protocol.record_batch import BatchHeader, headers_in
from broker.protocol.records import build_marker, build_pairs, decode_marker, decode_records

logger = logging.getLogger(__name__)

NO_PRODUCER = (-1, -1)
LOAD_BYTES = 1 << 20
VERSION_BYTES, NAME_AT = 2, 4
HASHES_KEPT = 1 << 12
Done = Callable[[ErrorCode], None]
WhenCommitted = Callable[[PartitionLog, int, Done], None]
"""Calls back as soon as the log's high watermark has reached an offset, or with the error that it never will."""


class StateRecord(NamedTuple):
    """One change: a key, and a value or None to forget the key."""

    key: bytes
    value: bytes | None


class Origin(NamedTuple):
    """Where a record lies: partition, and the producer in whose open transaction it was written, or -1."""

    partition: int
    producer_id: int = -1


class Marker(NamedTuple):
    """The end of a transaction in one partition."""

    producer_id: int
    epoch: int
    commit: bool
    coordinator_epoch: int


Replay = Callable[[StateRecord, Origin], None]
End = Callable[[Origin, bool], None]


def _no_transactions(origin: Origin, commit: bool) -> None:
    """A topic that is not written in transactions has no markers."""
    raise AssertionError(f"a marker in {origin} (commit: {commit})")


class Runtime:
    """The partitions of one coordinator's topic."""

    def __init__(
        self,
        logs: Sequence[PartitionLog],
        replay: Replay,
        when_committed: WhenCommitted,
        clock_ms: Callable[[], int],
        end: End = _no_transactions,
    ) -> None:
        self._logs = logs
        self._count = len(logs)
        """As the broker started: a topic that is given more partitions meanwhile keeps what it holds where it is."""
        self._replay = replay
        self._when_committed = when_committed
        self._clock_ms = clock_ms
        self._end = end

    def partition_of(self, key: str) -> int:
        """The partition that holds everything of a group or transactional id, as Kafka counts it."""
        return java_magnitude(java_hash(key)) % self._count

    def log_of(self, key: str) -> PartitionLog:
        """The partition that holds everything of a key."""
        return self._logs[self.partition_of(key)]

    def load(self, forget: Callable[[int], None]) -> int:
        """Replay everything that is stored; the number of records.

        After the topic was given more partitions, keys have older records where they were before: those come first, as
        what has been written since in the partition of a key counts. `forget` drops what memory knows of a partition.
        """
        count, strangers = self._load_partitions(at_home=True)
        if not strangers:
            return count
        logger.info("%d coordinator records lie where they belonged when there were fewer partitions", strangers)
        for partition in range(self._count):
            forget(partition)
        self._load_partitions(at_home=False)
        self._load_partitions(at_home=True)
        return count + strangers

    def _load_partitions(self, *, at_home: bool) -> tuple[int, int]:
        """Replay the records in the partition of their key, or all others; how many, and how many were passed over."""
        counts = [self._load_partition(log, at_home=at_home) for log in self._logs]
        return sum(replayed for replayed, _ in counts), sum(passed for _, passed in counts)

    def taken_back(self, log: PartitionLog, forget: Callable[[int], None]) -> None:
        """The disk refused what was appended to a partition, and it is gone: memory goes back to what the log says.

        `forget` drops what memory knows of the partition; what is stored is then replayed.
        """
        if log not in self._logs:
            return
        logger.warning(
            "%s: the disk refused coordinator records; going back to offset %d", log.name, log.log_end_offset
        )
        forget(log.partition)
        self._load_partition(log)

    def _load_partition(self, log: PartitionLog, *, at_home: bool = True) -> tuple[int, int]:
        replayed, passed, offset = 0, 0, log.log_start_offset
        while offset < log.high_watermark:
            start = offset
            for chunk in log.read(offset, LOAD_BYTES).records:
                for position, header in headers_in(chunk):
                    offset = header.last_offset + 1
                    records, origin = self._read_batch(log.partition, chunk, header, position)
                    for record in records:
                        if (self.partition_of(name_in(record.key)) == log.partition) is at_home:
                            self._replay(record, origin)
                            replayed += 1
                        else:
                            passed += 1
            if offset == start:
                break
        return replayed, passed

    def _read_batch(
        self, partition: int, chunk: bytes, header: BatchHeader, position: int
    ) -> tuple[list[StateRecord], Origin]:
        """A batch's records and whence they come; a marker is taken in."""
        origin = Origin(partition, header.producer_id if header.is_transactional else -1)
        if header.is_control:
            marker = decode_marker(chunk, header, position)
            if marker is not None:
                self._end(origin, marker.commit)
            return [], origin
        records = decode_records(chunk, header, position)
        return [StateRecord(record.key or b"", record.value) for record in records], origin

    def write(
        self,
        key: str,
        records: Sequence[StateRecord],
        done: Done,
        *,
        replay: bool = True,
        producer: tuple[int, int] | None = None,
    ) -> None:
        """Store records of one key's partition; `done` gets NONE once they are committed.

        `replay=False` is for state that changes in memory first and only then is written down. With a `producer` (id,
        epoch) the records are part of its open transaction.
        """
        if not records:
            self.after_writes(key, done)
            return
        producer_id, epoch = producer or NO_PRODUCER
        partition = self.partition_of(key)
        batch = build_pairs(
            records,
            timestamp_ms=self._clock_ms(),
            producer_id=producer_id,
            producer_epoch=epoch,
            transactional=producer is not None,
        )

        def apply() -> None:
            origin = Origin(partition, producer_id)
            for record in records:
                self._replay(record, origin)

        self._append(partition, batch, apply if replay else _nothing, done)

    def end_transaction(self, partition: int, marker: Marker, done: Done) -> None:
        """Store a marker and let what was written in the transaction count, or not."""
        batch = build_marker(
            marker.producer_id,
            marker.epoch,
            commit=marker.commit,
            coordinator_epoch=marker.coordinator_epoch,
            timestamp_ms=self._clock_ms(),
        )
        origin = Origin(partition, marker.producer_id)
        self._append(partition, batch, lambda: self._end(origin, marker.commit), done)

    def _append(self, partition: int, batch: bytes, apply: Callable[[], None], done: Done) -> None:
        """Append, change memory, and only then wait: where nothing is waited for, `done` is called right here."""
        log = self._logs[partition]
        try:
            result = log.append(batch, now_ms=self._clock_ms(), client=False)
        except BrokerError as error:
            logger.warning("%s: a coordinator record could not be stored: %s", log.name, error)
            done(_as_coordinator_error(error.code))
            return
        apply()
        self._when_committed(log, result.last_offset + 1, lambda error: done(_as_coordinator_error(error)))

    def after_writes(self, key: str, ready: Done) -> None:
        """Call back when everything written so far to the key's partition is committed; often at once."""
        log = self.log_of(key)
        self._when_committed(log, log.log_end_offset, ready)


def _nothing() -> None:
    """Memory has changed already."""


def name_in(key: bytes) -> str:
    """The group or transactional id of a record: it comes first in every key, behind the key's version."""
    end = NAME_AT + int.from_bytes(key[VERSION_BYTES:NAME_AT], "big")
    return key[NAME_AT:end].decode(errors="replace")


@lru_cache(HASHES_KEPT)
def java_hash(text: str) -> int:
    """Java's String.hashCode, unsigned: Kafka places groups by it."""
    encoded = text.encode("utf-16-be")
    value = 0
    for high, low in zip(encoded[::2], encoded[1::2], strict=True):
        value = (31 * value + (high << 8 | low)) & 0xFFFFFFFF
    return value


def java_magnitude(value: int) -> int:
    """Math.abs of an int given unsigned, and 0 for the one that has none."""
    return min(value, (1 << 32) - value) & 0x7FFFFFFF


def _as_coordinator_error(code: ErrorCode) -> ErrorCode:
    """What a client should do about a failed append: wait for the coordinator, or know that its data is too large."""
    if code is ErrorCode.NONE:
        return code
    if code in {ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.RECORD_LIST_TOO_LARGE}:
        return ErrorCode.UNKNOWN_SERVER_ERROR
    return ErrorCode.COORDINATOR_NOT_AVAILABLE
