"""Suppress: a table's updates wait, so that only the last one of a time (or a window's final one) is passed on.

Rules: the buffer is ordered by (time, key bytes). An update of a key that waits already takes its place, at the first
one's time. After each record everything at or before observed - wait leaves, where observed is the highest timestamp
this operator saw. A row counts as waiting until those downstream have taken it. Final results wait by the end of their
window, and tombstones among them are dropped. A buffer that is full emits its oldest early, or stops the task. What
leaves has the time and headers of the update that waited. The buffer is in memory; its store is there to find it again
after a restart, and is written at commits, with the latest of each key that changed.
Source: Kafka's KTableSuppressProcessorSupplier, InMemoryTimeOrderedKeyValueChangeBuffer.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from struct import Struct
from typing import Any

from state.serde import Serde
from state.stores import ValueAndTimestamp
from streams.errors import ProcessingError
from streams.operators.base import Emit, OperatorContext
from streams.operators.buffered import BufferedChange, origin_of, pack_change, unpack_change
from streams.operators.causes import set_causes
from streams.operators.columns import UNHANDLED, report
from streams.operators.getters import Getter
from streams.record import Batch

__all__ = ["Suppress", "SuppressGetter"]

TIME = Struct(">q")
_UNKNOWN_MS = -1


class Buffer:
    """Changes that wait, by (time, key bytes); kept in a store of bytes from one `save` to the next."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._unsaved: dict[bytes, None] = {}
        self._changes: dict[bytes, tuple[int, BufferedChange]] = {}
        self._order: list[tuple[int, bytes]] = []
        self.size = 0
        for key, data in store.all():
            (time,) = TIME.unpack(data[-TIME.size :])
            change = unpack_change(data)
            self._changes[key] = time, change
            self._order.append((time, key))
            self.size += self._size(key, change)
        heapify(self._order)

    def __len__(self) -> int:
        return len(self._changes)

    @property
    def earliest(self) -> int | None:
        """The time of the change that leaves first, None when nothing waits."""
        return self._order[0][0] if self._order else None

    def get(self, key: bytes) -> BufferedChange | None:
        """The change of a key that waits."""
        found = self._changes.get(key)
        return None if found is None else found[1]

    def put(self, time: int, key: bytes, change: BufferedChange) -> None:
        """Have a change wait, in the place of the key's former one if there is any."""
        known = self._changes.get(key)
        if known is None:
            heappush(self._order, (time, key))
            self.size += self._size(key, change)
        else:
            time = known[0]
            self.size += change.size - known[1].size
        self._changes[key] = time, change
        self._unsaved[key] = None

    def pop(self) -> tuple[bytes, BufferedChange]:
        """Take the change that leaves first."""
        _, key = heappop(self._order)
        _, change = self._changes.pop(key)
        self.size -= self._size(key, change)
        self._unsaved[key] = None
        return key, change

    def save(self, now_ms: int) -> None:
        """Write what changed since the last time to the store, logged with the wall-clock time, as Kafka's producer does."""
        for key in self._unsaved:
            waiting = self._changes.get(key)
            data = None if waiting is None else pack_change(waiting[1]) + TIME.pack(waiting[0])
            self._store.put(key, data, now_ms)
        self._unsaved.clear()

    @staticmethod
    def _size(key: bytes, change: BufferedChange) -> int:
        return len(key) + TIME.size + change.size


