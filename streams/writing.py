"""Records written to topics from outside of an application: inputs, backfills, corrections.

Rules: whole columns are serialized and partitioned as Kafka does it (murmur2 of the key's bytes), a chunk at a time, so
that any iterable may be written; records without a key go round the partitions. Nothing is acknowledged before `flush`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, Protocol, runtime_checkable

from state.serde import Serde
from streams.clients.base import Producer
from streams.clients.partitioner import partitions_for
from streams.dsl.options import Field, Topic, ValueTimestamp, getter
from streams.durations import record_time_ms
from streams.errors import ConfigError, ProductionError, shown
from streams.record import NO_TIMESTAMP, Headers, Record

CHUNK = 2_000


@runtime_checkable
class CheckedSource(Protocol):
    """Rows that can be read twice, first to see that all of them can be written: files (`streams.connect`)."""

    def check(self, topic: Topic, default: Serde[Any], *, key: Any, timestamp: Any) -> int:
        """See that every row fits. Shape: how many there are. Raises: ConfigError."""
        ...

    def records(self, topic: Topic, *, key: Any, timestamp: Any) -> Iterator[Record]:
        """The rows as records."""
        ...


class _Columns(NamedTuple):
    """Rows of a chunk, column by column: a record of its own for each would take longer than all the rest."""

    keys: list[Any]
    values: list[Any]
    timestamps: list[int]
    headers: list[Headers]


class Writer:
    """Writes to any topics through one producer. `default` is the serde of what a topic does not declare."""

    def __init__(self, producer: Producer, default: Serde[Any]) -> None:
        self._producer = producer
        self._default = default
        self._next_unkeyed = 0

    def write(
        self,
        topic: Topic,
        rows: Iterable[Any],
        *,
        key: Field | None,
        timestamp: Field | datetime | int | None,
        partition: int | None = None,
    ) -> int:
        """Write rows, to one partition if it is named. Shape: how many.

        Raises: ProductionError for what the topic's types cannot hold, and times before 1970; ConfigError for a
        partition that is not there.
        """
        from streams.frames import is_frame, is_series, rows_of

        timestamp = _field_or_ms(timestamp)
        if isinstance(rows, CheckedSource):
            rows.check(topic, self._default, key=key, timestamp=timestamp)
            given: Iterator[Any] = rows.records(topic, key=key, timestamp=timestamp)
            key_of, time_of = None, _time_getter(topic, None)
        elif is_frame(rows):
            given = rows_of(rows, topic, key, timestamp)
            key_of, time_of = None, _time_getter(topic, None)
        elif is_series(rows):
            raise ConfigError("a Series has no columns for key and value: write series.reset_index(), a DataFrame")
        elif isinstance(rows, Iterable) and not isinstance(rows, str | bytes):
            given, key_of, time_of = (
                iter(rows),
                None if key is None else _found(key, "key"),
                _time_getter(topic, timestamp),
            )
        else:
            raise ConfigError(
                f"expected values, (key, value) pairs, records, a DataFrame or a file to write, got {shown(rows)}"
            )
        written, fixed = 0, timestamp if isinstance(timestamp, int) else NO_TIMESTAMP
        while chunk := list(islice(given, CHUNK)):
            self._send(topic, _columns(chunk, key_of, fixed), time_of, partition)
            written += len(chunk)
        return written

    def partition_of(self, topic: Topic, key: Any) -> int:
        """The partition that records with this key go to."""
        (data,) = _serialized([key], topic.key_serde or self._default, topic, "key")
        assert data is not None, "a record without a key has no partition of its own"
        return partitions_for([data], self._producer.partition_count(topic.name))[0]

    def flush(self) -> None:
        """Wait until all is acknowledged. Raises: StreamsError for what was not."""
        self._producer.flush()

    def _send(self, topic: Topic, columns: _Columns, time_of: Callable[[Any], int] | None, only: int | None) -> None:
        keys = _serialized(columns.keys, topic.key_serde or self._default, topic, "key")
        values = _serialized(columns.values, topic.value_serde or self._default, topic, "value")
        timestamps = _timestamps(columns, time_of, topic)
        for partition, chosen in self._places(topic.name, keys, only).items():
            headers = [columns.headers[index] for index in chosen]
            too_large = self._producer.send(
                topic.name,
                partition,
                [keys[index] for index in chosen],
                [values[index] for index in chosen],
                [timestamps[index] for index in chosen],
                headers if any(headers) else None,
            )
            if too_large:
                index = chosen[too_large[0]]
                raise ProductionError(
                    f"a record for {topic.name} is too large: raise max_request_size, and the topic's max.message.bytes",
                    node="writer",
                    value=columns.values[index],
                )

    def _places(self, topic: str, keys: Sequence[bytes | None], only: int | None) -> dict[int, list[int]]:
        """Indexes by partition."""
        count = self._producer.partition_count(topic)
        if only is not None:
            if only not in range(count):
                raise ConfigError(f"the topic {topic!r} has no partition {only}: it has 0 to {count - 1}")
            return {only: list(range(len(keys)))}
        keyed = iter(partitions_for([key for key in keys if key is not None], count))
        places: dict[int, list[int]] = {}
        for index, key in enumerate(keys):
            if key is None:
                self._next_unkeyed += 1
            partition = self._next_unkeyed % count if key is None else next(keyed)
            places.setdefault(partition, []).append(index)
        return places


def _field_or_ms(timestamp: Field | datetime | int | None) -> Field | int | None:
    """One time for all rows in ms; what finds each row's own as it is. Raises: ConfigError for what is neither."""
    if timestamp is None or isinstance(timestamp, str) or callable(timestamp):
        return timestamp
    try:
        return record_time_ms(timestamp)
    except ValueError as problem:
        raise ConfigError(str(problem)) from None


