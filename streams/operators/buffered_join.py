"""Stream-table joins that wait: a record is joined once its versioned table has had time to catch up.

Rules: a record waits until the highest timestamp among the records that wait or waited is at least its own plus the
grace, and is then joined with the row valid at its time; records leave in the order of (time, key bytes, arrival) with
their own time and headers. A record that is older than that already is joined at once. Dropped records and the table's
do not move the time. A null key is dropped by an inner join; for a left join it cannot wait. Store key: 00 ‖ time (8) ‖ key ‖ sequence (4); value: `buffered`
‖ 0 (8); it is logged with the wall-clock time, as Kafka's producer does.
Source: Kafka's KStreamKTableJoinProcessor, RocksDBTimeOrderedKeyValueBuffer.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any

from state.serde import Serde
from streams.operators.base import Emit, OperatorContext
from streams.operators.buffered import BufferedChange, Origin, origin_of, pack_change, unpack_change
from streams.operators.causes import set_causes
from streams.operators.columns import UNHANDLED, report, rows_of
from streams.operators.getters import Getter
from streams.record import Batch, Record

__all__ = ["BufferedStreamTableJoin"]

Joiner = Callable[[Any, Any, Any], Any]

TIME = Struct(">xq")
NO_TIME = bytes(8)
"""Where a suppress buffer has the time at which a change leaves."""
SEQUENCE = Struct(">I")
SEQUENCE_MASK = 0x7FFFFFFF
NEVER_MS = 2**63 - 1


class BufferedStreamTableJoin:
    """Looks each record of a stream up in a versioned table, `grace_ms` of stream time later."""

    def __init__(
        self,
        node: str,
        store: str,
        getter: Getter,
        joiner: Joiner,
        serdes: tuple[Serde[Any], Serde[Any]],
        emit: Emit,
        *,
        grace_ms: int,
        left: bool,
    ) -> None:
        self._node = node
        self._store_name = store
        self._getter = getter
        self._joiner = joiner
        self._key, self._value = serdes
        self._emit = emit
        self._grace_ms = grace_ms
        self._left = left
        self._observed = -1
        self._earliest = NEVER_MS
        self._sequence = 0
        self._joined: list[tuple[Any, Any, Origin]] = []

    def init(self, context: OperatorContext) -> None:
        """Take both stores, and find what waited before a restart."""
        self._context = context
        self._getter.init(context)
        self._store = context.store(self._store_name)
        for stored_key, _ in self._store.all():
            (timestamp,) = TIME.unpack_from(stored_key)
            self._observed = max(self._observed, timestamp)
            self._earliest = min(self._earliest, timestamp)
            self._sequence = max(self._sequence, SEQUENCE.unpack(stored_key[-4:])[0])

    def process(self, batch: Batch) -> None:
        """Have a batch wait, and join what is due."""
        for row, key, value, timestamp in rows_of(batch):
            if value is None or (key is None and not self._left):
                self._context.dropped(self._node, 1, "its key or value is null")
                continue
            try:
                self._take(batch, row, key, value, timestamp)
            except UNHANDLED:
                raise
            except Exception as error:
                report(self._context, self._node, batch, row, error)
        self._pass_on()

    def _take(self, batch: Batch, row: int, key: Any, value: Any, timestamp: int) -> None:
        if key is None:
            raise ValueError("its key is null: a record that waits for its table by a grace period needs a key")
        if timestamp < self._observed - self._grace_ms:
            self._join(key, value, origin_of(batch, row, timestamp))
        else:
            self._hold(batch, row, key, value, timestamp)
        if self._earliest <= self._observed - self._grace_ms:
            self._release(self._observed - self._grace_ms)

    def _hold(self, batch: Batch, row: int, key: Any, value: Any, timestamp: int) -> None:
        self._sequence = (self._sequence + 1) & SEQUENCE_MASK
        stored_key = b"\0" + TIME.pack(timestamp)[1:] + self._key.serialize(key) + SEQUENCE.pack(self._sequence)
        change = BufferedChange(origin_of(batch, row, timestamp), None, None, self._value.serialize(value))
        self._store.put(stored_key, pack_change(change) + NO_TIME, self._context.now_ms())
        self._observed = max(self._observed, timestamp)
        self._earliest = min(self._earliest, timestamp)

    def _release(self, due: int) -> None:
        """Join all that waits with a time up to `due`."""
        self._earliest = NEVER_MS
        for stored_key, data in self._store.all():
            change = unpack_change(data)
            if change.origin.timestamp > due:
                self._earliest = change.origin.timestamp
                break
            assert change.new is not None, "records without a value never wait"
            key = self._key.deserialize(stored_key[TIME.size : -SEQUENCE.size])
            self._join_waiting(key, self._value.deserialize(change.new), change.origin)
            self._store.put(stored_key, None, self._context.now_ms())

    def _join_waiting(self, key: Any, value: Any, origin: Origin) -> None:
        """Join a record that waited; if that raises it has failed, and neither the one in hand, nor those behind it."""
        try:
            self._join(key, value, origin)
        except UNHANDLED:
            raise
        except Exception as error:
            read = (origin.topic or None, origin.partition, origin.offset)
            self._context.failed(self._node, Record(key, value, origin.timestamp, origin.headers, *read), error)

    def _join(self, key: Any, value: Any, origin: Origin) -> None:
        found = self._getter.get_as_of(key, origin.timestamp)
        if found is not None or self._left:
            joined = self._joiner(key, value, found and found[0])
            self._joined.append((key, joined, origin))

    def _pass_on(self) -> None:
        joined, self._joined = self._joined, []
        if not joined:
            return
        keys, values, origins = map(list, zip(*joined, strict=True))
        batch = Batch(keys, values, [origin.timestamp for origin in origins])
        set_causes(batch, [origin.cause for origin in origins])
        self._emit(batch)

    def close(self) -> None:
        """Let the table go."""
        self._getter.close()
