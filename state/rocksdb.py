"""The engine on disk: one RocksDB per store. The only module that knows rocksdict.

Rules: one write batch per commit, sorted, with the position in it. The write-ahead log is on but never synced: it
costs next to nothing per batch, and a killed process loses no commit; a power cut takes a tail of whole commits, and
restore replays them from the position that is left. All stores of a process share one block cache and one bound on
write buffers (`RocksDBResources`), so that memory does not grow with the number of stores.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from inspect import GEN_CLOSED, getgeneratorstate
from pathlib import Path
from typing import Any
from weakref import WeakSet

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DbClosedError,
    DBCompressionType,
    Env,
    MemtableFactory,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from state.engine import KeyRange, any_none
from state.errors import CorruptStore, StateDiskFull, StateError, StoreClosed, StoreLocked
from state.rows_budget import RowsBudget
from state.sorting import in_order

_METADATA = "metadata"
_DAMAGED = "DAMAGED"
"""A file that says so: RocksDB looks at a block when it is read, which may be long after its file was opened."""
_OPEN_FILES = 512
_INFO_LOGS = 2
_ARENA_BYTES = 64 << 10
"""The least that a buffer takes: what many small stores pay each."""
_BUFFER_FILTER = 0.02
"""The share of a write buffer that tells which keys it does not hold: a key that is new costs a third of the time."""
_FILL_BUFFERS = 8
_FILL_WAITING = 4
"""How many full buffers may wait to be written before a fill waits for them: short of RocksDB's own limit, which holds the GIL."""
_FILL_PARTS = 4
"""How many buffers of a fill are one of a store's usual ones: a small one is sorted within a processor's cache."""
_MERGED_FILES, _SLOWED_FILES, _STOPPED_FILES = 4, 20, 36
"""RocksDB's limits to files from buffers of the usual size: to merge them, to slow writes down and to stop them (with the
GIL held). The last two are for fills and for what comes after alike: that must not wait for what a fill has left.
"""
_LOOK_S = 0.002
_WRITERS = 2
"""Threads that sort buffers and write them to files, of all stores of a process; each store has one of them at a time."""
_FULL = ("No space left on device", "File too large", "Disk quota exceeded")
_CORRUPTION = ("Corruption", "checksum mismatch", "missing file", "No such file")


Configure = Callable[[str, Any], None]


