"""Whole columns through a serde: at the speed of a loop in C where the serde offers it.

Rules: `serialize_many` and `deserialize_many` are optional methods of a serde. They answer what `serialize` and
`deserialize` would, entry by entry, without None among them; when one entry is wrong they raise anything at all, and the
caller goes through the column once more, one by one, to find it and to get the message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from state.serde import Serde

__all__ = ["deserializer", "serializer"]


def deserializer(serde: Serde[Any]) -> Callable[[Sequence[bytes]], list[Any]]:
    """A function from a column of bytes to one of objects."""
    many: Callable[[Sequence[bytes]], list[Any]] | None = getattr(serde, "deserialize_many", None)
    return many or _each(serde.deserialize)


def serializer(serde: Serde[Any]) -> Callable[[Sequence[Any]], list[bytes]]:
    """A function from a column of objects to one of bytes."""
    many: Callable[[Sequence[Any]], list[bytes]] | None = getattr(serde, "serialize_many", None)
    return many or _each(serde.serialize)


def _each(function: Callable[[Any], Any]) -> Callable[[Sequence[Any]], list[Any]]:
    return lambda column: list(map(function, column))
