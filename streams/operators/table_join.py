"""Joins that look a row up: a stream's records in a table, and two tables by their primary key.

Stream-table: only the stream triggers; a null value is dropped, a null key too, unless the join is left; the result has
the stream's time. A versioned table answers with the row that was valid then. Tables: each side's change meets the
other side's row as it is now; the result has the later time of the two; inner joins pass tombstones on as long as the
other side has a row. Joiners here take (key, left, right). Source: Kafka's KStreamKTableJoin, KTableKTable…Join.
"""

from __future__ import annotations

from collections.abc import Callable
from logging import INFO
from typing import Any

from state.engine import any_none
from state.stores import ValueAndTimestamp
from streams.operators.base import Emit, OperatorContext
from streams.operators.columns import UNHANDLED, Output, kept, mapped, report, rows_of
from streams.operators.getters import Getter
from streams.operators.table import TableWriter
from streams.record import Batch

__all__ = ["StreamTableJoin", "TableJoinMerge", "TableJoinSide"]

Joiner = Callable[[Any, Any, Any], Any]

NOTHING_TO_JOIN = "its key or value is null, and this join needs both"


class StreamTableJoin:
    """Looks each record of a stream up in a table, by its key or by `mapper(key, value)` in a global table.

    The joiner takes (key, left, right): the stream's key, also where the table is looked up by another; `with_mapped_key`
    it takes (key, mapped key, left, right), and without `with_key` (left, right).
    """

    def __init__(
        self,
        node: str,
        getter: Getter,
        joiner: Callable[..., Any],
        emit: Emit,
        *,
        left: bool,
        mapper: Callable[[Any, Any], Any] | None = None,
        with_key: bool = True,
        with_mapped_key: bool = False,
    ) -> None:
        self._node = node
        self._getter = getter
        self._joiner = joiner
        self._emit = emit
        self._left = left
        self._mapper = mapper
        self._with_key = with_key
        self._with_mapped_key = with_mapped_key
        self._output = Output()

    def init(self, context: OperatorContext) -> None:
        """Take the table's store."""
        self._context = context
        self._getter.init(context)

    def process(self, batch: Batch) -> None:
        """Join a batch, by columns where every record has what it takes, else row by row."""
        by_columns = self._mapper is None and not self._getter.versioned
        if by_columns and not any_none(batch.keys) and not any_none(batch.values):
            try:
                found = self._getter.values_of(batch.keys)
            except UNHANDLED:
                raise
            except Exception:
                self._process_rows(batch)  # looking up has no effects, and the bad key must be found
            else:
                self._process_found(batch, found)
        else:
            self._process_rows(batch)

    def _process_found(self, batch: Batch, rights: list[Any]) -> None:
        if not self._left and any_none(rights):
            batch = batch.select([right is not None for right in rights])
            rights = [right for right in rights if right is not None]
        columns = [batch.values, rights]
        if self._with_mapped_key:
            columns = [batch.keys, batch.keys, *columns]
        elif self._with_key:
            columns = [batch.keys, *columns]
        values, failed = mapped(self._context, self._node, batch, self._joiner, *columns)
        result = kept(batch.with_columns(batch.keys, values), failed)
        if result.keys:
            self._emit(result)

    def _process_rows(self, batch: Batch) -> None:
        rows = rows_of(batch)
        dropped = 0
        add, join, with_key, with_mapped_key = self._output.add, self._joiner, self._with_key, self._with_mapped_key
        while True:
            try:
                for row, key, value, timestamp in rows:
                    mapped = key if self._mapper is None or value is None else self._mapper(key, value)
                    if value is None or (mapped is None and not self._left):
                        dropped += 1
                        continue
                    found = None if mapped is None else self._look_up(mapped, timestamp)
                    if found is not None or self._left:
                        right = found and found[0]
                        if with_mapped_key:
                            joined = join(key, mapped, value, right)
                        else:
                            joined = join(key, value, right) if with_key else join(value, right)
                        add(row, key, joined, timestamp)
                break
            except UNHANDLED:
                raise
            except Exception as error:
                report(self._context, self._node, batch, row, error)
        if dropped:
            self._context.dropped(self._node, dropped, NOTHING_TO_JOIN)
        self._output.pass_on(batch, self._emit)

    def _look_up(self, key: Any, timestamp: int) -> ValueAndTimestamp | None:
        if self._getter.versioned:
            return self._getter.get_as_of(key, timestamp)
        return self._getter.get(key)

    def close(self) -> None:
        """Let the table go."""
        self._getter.close()


