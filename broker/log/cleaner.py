"""Carries compaction out: chooses a log, compacts its closed segments in a thread, and swaps the outcome in.

What may be compacted ends before the active segment, before the last stable offset and before records younger than
`min.compaction.lag.ms`. A log that holds what cannot be compacted is left alone, lest it keep all smaller ones from their
turn; one the disk had no room for comes after the others. A log is compacted when the share of bytes not compacted yet reaches `min.cleanable.dirty.ratio`.
Runs of segments that became small are merged. How far each log is compacted lies in `cleaner-offset-checkpoint`.

Rules: `plan` and `swap` run on the event loop, `run_plan` and what `swap` yields anywhere: they read closed segments and
write `.cleaned` files, or wait for the disk, nothing else. A swap survives a crash at any point (`broker.log.swap`).
Source: Kafka's LogCleaner, LogCleanerManager, Cleaner.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from broker.errors import BrokerError, ErrorCode
from broker.halting import halt
from broker.log.checkpoints import read_offsets, sync_directory, write_offsets
from broker.log.compaction import Compactor, Horizon, LastWord, LatestOffsets, Transactions, note_latest
from broker.log.config import LogConfig
from broker.log.directory import LogDirectory
from broker.log.open_files import OpenFiles
from broker.log.partition_log import PartitionLog
from broker.log.scan import mapped
from broker.log.segment import MAX_RELATIVE_OFFSET, Segment
from broker.log.swap import CLEANED, DELETED, announce, put_in_place, remove_old, withdraw
from broker.log.transaction_index import AbortedTransaction
from broker.protocol.record_batch import BatchHeader, assigned_prefix, headers_in

logger = logging.getLogger(__name__)

CLEANED_UP_TO = "cleaner-offset-checkpoint"
_PREFIX_BYTES = 16


class Source(NamedTuple):
    """A closed segment to be compacted."""

    path: Path
    base_offset: int
    end_offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one compaction needs to know; nothing in it changes."""

    directory: Path
    groups: tuple[tuple[Source, ...], ...]
    first_dirty: int
    end_offset: int
    aborted: tuple[AbortedTransaction, ...]
    last_words: dict[int, LastWord]
    horizon: Horizon
    index_interval_bytes: int


class Outcome(NamedTuple):
    """What a compaction made: base offset of each group's new segment; bytes before and after."""

    bases: tuple[int, ...]
    bytes_before: int
    bytes_after: int


def plan(log: PartitionLog, first_dirty: int, now_ms: int) -> Plan | None:
    """What of a log to compact now; None if it is not worth it."""
    config = log.config
    end = _first_uncleanable(log, config, now_ms)
    first_dirty = max(first_dirty, log.log_start_offset)
    sources = [
        Source(segment.path, segment.base_offset, log.segments.end_of(segment, log.log_end_offset), segment.size)
        for segment in log.segments.inactive
        if log.segments.end_of(segment, log.log_end_offset) <= end
    ]
    dirty = sum(source.size for source in sources if source.end_offset > first_dirty)
    total = sum(source.size for source in sources)
    if not dirty or dirty / total < config.min_cleanable_dirty_ratio:
        return None
    end = sources[-1].end_offset
    words = {
        producer_id: LastWord(producer.batches[-1].last_offset if producer.batches else -1, producer.epoch)
        for producer_id, producer in log.producers.producers.items()
    }
    return Plan(
        log.directory,
        tuple(_groups(sources, config)),
        first_dirty,
        end,
        tuple(log.aborted_transactions(log.segments.first.base_offset, end)),
        words,
        Horizon(now_ms, config.delete_retention_ms),
        config.index_interval_bytes,
    )


def _first_uncleanable(log: PartitionLog, config: LogConfig, now_ms: int) -> int:
    end = min(log.last_stable_offset, log.segments.active.base_offset)
    if config.min_compaction_lag_ms:
        for segment in log.segments.inactive:
            if segment.max_timestamp > now_ms - config.min_compaction_lag_ms:
                return min(end, segment.base_offset)
    return end


def _groups(sources: list[Source], config: LogConfig) -> Iterator[tuple[Source, ...]]:
    """Runs of segments that fit into one."""
    run: list[Source] = []
    for source in sources:
        size = sum(member.size for member in run) + source.size
        if run and (size > config.segment_bytes or source.end_offset - run[0].base_offset > MAX_RELATIVE_OFFSET):
            yield tuple(run)
            run = []
        run.append(source)
    if run:
        yield tuple(run)


