"""Time bounds of a window or session store: its stream time, what may still be read, and which segments are gone.

A segment is a slice of time, max(retention / 2, 60 s) wide, as in Kafka; it is the first part of every engine key, so
that a segment expires with one range deletion, and scans run by segment and then by key, as Kafka's do.

Rules (Kafka's RocksDB stores): store time is the highest window start or session end written, per store; reads give
nothing older than store time - retention + 1, those of time-ordered stores (emit on close) 1 ms further back; a write
into a segment before that of (store time - retention) is lost.
"""

from __future__ import annotations

from state.keys import pack_long

_MIN_INTERVAL_MS = 60_000
NO_TIME = -1


class Segments:
    """The moving time bounds of one store; all times in ms."""

    __slots__ = ("_latest", "_reach_ms", "interval_ms", "oldest_kept", "oldest_readable", "retention_ms", "stream_time")

    def __init__(self, retention_ms: int, stream_time: int = NO_TIME, *, time_ordered: bool = False) -> None:
        self.retention_ms = retention_ms
        self._reach_ms = retention_ms if time_ordered else retention_ms - 1
        self.interval_ms = max(retention_ms // 2, _MIN_INTERVAL_MS)
        self._latest = 0, 0, b""
        self.reset(stream_time)

    def reset(self, stream_time: int) -> None:
        """Set the time, backwards too (after an aborted transaction)."""
        self.stream_time = stream_time
        self.oldest_readable = stream_time - self._reach_ms
        self.oldest_kept = self.kept_at(stream_time)

    def kept_at(self, stream_time: int) -> int:
        """The start of the oldest segment that is kept at a stream time."""
        oldest = max(0, stream_time - self.retention_ms)
        return oldest - oldest % self.interval_ms

    def observe(self, time: int) -> bool:
        """Take notice of a write; time never goes back. True when segments have expired by it."""
        before = self.oldest_kept
        if time > self.stream_time:
            self.reset(time)
        return self.oldest_kept != before

    def prefix(self, time: int) -> bytes:
        """What the engine keys of entries at `time` start with."""
        start, end, prefix = self._latest
        if start <= time < end:
            return prefix
        segment = max(time, 0) // self.interval_ms
        start, prefix = segment * self.interval_ms, pack_long(segment)
        self._latest = start, start + self.interval_ms, prefix
        return prefix

    def live(self, from_time: int, to_time: int) -> list[tuple[bytes, int, int]]:
        """The segments that hold what can be read between two times, ascending.

        Shape: (prefix, its first time, the first time after it).
        """
        interval = self.interval_ms
        first = max(from_time, self.oldest_kept) // interval * interval
        last = min(to_time, self.stream_time)
        return [(self.prefix(start), start, start + interval) for start in range(first, last + 1, interval)]

    def expired_before(self) -> bytes:
        """Engine keys below this one belong to segments that are gone."""
        return pack_long(self.oldest_kept // self.interval_ms)
