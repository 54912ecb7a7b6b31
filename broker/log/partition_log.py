"""One partition: an append-only log of record batches, its segments, producers, transactions and leader epochs.

    log start offset <= last stable offset <= high watermark <= log end offset

Appended records become visible when the high watermark passes them, which a committer moves: at once without one, after
the disk has them under group commit. Batches are stored as they came, but for twelve bytes of place in their header;
records are decoded only where the topic's settings ask for it.

Rules: called on the event loop only, never waits for the disk. Knows bytes and files, nothing of requests.
Source: Kafka's UnifiedLog and LocalLog.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias
from uuid import UUID

from broker.errors import BrokerError, ErrorCode
from broker.log.config import LogConfig
from broker.log.leader_epochs import LeaderEpochs
from broker.log.log_reader import LogReader, Mark
from broker.log.open_files import OpenFiles
from broker.log.producer_loading import load_producers
from broker.log.producer_state import CachedBatch, ProducerState
from broker.log.retention import SegmentAge, expired
from broker.log.segment import MAX_RELATIVE_OFFSET, Segment
from broker.log.segments import Segments, new_segment
from broker.log.snapshots import write_snapshot
from broker.log.stored_form import check_keys, stored_form, with_records
from broker.log.transaction_index import AbortedTransaction
from broker.protocol.primitives import Buffer
from broker.protocol.record_batch import (
    LOG_OVERHEAD_BYTES,
    NO_TIMESTAMP,
    BatchHeader,
    Rules,
    assigned_prefix,
    check_client_batch,
    headers_in,
)
from broker.protocol.records import decode_marker

_PREFIX_BYTES = LOG_OVERHEAD_BYTES + 4
NOT_IN_FILES = 1 << 62


class AppendResult(NamedTuple):
    """Where a batch went; `log_append_time_ms` is -1 unless the topic stamps records itself.

    For a duplicate it is the time of the batch that was stored, as in Kafka.
    """

    base_offset: int
    last_offset: int
    log_append_time_ms: int
    log_start_offset: int
    duplicate: bool


class ReadResult(NamedTuple):
    """Whole batches from the one that holds the offset asked for; `aborted`: (producer id, first offset) to be skipped.

    `records` are bytes, or FileSlices where they were asked for; `is_all` is whether there is nothing behind them yet.
    """

    records: list[Any]
    size: int
    aborted: list[tuple[int, int]]
    is_all: bool = True


class Committer(Protocol):
    """What decides when appended records are committed."""

    def appended(self, log: "PartitionLog") -> None:
        """A log has grown; it answers `commit(log.end_mark())` sooner or later."""


class CommitAtOnce:
    """Everything is visible as soon as it is appended."""

    def appended(self, log: "PartitionLog") -> None:
        """Commit what is there."""
        log.commit(log.end_mark())


Listener: TypeAlias = Callable[["PartitionLog"], None]


def _nobody(_: "PartitionLog") -> None:
    """Nobody waits for a high watermark."""


class PartitionLog:
    """See the module. Made by `broker.log.recovery.open_log`; attributes are for reading."""

    def __init__(
        self,
        *,
        directory: Path,
        topic: str,
        partition: int,
        topic_id: UUID,
        config: LogConfig,
        files: OpenFiles,
        segments: Segments,
        epochs: LeaderEpochs,
        producers: ProducerState,
        log_start_offset: int,
        log_end_offset: int,
    ) -> None:
        self.directory = directory
        self.topic = topic
        self.partition = partition
        self.topic_id = topic_id
        self.files = files
        self.segments = segments
        self.epochs = epochs
        self.producers = producers
        self.leader_epoch = epochs.highest_seen + 1
        self.log_start_offset = log_start_offset
        self.log_end_offset = log_end_offset
        self.recovery_point = log_end_offset  # everything before is synced
        self.checkpointed = 0  # the recovery point that was written down last
        self.rolled: set[Segment] = set()
        """Since the last checkpoint: their time index got its last entry then, perhaps when all they hold had been synced."""
        self.committer: Committer = CommitAtOnce()
        self.on_advance: Listener = _nobody
        self.on_taken_back: Listener = _nobody
        self.directory_dirty = True
        self.deleted = False
        self.swapping = False  # closed segments are being replaced, and none may be removed
        self._reader = LogReader(segments)
        self._committed = Mark(log_end_offset, segments.active, segments.active.size)
        self.config = config
        producers.committed_up_to(log_end_offset)

    # ---- offsets

    @property
    def config(self) -> LogConfig:
        """The topic's settings."""
        return self._config

    @config.setter
    def config(self, config: LogConfig) -> None:
        self._config = config
        self._plain = config.compression_type == "producer" and config.message_timestamp_type == "CreateTime"
        self._checks_records = config.compacts or config.message_timestamp_before_max_ms < 1 << 62
        self._rules = Rules(
            config.max_message_bytes,
            config.segment_bytes,
            config.message_timestamp_after_max_ms,
            config.message_timestamp_type == "LogAppendTime",
        )
        for segment in self.segments:
            segment.index_interval_bytes = config.index_interval_bytes

    @property
    def high_watermark(self) -> int:
        """First offset that is not committed."""
        return self._committed.offset

    @property
    def last_stable_offset(self) -> int:
        """First offset of a transaction that is not decided, or the high watermark; never below the log start."""
        unstable = self.producers.first_unstable_offset
        committed = self._committed.offset
        return committed if unstable < 0 or unstable >= committed else max(unstable, self.log_start_offset)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self.segments.size

    @property
    def name(self) -> str:
        """`topic-partition`, as the directory is called."""
        return f"{self.topic}-{self.partition}"

    @property
    def starts_inside(self) -> bool:
        """Whether records before the log start offset are still in a segment."""
        return self.log_start_offset > self.segments.first.base_offset

    # ---- append

    def append(self, records: Buffer, *, now_ms: int, client: bool = True) -> AppendResult:
        """Store batches behind the last one; a client's is one batch, and checked.

        A repeated batch of an idempotent producer is not stored again: its first place is returned.
        Raises: BrokerError with the code a client is to get.
        """
        if client:
            try:
                header = check_client_batch(records, self._rules, now_ms)
            except BrokerError as error:
                raise with_records(error, records, self._config, now_ms) from error
            if self._checks_records:
                check_keys(records, header, self._config, now_ms)
            if header.producer_id >= 0:
                duplicate = self.producers.check(header)
                if duplicate is not None:
                    return self._as_before(duplicate)
            result = self._store(records, header, now_ms)
        else:
            result = self._append_own(memoryview(records), now_ms)
        self.committer.appended(self)
        return result

    def _append_own(self, records: memoryview, now_ms: int) -> AppendResult:
        """Batches the broker made itself: coordinators' records and transaction markers."""
        first = self.log_end_offset
        end = 0
        for position, header in headers_in(records):
            end = position + header.size
            self._store(records[position:end], header, now_ms)
        if end != len(records) or not end:
            raise BrokerError(ErrorCode.CORRUPT_MESSAGE, f"{len(records)} bytes are not whole record batches")
        return AppendResult(first, self.log_end_offset - 1, NO_TIMESTAMP, self.log_start_offset, duplicate=False)

    def _store(self, records: Buffer, header: BatchHeader, now_ms: int) -> AppendResult:
        if not self._plain and not header.is_control:
            records, header = stored_form(records, header, self._config, now_ms)
        marker = decode_marker(records, header) if header.is_control else None
        if marker is not None:
            self.producers.check_marker(header, marker.coordinator_epoch)
        base = self.log_end_offset
        last = base + header.last_offset_delta
        try:  # all that may fail comes before the batch: behind it, the next would get the same offset
            if self._must_roll(len(records), last, header.max_timestamp, now_ms):
                self.roll(now_ms)
            if self.leader_epoch > self.epochs.latest:
                self.epochs.assign(self.leader_epoch, base)
                self.directory_dirty = True
            segment = self.segments.active
            if marker is not None:
                segment.transactions.entries()  # read now, as an abort goes behind them
        except OSError as error:
            message = f"cannot write to {self.directory}: {error.strerror}"
            raise BrokerError(ErrorCode.KAFKA_STORAGE_ERROR, message) from error
        prefix = assigned_prefix(base, header.length, self.leader_epoch)
        segment.append(prefix, memoryview(records)[_PREFIX_BYTES:], last, header.max_timestamp)
        self.log_end_offset = last + 1
        if marker is not None:
            self._end_transaction(header, base, commit=marker.commit, coordinator_epoch=marker.coordinator_epoch)
        elif header.producer_id >= 0 and not header.is_control:
            self.producers.append(header, base)
        stamp = header.max_timestamp if self._rules.log_append_time else NO_TIMESTAMP
        return AppendResult(base, last, stamp, self.log_start_offset, duplicate=False)

    def _as_before(self, batch: CachedBatch) -> AppendResult:
        return AppendResult(
            batch.base_offset, batch.last_offset, batch.timestamp, self.log_start_offset, duplicate=True
        )

    def _end_transaction(self, header: BatchHeader, offset: int, *, commit: bool, coordinator_epoch: int) -> None:
        completed = self.producers.append_marker(header, offset, committed=commit, coordinator_epoch=coordinator_epoch)
        if completed is not None and not commit:
            stable = self.producers.last_stable_offset_after(completed, self.log_end_offset)
            aborted = AbortedTransaction(completed.producer_id, completed.first_offset, offset, stable)
            self.segments.active.transactions.append(aborted)

    def _must_roll(self, size: int, last_offset: int, max_timestamp: int, now_ms: int) -> bool:
        segment = self.segments.active
        if not segment.size:
            return False
        if segment.size + size > self._config.segment_bytes or last_offset - segment.base_offset > MAX_RELATIVE_OFFSET:
            return True
        if segment.index.size + 8 > self._config.segment_index_bytes:
            return True
        first = segment.first_timestamp()
        age = max_timestamp - first if first is not None and first >= 0 else now_ms - segment.created_ms
        return age > self._config.segment_ms

    def roll(self, now_ms: int) -> None:
        """Close the active segment and begin another at the log end."""
        old = self.segments.active
        old.finish()
        self.rolled.add(old)
        old.transactions.flush()
        write_snapshot(self.directory, self.producers, self.log_end_offset)
        segment = new_segment(
            self.directory, self.log_end_offset, self.files, now_ms, self._config.index_interval_bytes
        )
        self.segments.add(segment)
        self.directory_dirty = True

    # ---- commit

    def end_mark(self) -> Mark:
        """The log end, to be committed once everything before it may be seen."""
        active = self.segments.active
        return Mark(self.log_end_offset, active, active.size)

    def commit(self, mark: Mark) -> None:
        """Move the high watermark, and wake whom it concerns."""
        if mark.offset <= self._committed.offset or self.deleted:
            return
        self._committed = mark
        self.producers.committed_up_to(mark.offset)
        assert self.log_start_offset <= self.last_stable_offset <= mark.offset <= self.log_end_offset
        self.on_advance(self)

    def take_back(self) -> None:
        """Remove what is appended but not committed: the disk did not take it, and nobody was told of it."""
        end = self.high_watermark
        if end == self.log_end_offset or self.deleted:
            return
        behind = [segment for segment in self.segments if segment.base_offset > end]
        for segment in self.segments.remove_newest(len(behind)):
            segment.delete()
        active = self.segments.active
        span = active.find(end)
        if span is not None:
            active.truncate(span.position, end)
        self.log_end_offset = end
        self.epochs.cut_at(end)
        self.producers = load_producers(self.directory, self.segments, up_to=end, end=end)
        self.producers.committed_up_to(end)
        self._reader.forget()
        self._committed = self.end_mark()
        self.on_taken_back(self)
        self.on_advance(self)

    def segments_since(self, offset: int) -> list[Segment]:
        """The segments that hold offsets from `offset` on: what has to be synced to commit them."""
        return list(self.segments.from_offset(offset))

    # ---- read

    def read(
        self,
        offset: int,
        max_bytes: int,
        *,
        committed: bool = False,
        minimum_one: bool = True,
        in_files_from: int = NOT_IN_FILES,
    ) -> ReadResult:
        """Batches from the one that holds `offset`, up to the high watermark, or the last stable offset if `committed`.

        The first batch is returned even if it is larger than `max_bytes`, unless `minimum_one` is off. From `in_files_from`
        bytes on they are handed out as a part of their file.
        Raises: BrokerError(OFFSET_OUT_OF_RANGE).
        """
        if not self.log_start_offset <= offset <= self.log_end_offset:
            raise BrokerError(
                ErrorCode.OFFSET_OUT_OF_RANGE,
                f"{self.name}: offset {offset} lies outside {self.log_start_offset} to {self.log_end_offset}",
            )
        limit = self._committed
        if committed and self.last_stable_offset < limit.offset:
            limit = self._reader.mark(self.last_stable_offset)
        if offset >= limit.offset:
            return ReadResult([], 0, [])
        data, next_offset = self._reader.read(
            offset, limit, max_bytes, minimum_one=minimum_one, in_files_from=in_files_from
        )
        if not data:
            return ReadResult([], 0, [], is_all=False)
        skipped = self._reader.aborted(offset, next_offset) if committed else []
        aborted = [(entry.producer_id, entry.first_offset) for entry in skipped]
        return ReadResult([data], len(data), aborted, next_offset >= limit.offset)

    def aborted_transactions(self, start: int, end: int) -> list[AbortedTransaction]:
        """Transactions with records in [start, end) that were taken back, by ascending marker offset."""
        return self._reader.aborted(start, end)

    def offset_for_timestamp(self, timestamp: int) -> tuple[int, int] | None:
        """(timestamp, offset) of the first committed record that is not older than `timestamp`; None without one."""
        return self._reader.offset_for_timestamp(timestamp, self.log_start_offset, self.high_watermark)

    def offset_of_max_timestamp(self) -> tuple[int, int, int] | None:
        """(timestamp, offset, leader epoch) of the record with the largest timestamp, the first of several; None without records."""
        return self._reader.offset_of_max_timestamp()

    def epoch_at(self, offset: int) -> int:
        """The leader epoch in which an offset was written, or will be; -1 if it is not known."""
        return self.leader_epoch if offset >= self.log_end_offset else self.epochs.at(offset)

    def end_offset_for_epoch(self, epoch: int) -> tuple[int, int]:
        """(largest epoch not above `epoch`, its end offset); (-1, -1) if it is not known."""
        return self.epochs.end_offset(epoch, self.log_end_offset, self.leader_epoch)

    # ---- removal

    def delete_records(self, before: int) -> int:
        """Raise the log start offset to `before` (-1: the high watermark); the new log start offset.

        Raises: BrokerError(OFFSET_OUT_OF_RANGE) above the high watermark, POLICY_VIOLATION in a compact-only topic.
        """
        if not self._config.deletes:
            raise BrokerError(ErrorCode.POLICY_VIOLATION, f"{self.name} is compacted: its records are not deleted")
        target = self.high_watermark if before == -1 else before
        if target > self.high_watermark or target < 0:
            raise BrokerError(
                ErrorCode.OFFSET_OUT_OF_RANGE,
                f"{self.name}: {target} lies beyond the high watermark {self.high_watermark}",
            )
        if target > self.log_start_offset:
            self._start_at(target)
            if not self.swapping:  # or retention drops them later
                self._drop(min(self._below(target), len(self.segments) - 1))
        return self.log_start_offset

    def _below(self, offset: int) -> int:
        return sum(self.segments.end_of(segment, self.log_end_offset) <= offset for segment in self.segments)

    def apply_retention(self, now_ms: int) -> int:
        """Remove the segments that are too old or too much; how many."""
        if self.swapping:
            return 0
        ages = [self._age(segment) for segment in self.segments]
        count = expired(
            ages, self._config, log_start=self.log_start_offset, committed=self.high_watermark, now_ms=now_ms
        )
        if count == len(self.segments) and not (self.segments.active.size and self._could_roll(now_ms)):
            count -= 1
        self._drop(count)
        return count

    def _could_roll(self, now_ms: int) -> bool:
        """Begin a segment, if the disk has room for one: if not, that of the older segments is given back first."""
        try:
            self.roll(now_ms)
        except OSError:
            return False
        return True

    def _age(self, segment: Segment) -> SegmentAge:
        newest = segment.max_timestamp if segment.max_timestamp >= 0 else segment.created_ms
        return SegmentAge(segment.size, newest, self.segments.end_of(segment, self.log_end_offset))

    def _drop(self, count: int) -> None:
        for segment in self.segments.remove_oldest(count):
            segment.delete()
            (self.directory / f"{segment.base_offset:020d}.snapshot").unlink(missing_ok=True)
        if count:
            self._reader.forget()
            self._start_at(self.segments.first.base_offset)

    def _start_at(self, offset: int) -> None:
        if offset > self.log_start_offset:
            self.log_start_offset = offset
            self.epochs.begin_at(offset)

    def replace_segments(self, old: list[Segment], new: Segment) -> None:
        """Put a compacted segment in the place of those it was made from."""
        self.segments.swap(old, new)
        self._reader.forget()
        if self._committed.segment in old:
            self._committed = Mark(self._committed.offset, new, new.size)

    def close(self) -> None:
        """Make the indexes and producer state on disk complete; a checkpoint syncs them."""
        for segment in self.segments:
            entries = len(segment.time_index)
            segment.time_index.append(segment.max_timestamp, segment.max_timestamp_offset)
            if len(segment.time_index) > entries:  # behind the last checkpoint's back
                self.checkpointed = min(self.checkpointed, segment.base_offset)
            segment.flush_indexes()
        if self.log_end_offset > self.checkpointed:  # or that of the last checkpoint is there, and synced
            write_snapshot(self.directory, self.producers, self.log_end_offset)

    def release(self) -> None:
        """Close all files."""
        for segment in self.segments:
            segment.release_file()
