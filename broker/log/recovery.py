"""Opens a partition's directory: after a clean stop by believing it, after a crash by reading what the disk may have lost.

The recovery point is the offset up to which everything, indexes included, was synced when last written down. Behind it every
batch is checked; at the first that is torn or damaged the log is cut, with a message that says where, why and how much.
Indexes, leader epochs, aborted transactions and producers are rebuilt from there. Segments that follow a cut are set aside
under another name, never deleted.

Rules: runs before the broker serves. Must not know the network or other partitions.
Source: Kafka's LogLoader and UnifiedLog.recoverSegment.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from broker.errors import CorruptLog
from broker.log.checkpoints import LEADER_EPOCHS, sync_partition_directory
from broker.log.config import LogConfig
from broker.log.leader_epochs import LeaderEpochs
from broker.log.open_files import OpenFiles
from broker.log.partition_log import PartitionLog
from broker.log.producer_loading import load_producers
from broker.log.scan import Damage, mapped, sound_batches
from broker.log.segment import Segment
from broker.log.segments import Segments, new_segment
from broker.log.snapshots import drop_broken_snapshots, keep_snapshots
from broker.log.swap import finish_swaps, segment_bases

SET_ASIDE_SUFFIX = ".damaged"

Message = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a log lies, whose it is, and what was written down of it."""

    directory: Path
    topic: str
    partition: int
    topic_id: UUID
    config: LogConfig
    files: OpenFiles
    clean: bool = True
    recovery_point: int = 0
    log_start_offset: int = 0


def open_log(origin: Origin, on_message: Message) -> PartitionLog:
    """The partition as it can be served: whole batches only.

    Raises: CorruptLog for files that no crash explains, OSError.
    """
    finish_swaps(origin.directory)
    segments = _load_segments(origin)
    epochs = LeaderEpochs(origin.directory) if origin.clean else _epochs_after_crash(origin, segments, on_message)
    rescan = _believe if origin.clean else _rescan
    rescanned_from = rescan(origin, segments, epochs, on_message)
    end = _end_offset(segments.active)
    if origin.log_start_offset > end:
        segments = _begin_at(origin, segments)
        end = origin.log_start_offset
    epochs.cut_at(end)
    rescanned_from = min(rescanned_from, end)
    if not origin.clean:
        drop_broken_snapshots(origin.directory)
    producers = load_producers(origin.directory, segments, up_to=rescanned_from, end=end)
    keep_snapshots(origin.directory, {segment.base_offset for segment in segments})
    start = max(origin.log_start_offset, segments.first.base_offset)
    log = PartitionLog(
        directory=origin.directory,
        topic=origin.topic,
        partition=origin.partition,
        topic_id=origin.topic_id,
        config=origin.config,
        files=origin.files,
        segments=segments,
        epochs=epochs,
        producers=producers,
        log_start_offset=start,
        log_end_offset=end,
    )
    log.directory_dirty = False
    return log


def _epochs_after_crash(origin: Origin, segments: Segments, on_message: Message) -> LeaderEpochs:
    """The leader epochs; from the batches that were synced, if the file was not."""
    try:
        epochs = LeaderEpochs(origin.directory)
        if epochs.latest >= 0 or not origin.recovery_point:
            return epochs
    except CorruptLog:
        (origin.directory / LEADER_EPOCHS).unlink()
        epochs = LeaderEpochs(origin.directory)
    on_message(f"{origin.directory / LEADER_EPOCHS}: did not reach the disk whole and is rebuilt from the log")
    for segment in segments:
        for _, header in segment.headers():
            if header.base_offset < origin.recovery_point:
                epochs.assign(header.leader_epoch, header.base_offset, save=False)
    return epochs


def _load_segments(origin: Origin) -> Segments:
    bases = segment_bases(origin.directory)
    interval = origin.config.index_interval_bytes
    if not bases:
        now_ms = time.time_ns() // 1_000_000
        first = new_segment(origin.directory, origin.log_start_offset, origin.files, now_ms, interval)
        return Segments([first])
    items = [Segment(origin.directory, base, origin.files, index_interval_bytes=interval) for base in bases]
    for segment in items:
        segment.attach()
    return Segments(items)


def _believe(_: Origin, segments: Segments, __: LeaderEpochs, on_message: Message) -> int:
    """After a clean stop: only an index that is not there, or not whole, is rebuilt. Nothing was rescanned: no offset."""
    for segment in segments:
        if segment.size and not _indexes_fit(segment):
            on_message(f"rebuilding the indexes of {segment.path}: they do not fit the log")
            _rebuild(segment)
    segments.active.recount()
    return 1 << 62


