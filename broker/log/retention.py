"""Which old segments go: by age, by size, and below the log start offset.

Rules: pure decisions over sizes and times; `partition_log` carries them out. Only whole segments go, oldest first, and never
one that reaches beyond the high watermark.
Source: Kafka's UnifiedLog.deleteOldSegments.
"""

from collections.abc import Sequence
from typing import NamedTuple

from broker.log.config import LogConfig

UNLIMITED = -1


class SegmentAge(NamedTuple):
    """What the decision needs to know of a segment: bytes, largest timestamp (or its file's age), offset behind it."""

    size: int
    max_timestamp: int
    end_offset: int


def expired(segments: Sequence[SegmentAge], config: LogConfig, *, log_start: int, committed: int, now_ms: int) -> int:
    """How many of the oldest segments may go.

    Shape: `segments` oldest first, the active one included, which may be among them.
    """
    candidates = 0
    for segment in segments:
        if segment.end_offset > committed:
            break
        candidates += 1
    below_start = _count_while([segment.end_offset <= log_start for segment in segments[:candidates]])
    if not config.deletes:
        return below_start
    by_age = _too_old(segments[:candidates], config.retention_ms, now_ms)
    by_size = _too_much(segments, candidates, config.retention_bytes)
    return max(below_start, by_age, by_size)


def _too_old(segments: Sequence[SegmentAge], retention_ms: int, now_ms: int) -> int:
    if retention_ms == UNLIMITED:
        return 0
    return _count_while([now_ms - segment.max_timestamp > retention_ms for segment in segments])


def _too_much(segments: Sequence[SegmentAge], candidates: int, retention_bytes: int) -> int:
    if retention_bytes == UNLIMITED:
        return 0
    excess = sum(segment.size for segment in segments) - retention_bytes
    count = 0
    for segment in segments[:candidates]:
        if excess < segment.size:
            break
        excess -= segment.size
        count += 1
    return count


def _count_while(conditions: Sequence[bool]) -> int:
    return next((index for index, holds in enumerate(conditions) if not holds), len(conditions))
