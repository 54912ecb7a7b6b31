"""Writing down how far logs are synced, so that a crash has less to check; in three steps, two of them on the event loop.

`begin` writes indexes and producer snapshots of the logs that have moved, `sync` waits for the disk and writes the
checkpoint files and may run in a thread, `finish` notes that it is done. In between the broker serves as usual: files that
vanish were deleted with their topic.

Rules: a recovery point is written only after what it vouches for is on disk.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from broker.log.checkpoints import HIGH_WATERMARKS, LEADER_EPOCHS, LOG_STARTS, RECOVERY_POINTS, write_offsets
from broker.log.partition_log import PartitionLog
from broker.log.snapshots import keep_snapshots, write_snapshot

Offsets = dict[tuple[str, int], int]


class Checkpoint:
    """One round of checkpoints of a data directory."""

    def __init__(self, directory: Path, logs: Iterable[PartitionLog]) -> None:
        self._directory = directory
        self._files: list[Path] = []
        self._reached: list[tuple[PartitionLog, int]] = []
        self._points: Offsets = {}
        self._high_watermarks: Offsets = {}
        self._starts: Offsets = {}
        for log in logs:
            self._begin(log)

    def _begin(self, log: PartitionLog) -> None:
        key = (log.topic, log.partition)
        point = log.log_end_offset
        if point > log.checkpointed:
            for segment in log.segments_since(log.checkpointed):
                segment.flush_indexes()
                self._files += [segment.path, *segment.index_paths]
            self._files.append(log.directory / LEADER_EPOCHS)
            write_snapshot(log.directory, log.producers, log.log_end_offset)
            keep_snapshots(log.directory, {segment.base_offset for segment in log.segments})
            self._reached.append((log, point))
        self._points[key] = point
        self._high_watermarks[key] = log.high_watermark
        if log.starts_inside:
            self._starts[key] = log.log_start_offset

    def sync(self) -> None:
        """Wait for the disk, then write the checkpoint files."""
        for path in self._files:
            with suppress(FileNotFoundError):
                _sync(path)
        write_offsets(self._directory / RECOVERY_POINTS, self._points)
        write_offsets(self._directory / HIGH_WATERMARKS, self._high_watermarks)
        write_offsets(self._directory / LOG_STARTS, self._starts)

    def finish(self) -> None:
        """Note what was reached."""
        for log, point in self._reached:
            log.checkpointed = max(log.checkpointed, point)
            log.recovery_point = max(log.recovery_point, min(point, log.log_end_offset))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
