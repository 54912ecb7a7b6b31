"""One segment of a partition's log: a file of record batches with its offset and time index.

Files are named by the segment's base offset in twenty digits. Positions are bytes in the `.log` file; a position handed in
or out is always the beginning of a batch or the end of the file.

Rules: stores and finds batches, does not judge them: offsets, sequences and transactions are `partition_log`'s. Called on
the event loop; only `sync` may run in another thread.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from broker.errors import BrokerError, ErrorCode
from broker.halting import halt
from broker.log.file_slice import FileSlice
from broker.log.index import OffsetIndex, TimeIndex
from broker.log.open_files import OpenFiles
from broker.log.transaction_index import TransactionIndex
from broker.log.whole_writes import write_whole
from broker.protocol.primitives import Buffer
from broker.protocol.record_batch import HEADER_BYTES, BatchHeader, batch_spans, parse_header
from broker.protocol.records import first_at_or_after

MAX_RELATIVE_OFFSET = 2**31 - 1
_WINDOW_BYTES = 8 * 1024
_CLOSED = -1
NO_TIMESTAMP = -1


class Span(NamedTuple):
    """Where a batch lies: position and size in the file, first and last offset."""

    position: int
    size: int
    base_offset: int
    last_offset: int

    @property
    def end(self) -> int:
        """Position behind the batch."""
        return self.position + self.size


class Segment:
    """A slice of a log from `base_offset` on; `size` bytes long."""

    __slots__ = (
        "_bytes_since_index",
        "_deleted",
        "_descriptor",
        "_files",
        "_first_timestamp",
        "_path",
        "_pins",
        "base_offset",
        "created_ms",
        "index",
        "index_interval_bytes",
        "max_timestamp",
        "max_timestamp_offset",
        "size",
        "time_index",
        "transactions",
        "used",
    )

    def __init__(
        self,
        directory: Path,
        base_offset: int,
        files: OpenFiles,
        *,
        index_interval_bytes: int = 4096,
        suffix: str = "",
    ) -> None:
        stem = directory / f"{base_offset:020d}"
        self.base_offset = base_offset
        self.index_interval_bytes = index_interval_bytes
        self.index = OffsetIndex(stem.with_suffix(".index" + suffix), base_offset, files)
        self.time_index = TimeIndex(stem.with_suffix(".timeindex" + suffix), base_offset, files)
        self.transactions = TransactionIndex(stem.with_suffix(".txnindex" + suffix))
        self.size = 0
        self.max_timestamp = NO_TIMESTAMP
        self.max_timestamp_offset = base_offset
        self.created_ms = 0
        self.used = False
        self._pins = 0
        self._path = str(stem.with_suffix(".log" + suffix))
        self._files = files
        self._descriptor = _CLOSED
        self._deleted = False
        self._first_timestamp: int | None = None
        self._bytes_since_index = 0

    @property
    def path(self) -> Path:
        """The `.log` file."""
        return Path(self._path)

    @property
    def descriptor(self) -> int:
        """The open file; valid until another segment needs one, unless pinned."""
        self.used = True
        if self._descriptor == _CLOSED:
            self._descriptor = self._files.open(self, self._path)
        return self._descriptor

    def attach(self) -> None:
        """Take over what is on disk: size and largest timestamp, as the indexes of a cleanly closed segment have them."""
        self.size = self.path.stat().st_size
        self.created_ms = int(self.path.stat().st_mtime * 1000)
        self.max_timestamp, self.max_timestamp_offset = self.time_index.last

    def append(self, prefix: bytes, rest: Buffer, last_offset: int, max_timestamp: int) -> int:
        """Write one batch, given as its first bytes and the rest, and index it; returns its position.

        A write that fails half-way is taken back.
        Raises: BrokerError(KAFKA_STORAGE_ERROR), for instance on a full disk.
        """
        position = self.size
        size = len(prefix) + len(rest)
        self._write(prefix, rest, size)
        self.note(position, size, last_offset, max_timestamp)
        return position

    def note(self, position: int, size: int, last_offset: int, max_timestamp: int) -> None:
        """Index a batch that lies at the end of the file now."""
        if max_timestamp > self.max_timestamp:
            self.max_timestamp = max_timestamp
            self.max_timestamp_offset = last_offset
        if self._bytes_since_index > self.index_interval_bytes:
            self.index.append(last_offset, position)
            self.time_index.append(self.max_timestamp, self.max_timestamp_offset)
            self._bytes_since_index = 0
        self._bytes_since_index += size
        if position == 0:
            self._first_timestamp = max_timestamp
        self.size = position + size

    def _write(self, prefix: bytes, rest: Buffer, size: int) -> None:
        try:
            if self._bytes_since_index > self.index_interval_bytes:  # or the batch is there, and cannot be indexed
                self.index.grow()
                self.time_index.grow()
            written = os.pwritev(self.descriptor, (prefix, rest), self.size)
            if written != size:
                write_whole(self.descriptor, memoryview(prefix + bytes(rest))[written:], self.size + written)
        except OSError as error:
            self._undo_write(error)
            raise BrokerError(ErrorCode.KAFKA_STORAGE_ERROR, f"cannot write {self._path}: {error.strerror}") from error

    def _undo_write(self, error: OSError) -> None:
        if self._descriptor == _CLOSED:
            return
        try:
            os.ftruncate(self._descriptor, self.size)
        except OSError as refused:
            halt(f"{self._path} cannot be written ({error}), nor cut back to what was ({refused})")

    def read(self, position: int, size: int) -> bytes:
        """Bytes of the file."""
        return os.pread(self.descriptor, size, position)

    def slice(self, position: int, size: int) -> FileSlice:
        """The same bytes, still in the file. Raises: OSError."""
        return FileSlice(self, position, size)

    def spans(self, position: int = 0, end: int | None = None) -> Iterator[Span]:
        """Every batch from a position on, by its header alone: small ones are read many at a time, large ones skipped over."""
        limit = self.size if end is None else end
        while position < limit:
            window = self.read(position, min(_WINDOW_BYTES, limit - position))
            start = position
            for offset, size, base_offset, last_offset in batch_spans(window):
                yield Span(start + offset, size, base_offset, last_offset)
                position = start + offset + size
            if position == start:
                return

    def headers(self, position: int = 0, end: int | None = None) -> Iterator[tuple[int, BatchHeader]]:
        """(position, header) of every batch from a position on."""
        limit = self.size if end is None else end
        while position < limit:
            window = self.read(position, min(_WINDOW_BYTES, limit - position))
            start = position
            while position - start + HEADER_BYTES <= len(window):
                header = parse_header(window, position - start)
                yield position, header
                position += header.size
            if position == start:
                return

    def find(self, offset: int) -> Span | None:
        """The batch that holds `offset`, or the next one after it; None if the segment ends before."""
        for span in self.spans(self.index.position_before(offset)):
            if span.last_offset >= offset:
                return span
        return None

    def whole_batches(self, position: int, max_bytes: int, end: int) -> tuple[int, int] | None:
        """(position, offset) behind the last batch that lies wholly within `max_bytes`; None if even the first is larger."""
        limit = min(position + max_bytes, end)
        start = max(self.index.last_position_up_to(limit), position)
        behind = None
        for span in self.spans(start):
            if span.end > limit:
                return (span.position, span.base_offset) if behind is None and start > position else behind
            behind = span.end, span.last_offset + 1
        return behind

    def last_span(self) -> Span | None:
        """The segment's last batch."""
        last = None
        for span in self.spans(self.index.last_position_up_to(self.size)):
            last = span
        return last

    def first_timestamp(self) -> int | None:
        """Largest timestamp of the first batch, by which the segment's age is told; None when empty."""
        if self._first_timestamp is None and self.size >= HEADER_BYTES:
            self._first_timestamp = parse_header(self.read(0, HEADER_BYTES)).max_timestamp
        return self._first_timestamp

    def offset_for_timestamp(self, timestamp: int, from_offset: int) -> tuple[int, int] | None:
        """(timestamp, offset) of the first record from `from_offset` on that is not older; reads one batch."""
        start = max(self.time_index.offset_before(timestamp), from_offset)
        for position, header in self.headers(self.index.position_before(start)):
            if header.last_offset < start or header.max_timestamp < timestamp:
                continue
            found = first_at_or_after(self.read(position, header.size), header, timestamp, from_offset)
            if found is not None:
                return found
        return None

    def truncate(self, position: int, next_offset: int) -> None:
        """Cut the file at a position; offsets from `next_offset` on are gone."""
        os.ftruncate(self.descriptor, position)
        self.forget_from(position, next_offset)

    def forget_from(self, position: int, next_offset: int) -> None:
        """Before the batches from a position on are noted anew: forget what the indexes say of them."""
        self.size = position
        self.index.cut_at(position)
        self.time_index.cut_at(next_offset)
        self.transactions.cut_at(next_offset)
        self.recount()

    def recount(self) -> None:
        """Take the largest timestamp, and where the next index entry is due, from the indexed and the unindexed end."""
        self.max_timestamp, self.max_timestamp_offset = self.time_index.last
        start = self.index.last_position_up_to(self.size) if len(self.index) else 0
        for _, header in self.headers(self._unindexed_start(start)):
            if header.max_timestamp > self.max_timestamp:
                self.max_timestamp, self.max_timestamp_offset = header.max_timestamp, header.last_offset
        self._bytes_since_index = self.size - start
        self._first_timestamp = None

    def _unindexed_start(self, indexed: int) -> int:
        """Batches behind the last time entry may be older in the file than the last offset entry."""
        if not len(self.time_index):
            return 0
        return min(indexed, self.index.position_before(self.time_index.last[1]))

    def finish(self) -> None:
        """Write the indexes of a segment that will not grow any more."""
        self.time_index.append(self.max_timestamp, self.max_timestamp_offset)
        self.index.rest()
        self.time_index.rest()

    def flush_indexes(self, *, sync: bool = False) -> None:
        """Write the indexes as far as they are."""
        self.index.flush(sync=sync)
        self.time_index.flush(sync=sync)
        self.transactions.flush(sync=sync)

    @property
    def index_paths(self) -> list[Path]:
        """The index files there are."""
        paths = (self.index.path, self.time_index.path, self.transactions.path)
        return [path for path in paths if path.exists()]

    def release_file(self) -> None:
        """Close the descriptor; the next use opens the file again."""
        if self._descriptor != _CLOSED:
            os.close(self._descriptor)
            self._descriptor = _CLOSED
            self._files.forget(self)

    @property
    def busy(self) -> bool:
        """Whether somebody works with the descriptor."""
        return self._pins > 0

    def pin(self) -> int:
        """The descriptor, to be kept open until `unpin`: another thread, or the system, works with it."""
        descriptor = self.descriptor
        self._pins += 1
        return descriptor

    def unpin(self) -> None:
        """One who worked with it is done."""
        self._pins -= 1
        if self._deleted and not self._pins:
            self.release_file()

    def move(self, suffix: str) -> None:
        """Give all files names that end in `suffix`, under which they are read on."""
        self.index.forget()
        self.time_index.forget()
        for index in (self.index, self.time_index, self.transactions):
            index.path = _moved(index.path, suffix)
        self._path = str(_moved(self.path, suffix))

    def retire(self) -> None:
        """The segment is used no more: close its file as soon as nobody works with it."""
        self._deleted = True
        self.index.forget()
        self.time_index.forget()
        if not self.busy:
            self.release_file()

    def delete(self) -> None:
        """Remove all files of the segment."""
        self.retire()
        for path in (self.path, self.index.path, self.time_index.path, self.transactions.path):
            path.unlink(missing_ok=True)


def _moved(path: Path, suffix: str) -> Path:
    """The new path of a file, which may not exist."""
    stem, kind, *_ = path.name.split(".")
    target = path.with_name(f"{stem}.{kind}{suffix}")
    with suppress(FileNotFoundError):
        path.replace(target)
    return target
