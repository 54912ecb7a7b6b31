"""The two sparse indexes of a segment: offset -> position (8-byte entries), timestamp -> offset (12-byte entries).

Offsets are stored relative to the segment's base. An offset entry is (last offset of a batch, position of that batch); a
time entry is (largest timestamp so far, last offset of the batch that has it). Both only grow, so a look-up is a binary
search; an index at rest is read from its file when asked, one that grows is held in memory and written when its segment is
flushed or rolled (after a crash it is rebuilt from the log).

Rules: one writer, the event loop. Must not know what a batch is.
Source: Kafka's OffsetIndex and TimeIndex, byte for byte.
"""

import os
from pathlib import Path
from struct import Struct
from typing import ClassVar

from broker.log.checkpoints import sync_file
from broker.log.open_files import OpenFiles
from broker.log.whole_writes import write_whole

OFFSET_ENTRY = Struct(">ii")
TIME_ENTRY = Struct(">qi")


def _tail(path: Path, position: int, size: int) -> bytes:
    with path.open("rb", buffering=0) as file:
        file.seek(position)
        return file.read(size)


class _EntryFile:
    """Sorted fixed-size entries of one file."""

    entry: ClassVar[Struct]
    __slots__ = ("_data", "_files", "_written", "base_offset", "path")

    def __init__(self, path: Path, base_offset: int, files: OpenFiles) -> None:
        self.path = path
        self.base_offset = base_offset
        self._files = files
        self._data: bytearray | None = None  # None: at rest, in the file only
        self._written = 0

    def __len__(self) -> int:
        """Entries."""
        return self.size // self.entry.size

    @property
    def size(self) -> int:
        """Bytes of whole entries."""
        if self._data is not None:
            return len(self._data)
        try:
            return self.path.stat().st_size // self.entry.size * self.entry.size
        except FileNotFoundError:
            return 0

    @property
    def is_whole(self) -> bool:
        """Whether the file exists and holds whole entries only."""
        try:
            return self.path.stat().st_size % self.entry.size == 0
        except FileNotFoundError:
            return False

    def last_entry(self) -> tuple[int, ...] | None:
        """The last entry as stored, offset relative; an index at rest reads no more of its file than that."""
        data = self._data
        if data is None:
            size = self.size
            data = bytearray(_tail(self.path, size - self.entry.size, self.entry.size)) if size else bytearray()
        return self.entry.unpack_from(data, len(data) - self.entry.size) if data else None

    def ends_ascending(self) -> bool:
        """Whether the last entry follows on the one before, as zeros do not."""
        length, size = self.size, 2 * self.entry.size
        if length < size:
            return True
        data = _tail(self.path, length - size, size) if self._data is None else self._data[length - size :]
        before, last = self.entry.iter_unpack(data)
        return bool(last[0] > before[0] and last[1] >= before[1])

    def flush(self, *, sync: bool = False) -> None:
        """Write what was appended since the last flush; `sync` waits for the disk."""
        data = self._data
        if data is None:
            if not self.path.exists():
                self.path.touch()
            if sync:
                sync_file(self.path)
            return
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.ftruncate(descriptor, self._written)
            write_whole(descriptor, data[self._written :], self._written)  # a copy: who failed may hold on to it
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._written = len(data)

    def rest(self) -> None:
        """Write everything and let go of the memory: the segment grows no more."""
        self.flush(sync=False)
        self._data = None
        self.forget()

    def forget(self) -> None:
        """The file changes or goes: what was read of it counts no more."""
        self._files.forget_contents(self.path)

    def keep_ascending(self) -> None:
        """After a crash: drop everything from the first entry on that does not ascend, as zeros do not."""
        before, kept = (-1, -1), 0
        for first, second in self.entry.iter_unpack(self._loaded()):
            if first <= before[0] or second < before[1]:
                break
            before, kept = (first, second), kept + 1
        self.keep(kept)

    def reset(self) -> None:
        """Begin anew, in memory; the next flush replaces the file."""
        self._data = bytearray()
        self._written = 0

    def keep(self, entries: int) -> None:
        """Drop all but the first entries."""
        data = self.grow()
        del data[entries * self.entry.size :]
        self._written = min(self._written, len(data))

    def _loaded(self) -> bytearray | bytes:
        if self._data is not None:
            return self._data
        data = self._files.contents(self.path)
        whole = len(data) // self.entry.size * self.entry.size
        return data if whole == len(data) else data[:whole]

    def grow(self) -> bytearray:
        """The entries in memory, where new ones go behind them. Raises: OSError, if they cannot be read."""
        if self._data is None:
            self._data = bytearray(self._loaded())
            self._written = len(self._data)
            self.forget()
        return self._data

    def _count_up_to(self, key: int, column: int, data: bytearray | bytes) -> int:
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
        data = self.grow() if self._data is None else self._data
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

    def last_position(self) -> int:
        """Position of the last indexed batch; 0 without one."""
        entry = self.last_entry()
        return entry[1] if entry else 0

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
        entry = self.last_entry()
        return (entry[0], self.base_offset + entry[1]) if entry else (-1, self.base_offset)

    def append(self, timestamp: int, offset: int) -> None:
        """Remember a new largest timestamp; one that is not larger than the last is left out."""
        last_timestamp, last_offset = self.last
        if timestamp > last_timestamp and offset >= last_offset:
            self.grow().extend(TIME_ENTRY.pack(timestamp, offset - self.base_offset))

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
