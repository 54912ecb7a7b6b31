"""Reading: bytes to objects, and the timestamp of each record.

Rules: a record whose bytes cannot be read goes to the deserialization handler, a negative timestamp drops the record
(Kafka's rule); whatever is left out still moves the offset. No handler is asked of an extractor that raises, for it says
with a negative timestamp what is to be left out; a function of the value alone only reads, so that a value which does not
tell its time is one that cannot be read. Partition time is the highest timestamp read before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from state.serde import Serde, deserializer
from streams.durations import moment_ms
from streams.errors import StreamsError, shown
from streams.operators.base import OperatorContext
from streams.operators.change import unpacked
from streams.operators.columns import kept
from streams.processor import TimestampExtractor, fail_on_invalid_timestamp
from streams.record import Batch, Record

__all__ = ["Decode", "source_decoder"]

Decode = Callable[[Batch, int], Batch]

Read = Callable[[Batch, list[Any], set[int]], list[Any]]
"""read(raw batch, a column of its bytes, indices of records that failed) -> the column's objects"""


def source_decoder(
    context: OperatorContext,
    node: str,
    key: Serde[Any],
    value: Serde[Any],
    extractor: TimestampExtractor | None,
    *,
    changes: bool = False,
    keeps_keys: bool = False,
    keeps_bytes: bool = False,
) -> Decode:
    """A function from raw columns and partition time to records; `changes`: values are in Kafka's Change format.

    With `keeps_keys` records keep the bytes of their keys, with `keeps_bytes` those of their values, for topics that take
    them as they are.
    """
    stamp = stamper(context, node, extractor)
    read_keys, read_values = reader(context, node, key), reader(context, node, value)

    def decode(raw: Batch, partition_time: int) -> Batch:
        failed: set[int] = set()
        keys = read_keys(raw, raw.keys, failed)
        if changes:
            new_values, old_values = unpacked(raw.values)
            values = read_values(raw, new_values, failed)
            olds = read_values(raw, old_values, failed)
        else:
            values = read_values(raw, raw.values, failed)
        batch = raw.with_columns(keys, values)
        if keeps_keys:
            batch.key_bytes = raw.keys
        if keeps_bytes:
            batch.value_bytes = raw.values
        if changes:
            batch.old_values = olds
        return stamp(kept(batch, sorted(failed)), partition_time)

    return decode


def reader(context: OperatorContext, node: str, serde: Serde[Any]) -> Read:
    """A function that reads a column of bytes; None stays. Failures are reported, and their indices added to a set."""
    deserialize, deserialize_many = serde.deserialize, deserializer(serde)

    def read(raw: Batch, column: list[Any], failed: set[int]) -> list[Any]:
        try:
            if all(column) or None not in column:  # the first is quicker, and false for an empty one too
                return deserialize_many(column)
            return [None if data is None else deserialize(data) for data in column]
        except Exception:  # noqa: S110  once more, one by one: reading has no effects, and the bad one must be found
            pass
        objects: list[Any] = []
        for index, data in enumerate(column):
            try:
                objects.append(None if data is None else deserialize(data))
            except Exception as error:
                objects.append(None)
                if index not in failed:
                    failed.add(index)
                    context.deserialization_failed(node, raw.record(index), error)
        return objects

    return read


def stamper(context: OperatorContext, node: str, extractor: TimestampExtractor | None) -> Decode:
    """A function that gives a batch the extractor's timestamps, and drops the records with negative ones.

    An extractor with an attribute `of_value`, a function of the value alone, is spared the making of records.
    """
    extract = fail_on_invalid_timestamp if extractor is None else extractor
    of_value: Callable[[Any], int] | None = getattr(extract, "of_value", None)

    def stamp(batch: Batch, partition_time: int) -> Batch:
        if not batch.keys:
            return batch
        if extract is fail_on_invalid_timestamp and min(batch.timestamps) >= 0:
            return batch
        timestamps = None if of_value is None else stamped_by_value(of_value, batch.values)
        failed: list[int] = []
        if timestamps is None:
            timestamps = extracted(context, node, batch, extract, partition_time, failed)
        batch.timestamps = timestamps
        return without_negative(context, node, kept(batch, failed))

    return stamp


def stamped_by_value(of_value: Callable[[Any], int], values: list[Any]) -> list[int] | None:
    """Timestamps out of the values alone; None where one fails, to be done again record by record."""
    try:
        timestamps = list(map(of_value, values))
        if all(timestamp.__class__ is int for timestamp in timestamps):
            return timestamps
        return list(map(moment_ms, timestamps))
    except Exception:
        return None


def extracted(
    context: OperatorContext,
    node: str,
    batch: Batch,
    extractor: TimestampExtractor,
    partition_time: int,
    failed: list[int],
) -> list[int]:
    """The timestamp of each record; indices of those whose value does not tell it are added to `failed`.

    Raises: StreamsError for one that another extractor raises for. Source: Kafka's RecordQueue.
    """
    of_value = hasattr(extractor, "of_value")
    timestamps: list[int] = []
    for index in range(len(batch)):
        record = batch.record(index)
        try:
            timestamp = moment_ms(extractor(record, partition_time))
        except Exception as error:
            if not of_value:
                raise _broken(node, record, error) from error
            failed.append(index)
            context.deserialization_failed(node, record, error)
            timestamp = -1
        timestamps.append(timestamp)
        partition_time = max(partition_time, timestamp)
    return timestamps


def _broken(node: str, record: Record, error: Exception) -> StreamsError:
    return StreamsError(
        f"the timestamp extractor of {node} raised {type(error).__name__}: {error}\n"
        f"  record: {record.topic}[{record.partition}]@{record.offset}\n  value: {shown(record.value)}\n"
        "  no on_error= is asked of it: have it give a negative time for what is to be left out, as "
        "streams.processor.log_and_skip_on_invalid_timestamp does"
    )


def without_negative(context: OperatorContext, node: str, batch: Batch) -> Batch:
    """The records with timestamps from 0 on."""
    if not batch.timestamps or min(batch.timestamps) >= 0:
        return batch
    mask = [timestamp >= 0 for timestamp in batch.timestamps]
    context.dropped(node, mask.count(False), "its extracted timestamp is negative")
    return batch.select(mask)
