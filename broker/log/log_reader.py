"""Finds what a reader asked for: batches by offset, records by time, transactions to be skipped.

A read goes from the batch that holds an offset up to a limit, and is cut at batches by the index, not by walking. Where a
read ended is remembered: the next one of the same consumer begins there without a search.

Rules: reads segments, changes nothing but what it remembers. Must not know how a log grows.
"""

from typing import Any, NamedTuple

from broker.log.segment import Segment
from broker.log.segments import Segments
from broker.log.transaction_index import AbortedTransaction
from broker.protocol.record_batch import NO_TIMESTAMP, parse_header
from broker.protocol.records import first_at_or_after

_MAX_CURSORS = 32


class Mark(NamedTuple):
    """An offset and the place in the files where it begins."""

    offset: int
    segment: Segment
    position: int


class Slice(NamedTuple):
    """Whole batches and the offset behind them; nothing is (b"", offset asked for). `data` is bytes or a FileSlice."""

    data: Any
    next_offset: int


class LogReader:
    """Reads the segments of one partition."""

    __slots__ = ("_cursors", "_segments")

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._cursors: dict[int, tuple[Segment, int]] = {}

    def forget(self) -> None:
        """Segments were removed, cut or replaced."""
        self._cursors.clear()

    def read(self, offset: int, limit: Mark, max_bytes: int, *, minimum_one: bool, in_files_from: int) -> Slice:
        """Batches from the one that holds `offset`, within one segment, up to `limit` and within `max_bytes`.

        The first batch is returned even if it is larger, unless `minimum_one` is off. `in_files_from` bytes and more stay in
        the file.
        """
        start = self._start_of(offset, limit)
        if start is None:
            return Slice(b"", offset)
        segment, position = start
        is_last = segment is limit.segment
        end = limit.position if is_last else segment.size
        next_offset = limit.offset if is_last else self._segments.end_of(segment, limit.offset)
        if end - position > max_bytes:
            behind = segment.whole_batches(position, max_bytes, end)
            if behind is None:
                if not minimum_one:
                    return Slice(b"", offset)
                first = next(segment.spans(position))
                behind = first.end, first.last_offset + 1
            end, next_offset = behind
        size = end - position
        data = segment.slice(position, size) if size >= in_files_from else segment.read(position, size)
        self._remember(next_offset, segment, end)
        return Slice(data, next_offset)

    def _start_of(self, offset: int, limit: Mark) -> tuple[Segment, int] | None:
        """Segment and position of the first batch with `offset` or more that begins before the limit."""
        cursor = self._cursors.pop(offset, None)
        if cursor is not None and cursor[1] < cursor[0].size:
            return cursor
        for segment in self._segments.from_offset(offset):
            if segment.base_offset >= limit.offset:
                return None
            span = segment.find(offset)
            if span is not None:
                return (segment, span.position) if span.base_offset < limit.offset else None
        return None

    def _remember(self, offset: int, segment: Segment, position: int) -> None:
        """Where the next read will probably begin."""
        if len(self._cursors) >= _MAX_CURSORS:
            del self._cursors[next(iter(self._cursors))]
        self._cursors[offset] = (segment, position)

    def mark(self, offset: int) -> Mark:
        """The place of the batch that holds an offset."""
        segment = self._segments.holding(offset)
        span = segment.find(offset)
        return Mark(offset, segment, span.position if span else segment.size)

    def aborted(self, start: int, end: int) -> list[AbortedTransaction]:
        """Transactions with records in [start, end) that were taken back, by ascending marker offset."""
        found = []
        for segment in self._segments.from_offset(start):
            for entry in segment.transactions.overlapping(start, end):
                found.append(entry)
                if entry.last_stable_offset >= end:
                    return found
        return found

    def offset_for_timestamp(self, timestamp: int, start: int, end: int) -> tuple[int, int] | None:
        """(timestamp, offset) of the first record in [start, end) that is not older than `timestamp`."""
        for segment in self._segments.from_offset(start):
            if segment.max_timestamp < timestamp or segment.base_offset >= end:
                continue
            found = segment.offset_for_timestamp(timestamp, start)
            if found is not None:
                return found if found[1] < end else None
        return None

    def offset_of_max_timestamp(self) -> tuple[int, int, int] | None:
        """(timestamp, offset, leader epoch) of the record with the largest timestamp, the first of several.

        None without records; where no record has a timestamp, it is the first. The epoch is what its batch says: a record
        before the log's start may be found, and of those the log knows no epochs any more.
        """
        newest = max(self._segments, key=lambda segment: segment.max_timestamp)
        has_none = newest.max_timestamp == NO_TIMESTAMP
        span = next(newest.spans(), None) if has_none else newest.find(newest.max_timestamp_offset)
        if span is None:
            return None
        batch = newest.read(span.position, span.size)
        header = parse_header(batch)
        found = first_at_or_after(batch, header, newest.max_timestamp)
        return None if found is None else (*found, header.leader_epoch)