def run_plan(plan: Plan) -> Outcome:
    """Compact: one pass over what is dirty to learn the latest offsets, one over everything to write what stays."""
    latest = LatestOffsets()
    dirty = [source for source in chain.from_iterable(plan.groups) if source.end_offset > plan.first_dirty]
    transactions = Transactions(plan.aborted, from_offset=dirty[0].base_offset)
    for source in dirty:
        note_latest(latest, transactions, _batches(mapped(source.path)), plan.first_dirty)
    compactor = Compactor(latest, Transactions(plan.aborted), plan.last_words, plan.horizon)
    before = after = 0
    for group in plan.groups:
        before += sum(source.size for source in group)
        after += _write_group(plan, group, compactor)
    return Outcome(tuple(group[0].base_offset for group in plan.groups), before, after)


def _batches(data: memoryview) -> Iterator[tuple[BatchHeader, memoryview]]:
    for position, header in headers_in(data):
        yield header, data[position : position + header.size]


def _write_group(plan: Plan, group: tuple[Source, ...], compactor: Compactor) -> int:
    """Write one new segment with its indexes, synced; its bytes."""
    segment = Segment(
        plan.directory,
        group[0].base_offset,
        OpenFiles(1),
        index_interval_bytes=plan.index_interval_bytes,
        suffix=CLEANED,
    )
    segment.path.unlink(missing_ok=True)
    segment.index.reset()
    segment.time_index.reset()
    told = len(compactor.transactions.kept)
    for source in group:
        _compact_into(segment, source, compactor, source is group[-1])
    segment.transactions.replace(compactor.transactions.kept[told:])
    segment.finish()
    segment.flush_indexes(sync=True)
    os.fsync(segment.descriptor)
    segment.release_file()
    newest = group[-1].path.stat()
    os.utime(segment.path, ns=(newest.st_atime_ns, newest.st_mtime_ns))
    return segment.size


def _compact_into(segment: Segment, source: Source, compactor: Compactor, is_last: bool) -> None:
    data = mapped(source.path)
    last_offset = max((header.last_offset for _, header in headers_in(data)), default=-1) if is_last else -1
    for header, batch in compactor.compact(_batches(data), last_offset):
        prefix = assigned_prefix(header.base_offset, header.length, header.leader_epoch)
        segment.append(prefix, memoryview(batch)[_PREFIX_BYTES:], header.last_offset, header.max_timestamp)


def swap(log: PartitionLog, plan: Plan, outcome: Outcome) -> Generator[Callable[[], None], None, bool]:
    """Put the new segments in place, step by step; yields what waits for the disk, to be called before the next step.

    Returns False, and nothing is done, if the log lost some of the old segments meanwhile. A disk that refuses (thrown in)
    leaves the old ones. Raises: OSError.
    """
    present = {segment.base_offset: segment for segment in log.segments.inactive}
    if log.deleted or any(source.base_offset not in present for group in plan.groups for source in group):
        withdraw(plan.directory)
        return False
    groups = [[present[source.base_offset] for source in group] for group in plan.groups]
    log.swapping = True
    try:
        for base in outcome.bases:
            announce(plan.directory, base)
        yield partial(sync_directory, plan.directory)
        _move(groups, DELETED)
        yield partial(sync_directory, plan.directory)
    except OSError:
        if not log.deleted:
            _move(groups, "")
            withdraw(plan.directory)
        raise
    finally:
        log.swapping = False
    try:
        _replace(log, plan, groups, outcome)
    except OSError as error:
        halt(f"{log.name}: compacted segments cannot be put in place ({error})")
    yield partial(remove_old, plan.directory)
    return True


def _move(groups: list[list[Segment]], suffix: str) -> None:
    for segment in chain.from_iterable(groups):
        segment.move(suffix)


def _replace(log: PartitionLog, plan: Plan, groups: list[list[Segment]], outcome: Outcome) -> None:
    for group, base in zip(groups, outcome.bases, strict=True):
        for segment in group:
            segment.retire()
        put_in_place(plan.directory, base)
        new = Segment(plan.directory, base, log.files, index_interval_bytes=plan.index_interval_bytes)
        new.attach()
        log.replace_segments(group, new)


