"""Tables whose rows a user's transformer computes: like a map over values, but it may use stores, and sees deletions.

Rules: `transform(key, value)` is called for every change, with None too; `init(context)` and `close()` are called if the
transformer has them. Without a store, old values are transformed again when someone asks for them, and rows that are
looked up from downstream go through a transformer of their own. Source: Kafka's KTableTransformValues.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from state.stores import ValueAndTimestamp
from streams.errors import TopologyError
from streams.operators.base import Emit, OperatorContext
from streams.operators.columns import UNHANDLED, Output, report, rows_of
from streams.operators.getters import Getter
from streams.operators.process import NodeContext, Stores
from streams.operators.table import TableWriter
from streams.record import Batch, Record

__all__ = ["TableTransform", "TransformGetter", "Transformer"]


class TransformerContext(NodeContext):
    """What a transformer may ask of its task: all but to forward, since its result is what goes on."""

    def forward(self, record: Record, to: str | None = None) -> None:
        """Refused, as by Kafka's ForwardingDisabledProcessorContext. Raises: TopologyError."""
        del record, to
        raise TopologyError(
            f"{self._node} transforms the rows of a table, and cannot forward: return the row's new value"
        )


class Transformer:
    """A user's transformer in its node: made by the supplier, with a context of its own."""

    def __init__(self, node: str, supplier: Callable[[], Any], stores: Stores) -> None:
        self._node = node
        self._stores = stores
        self._made = supplier()

    def init(self, context: OperatorContext) -> None:
        """Init the user's transformer."""
        self._own = TransformerContext(context, self._node, {}, self._stores, fixed_key=True)
        if hasattr(self._made, "init"):
            self._made.init(self._own)
        self._transform = context.attempted(self._node, self._made.transform)

    def transform(self, record: Record) -> Any:
        """The row that the transformer makes of a record's key and value."""
        held = self._own.in_hand()
        self._own.begin(record, record.timestamp)
        try:
            return self._transform(record.key, record.value)
        finally:
            self._own.put_back(held)

    def close(self) -> None:
        """Close the user's transformer."""
        if hasattr(self._made, "close"):
            self._made.close()


class TableTransform:
    """A table whose rows a transformer computes."""

    def __init__(
        self, node: str, transformer: Transformer, store: str | None, emit: Emit, *, send_old_values: bool
    ) -> None:
        self._node = node
        self._transformer = transformer
        self._emit = emit
        self._send_old_values = send_old_values
        self._writer = (
            None
            if store is None
            else TableWriter(node, store, emit, send_old_values=send_old_values, looks_first=send_old_values)
        )
        self._output = Output()

    def init(self, context: OperatorContext) -> None:
        """Init the transformer, and take the store if there is one."""
        self._context = context
        self._transformer.init(context)
        if self._writer:
            self._writer.init(context)

    def process(self, batch: Batch) -> None:
        """Transform a batch of changes."""
        olds = batch.old_values or [None] * len(batch)
        transform = self._transformer.transform
        transforms_old = self._send_old_values and self._writer is None
        for row, key, _, timestamp in rows_of(batch):
            try:
                record = batch.record(row)
                new = transform(record)
                old = transform(replace(record, value=olds[row])) if transforms_old else None
            except UNHANDLED:
                raise
            except Exception as error:
                report(self._context, self._node, batch, row, error)
                continue
            self._output.add(row, key, new, timestamp, old, latest=batch.latest is None or batch.latest[row])
        if self._writer and self._output.keys:
            self._writer.write(self._output.take(batch))
        else:
            self._output.pass_on(batch, self._emit, old_values=self._send_old_values)

    def close(self) -> None:
        """Close the transformer."""
        self._transformer.close()


class TransformGetter(Getter):
    """Rows of a transformed table that is not stored."""

    def __init__(self, parent: Getter, transformer: Transformer) -> None:
        self._parent = parent
        self._transformer = transformer
        self.versioned = parent.versioned

    def init(self, context: OperatorContext) -> None:
        """Prepare the parent and the transformer."""
        self._parent.init(context)
        self._transformer.init(context)

    def get(self, key: Any) -> ValueAndTimestamp | None:
        """The parent's row, transformed."""
        return self._transformed(key, self._parent.get(key))

    def get_as_of(self, key: Any, timestamp: int) -> ValueAndTimestamp | None:
        """The parent's version, transformed."""
        return self._transformed(key, self._parent.get_as_of(key, timestamp))

    def _transformed(self, key: Any, row: ValueAndTimestamp | None) -> ValueAndTimestamp | None:
        value, timestamp = (None, -1) if row is None else row
        made = self._transformer.transform(Record(key, value, timestamp))
        return None if made is None else ValueAndTimestamp(made, timestamp)

    def close(self) -> None:
        """Let the parent go, and close the transformer."""
        self._parent.close()
        self._transformer.close()
