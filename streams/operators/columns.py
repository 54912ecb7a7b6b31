"""Columns in, columns out: calling a function per record without losing the place when it raises.

Rules: `mapped` runs at the speed of `map` in C; an error stops it at a known index, the record is reported and left
out, and the same iterators go on after it, so no record is handled twice. `Output` gathers what an operator passes on
when it is not one record for one, and remembers which record each came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from state.errors import StateError
from streams.errors import StreamsError
from streams.operators.base import Emit, OperatorContext
from streams.record import Batch, Headers

__all__ = [
    "UNHANDLED",
    "Output",
    "Rows",
    "each_alone",
    "fan_out",
    "kept",
    "mapped",
    "nothing",
    "report",
    "rows_of",
    "too_large",
]

Rows = Iterator[tuple[int, Any, Any, int]]
"""(index, key, value, timestamp) of records, taken one after the other, also across errors."""

UNHANDLED = (StateError, StreamsError)
"""Errors that no record is to blame for, or that were already decided on: they pass through every operator."""


def report(context: OperatorContext, node: str, batch: Batch, index: int, error: Exception) -> None:
    """Let the handler decide on an error of user code at one record; returns to skip it."""
    context.failed(node, batch.record(index), error)


def mapped(
    context: OperatorContext,
    node: str,
    batch: Batch,
    function: Callable[..., Any],
    *columns: Iterable[Any],
    first: Callable[[], None] | None = None,
) -> tuple[list[Any], list[int]]:
    """`function` over the columns, one result per record, and the indices of those that failed (None stands there).

    `first` is called before a failure is reported, for what has to be told before it.
    A StopIteration out of the function would end a `map` silently: the length shows it.
    """
    count = len(batch)
    results: list[Any] = []
    failed: list[int] = []
    iterators = [iter(column) for column in columns]
    while len(results) < count:
        try:
            results.extend(map(function, *iterators))
            if len(results) == count:
                break
            raise RuntimeError(f"the function of {node} raised StopIteration")
        except UNHANDLED:
            raise
        except Exception as error:
            failed.append(len(results))
            if first is not None:
                first()
            report(context, node, batch, len(results), error)
            results.append(None)
    return results, failed


def kept(batch: Batch, failed: list[int]) -> Batch:
    """The batch without the records at the indices `failed`."""
    if not failed:
        return batch
    keep = [True] * len(batch)
    for index in failed:
        keep[index] = False
    return batch.select(keep)


def nothing(_batch: Batch) -> None:
    """Where no child follows."""


def fan_out(children: list[Emit]) -> Emit:
    """Hands every batch to all children, in the order they were attached."""
    if not children:
        return nothing
    if len(children) == 1:
        return children[0]

    def emit(batch: Batch) -> None:
        for child in children:
            child(batch)

    return emit


def each_alone(emit: Emit) -> Emit:
    """Hands on one record at a time: for what lies where branches meet again."""
    if emit is nothing:
        return emit

    def alone(batch: Batch) -> None:
        count = len(batch)
        if count == 1:
            emit(batch)
            return
        for index in range(count):
            emit(batch.slice(index, index + 1))

    return alone


class Output:
    """Results as they are found: columns, and the index of the record that triggered each."""

    __slots__ = ("keys", "old_values", "rows", "stale", "timestamps", "values")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Start new columns (those handed on stay as they are)."""
        self.keys: list[Any] = []
        self.values: list[Any] = []
        self.old_values: list[Any] = []
        self.timestamps: list[int] = []
        self.rows: list[int] = []
        self.stale: list[int] = []

    def add(
        self, row: int, key: Any, value: Any, timestamp: int, old_value: Any = None, *, latest: bool = True
    ) -> None:
        """One more result, triggered by the record at index `row`."""
        if not latest:
            self.stale.append(len(self.rows))
        self.rows.append(row)
        self.keys.append(key)
        self.values.append(value)
        self.timestamps.append(timestamp)
        self.old_values.append(old_value)

    def take(self, batch: Batch, *, old_values: bool = False, headers: bool = True) -> Batch:
        """What was gathered, as a batch with the headers and origin of the triggering records; begins anew."""
        rows = self.rows
        result = Batch(
            self.keys,
            self.values,
            self.timestamps,
            picked(batch.headers, rows) if headers and batch.headers else None,
            offsets=None if batch.offsets is None else [batch.offsets[row] for row in rows],
            topic=batch.topic,
            topics=batch.topics and [batch.topics[row] for row in rows],
            partition=batch.partition,
            old_values=self.old_values if old_values else None,
            latest=self._latest() if self.stale else None,
        )
        self.clear()
        return result

    def _latest(self) -> list[bool]:
        latest = [True] * len(self.rows)
        for index in self.stale:
            latest[index] = False
        return latest

    def pass_on(self, batch: Batch, emit: Emit, *, old_values: bool = False, headers: bool = True) -> None:
        """Hand on what was gathered, if anything."""
        if self.keys:
            emit(self.take(batch, old_values=old_values, headers=headers))


def picked(headers: list[Headers], rows: list[int]) -> list[Headers]:
    """The headers of the records at these indices."""
    return [headers[row] for row in rows]


def rows_of(batch: Batch) -> Rows:
    """Shape: (index, key, value, timestamp) of each record."""
    return zip(range(len(batch)), batch.keys, batch.values, batch.timestamps, strict=True)


def too_large(key: bytes | None, value: bytes | None) -> ValueError:
    """What is the matter with a record that the producer leaves out."""
    size = len(key or b"") + len(value or b"")
    return ValueError(f"{size:,} bytes are too large: raise max_request_size, and the topic's max.message.bytes")
