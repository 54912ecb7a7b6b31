"""The two sparse indexes of a segment: offset -> position (8-byte entries), timestamp -> offset (12-byte entries).

Offsets are stored relative to the segment's base. An offset entry is (last offset of a batch, position of that batch); a
time entry is (largest timestamp so far, last offset of the batch that has it). Both only grow, so a look-up is a binary
search; an index at rest is mapped from its file, one that grows is held in memory and written when its segment is
flushed or rolled (after a crash it is rebuilt from the log).

Rules: one writer, the event loop. Must not know what a batch is.
Source: Kafka's OffsetIndex and TimeIndex, byte for byte.
"""

import mmap
import os
from pathlib import Path
from struct import Struct
from typing import ClassVar

OFFSET_ENTRY = Struct(">ii")
TIME_ENTRY = Struct(">qi")
_EMPTY = b""


class _EntryFile:
    """Sorted fixed-size entries of one file."""

    entry: ClassVar[Struct]
    __slots__ = ("_data", "_written", "base_offset", "path")

    def __init__(self, path: Path, base_offset: int) -> None:
        self.path = path
        self.base_offset = base_offset
        self._data: bytearray | mmap.mmap | bytes | None = None
        self._written = 0

    def __len__(self) -> int:
        """Entries."""
        return len(self._loaded()) // self.entry.size

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._loaded())

    @property
    def is_whole(self) -> bool:
        """Whether the file exists and holds whole entries only."""
        try:
            return self.path.stat().st_size % self.entry.size == 0
        except FileNotFoundError:
            return False

    def flush(self, *, sync: bool = False) -> None:
        """Write what was appended since the last flush; `sync` waits for the disk."""
        data = self._data
        if not isinstance(data, bytearray):
            if data is None or self.path.exists():
                return
            data = bytearray(data)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            if len(data) > self._written:
                os.pwrite(descriptor, memoryview(data)[self._written :], self._written)
            os.ftruncate(descriptor, len(data))
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._written = len(data)

    def rest(self) -> None:
        """Write everything and let go of the memory: the segment grows no more."""
        self.flush()
        self._data = None

    def reset(self) -> None:
        """Begin anew, in memory; the next flush replaces the file."""
        self._data = bytearray()
        self._written = 0

    def keep(self, entries: int) -> None:
        """Drop all but the first entries."""
        data = self._growing()
        del data[entries * self.entry.size :]
        self._written = min(self._written, len(data))

    def _loaded(self) -> bytearray | mmap.mmap | bytes:
        if self._data is None:
            self._data = self._mapped()
        return self._data

    def _mapped(self) -> mmap.mmap | bytes:
        try:
            with self.path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size // self.entry.size * self.entry.size
                return mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ) if size else _EMPTY
        except FileNotFoundError:
            return _EMPTY

    def _growing(self) -> bytearray:
        data = self._loaded()
        if not isinstance(data, bytearray):
            grown = bytearray(data)
            self._written = len(grown)
            if isinstance(data, mmap.mmap):
                data.close()
            self._data = data = grown
        return data

    def _count_up_to(self, key: int, column: int, data: bytearray | mmap.mmap | bytes) -> int:
        """How many entries have a value <= key in a column (both columns ascend)."""
        unpack, size = self.entry.unpack_from, self.entry.size
        low, high = 0, len(data) // size
        while low < high:
            middle = (low + high) // 2
            if unpack(data, middle * size)[column] <= key:
                low = middle + 1
            else:
                high = middle
        return low


class OffsetIndex(_EntryFile):
    """Where in the segment an offset is to be looked for."""

    entry = OFFSET_ENTRY
    __slots__ = ()

    def append(self, offset: int, position: int) -> None:
        """Remember a batch by its last offset and its position."""
        data = self._data
        if not isinstance(data, bytearray):
            data = self._growing()
        data += OFFSET_ENTRY.pack(offset - self.base_offset, position)

    def entries(self) -> list[tuple[int, int]]:
        """(absolute offset, position) of all entries."""
        return [(self.base_offset + offset, position) for offset, position in OFFSET_ENTRY.iter_unpack(self._loaded())]

    def position_before(self, offset: int) -> int:
        """Position of the last indexed batch that begins at or before `offset`'s batch; 0 without one."""
        data = self._loaded()
        count = self._count_up_to(offset - self.base_offset, 0, data)
        return int(OFFSET_ENTRY.unpack_from(data, (count - 1) * 8)[1]) if count else 0

    def last_position_up_to(self, position: int) -> int:
        """Position of the last indexed batch that begins at or before `position` in the file; 0 without one."""
        data = self._loaded()
        count = self._count_up_to(position, 1, data)
        return int(OFFSET_ENTRY.unpack_from(data, (count - 1) * 8)[1]) if count else 0

    def cut_at(self, position: int) -> None:
        """Forget batches that begin at or behind a position of the file."""
        self.keep(self._count_up_to(position - 1, 1, self._loaded()))


class TimeIndex(_EntryFile):
    """From which offset on records of a time can be found."""

    entry = TIME_ENTRY
    __slots__ = ()

    @property
    def last(self) -> tuple[int, int]:
        """(timestamp, absolute offset) of the last entry; (-1, base offset) without one."""
        data = self._loaded()
        if not data:
            return -1, self.base_offset
        timestamp, offset = TIME_ENTRY.unpack_from(data, len(data) - TIME_ENTRY.size)
        return int(timestamp), self.base_offset + int(offset)

    def append(self, timestamp: int, offset: int) -> None:
        """Remember a new largest timestamp; one that is not larger than the last is left out."""
        last_timestamp, last_offset = self.last
        if timestamp > last_timestamp and offset >= last_offset:
            self._growing().extend(TIME_ENTRY.pack(timestamp, offset - self.base_offset))

    def entries(self) -> list[tuple[int, int]]:
        """(timestamp, absolute offset) of all entries."""
        return [(timestamp, self.base_offset + offset) for timestamp, offset in TIME_ENTRY.iter_unpack(self._loaded())]

    def offset_before(self, timestamp: int) -> int:
        """An offset no later than the first record of `timestamp` or younger; the base offset without one."""
        data = self._loaded()
        count = self._count_up_to(timestamp - 1, 0, data)
        return self.base_offset + int(TIME_ENTRY.unpack_from(data, (count - 1) * 12)[1]) if count else self.base_offset

    def cut_at(self, offset: int) -> None:
        """Forget entries of offsets from `offset` on."""
        self.keep(self._count_up_to(offset - self.base_offset - 1, 1, self._loaded()))