def _indexes_fit(segment: Segment) -> bool:
    if not (segment.index.is_whole and segment.time_index.is_whole):
        return False
    return segment.index.last_position() < segment.size


def _rebuild(segment: Segment) -> None:
    """Index a whole segment anew."""
    segment.index.reset()
    segment.time_index.reset()
    size = segment.size
    segment.forget_from(0, segment.base_offset)
    for position, header in segment.headers(0, size):
        segment.note(position, header.size, header.last_offset, header.max_timestamp)
    segment.size = size
    segment.finish()


def _rescan(origin: Origin, segments: Segments, epochs: LeaderEpochs, on_message: Message) -> int:
    """Check every batch behind the recovery point and cut at the first damage; the offset the check began at."""
    suspects = [
        segment
        for segment in segments
        if segments.end_of(segment, 1 << 62) > origin.recovery_point
        or not segment.index.is_whole
        or not segment.time_index.ends_ascending()  # its last entry is written when the segment is rolled, and synced later
    ]
    began_at = 1 << 62
    for segment in suspects:
        start = _trusted_start(segment, origin.recovery_point)
        began_at = min(began_at, start[1])
        damage = _check_segment(segment, start, epochs, origin.recovery_point)
        if damage is not None:
            _cut(segment, damage, on_message)
            _set_aside(segments, segment, on_message)
            break
    epochs.save(sync=False)
    if _end_offset(segments.active) > origin.recovery_point:  # served from now on, so their files' names must stay
        sync_partition_directory(origin.directory)
    return began_at


def _trusted_start(segment: Segment, recovery_point: int) -> tuple[int, int]:
    """(position, offset) from which a segment has to be checked: that of the last indexed batch that was synced."""
    segment.index.keep_ascending()
    segment.time_index.keep_ascending()
    trusted = [entry for entry in segment.index.entries() if entry[0] < recovery_point and entry[1] < segment.size]
    if not trusted:
        segment.index.reset()
        segment.time_index.reset()
        return 0, segment.base_offset
    last_offset, position = trusted[-1]
    span = next(segment.spans(position), None)
    if span is None or span.last_offset != last_offset:
        segment.index.reset()
        segment.time_index.reset()
        return 0, segment.base_offset
    return position, span.base_offset


def _check_segment(
    segment: Segment, start: tuple[int, int], epochs: LeaderEpochs, recovery_point: int
) -> Damage | None:
    """Index what is sound; what was perhaps not synced is synced, since it will be served."""
    position, offset = start
    end = offset
    segment.forget_from(position, offset)
    for found in sound_batches(mapped(segment.path), position, offset):
        if isinstance(found, Damage):
            return found
        at, header = found
        segment.note(at, header.size, header.last_offset, header.max_timestamp)
        epochs.assign(header.leader_epoch, header.base_offset, save=False)
        end = header.last_offset + 1
    if end > recovery_point:
        os.fsync(segment.descriptor)
    return None


def _cut(segment: Segment, damage: Damage, on_message: Message) -> None:
    lost = segment.path.stat().st_size - damage.position
    on_message(
        f"{segment.path}: truncated at byte {damage.position:,}, {lost:,} bytes lost: {damage.reason}; "
        "everything before is served"
    )
    os.ftruncate(segment.descriptor, damage.position)
    os.fsync(segment.descriptor)


def _set_aside(segments: Segments, damaged: Segment, on_message: Message) -> None:
    """Segments behind a cut are not reachable by offset any more: keep their files under another name."""
    behind = [segment for segment in segments if segment.base_offset > damaged.base_offset]
    for segment in segments.remove_newest(len(behind)):
        segment.release_file()
        aside = segment.path.with_name(segment.path.name + SET_ASIDE_SUFFIX)
        segment.path.replace(aside)
        segment.delete()
        on_message(f"{segment.path}: follows a damaged segment and is set aside as {aside.name}")


def _end_offset(active: Segment) -> int:
    span = active.last_span()
    return active.base_offset if span is None else span.last_offset + 1


def _begin_at(origin: Origin, segments: Segments) -> Segments:
    """The log ends before its start offset: everything left was deleted already; offsets go on at the start."""
    now_ms = time.time_ns() // 1_000_000
    interval = origin.config.index_interval_bytes
    segments.active.finish()
    segments.add(new_segment(origin.directory, origin.log_start_offset, origin.files, now_ms, interval))
    return segments
