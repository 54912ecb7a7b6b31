"""Lists of values of one serde, in the layout of Kafka's ListSerializer.

Inner values of fixed length: 00 ‖ count of nulls (4) ‖ their indexes (4 each) ‖ size (4) ‖ the other values.
Others: 01 ‖ size (4) ‖ per entry its length (4, or -1 for null) and bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct, error
from typing import Any, Self

from streams.errors import shown
from streams.serdes.primitives import DOUBLE, FLOAT32, INT16, INT32, LONG, UUID_TEXT
from streams.serdes.registered import with_inner_bound
from streams.serdes.registry import serde_for
from streams.serdes.schema_registry import SchemaRegistry

_INT = Struct(">i")
_FIXED = {id(INT16): 2, id(INT32): 4, id(LONG): 8, id(FLOAT32): 4, id(DOUBLE): 8, id(UUID_TEXT): 36}
_NULL = -1


class ListSerde:
    """Lists whose entries are of the type `inner`, or written by this serde; entries may be None."""

    by_value = False
    type: Any = list

    def __init__(self, inner: Any) -> None:
        self.inner = serde_for(inner)
        self._entry_bytes = _FIXED.get(id(self.inner))

    def bound(self, subject: str | None, registry: Callable[[], SchemaRegistry]) -> Self:
        """The same serde, with a schema inside bound to a subject of a registry."""
        return with_inner_bound(self, subject, registry)

    def serialize(self, value: list[Any]) -> bytes:
        """Raises: TypeError for anything but a list or tuple, or when an entry does not fit."""
        if not isinstance(value, list | tuple):
            raise TypeError(f"expected a list, got {shown(value)}")
        entries = [None if entry is None else self.inner.serialize(entry) for entry in value]
        return self._fixed(entries) if self._entry_bytes else self._variable(entries)

    def _fixed(self, entries: list[bytes | None]) -> bytes:
        nulls = [index for index, entry in enumerate(entries) if entry is None]
        head = [b"\x00", _INT.pack(len(nulls)), *map(_INT.pack, nulls), _INT.pack(len(entries))]
        return b"".join([*head, *(entry for entry in entries if entry is not None)])

    def _variable(self, entries: list[bytes | None]) -> bytes:
        parts = [b"\x01", _INT.pack(len(entries))]
        for entry in entries:
            parts.append(_INT.pack(_NULL if entry is None else len(entry)))
            parts.append(entry or b"")
        return b"".join(parts)

    def deserialize(self, data: bytes) -> list[Any]:
        """Raises: ValueError when `data` is not in this layout."""
        try:
            entries = _read_fixed(data, self._entry_bytes or 0) if data[0] == 0 else _read_variable(data)
        except (error, IndexError):
            raise ValueError(f"expected a list as Kafka writes it, got {shown(bytes(data))}") from None
        return [None if entry is None else self.inner.deserialize(entry) for entry in entries]


def _read_fixed(data: bytes, entry_bytes: int) -> list[bytes | None]:
    (null_count,) = _INT.unpack_from(data, 1)
    nulls = {_INT.unpack_from(data, 5 + 4 * index)[0] for index in range(null_count)}
    at = 5 + 4 * null_count
    (size,) = _INT.unpack_from(data, at)
    at += 4
    entries: list[bytes | None] = []
    for index in range(size):
        if index in nulls:
            entries.append(None)
        else:
            entries.append(_cut(data, at, entry_bytes))
            at += entry_bytes
    return entries


def _read_variable(data: bytes) -> list[bytes | None]:
    (size,) = _INT.unpack_from(data, 1)
    at = 5
    entries: list[bytes | None] = []
    for _ in range(size):
        (length,) = _INT.unpack_from(data, at)
        at += 4
        if length == _NULL:
            entries.append(None)
        else:
            entries.append(_cut(data, at, length))
            at += length
    return entries


def _cut(data: bytes, start: int, length: int) -> bytes:
    if length <= 0 or start + length > len(data):
        if length == 0:
            return b""
        raise IndexError(start)
    return bytes(data[start : start + length])
