"""Writing: objects to bytes, and where each record goes.

Rules: Kafka's partitioner (murmur2 of the key's bytes) decides unless the sink has one of its own; a windowed key is
partitioned by the bytes of its plain key, so that a key's windows stay together. A result that cannot be serialized
goes to the production handler, what a partitioner or chooser raises to the processing one. A table's edge is written as its new values, or in the Change format.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, cast

from state.engine import any_none
from state.serde import Serde, serializer
from streams.clients.partitioner import partition_for, partitions_for
from streams.operators.base import Emit, OperatorContext
from streams.operators.change import pack
from streams.operators.columns import too_large
from streams.record import Batch
from streams.serdes.windowed import SessionWindowedSerde, TimeWindowedSerde

__all__ = ["Partitioner", "choosing_sink", "sink"]

Partitioner = Callable[[str, Any, Any, int], int | Iterable[int] | None]
"""function(topic, key, value, partition count): a partition, several, none at all, or None: Kafka's own choice."""

ColumnSerde = tuple[Serde[Any], Callable[[list[Any]], list[bytes]]]
"""A serde, and the function that takes a whole column through it."""


class RecordSink:
    """Serializes and sends the records of one sink node to any topic. Keys that are what was read go on as the bytes they
    came in, where those are known.

    `as_read`: nobody reads the topic's values, only whether they are null, so those that still are what was read from a
    topic go on as the bytes they came in. `by_plain_key`: without a partitioner, windowed keys go where their key by itself
    would, as in Kafka what `to` writes does, and no other sink.
    """

    def __init__(
        self,
        context: OperatorContext,
        node: str,
        key: Serde[Any],
        value: Serde[Any],
        partitioner: Partitioner | None = None,
        *,
        changes: bool = False,
        as_read: bool = False,
        by_plain_key: bool = False,
    ) -> None:
        self._context = context
        self._node = node
        self._key = key, serializer(key)
        self._value = value, serializer(value)
        self._changes = changes
        self._as_read = as_read
        self._partitioner = partitioner
        if by_plain_key and isinstance(key, TimeWindowedSerde | SessionWindowedSerde):
            self._plain_key: Serde[Any] | None = key.inner
        else:
            self._plain_key = None

    def write(self, topic: str, batch: Batch) -> None:
        """Send a batch to `topic`."""
        failed: set[int] = set()
        keys = batch.key_bytes or self._serialized(topic, batch, batch.keys, self._key, failed)
        values = self._values(topic, batch, failed)
        if failed:
            mask = [index not in failed for index in range(len(batch))]
            batch = batch.select(mask)
            keys = [key for key, keep in zip(keys, mask, strict=True) if keep]
            values = [value for value, keep in zip(values, mask, strict=True) if keep]
        if keys:
            self._send(topic, batch, keys, values)

    def _values(self, topic: str, batch: Batch, failed: set[int]) -> list[bytes | None]:
        if self._as_read and batch.value_bytes is not None and not any_none(batch.values):
            return batch.value_bytes
        new = self._serialized(topic, batch, batch.values, self._value, failed)
        if not self._changes:
            return new
        olds = batch.old_values or [None] * len(batch)
        return list(map(pack, new, self._serialized(topic, batch, olds, self._value, failed)))

    def _serialized(
        self, topic: str, batch: Batch, column: list[Any], serde: ColumnSerde, failed: set[int]
    ) -> list[bytes | None]:
        serialize, serialize_many = serde[0].serialize, serde[1]
        try:
            if not any_none(column):
                return cast("list[bytes | None]", serialize_many(column))
            return [None if value is None else serialize(value) for value in column]
        except Exception:  # noqa: S110  once more, one by one: serializing has no effects, and the bad one must be found
            pass
        encoded: list[bytes | None] = []
        for index, value in enumerate(column):
            try:
                encoded.append(None if value is None else serialize(value))
            except Exception as error:
                encoded.append(None)
                failed.add(index)
                self._context.production_failed(self._node, topic, batch.record(index), error)
        return encoded

    def _send(self, topic: str, batch: Batch, keys: list[bytes | None], values: list[bytes | None]) -> None:
        context, partitions = self._context, None
        if self._partitioner is not None:
            self._send_partitioned(topic, batch, keys, values)
            return
        if self._plain_key is not None and (count := context.partition_count(topic)) > 1:
            plain = self._plain_key.serialize
            partitions = [0 if key is None else partitions_for((plain(key.key),), count)[0] for key in batch.keys]
        for row in context.send(topic, keys, values, batch.timestamps, batch.headers, partitions):
            self._refused(topic, batch, row, keys[row], values[row])

    def _refused(self, topic: str, batch: Batch, row: int, key: bytes | None, value: bytes | None) -> None:
        self._context.production_failed(self._node, topic, batch.record(row), too_large(key, value))

    def _send_partitioned(self, topic: str, batch: Batch, keys: list[bytes | None], values: list[bytes | None]) -> None:
        """Send where the sink's own partitioner says: a record may go to several partitions, or to none."""
        assert self._partitioner is not None, "called with a partitioner only"
        count = self._context.partition_count(topic)
        rows: list[int] = []
        partitions: list[int] = []
        dropped = 0
        for row, (key, value) in enumerate(zip(batch.keys, batch.values, strict=True)):
            try:
                chosen = chosen_partitions(self._partitioner(topic, key, value, count), keys[row], count, topic)
            except Exception as error:
                self._context.failed(self._node, batch.record(row), error)  # Kafka calls it where nodes process
                continue
            dropped += not chosen
            rows.extend([row] * len(chosen))
            partitions.extend(chosen)
        if dropped:
            self._context.dropped(self._node, dropped, "its partitioner chose no partition")
        if rows:
            left_out = self._context.send(
                topic,
                [keys[row] for row in rows],
                [values[row] for row in rows],
                [batch.timestamps[row] for row in rows],
                batch.headers and [batch.headers[row] for row in rows],
                partitions,
            )
            for row in dict.fromkeys(rows[at] for at in left_out):
                self._refused(topic, batch, row, keys[row], values[row])


