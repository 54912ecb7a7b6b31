"""Serdes of windowed keys, in Kafka's layouts.

Time windows: key ‖ start (8 bytes); the end follows from the window's size. Sessions: key ‖ end (8) ‖ start (8).
Source: Kafka's TimeWindowedSerializer and SessionWindowedSerializer.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any, Self

from state.serde import by_value
from streams.durations import Duration, milliseconds
from streams.errors import TopologyError, shown
from streams.record import Windowed
from streams.serdes.registered import with_inner_bound
from streams.serdes.registry import serde_for
from streams.serdes.schema_registry import SchemaRegistry

_START = Struct(">q")
_END_START = Struct(">qq")
MAX_TIME_MS = 2**63 - 1


class TimeWindowedSerde:
    """`Windowed` keys of time windows of a `size`; `inner` is the type, or the serde, of the key itself."""

    type: Any = Windowed

    def __init__(self, inner: Any, size: Duration = MAX_TIME_MS) -> None:
        self.inner = serde_for(inner)
        self.size_ms = _size_ms(size)
        self.by_value = by_value(self.inner)

    def bound(self, subject: str | None, registry: Callable[[], SchemaRegistry]) -> Self:
        """The same serde, with a schema inside bound to a subject of a registry."""
        return with_inner_bound(self, subject, registry)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TimeWindowedSerde) and (other.inner, other.size_ms) == (self.inner, self.size_ms)

    def __hash__(self) -> int:
        return hash((TimeWindowedSerde, self.inner, self.size_ms))

    def serialize(self, value: Windowed) -> bytes:
        """Raises: TypeError for anything but Windowed."""
        try:
            key, start_ms, _ = value
        except (TypeError, ValueError):
            raise TypeError(f"expected Windowed(key, start_ms, end_ms), got {shown(value)}") from None
        return self.inner.serialize(key) + _START.pack(start_ms)

    def deserialize(self, data: bytes) -> Windowed:
        """Raises: ValueError when `data` is shorter than a window start."""
        if len(data) < 8:
            raise ValueError(f"expected a key and a window start of 8 bytes, got {len(data)} bytes")
        (start_ms,) = _START.unpack_from(data, len(data) - 8)
        return Windowed(self.inner.deserialize(data[:-8]), start_ms, min(start_ms + self.size_ms, MAX_TIME_MS))


class SessionWindowedSerde:
    """`Windowed` keys of sessions, both ends inclusive; `inner` is the type, or the serde, of the key itself."""

    type: Any = Windowed

    def __init__(self, inner: Any) -> None:
        self.inner = serde_for(inner)
        self.by_value = by_value(self.inner)

    def bound(self, subject: str | None, registry: Callable[[], SchemaRegistry]) -> Self:
        """The same serde, with a schema inside bound to a subject of a registry."""
        return with_inner_bound(self, subject, registry)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SessionWindowedSerde) and other.inner == self.inner

    def __hash__(self) -> int:
        return hash((SessionWindowedSerde, self.inner))

    def serialize(self, value: Windowed) -> bytes:
        """Raises: TypeError for anything but Windowed."""
        try:
            key, start_ms, end_ms = value
        except (TypeError, ValueError):
            raise TypeError(f"expected Windowed(key, start_ms, end_ms), got {shown(value)}") from None
        return self.inner.serialize(key) + _END_START.pack(end_ms, start_ms)

    def deserialize(self, data: bytes) -> Windowed:
        """Raises: ValueError when `data` is shorter than a session's two ends."""
        if len(data) < 16:
            raise ValueError(f"expected a key and a session's end and start of 16 bytes, got {len(data)} bytes")
        end_ms, start_ms = _END_START.unpack_from(data, len(data) - 16)
        return Windowed(self.inner.deserialize(data[:-16]), start_ms, end_ms)


def _size_ms(size: Duration) -> int:
    """The length of windows in ms. Raises: TopologyError for what is none."""
    try:
        return milliseconds(size, "the size of windows")
    except (TypeError, ValueError) as problem:
        raise TopologyError(str(problem)) from None