class RocksDBResources:
    """Memory that all stores of a process share.

    `total_bytes` bounds block cache and write buffers together; write buffers are charged to the cache. Stores of numbers may
    take as much again for rows of their own (`state.number_rows`).
    `write_buffer_bytes` is that of one store, before it is written to a file. `configure(directory name, options)`, if
    given, may change RocksDB's options (rocksdict's) of each store before it is opened. RocksDB writes a store's buffer
    only when that store is written to, so buffers of idle stores would add up beyond the bound: `relieve` sees to those.
    """

    def __init__(
        self, *, total_bytes: int = 64 << 20, write_buffer_bytes: int = 8 << 20, configure: Configure | None = None
    ) -> None:
        self.configure = configure
        self.write_buffer_bytes = min(write_buffer_bytes, max(total_bytes // 4, 64 << 10))
        self.cache = Cache(total_bytes)
        self.write_buffers = WriteBufferManager.new_write_buffer_manager_with_cache(
            max(total_bytes // 2, 64 << 10), False, self.cache
        )
        self.rows_budget = RowsBudget(total_bytes)
        """What stores of numbers may keep of it besides, as rows."""
        self._most_buffered = total_bytes * 3 // 4
        Env().set_high_priority_background_threads(_WRITERS)
        self._most_filters = total_bytes // 8
        self._engines: WeakSet[RocksDBEngine] = WeakSet()

    def serves(self, engine: RocksDBEngine) -> None:
        """One more store shares this."""
        self._engines.add(engine)

    def filter_ratio(self) -> float:
        """The share of a new store's buffer that its filter takes: none once those of all stores take much.

        A filter takes its room as soon as the store is open, written to or not: hundreds of them would be more than all
        buffers may take, and RocksDB would then write out a buffer for every record.
        """
        taken = len(self._engines) * _BUFFER_FILTER * self.write_buffer_bytes
        return _BUFFER_FILTER if taken <= self._most_filters else 0.0

    def relieve(self) -> None:
        """Write the fullest buffers to files while all together take too much, and any of them gives something back."""
        for _ in range(len(self._engines)):
            if self.write_buffers.get_usage() <= self._most_buffered:
                return
            fullest = max(self._engines, key=RocksDBEngine.buffered_bytes)
            if fullest.buffered_bytes() < _ARENA_BYTES:
                return
            fullest.flush()

    def options(self) -> Any:
        """RocksDB's options for one store."""
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.create_missing_column_families(True)
        options.set_atomic_flush(True)  # position and data reach the disk together
        options.set_write_buffer_manager(self.write_buffers)
        options.set_write_buffer_size(self.write_buffer_bytes)
        options.set_arena_block_size(_ARENA_BYTES)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_block_based_table_factory(self._table_options())
        options.set_max_open_files(_OPEN_FILES)
        options.set_max_file_opening_threads(1)  # RocksDB starts sixteen for each column family, be there files or none
        options.set_level_zero_slowdown_writes_trigger(_SLOWED_FILES * _FILL_PARTS)
        options.set_level_zero_stop_writes_trigger(_STOPPED_FILES * _FILL_PARTS)
        options.set_keep_log_file_num(_INFO_LOGS)
        options.set_max_background_jobs(2)
        options.set_stats_dump_period_sec(0)
        options.set_use_fsync(False)
        return options

    def fill_options(self, options: Any) -> None:
        """Have a store's buffers take what comes as it comes: a thread of RocksDB's sorts it, once a buffer is full.

        Each read would sort it too. So a filter is of no use, nor are several writers possible.
        """
        options.set_memtable_factory(MemtableFactory.vector())
        options.set_memtable_prefix_bloom_ratio(0.0)
        options.set_allow_concurrent_memtable_write(False)
        options.set_unordered_write(False)
        options.set_max_write_buffer_number(_FILL_BUFFERS)
        options.set_write_buffer_size(max(self.write_buffer_bytes // _FILL_PARTS, _ARENA_BYTES))
        options.set_level_zero_file_num_compaction_trigger(_MERGED_FILES * _FILL_PARTS)

    def _table_options(self) -> Any:
        table = BlockBasedOptions()
        table.set_block_cache(self.cache)
        table.set_block_size(4096)
        table.set_bloom_filter(10, False)
        table.set_cache_index_and_filter_blocks(True)
        table.set_pin_l0_filter_and_index_blocks_in_cache(True)
        return table


class RocksDBEngine:
    """Ordered bytes in the RocksDB of a directory, which is made if it is missing."""

    def __init__(self, path: Path, resources: RocksDBResources) -> None:
        self._path = path
        self._resources = resources
        self._unlogged = _unlogged()
        self.rows_budget = resources.rows_budget
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _translated(error, path) from error
        if (path / _DAMAGED).exists():
            raise CorruptStore(f"store {path} could not be read before: set it aside and restore it from its changelog")
        self._open(filling=False)
        self._scans: WeakSet[Generator[tuple[bytes, bytes], None, None]] = WeakSet()
        resources.serves(self)

    def _open(self, *, filling: bool) -> None:
        resources = self._resources
        try:
            options, metadata_options = resources.options(), resources.options()
            options.set_memtable_prefix_bloom_ratio(resources.filter_ratio())
            options.set_memtable_whole_key_filtering(True)
            if resources.configure is not None:
                resources.configure(self._path.name, options)
            if filling:
                resources.fill_options(options)
            self._db: Any = Rdict(str(self._path), options, column_families={_METADATA: metadata_options})
            self._metadata: Any = self._db.get_column_family(_METADATA)
            self._metadata_handle: Any = self._db.get_column_family_handle(_METADATA)
        except Exception as error:
            raise self._told(error) from error
        self._filling = filling
        self._unflushed: list[Any] | None = None
        """What has to be on disk before a fill is over, the next one last; None as long as it is written."""
        self._closed = False

    def _told(self, error: Exception) -> StateError:
        """RocksDB's error as ours. Damage is noted beside the files, for who opens them again would not see it at once."""
        told = _translated(error, self._path)
        if isinstance(told, CorruptStore):
            with suppress(OSError):
                (self._path / _DAMAGED).touch()
        return told

    def begin_fill(self) -> None:
        """Writes go to memory as they come and to no log until `end_fill`; see `state.filling`."""
        if not self._filling:
            self.close()
            self._open(filling=True)

    def fill_is_over(self) -> bool:
        """Have RocksDB write what it holds; whether `end_fill` has nothing to wait for any more."""
        if not self._filling or self._in_trouble():
            return True
        if self._unflushed is None:
            self._unflushed = [self._metadata, self._db]  # a position on disk is never ahead of the data
            self._flush(self._db, wait=False)
        while self._unflushed and not _waiting_buffers(self._unflushed[-1]):
            self._unflushed.pop()
            if self._unflushed:
                self._flush(self._unflushed[-1], wait=False)
        return not self._unflushed

    def end_fill(self) -> None:
        """Put what was written on disk, and open the files as usual."""
        if self._filling:
            self.close()
            self._open(filling=False)

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None."""
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:
            raise self._told(error) from error
        return value

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The values of many keys, in their order."""
        try:
            values: list[bytes | None] = self._db.get(keys)
        except Exception as error:
            raise self._told(error) from error
        return values

    def scan(self, start: bytes | None, end: bytes | None, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Entries with start <= key < end; as they are now: RocksDB's iterators are snapshots."""
        if end == b"" or (start is not None and end is not None and end <= start):
            return iter(())
        options = ReadOptions()
        if end is not None:
            options.set_iterate_upper_bound(end)
        try:
            cursor = self._db.iter(options)
            if reverse:
                cursor.seek_to_last()
            else:
                cursor.seek(start or b"")
        except Exception as error:
            raise self._told(error) from error
        scan = self._entries(cursor, options, (start or b"") if reverse else None)
        next(scan)
        self._scans.add(scan)
        return scan

    def _entries(self, cursor: Any, options: Any, first: bytes | None) -> Generator[tuple[bytes, bytes], None, None]:
        """What a cursor shows, going backward until before `first` if that is given.

        RocksDB stays open as long as a cursor exists, so `close` throws StoreClosed in here. Three traps of rocksdict
        0.3.29: the options own the bytes of the bound and must outlive the cursor; `set_iterate_lower_bound` sets the
        upper one; its ready-made iterators end silently at a damaged block, only `status` tells.
        """
        valid, key, value = cursor.valid, cursor.key, cursor.value
        step = cursor.next if first is None else cursor.prev
        try:
            yield b"", b""  # started, so that it can be thrown into
            while valid():
                found = key()
                if first is not None and found < first:
                    break
                yield found, value()
                step()
            cursor.status()
        except StoreClosed:
            del cursor, valid, key, value, step, options
            yield b"", b""  # for `close`; whoever goes on reading gets the error
            raise
        except Exception as error:
            # The traceback holds this frame, and with it the cursor, for as long as somebody looks at the error.
            del cursor, valid, key, value, step, options
            raise self._told(error) from error

    def write(
        self,
        changes: Mapping[bytes, bytes | None],
        *,
        metadata: Mapping[bytes, bytes] | None = None,
        dropped: Sequence[KeyRange] = (),
    ) -> None:
        """Drop ranges, apply changes and set metadata in one write batch, sorted (half the price of unsorted)."""
        if self._filling:
            self.fill(list(changes), list(changes.values()), metadata=metadata or {}, dropped=dropped)
            return
        self._write(self._batch(*in_order(changes), metadata or {}, dropped))
        self._resources.relieve()

    def fill(
        self,
        keys: Sequence[bytes],
        values: Sequence[bytes | None],
        *,
        metadata: Mapping[bytes, bytes],
        dropped: Sequence[KeyRange] = (),
    ) -> None:
        """Write, in a fill: as it comes, and without the log.

        What a killed process loses is the last writes, data and position of each together.
        """
        self._unflushed = None
        self._write(self._batch(keys, values, metadata, dropped), self._unlogged)
        self._wait_for_buffers()
        self._resources.relieve()

    def _batch(
        self,
        keys: Sequence[bytes],
        values: Sequence[bytes | None],
        metadata: Mapping[bytes, bytes],
        dropped: Sequence[KeyRange],
    ) -> Any:
        """Ranges to drop, then puts and deletions (None), then metadata, as one write batch."""
        batch = WriteBatch(raw_mode=True)
        for start, end in dropped:
            low, high = start or b"", self._beyond() if end is None else end
            if low < high:
                batch.delete_range(low, high)
        put, delete = batch.put, batch.delete
        if any_none(values):
            for key, value in zip(keys, values, strict=True):
                if value is None:
                    delete(key)
                else:
                    put(key, value)
        else:
            deque(map(put, keys, values), maxlen=0)
        for key, value in metadata.items():
            put(key, value, self._metadata_handle)
        return batch

    def _write(self, batch: Any, *options: Any) -> None:
        try:
            self._db.write(batch, *options)
        except Exception as error:
            raise self._told(error) from error

    def _wait_for_buffers(self) -> None:
        """Let RocksDB catch up, without the GIL: what is not sorted yet takes memory. It never runs out of work by that."""
        while _waiting_buffers(self._db) >= _FILL_WAITING:
            if self._in_trouble():
                self.flush()
                return
            time.sleep(_LOOK_S)

    def _in_trouble(self) -> bool:
        """Whether a thread of RocksDB's has failed, and a flush would say how."""
        return bool(self._db.property_int_value("rocksdb.background-errors"))

    def _beyond(self) -> bytes:
        """A key after the last one."""
        last = next(self.scan(None, None, reverse=True), (b"",))[0]
        return last + b"\0"

    def metadata(self, key: bytes) -> bytes | None:
        """A value set by `write(metadata=...)`, or None."""
        try:
            value: bytes | None = self._metadata.get(key)
        except Exception as error:
            raise self._told(error) from error
        return value

    def approximate_count(self) -> int:
        """RocksDB's estimate: overwritten and deleted keys may count until they are compacted."""
        try:
            return int(self._db.property_int_value("rocksdb.estimate-num-keys") or 0)
        except Exception as error:
            raise self._told(error) from error

    def buffered_bytes(self) -> int:
        """What the store's own write buffers take."""
        if self._closed:
            return 0
        name = "rocksdb.cur-size-all-mem-tables"
        return sum(int(family.property_int_value(name) or 0) for family in (self._db, self._metadata))

    def flush(self) -> None:
        """Write the buffers to files and wait for it."""
        self._flush(self._db, wait=True)

    def _flush(self, family: Any, *, wait: bool) -> None:
        try:
            family.flush(wait)
        except Exception as error:
            raise self._told(error) from error

    def close(self) -> None:
        """Close the files; scans that are still open raise StoreClosed from now on.

        Raises: StateError when RocksDB could not write all; it is closed all the same.
        """
        for scan in [scan for scan in self._scans if getgeneratorstate(scan) != GEN_CLOSED]:
            scan.throw(StoreClosed(f"store {self._path} was closed while it was being read"))
        self._metadata_handle = None
        problem: Exception | None = None
        if self._filling and not self._closed:
            try:
                for family in (self._db, self._metadata):  # a position on disk is never ahead of the data
                    family.flush(True)
            except Exception as error:
                problem = error
        self._closed = True
        for part in (self._db, self._metadata):  # each is flushed by itself, so the position comes last here, too
            try:
                part.close()
            except DbClosedError:
                continue
            except Exception as error:
                problem = problem or error
        if problem is not None:
            raise self._told(problem) from problem


def _waiting_buffers(family: Any) -> int:
    """How many full buffers RocksDB has not written yet."""
    return int(family.property_int_value("rocksdb.num-immutable-mem-table") or 0)


def _unlogged() -> Any:
    options: Any = WriteOptions
    made = options()
    made.disable_wal = True  # a property, whatever rocksdict's stubs say
    return made


def _translated(error: Exception, path: Path) -> StateError:
    """RocksDB's error as ours; rocksdict tells them apart by their text alone."""
    text = str(error)
    if isinstance(error, DbClosedError):
        return StoreClosed(f"store {path} is closed: it was used after its task let go of it")
    if "lock" in text and "LOCK" in text:
        return StoreLocked(f"store {path} is open elsewhere ({text}): stop that process, or use another state_dir")
    if any(word in text for word in _FULL):
        return StateDiskFull(path, text)
    if any(word in text for word in _CORRUPTION):
        return CorruptStore(f"store {path} cannot be read ({text}): set it aside and restore it from its changelog")
    return StateError(f"store {path}: {text}")