class TableJoinSide:
    """One side of a join of two tables: meets its changes with the other side's rows.

    `from_left` says which side this is, for the joiner's arguments. `alone`: a row of this side makes a result where
    the other has none; `other_alone`: the other way round, so that a deletion here leaves a result.
    """

    def __init__(
        self,
        node: str,
        other: Getter,
        joiner: Joiner,
        emit: Emit,
        *,
        from_left: bool,
        alone: bool,
        other_alone: bool,
        send_old_values: bool,
        versioned: bool = False,
    ) -> None:
        self._node = node
        self._other = other
        self._emit = emit
        self._alone = alone
        self._other_alone = other_alone
        self._send_old_values = send_old_values
        self._versioned = versioned
        self._output = Output()
        self._join: Joiner = joiner if from_left else lambda key, mine, other: joiner(key, other, mine)

    def init(self, context: OperatorContext) -> None:
        """Take the other side's store."""
        self._context = context
        self._other.init(context)

    def process(self, batch: Batch) -> None:
        """Join a batch of changes."""
        olds = batch.old_values or [None] * len(batch)
        for row, key, new, timestamp in rows_of(batch):
            latest = batch.latest is None or batch.latest[row]
            if key is None:
                self._context.dropped(self._node, 1, "its key is null")
                continue
            if self._versioned and not latest:
                self._context.dropped(self._node, 1, "a later version of its row was joined already", level=INFO)
                continue
            try:
                self._change(row, key, new, olds[row], timestamp, latest=latest)
            except UNHANDLED:
                raise
            except Exception as error:
                report(self._context, self._node, batch, row, error)
        self._output.pass_on(batch, self._emit, old_values=self._send_old_values)

    def _change(self, row: int, key: Any, new: Any, old: Any, timestamp: int, *, latest: bool) -> None:
        found = self._other.get(key)
        if found is None:
            if not self._alone or (new is None and old is None):
                return
            other = None
        else:
            other, other_time = found
            timestamp = max(timestamp, other_time)
        joined = self._joined(key, new, other)
        before = self._joined(key, old, other) if self._send_old_values else None
        self._output.add(row, key, joined, timestamp, before, latest=latest)

    def _joined(self, key: Any, mine: Any, other: Any) -> Any:
        if mine is None and (other is None or not self._other_alone):
            return None
        return self._join(key, mine, other)

    def close(self) -> None:
        """Let the other side go."""
        self._other.close()


class TableJoinMerge:
    """The end of a join of two tables: both sides' results, stored if the join has a store."""

    def __init__(self, node: str, store: str | None, emit: Emit, *, send_old_values: bool) -> None:
        self._emit = emit
        self._send_old_values = send_old_values
        self._writer = (
            None
            if store is None
            else TableWriter(node, store, emit, send_old_values=send_old_values, looks_first=False)
        )

    def init(self, context: OperatorContext) -> None:
        """Take the store, if there is one."""
        if self._writer:
            self._writer.init(context)

    def process(self, batch: Batch) -> None:
        """Store a batch, and pass it on."""
        if self._writer:
            self._writer.write(batch)
            return
        if not self._send_old_values and batch.old_values is not None:
            latest = batch.latest
            batch = batch.with_columns(batch.keys, batch.values)
            batch.latest = latest
        self._emit(batch)

    def close(self) -> None:
        """Nothing is held."""
