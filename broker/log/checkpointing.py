"""Writing down how far logs are synced, so that a crash has less to check; in three steps, two of them on the event loop.

`begin` writes indexes and producer snapshots of the logs that have moved, `sync` waits for the disk and writes the
checkpoint files and may run in a thread, `finish` notes that it is done. In between the broker serves as usual: files that
vanish were deleted with their topic.

Rules: a recovery point is written only after what it vouches for is on disk.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from broker.log.checkpoints import (
    HIGH_WATERMARKS,
    RECOVERY_POINTS,
    sync_file,
    sync_partition_directory,
    write_offsets,
)
from broker.log.partition_log import PartitionLog
from broker.log.segment import Segment
from broker.log.snapshots import keep_snapshots, snapshot_path, write_snapshot

Offsets = dict[PartitionLog, int]


class Checkpoint:
    """One round of checkpoints of a data directory; `writing` is held by whoever writes the checkpoint files."""

    def __init__(self, directory: Path, logs: Iterable[PartitionLog], writing: AbstractContextManager[object]) -> None:
        self._directory = directory
        self._writing = writing
        self.files: list[Path] = []
        """What is on the disk, whole, when `sync` is over."""
        self._directories: list[Path] = []
        self._reached: list[tuple[PartitionLog, int, set[Segment]]] = []
        self._points: Offsets = {}
        self._high_watermarks: Offsets = {}
        for log in logs:
            self._begin(log)

    def _begin(self, log: PartitionLog) -> None:
        point = log.log_end_offset
        rolled = log.rolled.copy()
        if point > log.checkpointed or rolled:
            grown = {*log.segments_since(log.checkpointed), *rolled}
            for segment in (segment for segment in log.segments if segment in grown):
                segment.flush_indexes()
                snapshot = snapshot_path(log.directory, segment.base_offset)
                self.files += [segment.path, *segment.index_paths, snapshot]
            self.files.append(write_snapshot(log.directory, log.producers, log.log_end_offset))
            self._directories.append(log.directory)
            keep_snapshots(log.directory, {segment.base_offset for segment in log.segments})
            self._reached.append((log, point, rolled))
        self._points[log] = point
        self._high_watermarks[log] = log.high_watermark

    def sync(self) -> None:
        """Wait for the disk, then write the checkpoint files; not the start offsets, which change while this waits."""
        for path in self.files:
            with suppress(FileNotFoundError):
                sync_file(path)
        for directory in self._directories:
            with suppress(FileNotFoundError):
                sync_partition_directory(directory)
        with self._writing:
            _write(self._directory / RECOVERY_POINTS, self._points)
            _write(self._directory / HIGH_WATERMARKS, self._high_watermarks)

    def finish(self) -> None:
        """Note what was reached."""
        for log, point, rolled in self._reached:
            log.rolled -= rolled
            log.checkpointed = max(log.checkpointed, point)
            log.recovery_point = max(log.recovery_point, min(point, log.log_end_offset))


def _write(path: Path, offsets: Offsets) -> None:
    """A checkpoint file, without the logs that were deleted since: another topic may have their names by now."""
    write_offsets(path, {(log.topic, log.partition): offset for log, offset in offsets.items() if not log.deleted})
