"""How the entries of each kind of store become bytes, and come back.

Inside a store an entry goes by its *entry key*: the key itself when its serde is `by_value`, else the key's bytes,
and in time-indexed stores a tuple of that and the times, in the order of the bytes. Its *live value* is the value,
or a `ValueAndTimestamp`. A layout maps both to what the changelog and the engine hold.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import Any

from msgspec import Struct

from state.errors import UnreadableState
from state.keys import (
    pack_long,
    pack_session,
    pack_window,
    split_session_key,
    split_timestamped,
    split_timestamped_many,
    split_window_key,
)
from state.serde import by_value, deserializer
from state.stores import StoreKind, StoreSpec, ValueAndTimestamp

TIMESTAMPED = {StoreKind.TIMESTAMPED_KEY_VALUE, StoreKind.TIMESTAMPED_WINDOW}
"""Kinds whose live values are ValueAndTimestamp."""
_new_tuple = tuple.__new__


class Layout(Struct, frozen=True):
    """Bytes of entry keys and live values.

    `identity` turns a user's key into what entry keys contain, `key` turns it back; `key_bytes` and `entry` convert
    between entry key and changelog key. `value_bytes` gives the changelog's value of a live value, `stored` adds what
    the engine keeps with it, `live` reads that back, `live_column` that of many.
    """

    identity: Callable[[Any], Any]
    key: Callable[[Any], Any]
    raw_key: Callable[[Any], bytes]
    key_bytes: Callable[[Any], bytes]
    entry: Callable[[bytes], Any]
    value_bytes: Callable[[Any], bytes]
    stored: Callable[[bytes, int], bytes]
    live: Callable[[bytes], Any]
    live_column: Callable[[list[bytes]], list[Any]]


def layout_of(spec: StoreSpec) -> Layout:
    """The layout of a store."""
    serde = spec.key_serde
    as_it_is = by_value(serde)
    identity: Callable[[Any], Any] = same if as_it_is else serde.serialize
    key: Callable[[Any], Any] = same if as_it_is else serde.deserialize
    raw_key: Callable[[Any], bytes] = serde.serialize if as_it_is else same
    from_raw: Callable[[bytes], Any] = serde.deserialize if as_it_is else same
    key_bytes, entry = _keys(spec, raw_key, from_raw)
    return Layout(identity, key, raw_key, key_bytes, entry, *_values(spec))


def plain(values: list[Any]) -> list[Any]:
    """A column of ValueAndTimestamp and None without the timestamps."""
    return [None if value is None else value[0] for value in values]


def same(value: Any) -> Any:
    """The value."""
    return value


def _keys(
    spec: StoreSpec, raw: Callable[[Any], bytes], parse: Callable[[bytes], Any]
) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    """Entry key to changelog key, and back."""
    if spec.kind is StoreKind.SESSION:

        def session_entry(data: bytes) -> Any:
            key, start_ms, end_ms = split_session_key(data)
            return parse(key), end_ms, start_ms

        return lambda entry: raw(entry[0]) + pack_session(entry[1], entry[2]), session_entry
    if spec.kind in {StoreKind.WINDOW, StoreKind.TIMESTAMPED_WINDOW}:

        def window_entry(data: bytes) -> Any:
            key, start_ms, sequence = split_window_key(data)
            return (parse(key), start_ms, sequence) if spec.retain_duplicates else (parse(key), start_ms)

        if spec.retain_duplicates:
            return lambda entry: raw(entry[0]) + pack_window(entry[1], entry[2]), window_entry
        return lambda entry: raw(entry[0]) + pack_window(entry[1], 0), window_entry
    return raw, parse


def _values(
    spec: StoreSpec,
) -> tuple[
    Callable[[Any], bytes], Callable[[bytes, int], bytes], Callable[[bytes], Any], Callable[[list[bytes]], list[Any]]
]:
    """Live value to changelog value, changelog value to engine value, engine value to live value, and columns of those."""
    serialize, deserialize, read = (
        spec.value_serde.serialize,
        spec.value_serde.deserialize,
        deserializer(spec.value_serde),
    )
    if spec.kind not in TIMESTAMPED:
        return serialize, lambda data, _timestamp: data, _told(spec, deserialize), _told(spec, read)

    def live(data: bytes) -> ValueAndTimestamp:
        value, timestamp = split_timestamped(data)
        try:
            return _new_tuple(ValueAndTimestamp, (deserialize(value), timestamp))
        except Exception as error:
            raise UnreadableState(spec.name, error) from error

    def live_column(column: list[bytes]) -> list[Any]:
        values, timestamps = split_timestamped_many(column)
        return list(map(_new_tuple, repeat(ValueAndTimestamp), zip(read_told(values), timestamps, strict=True)))

    read_told = _told(spec, read)

    return lambda value: serialize(value[0]), lambda data, timestamp: pack_long(timestamp) + data, live, live_column


def _told(spec: StoreSpec, read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same; what it raises says which store it is that holds what cannot be read."""

    def told(data: Any) -> Any:
        try:
            return read(data)
        except Exception as error:
            raise UnreadableState(spec.name, error) from error

    return told
