"""Stores that keep headers beside values: how the two become bytes, and the verbs that users see.

Layout, equal to Kafka's: length of the headers (varint) ‖ headers ‖ value; headers = count (varint) ‖ {length (varint) ‖
name ‖ length (varint, -1 is null) ‖ value}, nothing where there are none. In a changelog the value stands alone and the
headers are the record's. Source: Kafka's HeadersSerializer, ValueTimestampHeadersSerializer (KIP-1271).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from state.serde import Serde
from state.stores import Headers, ValueAndTimestamp
from state.varint import read_varint, varint

__all__ = [
    "AggregationWithHeaders",
    "HeadedKeyValueStore",
    "HeadedSerde",
    "HeadedSessionStore",
    "HeadedWindowStore",
    "ValueTimestampHeaders",
    "joined",
    "parted",
]


class ValueTimestampHeaders(NamedTuple):
    """A value, the time of the record that made it, in ms, and its headers."""

    value: Any
    timestamp: int
    headers: Headers = ()


class AggregationWithHeaders(NamedTuple):
    """A session's value and its headers."""

    aggregation: Any
    headers: Headers = ()


class Headed(NamedTuple):
    """A value and its headers, as the store below keeps them."""

    value: Any
    headers: Headers


class HeadedSerde(Serde[Headed]):
    """Values with headers in front of them; `inner` writes the values."""

    by_value = False

    def __init__(self, inner: Serde[Any]) -> None:
        self.type = Headed
        self._inner = inner

    def serialize(self, value: Headed) -> bytes:
        """Headers and value as bytes."""
        return joined(value.headers, self._inner.serialize(value.value))

    def deserialize(self, data: bytes) -> Headed:
        """The same back."""
        headers, raw = parted(data)
        return Headed(self._inner.deserialize(raw), headers)


def joined(headers: Headers, value: bytes) -> bytes:
    """Headers in front of a value."""
    packed = b""
    if headers:
        parts = [varint(len(headers))]
        for name, content in headers:
            raw = name.encode()
            parts += [varint(len(raw)), raw, varint(-1 if content is None else len(content)), content or b""]
        packed = b"".join(parts)
    return varint(len(packed)) + packed + value


def parted(data: bytes) -> tuple[Headers, bytes]:
    """What `joined` put together."""
    size, at = read_varint(data, 0)
    end = at + size
    if not size:
        return (), data[end:]
    count, at = read_varint(data, at)
    headers = []
    for _ in range(count):
        length, at = read_varint(data, at)
        name, at = data[at : at + length].decode(), at + length
        length, at = read_varint(data, at)
        headers.append((name, None if length < 0 else data[at : at + length]))
        at += max(length, 0)
    return tuple(headers), data[end:]


class _HeadedStore:
    """What all kinds share: `below` is the store that keeps `Headed` values."""

    def __init__(self, below: Any) -> None:
        self._below = below
        self.name = below.name
        self.spec = below.spec


class HeadedKeyValueStore(_HeadedStore):
    """Values by key, with time and headers: all that is read is a ValueTimestampHeaders or None."""

    def get(self, key: Any) -> ValueTimestampHeaders | None:
        """The value of a key."""
        return shown(self._below.get(key))

    def put(self, key: Any, value: Any, timestamp: int, headers: Headers = ()) -> None:
        """Set a value with its time and headers; None deletes."""
        self._below.put(key, headed(value, headers), timestamp, self._below.cause)

    def put_if_absent(
        self, key: Any, value: Any, timestamp: int, headers: Headers = ()
    ) -> ValueTimestampHeaders | None:
        """Set a value if there is none; returns the one that was there."""
        present = self.get(key)
        if present is None:
            self.put(key, value, timestamp, headers)
        return present

    def put_all(self, entries: Iterable[tuple[Any, ValueTimestampHeaders | None]]) -> None:
        """Set (key, (value, its time, headers)) in their order; None in the place of all deletes."""
        for key, found in entries:
            self.put(key, *(found or (None, self._below.record_timestamp)))

    def delete(self, key: Any) -> ValueTimestampHeaders | None:
        """Remove a key; returns the value it had."""
        present = self.get(key)
        self.put(key, None, self._below.record_timestamp)
        return present

    def range(self, start: Any, end: Any) -> Iterator[tuple[Any, ValueTimestampHeaders]]:
        """(key, value) with start <= key <= end by bytes; None is open."""
        return all_shown(self._below.range(start, end))

    def reverse_range(self, start: Any, end: Any) -> Iterator[tuple[Any, ValueTimestampHeaders]]:
        """As `range`, descending."""
        return all_shown(self._below.reverse_range(start, end))

    def prefix_scan(self, prefix: bytes) -> Iterator[tuple[Any, ValueTimestampHeaders]]:
        """(key, value) of the keys whose bytes start with `prefix`."""
        return all_shown(self._below.prefix_scan(prefix))

    def all(self) -> Iterator[tuple[Any, ValueTimestampHeaders]]:
        """Every (key, value)."""
        return all_shown(self._below.all())

    def reverse_all(self) -> Iterator[tuple[Any, ValueTimestampHeaders]]:
        """Every (key, value), descending."""
        return all_shown(self._below.reverse_all())

    def approximate_num_entries(self) -> int:
        """Roughly how many keys there are."""
        count: int = self._below.approximate_num_entries()
        return count


