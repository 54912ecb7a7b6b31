"""Serdes as the stores need them: objects to bytes and back. The ready-made ones are in `streams.serdes`.

A serde may offer `serialize_many` and `deserialize_many`, which take a whole column, without None in it, at the speed of
a loop in C. They answer what `serialize` and `deserialize` would, entry by entry; when an entry is wrong they raise
anything at all, and the column is taken once more, entry by entry. It may say of itself that it is `by_value`: two objects
are equal exactly when their bytes are (str, int, bytes, uuid); caches then use the object itself as dictionary key, and
otherwise its bytes. It may also name a class whose objects it can all
write, `certain`: of ints only those of 64 bits are meant, and of texts only those in ASCII. If it is `exact`, whatever it
reads is what it would write: bytes that were read stand for their objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Serde(Protocol[T]):
    """Turns objects into bytes and back; None never reaches it (it stays None on every edge)."""

    def serialize(self, value: T) -> bytes:
        """Raises: TypeError or ValueError that names the expected type."""
        ...

    def deserialize(self, data: bytes) -> T:
        """Raises: ValueError that says what was expected; `data` is not kept."""
        ...


def by_value(serde: Serde[Any]) -> bool:
    """Whether objects of this serde may stand for their bytes; one that says nothing of it: no."""
    return bool(getattr(serde, "by_value", False))


def exact(serde: Serde[Any]) -> bool:
    """Whether a serde would write again what it reads, byte for byte; one that says nothing of it: no."""
    return bool(getattr(serde, "exact", False))


def serializer(serde: Serde[Any]) -> Callable[[Sequence[Any]], list[bytes]]:
    """A function from a column of objects to one of bytes. Raises: what `serialize` does."""
    return _by_column(getattr(serde, "serialize_many", None), serde.serialize)


def deserializer(serde: Serde[Any]) -> Callable[[Sequence[bytes]], list[Any]]:
    """A function from a column of bytes to one of objects. Raises: what `deserialize` does."""
    return _by_column(getattr(serde, "deserialize_many", None), serde.deserialize)


def _by_column(
    many: Callable[[Sequence[Any]], list[Any]] | None, each: Callable[[Any], Any]
) -> Callable[[Sequence[Any]], list[Any]]:
    if many is None:
        return lambda column: list(map(each, column))

    def whole(column: Sequence[Any]) -> list[Any]:
        try:
            return many(column)
        except Exception:
            return list(map(each, column))  # for the error that says what was expected

    return whole
