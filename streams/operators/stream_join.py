"""Joins of two streams within windows.

Each side's record at t first meets what the other side's store holds from t - before to t + after, then goes into its
own store; late records join whatever is still kept. Results have the later time of the two. Null values are dropped;
null keys too, except that the kept side of a left or outer join emits them alone. What finds no partner there is emitted
alone once the windows of both sides have passed it by the grace (`pending_joins`), or at once where that is already so,
or where the join is eager. Source: Kafka's KStreamKStreamJoin, KStreamJoinWindow, KStreamKStreamSelfJoin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.operators.base import Emit, OperatorContext
from streams.operators.causes import causes_of
from streams.operators.columns import UNHANDLED, Output, report, rows_of
from streams.operators.pending_joins import NEVER_MS, JoinTime, PendingEntry, PendingJoins
from streams.record import Batch, Record

__all__ = ["JoinWindow", "SelfJoin", "StreamJoinSide"]

Joiner = Callable[[Any, Any, Any], Any]

NOTHING_TO_JOIN = "its key or value is null, and this join needs both"


class JoinWindow:
    """Passes a side's records on to the join, then keeps them for the other side to find."""

    def __init__(self, node: str, store: str, emit: Emit) -> None:
        self._node = node
        self._store_name = store
        self._emit = emit
        self._collected: list[Batch] | None = None

    def init(self, context: OperatorContext) -> None:
        """Take the side's store."""
        self._context = context
        self.store = context.store(self._store_name)

    def collected(self, source: Emit, batch: Batch) -> Batch:
        """What arrives here when `source` is given a batch; it goes no further."""
        arrived = self._collected = [batch.slice(0, 0)]
        try:
            source(batch)
        finally:
            self._collected = None
        return arrived[-1]

    def process(self, batch: Batch) -> None:
        """Join a batch, then store it."""
        if self._collected is not None:
            self._collected.append(batch)
            return
        self._emit(batch)
        causes = causes_of(self.store, batch)
        for row, key, value, timestamp in rows_of(batch):
            if key is None:
                continue
            try:  # a null is logged, as in Kafka, and not kept
                self.store.put(key, value, timestamp, cause=causes[row] if causes else None)
            except UNHANDLED:
                raise
            except Exception as error:
                report(self._context, self._node, batch, row, error)

    def close(self) -> None:
        """Nothing is held."""


class StreamJoinSide:
    """Meets one side's records with the other side's.

    `before_ms` and `after_ms` are this side's: how much earlier or later a partner may be. `outer`: this side's records
    are emitted without a partner too. `pending` is shared by both sides (None: inner, or eager), and so is `time`.
    `lookback_ms` says of each side, (right, left), how long after its time a record's window stays open.
    """

    def __init__(
        self,
        node: str,
        other_store: str,
        joiner: Joiner,
        emit: Emit,
        *,
        from_left: bool,
        before_ms: int,
        after_ms: int,
        grace_ms: int,
        outer: bool,
        time: JoinTime,
        pending: PendingJoins | None = None,
        lookback_ms: tuple[int, int] = (0, 0),
    ) -> None:
        self.node = node
        self._other_name = other_store
        self._joiner = joiner
        self.joined: Joiner = joiner if from_left else swapped(joiner)
        """function(key, this side's value, the other's) -> the joiner's result"""
        self._emit = emit
        self._from_left = from_left
        self.before_ms = before_ms
        self.after_ms = after_ms
        self._grace_ms = grace_ms
        self.outer = outer
        self.time = time
        self._pending = pending
        self._lookback_ms = lookback_ms
        self._output = Output()

    def init(self, context: OperatorContext) -> None:
        """Take the other side's store."""
        self._context = context
        self.other = context.store(self._other_name)
        if self._pending:
            self._pending.init(context)

    def process(self, batch: Batch) -> None:
        """Join a batch."""
        rows = rows_of(batch)
        dropped = 0
        while True:
            try:
                for row, key, value, timestamp in rows:
                    self.time.advance(timestamp)
                    if value is None or (key is None and not self.outer):
                        dropped += 1
                    elif key is None:
                        self._output.add(row, key, self.joined(key, value, None), timestamp)
                    else:
                        self._meet(row, key, value, timestamp)
                break
            except UNHANDLED:
                raise
            except Exception as error:
                report(self._context, self.node, batch, row, error)
        if dropped:
            self._context.dropped(self.node, dropped, NOTHING_TO_JOIN)
        self._output.pass_on(batch, self._emit)

    def _meet(self, row: int, key: Any, value: Any, timestamp: int) -> None:
        if self._pending and timestamp == self.time.stream_time:
            self._emit_closed(row, self._pending, timestamp)
        last = max(0, timestamp + self.after_ms)
        alone = self.outer
        for other_time, other in self.other.fetch_range(key, max(0, timestamp - self.before_ms), last):
            alone = False
            if self._pending:
                self._pending.found_partner(other_time, key, timestamp, from_left=not self._from_left)
            self._output.add(row, key, self.joined(key, value, other), max(timestamp, other_time))
        if not alone:
            return
        if self._pending is None or last < self.time.stream_time:
            self._output.add(row, key, self.joined(key, value, None), timestamp)
        else:
            self.time.earliest_pending = min(self.time.earliest_pending, timestamp)
            self._pending.add(timestamp, key, value, from_left=self._from_left)

    def _emit_closed(self, row: int, pending: PendingJoins, now: int) -> None:
        """Emit the records alone whose partners can no longer come.

        Kafka looks at the first entries only, and remembers the time of the last one it saw, so that an older entry that
        is still open may be emitted later than it could.
        """
        time = self.time
        if time.earliest_pending + self.after_ms + self._grace_ms >= time.stream_time:
            return
        clock = self._context.now_ms()
        if clock < time.next_scan_ms:
            return
        time.next_scan_ms = clock + self._context.emit_throttle_ms()
        time.earliest_pending = NEVER_MS
        open_sides: set[bool] = set()
        for entry in pending.entries():
            time.earliest_pending = entry.timestamp
            if len(open_sides) == 2:
                break
            if entry.timestamp + self._lookback_ms[entry.from_left] + self._grace_ms >= time.stream_time:
                open_sides.add(entry.from_left)
                if len(open_sides) == 2 and len(entry.values) > 1:
                    break  # Kafka's next entry is this one's second value
                continue
            self._emit_alone(row, entry)
            pending.forget(entry, now)

    def _emit_alone(self, row: int, entry: PendingEntry) -> None:
        """A value that the joiner raises for has failed itself: neither the record in hand, nor those that wait behind it."""
        for value in entry.values:
            left, right = (value, None) if entry.from_left else (None, value)
            try:
                joined = self._joiner(entry.key, left, right)
            except UNHANDLED:
                raise
            except Exception as error:
                self._context.failed(self.node, Record(entry.key, value, entry.timestamp), error)
            else:
                self._output.add(row, entry.key, joined, entry.timestamp)

    def close(self) -> None:
        """Nothing is held."""