class HeadedWindowStore(_HeadedStore):
    """Values by key and window start, with time and headers."""

    def fetch(self, key: Any, start_ms: int) -> ValueTimestampHeaders | None:
        """The value of one window, or None."""
        return shown(self._below.fetch(key, start_ms))

    def put(self, key: Any, value: Any, start_ms: int, timestamp: int = -1, headers: Headers = ()) -> None:
        """Set the value of a window; None deletes."""
        time = self._below.record_timestamp if value is None else timestamp
        self._below.put(key, headed(value, headers), start_ms, time, self._below.cause)

    def fetch_range(self, key: Any, from_ms: int, to_ms: int) -> Iterator[tuple[int, ValueTimestampHeaders]]:
        """(window start, value) of one key with from <= start <= to, ascending."""
        return all_shown(self._below.fetch_range(key, from_ms, to_ms))

    def backward_fetch_range(self, key: Any, from_ms: int, to_ms: int) -> Iterator[tuple[int, ValueTimestampHeaders]]:
        """As `fetch_range`, descending."""
        return all_shown(self._below.backward_fetch_range(key, from_ms, to_ms))

    def fetch_keys(
        self, first: Any, last: Any, from_ms: int, to_ms: int
    ) -> Iterator[tuple[tuple[Any, int], ValueTimestampHeaders]]:
        """((key, window start), value) of keys between two, by bytes, in a time range."""
        return all_shown(self._below.fetch_keys(first, last, from_ms, to_ms))

    def backward_fetch_keys(
        self, first: Any, last: Any, from_ms: int, to_ms: int
    ) -> Iterator[tuple[tuple[Any, int], ValueTimestampHeaders]]:
        """As `fetch_keys`, the other way round."""
        return all_shown(self._below.backward_fetch_keys(first, last, from_ms, to_ms))

    def fetch_all(self, from_ms: int, to_ms: int) -> Iterator[tuple[tuple[Any, int], ValueTimestampHeaders]]:
        """((key, window start), value) with from <= start <= to."""
        return all_shown(self._below.fetch_all(from_ms, to_ms))

    def backward_fetch_all(self, from_ms: int, to_ms: int) -> Iterator[tuple[tuple[Any, int], ValueTimestampHeaders]]:
        """As `fetch_all`, the other way round."""
        return all_shown(self._below.backward_fetch_all(from_ms, to_ms))

    def all(self) -> Iterator[tuple[tuple[Any, int], ValueTimestampHeaders]]:
        """Everything that can be read."""
        return all_shown(self._below.all())

    def backward_all(self) -> Iterator[tuple[tuple[Any, int], ValueTimestampHeaders]]:
        """As `all`, the other way round."""
        return all_shown(self._below.backward_all())