class Cleaner:
    """Looks for something to compact when asked, and compacts one log at a time in a thread."""

    def __init__(self, directory: LogDirectory, loop: asyncio.AbstractEventLoop) -> None:
        self._directory = directory
        self._loop = loop
        self._path = directory.path / CLEANED_UP_TO
        self._writing = threading.Lock()
        live = {(log.topic, log.partition) for log in directory.logs()}
        self._cleaned_up_to = {key: offset for key, offset in read_offsets(self._path).items() if key in live}
        self._uncleanable: set[PartitionLog] = set()
        self._refusals: dict[PartitionLog, int] = {}  # by the disk, since the log was compacted last
        self._running: asyncio.Task[None] | None = None
        directory.on_deleted = self._forget

    def look(self, now_ms: int) -> asyncio.Task[None] | None:
        """Begin the most rewarding compaction, unless one is running; None if there is nothing to do."""
        if self._running is not None:
            return None
        for log in sorted(self._compacted_logs(), key=self._turn):
            chosen = plan(log, self._first_dirty(log), now_ms)
            if chosen is not None:
                self._running = self._loop.create_task(self._compact(log, chosen))
                return self._running
        return None

    def _compacted_logs(self) -> list[PartitionLog]:
        return [
            log
            for log in self._directory.logs()
            if log.config.compacts and len(log.segments) > 1 and log not in self._uncleanable
        ]

    def _turn(self, log: PartitionLog) -> tuple[int, int]:
        return self._refusals.get(log, 0), -self._dirty_bytes(log)

    def _first_dirty(self, log: PartitionLog) -> int:
        """The first offset not compacted yet; what lies beyond the log's end was noted of other records than it has now."""
        noted = self._cleaned_up_to.get((log.topic, log.partition), 0)
        return noted if noted <= log.log_end_offset else 0

    def _dirty_bytes(self, log: PartitionLog) -> int:
        cleaned = self._first_dirty(log)
        return sum(segment.size for segment in log.segments.inactive if segment.base_offset >= cleaned)

    async def _compact(self, log: PartitionLog, chosen: Plan) -> None:
        try:
            outcome = await self._run(chosen)
            if await self._swap(log, chosen, outcome):
                self._refusals.pop(log, None)
                await self._note(log, chosen, outcome)
        except Exception as error:
            if not log.deleted:
                self._failed(log, error)
        finally:
            self._running = None

    async def _run(self, chosen: Plan) -> Outcome:
        try:
            return await self._loop.run_in_executor(None, run_plan, chosen)
        except Exception:
            withdraw(chosen.directory)  # on a full disk half a segment is room that others need
            raise

    def _failed(self, log: PartitionLog, error: Exception) -> None:
        """Source: Kafka's LogCleanerManager.markPartitionUncleanable; but a full disk may have room again."""
        if isinstance(error, OSError) or (
            isinstance(error, BrokerError) and error.code is ErrorCode.KAFKA_STORAGE_ERROR
        ):
            self._refusals[log] = self._refusals.get(log, 0) + 1
            logger.error("%s: compaction failed and is tried again later: %s", log.name, error)
        else:
            self._uncleanable.add(log)
            logger.error(
                "%s: compaction failed, and is not tried again before the next start: %s: %s",
                log.name,
                type(error).__name__,
                error,
            )

    async def _swap(self, log: PartitionLog, chosen: Plan, outcome: Outcome) -> bool:
        steps = swap(log, chosen, outcome)
        try:
            wait_for_disk = next(steps)
            while True:
                try:
                    await self._loop.run_in_executor(None, wait_for_disk)
                except OSError as error:
                    steps.throw(error)
                if log.deleted:
                    steps.close()
                    return False
                wait_for_disk = next(steps)
        except StopIteration as done:
            return bool(done.value)

    async def _note(self, log: PartitionLog, chosen: Plan, outcome: Outcome) -> None:
        self._cleaned_up_to[log.topic, log.partition] = chosen.end_offset
        await self._loop.run_in_executor(None, self._write)
        logger.info(
            "%s: compacted up to offset %d, %d bytes became %d",
            log.name,
            chosen.end_offset,
            outcome.bytes_before,
            outcome.bytes_after,
        )

    def _write(self) -> None:
        with self._writing:
            write_offsets(self._path, self._cleaned_up_to.copy())

    def _forget(self, logs: list[PartitionLog]) -> None:
        """Logs are deleted: one of the same name is compacted from its own start, or keys that were deleted come back."""
        self._uncleanable.difference_update(logs)
        for log in logs:
            self._refusals.pop(log, None)
        noted = [self._cleaned_up_to.pop((log.topic, log.partition), None) for log in logs]
        if any(offset is not None for offset in noted):
            try:
                self._write()
            except OSError as error:
                logger.warning("%s: cannot be rewritten without a deleted topic: %s", self._path, error)