def swapped(joiner: Joiner) -> Joiner:
    """A joiner that is given the right side's value first."""
    return lambda key, right, left: joiner(key, left, right)


class SelfJoin:
    """Joins a stream with itself over one store: with older records both ways, and with itself in order of time.

    The stream's own window node stores the record after this one has seen it.
    """

    def __init__(
        self, node: str, store: str, joiner: Joiner, emit: Emit, *, before_ms: int, after_ms: int, retention_ms: int
    ) -> None:
        self._node = node
        self._store_name = store
        self._joiner = joiner
        self._emit = emit
        self._before_ms = before_ms
        self._after_ms = after_ms
        self._retention_ms = retention_ms
        self._observed = -1
        self._output = Output()

    def init(self, context: OperatorContext) -> None:
        """Take the store."""
        self._context = context
        self._store = context.store(self._store_name)

    def process(self, batch: Batch) -> None:
        """Join a batch (of one record: see `topology.meeting`)."""
        for row, key, value, timestamp in rows_of(batch):
            if key is None or value is None:
                self._context.dropped(self._node, 1, NOTHING_TO_JOIN)
                continue
            try:
                self._meet(row, key, value, timestamp)
            except UNHANDLED:
                raise
            except Exception as error:
                report(self._context, self._node, batch, row, error)
        self._output.pass_on(batch, self._emit)

    def _meet(self, row: int, key: Any, value: Any, timestamp: int) -> None:
        self._observed = max(self._observed, timestamp)
        itself = self._joiner(key, value, value)
        pending_itself = timestamp > self._observed - self._retention_ms + 1
        for other_time, other in self._around(key, timestamp, self._before_ms, self._after_ms):
            self._output.add(row, key, self._joiner(key, value, other), max(timestamp, other_time))
        for other_time, other in self._around(key, timestamp, self._after_ms, self._before_ms):
            if pending_itself and timestamp < other_time:
                pending_itself = False
                self._output.add(row, key, itself, timestamp)
            self._output.add(row, key, self._joiner(key, other, value), max(timestamp, other_time))
        if pending_itself:
            self._output.add(row, key, itself, timestamp)

    def _around(self, key: Any, timestamp: int, before_ms: int, after_ms: int) -> Any:
        return self._store.fetch_range(key, max(0, timestamp - before_ms), max(0, timestamp + after_ms))

    def close(self) -> None:
        """Nothing is held."""