def chosen_partitions(choice: int | Iterable[int] | None, key: bytes | None, count: int, topic: str) -> list[int]:
    """A partitioner's answer as a list. Raises: ValueError for a partition that the topic does not have."""
    if choice is None:
        return [0 if key is None else partition_for(key, count)]
    if type(choice) is int and 0 <= choice < count:
        return [choice]
    chosen = dict.fromkeys(choice) if isinstance(choice, Iterable) else [choice]
    try:
        partitions = [operator.index(partition) for partition in chosen]  # numpy's numbers too
    except TypeError:
        partitions = [-1]
    if any(not 0 <= partition < count for partition in partitions):
        raise ValueError(f"the partitioner chose {choice!r}: {topic} has partitions 0 to {count - 1}")
    return partitions


def sink(writer: RecordSink, topic: str) -> Emit:
    """A stage that writes every batch to one topic."""

    def stage(batch: Batch) -> None:
        writer.write(topic, batch)

    return stage


def choosing_sink(
    context: OperatorContext, node: str, writer_of: Callable[[str], RecordSink], chooser: Callable[[Any, Any, Any], str]
) -> Emit:
    """A stage that asks chooser(key, value, record) for the topic of each record, which `writer_of(topic)` writes."""
    writer_of = cache(writer_of)

    def stage(batch: Batch) -> None:
        rows: dict[str, list[int]] = {}
        for row in range(len(batch)):
            record = batch.record(row)
            try:
                topic = chooser(record.key, record.value, record)
                if not isinstance(topic, str) or not topic:
                    raise TypeError(f"the topic chooser of {node} returns a topic's name, got {topic!r}")
            except Exception as error:
                context.failed(node, record, error)
                continue
            rows.setdefault(topic, []).append(row)
        for topic, chosen in rows.items():
            picks = set(chosen)
            writer_of(topic).write(topic, batch.select([row in picks for row in range(len(batch))]))

    return stage