def _time_getter(topic: Topic, timestamp: Field | int | None) -> Callable[[Any], int] | None:
    """Finds the time of a value that came without one: as it is told, else as the topic finds it; None means now."""
    if isinstance(timestamp, int):
        return None  # its columns have it, tombstones included
    if timestamp is not None:
        return _found(timestamp, "timestamp")
    return topic.timestamp.of_value if isinstance(topic.timestamp, ValueTimestamp) else None


def _found(field: Field, option: str) -> Callable[[Any], Any]:
    """Takes a field out of a value that may be none that has it."""
    get = getter(field)
    if not isinstance(field, str):
        return get

    def named(value: Any) -> Any:
        try:
            return get(value)
        except (AttributeError, KeyError):
            raise ConfigError(f"{option}={field!r} names a field of the values, and {shown(value)} has none") from None

    return named


def _columns(rows: Sequence[Any], key_of: Callable[[Any], Any] | None, time_ms: int) -> _Columns:
    """Rows as columns: values with `key_of`, else Records or pairs; those without a time of their own get `time_ms`."""
    keys: list[Any] = []
    values: list[Any] = []
    timestamps: list[int] = []
    headers: list[Headers] = []
    for row in rows:
        if isinstance(row, Record):
            keys.append(row.key)
            values.append(row.value)
            timestamps.append(time_ms if row.timestamp == NO_TIMESTAMP else row.timestamp)
            headers.append(row.headers)
            continue
        if key_of is not None:
            keys.append(key_of(row))
            values.append(row)
        elif isinstance(row, tuple) and len(row) == 2:
            keys.append(row[0])
            values.append(row[1])
        else:
            raise ConfigError(
                f"expected Records or (key, value) pairs, got {shown(row)}; to write values alone, say key=, a field's "
                "name or a function of the value"
            )
        timestamps.append(time_ms)
        headers.append(())
    return _Columns(keys, values, timestamps, headers)


def _timestamps(columns: _Columns, time_of: Callable[[Any], int] | None, topic: Topic) -> list[int]:
    """Records without a time get the one that is found in their values, else now. Raises: ProductionError."""
    now_ms = time.time_ns() // 1_000_000
    found = [
        time_ms
        if time_ms != NO_TIMESTAMP
        else now_ms
        if time_of is None or value is None
        else _checked(time_of(value), value, topic)
        for time_ms, value in zip(columns.timestamps, columns.values, strict=True)
    ]
    if min(found) < 0:
        for time_ms, value in zip(found, columns.values, strict=True):
            _checked(time_ms, value, topic)
    return found


def _checked(moment: Any, value: Any, topic: Topic) -> int:
    """The time of a value in ms. Raises: ProductionError for what is none."""
    try:
        return record_time_ms(moment, "its timestamp")
    except ValueError as problem:
        raise ProductionError(
            f"a record cannot be written to {topic.name}: {problem}", node="writer", topic=topic.name, value=value
        ) from None


def _serialized(column: Sequence[Any], serde: Serde[Any], topic: Topic, part: str) -> list[bytes | None]:
    serialize = serde.serialize
    try:
        return [None if value is None else serialize(value) for value in column]
    except (TypeError, ValueError):
        raise _unwritable(column, serde, topic, part) from None


def _unwritable(column: Sequence[Any], serde: Serde[Any], topic: Topic, part: str) -> ProductionError:
    for value in column:
        try:
            if value is not None:
                serde.serialize(value)
        except (TypeError, ValueError) as problem:
            return ProductionError(
                f"a {part} cannot be written to {topic.name}: {problem}", node="writer", topic=topic.name, value=value
            )
    raise AssertionError("no value of the column fails by itself")
