"""The serdes that topics and tables have: values of a type in the form of a codec.

Rules: bytes pass as they are; a Record is written in its own form when it has one; a value without a declared type that
names its Record (`__faust`) becomes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from streams.compat.faust.conversions import of_text
from streams.compat.faust.models import reconstructed
from streams.compat.faust.serializers import codec

_READERS: dict[Any, Callable[[Any], Any]] = {
    int: lambda value: int(_text(value)),
    float: lambda value: float(_text(value)),
    Decimal: lambda value: Decimal(_text(value)),
    str: lambda value: _text(value),  # noqa: PLW0108  defined below
    bytes: lambda value: value if isinstance(value, bytes) else str(value).encode(),
    list: list,
    dict: dict,
}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value if isinstance(value, str) else str(value)


class FaustSerde:
    """Values of a type in a form; without a type, of whatever comes. A serde as `streams.serdes` wants it."""

    by_value = False

    def __init__(self, form: Any, kind: Any = None, *, hashable: bool = False) -> None:
        chosen = codec(form)
        self.type: Any = kind or object
        self._dumps: Callable[[Any], bytes] = chosen.dumps
        self._loads: Callable[[bytes], Any] = chosen.loads
        self._wrap: Callable[[Any], Any]
        if hasattr(kind, "__is_model__"):
            self._wrap = kind.from_field
        elif kind is None or kind is Any or kind is object:
            self._wrap = _as_key if hashable else reconstructed
        else:
            self._wrap = _READERS.get(kind) or _by_text(kind) or (_as_key if hashable else reconstructed)

    def serialize(self, value: Any) -> bytes:
        """Raises: TypeError for what the form cannot hold."""
        if isinstance(value, bytes):
            return value
        if hasattr(value, "__is_model__"):
            return bytes(value.dumps()) if value._options.serializer else self._dumps(value.to_representation())
        return self._dumps(value)

    def deserialize(self, data: bytes) -> Any:
        """Raises: ValueError when `data` is not of this form and type."""
        try:
            return self._wrap(self._loads(data))
        except Exception as problem:
            raise ValueError(f"expected {getattr(self.type, '__name__', self.type)}: {problem}") from problem

    def deserialize_many(self, column: Sequence[bytes]) -> list[Any]:
        """As `deserialize`, for a column at once; an error does not say which."""
        return list(map(self._wrap, map(self._loads, column)))


def _by_text(kind: Any) -> Callable[[Any], Any] | None:
    made = of_text(kind)
    return None if made is None else lambda value: value if value is None else made(_text(value))


def _as_key(value: Any) -> Any:
    """Lists as tuples, for they are keys of tables: (key, (start, end)) in windows."""
    return tuple(map(_as_key, value)) if isinstance(value, list) else value
