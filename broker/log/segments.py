"""The segments of one partition in order of offset; the last one, the active segment, takes what is appended.

Rules: a container that finds, adds and removes; what is removed, and when, is decided elsewhere. There is always an active
segment.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

from broker.log.open_files import OpenFiles
from broker.log.segment import Segment


class Segments:
    """Sorted by base offset."""

    __slots__ = ("_bases", "_items", "active")

    def __init__(self, items: Sequence[Segment]) -> None:
        assert items, "a log has a segment"
        self._items = sorted(items, key=lambda segment: segment.base_offset)
        self._bases = [segment.base_offset for segment in self._items]
        self.active = self._items[-1]

    def __len__(self) -> int:
        """Segments."""
        return len(self._items)

    def __iter__(self) -> Iterator[Segment]:
        """Oldest first."""
        return iter(list(self._items))

    @property
    def first(self) -> Segment:
        """The oldest."""
        return self._items[0]

    @property
    def inactive(self) -> list[Segment]:
        """All but the active one, oldest first."""
        return self._items[:-1]

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in self._items)

    def holding(self, offset: int) -> Segment:
        """The segment whose range holds an offset; the oldest for offsets before all."""
        if offset >= self.active.base_offset:
            return self.active
        return self._items[max(bisect_right(self._bases, offset) - 1, 0)]

    def from_offset(self, offset: int) -> Iterator[Segment]:
        """The segment that holds an offset and all after it."""
        start = max(bisect_right(self._bases, offset) - 1, 0)
        return iter(self._items[start:])

    def end_of(self, segment: Segment, log_end_offset: int) -> int:
        """First offset behind a segment's range."""
        following = bisect_right(self._bases, segment.base_offset)
        return self._bases[following] if following < len(self._bases) else log_end_offset

    def add(self, segment: Segment) -> None:
        """A new active segment."""
        assert segment.base_offset > self.active.base_offset
        self._items.append(segment)
        self._bases.append(segment.base_offset)
        self.active = segment

    def remove_oldest(self, count: int) -> list[Segment]:
        """Take out the oldest segments; the active one stays."""
        assert count < len(self._items)
        removed = self._items[:count]
        del self._items[:count], self._bases[:count]
        return removed

    def remove_newest(self, count: int) -> list[Segment]:
        """Take out the newest segments; the one before becomes active."""
        assert count < len(self._items)
        if not count:
            return []
        removed = self._items[-count:]
        del self._items[-count:], self._bases[-count:]
        self.active = self._items[-1]
        return removed

    def swap(self, old: Sequence[Segment], new: Segment) -> None:
        """Put one segment where a run of inactive ones was."""
        start = self._items.index(old[0])
        assert self._items[start : start + len(old)] == list(old)
        self._items[start : start + len(old)] = [new]
        self._bases[start : start + len(old)] = [new.base_offset]


def new_segment(directory: Path, base_offset: int, files: OpenFiles, now_ms: int, index_interval_bytes: int) -> Segment:
    """An empty segment with its files made."""
    segment = Segment(directory, base_offset, files, index_interval_bytes=index_interval_bytes)
    segment.created_ms = now_ms
    segment.index.reset()
    segment.time_index.reset()
    segment.descriptor  # noqa: B018  opening makes the file
    return segment