class HeadedSessionStore(_HeadedStore):
    """Values by key and session, with headers: all that is read is an AggregationWithHeaders or None."""

    def find_sessions(
        self, key: Any, earliest_end_ms: int, latest_start_ms: int
    ) -> Iterator[tuple[int, int, AggregationWithHeaders]]:
        """(start, end, value) of one key's sessions that overlap, by end."""
        return _of_one_key(self._below.find_sessions(key, earliest_end_ms, latest_start_ms))

    def backward_find_sessions(
        self, key: Any, earliest_end_ms: int, latest_start_ms: int
    ) -> Iterator[tuple[int, int, AggregationWithHeaders]]:
        """As `find_sessions`, the other way round."""
        return _of_one_key(self._below.backward_find_sessions(key, earliest_end_ms, latest_start_ms))

    def find_sessions_of_keys(
        self, first: Any, last: Any, earliest_end_ms: int, latest_start_ms: int
    ) -> Iterator[tuple[Any, int, int, AggregationWithHeaders]]:
        """(key, start, end, value) of keys between two, by bytes, whose sessions overlap."""
        return _of_keys(self._below.find_sessions_of_keys(first, last, earliest_end_ms, latest_start_ms))

    def backward_find_sessions_of_keys(
        self, first: Any, last: Any, earliest_end_ms: int, latest_start_ms: int
    ) -> Iterator[tuple[Any, int, int, AggregationWithHeaders]]:
        """As `find_sessions_of_keys`, the other way round."""
        return _of_keys(self._below.backward_find_sessions_of_keys(first, last, earliest_end_ms, latest_start_ms))

    def fetch_session(self, key: Any, start_ms: int, end_ms: int) -> AggregationWithHeaders | None:
        """The value of one session, or None."""
        found = self._below.fetch_session(key, start_ms, end_ms)
        return None if found is None else AggregationWithHeaders(*found)

    def put(self, key: Any, start_ms: int, end_ms: int, value: Any, headers: Headers = ()) -> None:
        """Set the value of a session; None removes it."""
        self._below.put(key, start_ms, end_ms, headed(value, headers), self._below.cause)

    def remove(self, key: Any, start_ms: int, end_ms: int) -> None:
        """Remove a session."""
        self.put(key, start_ms, end_ms, None)

    def fetch(self, key: Any) -> Iterator[tuple[int, int, AggregationWithHeaders]]:
        """(start, end, value) of all sessions of a key, by end."""
        return _of_one_key(self._below.fetch(key))

    def backward_fetch(self, key: Any) -> Iterator[tuple[int, int, AggregationWithHeaders]]:
        """As `fetch`, the other way round."""
        return _of_one_key(self._below.backward_fetch(key))

    def fetch_keys(self, first: Any, last: Any) -> Iterator[tuple[Any, int, int, AggregationWithHeaders]]:
        """(key, start, end, value) of all sessions of keys between two, by bytes."""
        return _of_keys(self._below.fetch_keys(first, last))

    def backward_fetch_keys(self, first: Any, last: Any) -> Iterator[tuple[Any, int, int, AggregationWithHeaders]]:
        """As `fetch_keys`, the other way round."""
        return _of_keys(self._below.backward_fetch_keys(first, last))

    def all(self) -> Iterator[tuple[Any, int, int, AggregationWithHeaders]]:
        """(key, start, end, value) of everything that can be read."""
        return _of_keys(self._below.all())

    def backward_all(self) -> Iterator[tuple[Any, int, int, AggregationWithHeaders]]:
        """As `all`, the other way round."""
        return _of_keys(self._below.backward_all())


def _of_one_key(found: Iterator[tuple[int, int, Headed]]) -> Iterator[tuple[int, int, AggregationWithHeaders]]:
    return ((start, end, AggregationWithHeaders(*value)) for start, end, value in found)


def _of_keys(found: Iterator[tuple[Any, int, int, Headed]]) -> Iterator[tuple[Any, int, int, AggregationWithHeaders]]:
    return ((key, start, end, AggregationWithHeaders(*value)) for key, start, end, value in found)


def headed(value: Any, headers: Headers) -> Headed | None:
    """A user's value as the store below keeps it."""
    return None if value is None else Headed(value, tuple(headers))


def shown(found: ValueAndTimestamp | None) -> ValueTimestampHeaders | None:
    """What the store below keeps, as users see it."""
    return None if found is None else ValueTimestampHeaders(found.value.value, found.timestamp, found.value.headers)


def all_shown(found: Iterator[tuple[Any, ValueAndTimestamp]]) -> Iterator[tuple[Any, ValueTimestampHeaders]]:
    """The same of (key, value)."""
    return ((key, ValueTimestampHeaders(row.value.value, row.timestamp, row.value.headers)) for key, row in found)


def with_headers(values: Sequence[bytes | None], headers: Sequence[Headers] | None) -> list[bytes | None]:
    """Values of a changelog with the headers of its records in front, as the store keeps them."""
    told = headers or [()] * len(values)
    return [None if value is None else joined(own, value) for value, own in zip(values, told, strict=True)]