class Suppress:
    """Holds a table's updates back. `final`: until windows close, by the end in their Windowed keys."""

    def __init__(
        self,
        node: str,
        store: str,
        key: Serde[Any],
        value: Serde[Any],
        emit: Emit,
        *,
        wait_ms: int,
        final: bool,
        max_records: int | None = None,
        max_bytes: int | None = None,
        emit_early: bool = False,
    ) -> None:
        self._node = node
        self._store_name = store
        self._key = key
        self._value = value
        self._emit = emit
        self._wait_ms = wait_ms
        self._final = final
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._emit_early = emit_early
        self._observed = -1

    def init(self, context: OperatorContext) -> None:
        """Find what waited before a restart."""
        self._context = context
        self.buffer = buffer = Buffer(context.store(self._store_name))
        context.at_commit(lambda: buffer.save(context.now_ms()))
        self._leaving: list[tuple[bytes, BufferedChange]] = []
        self._passing: dict[bytes, BufferedChange] = {}

    def process(self, batch: Batch) -> None:
        """Have a batch of changes wait, and pass on what is due."""
        olds = batch.old_values or [None] * len(batch)
        for row, timestamp in enumerate(batch.timestamps):
            self._observed = max(self._observed, timestamp)
            try:
                self._hold(batch, row, olds[row])
            except UNHANDLED:
                raise
            except Exception as error:
                report(self._context, self._node, batch, row, error)
                continue
            self._release(batch, row)
        self._pass_on(alone=len(batch) == 1)

    def _hold(self, batch: Batch, row: int, old: Any) -> None:
        key, new, timestamp = batch.keys[row], batch.values[row], batch.timestamps[row]
        serialize = self._value.serialize
        key_bytes = self._key.serialize(key)
        old_bytes = None if old is None else serialize(old)
        known = self.buffer.get(key_bytes)
        change = BufferedChange(
            origin_of(batch, row, timestamp),
            old_bytes if known is None else known.prior,
            old_bytes,
            None if new is None else serialize(new),
        )
        self.buffer.put(key.end_ms if self._final else timestamp, key_bytes, change)

    def _release(self, batch: Batch, row: int) -> None:
        """Let go of what is due, then of what is too much."""
        buffer, due = self.buffer, self._observed - self._wait_ms
        while (earliest := buffer.earliest) is not None and earliest <= due:
            self._leaving.append(buffer.pop())
        while self._over_full():
            if not self._emit_early:
                raise self._full(batch, row)
            self._leaving.append(buffer.pop())

    def _over_full(self) -> bool:
        too_many = self._max_records is not None and len(self.buffer) > self._max_records
        return too_many or (self._max_bytes is not None and self.buffer.size > self._max_bytes and len(self.buffer) > 0)

    def _full(self, batch: Batch, row: int) -> ProcessingError:
        record = batch.record(row)
        bounds = f"{self._max_records} records, {self._max_bytes} bytes"
        return ProcessingError(
            f"the suppress buffer is full: it may hold {bounds} and holds {len(self.buffer)} records, "
            f"{self.buffer.size} bytes; give it more room, or let it emit early",
            node=self._node,
            topic=record.topic or "",
            partition=record.partition,
            offset=record.offset,
            value=record.value,
        )

    def _pass_on(self, *, alone: bool) -> None:
        """Emit what left the buffer, in that order; `alone`: one by one, since those downstream may look at it.

        To them the ones behind it still wait.
        """
        leaving, self._leaving = self._leaving, []
        self._passing = dict(leaving)
        for part in [[each] for each in leaving] if alone else [leaving]:
            if taken := [each for each in part if not self._final or each[1].new is not None]:
                self._emit_changes(taken)
            for key, _ in part:
                self._passing.pop(key, None)

    def _emit_changes(self, leaving: list[tuple[bytes, BufferedChange]]) -> None:
        value = self._value.deserialize
        batch = Batch(
            [self._key.deserialize(key) for key, _ in leaving],
            [None if change.new is None else value(change.new) for _, change in leaving],
            [change.origin.timestamp for _, change in leaving],
            old_values=[None if change.old is None else value(change.old) for _, change in leaving],
        )
        set_causes(batch, [change.origin.cause for _, change in leaving])
        self._emit(batch)

    def row_before(self, key: Any) -> tuple[bool, ValueAndTimestamp | None]:
        """Whether an update of `key` waits, and the row that those downstream have seen last."""
        key_bytes = self._key.serialize(key)
        change = self._passing.get(key_bytes) or self.buffer.get(key_bytes)
        if change is None:
            return False, None
        if change.prior is None:
            return True, None
        return True, ValueAndTimestamp(self._value.deserialize(change.prior), _UNKNOWN_MS)

    def close(self) -> None:
        """Nothing is held beside the store."""


class SuppressGetter(Getter):
    """Rows behind a suppress: what was passed on last while an update waits, else the parent's."""

    versioned = False

    def __init__(self, suppress: Callable[[], Suppress], parent: Getter) -> None:
        self._suppress = suppress
        self._parent = parent

    def init(self, context: OperatorContext) -> None:
        """Prepare the parent; the operator is asked for only when a row is."""
        self._parent.init(context)

    def get(self, key: Any) -> ValueAndTimestamp | None:
        """The row as those downstream know it."""
        waits, row = self._suppress().row_before(key)
        return row if waits else self._parent.get(key)

    def get_as_of(self, key: Any, timestamp: int) -> ValueAndTimestamp | None:
        """A suppressed table has no versions."""
        raise AssertionError(f"a suppressed table has no versions: {key} at {timestamp}")

    def close(self) -> None:
        """Let the parent go."""
        self._parent.close()
