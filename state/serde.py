"""Serdes as the stores need them: objects to bytes and back. The ready-made ones are in `streams.serdes`."""

from __future__ import annotations

from typing import Protocol, TypeVar

T = TypeVar("T")


class Serde(Protocol[T]):
    """Turns objects into bytes and back; None never reaches it (it stays None on every edge).

    `by_value` says that two objects are equal exactly when their bytes are (str, int, bytes, uuid): caches then use
    the object itself as dictionary key; otherwise they use its bytes.
    """

    by_value: bool

    def serialize(self, value: T) -> bytes:
        """Raises: TypeError or ValueError that names the expected type."""
        ...

    def deserialize(self, data: bytes) -> T:
        """Raises: ValueError that says what was expected; `data` is not kept."""
        ...
