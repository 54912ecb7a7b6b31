"""Codecs by name, and the serdes that topics and tables have: Faust's bytes, to the letter where it matters.

`json` is the default of values, `raw` of keys. Rules: bytes pass every codec as they are; a Record is written in its
own form when it has one; a value without a declared type that names its Record (`__faust`) becomes it.
"""

from __future__ import annotations

import pickle
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from streams.compat.faust.errors import ImproperlyConfigured
from streams.errors import shown


class Codec(NamedTuple):
    """A form of values on the wire."""

    name: str
    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]


def _plain(value: Any) -> Any:
    """Records and other objects for JSON: their own representation."""
    if hasattr(value, "__is_model__"):
        return value.to_representation()
    if hasattr(value, "__json__"):
        return value.__json__()
    raise TypeError(f"JSON cannot hold {shown(value)}: declare a faust.Record, or another serializer")


def _to_raw(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


CODECS = {
    "raw": Codec("raw", _to_raw, bytes),
    "json": Codec("json", msgspec.json.Encoder(enc_hook=_plain).encode, msgspec.json.Decoder().decode),
    "pickle": Codec("pickle", lambda value: b64encode(pickle.dumps(value)), lambda data: pickle.loads(b64decode(data))),  # noqa: S301  the application asks for it, as in Faust
    "binary": Codec("binary", lambda value: b64encode(_to_raw(value)), b64decode),
}


def codec(form: Any) -> Codec:
    """The codec of a name. Raises: ImproperlyConfigured."""
    if isinstance(form, Codec):
        return form
    try:
        return CODECS[form]
    except (KeyError, TypeError):
        raise ImproperlyConfigured(
            f"expected one of the serializers {', '.join(CODECS)}, got {form!r}: register others with "
            "faust.serializers.register(name, dumps, loads)"
        ) from None


def register(name: str, dumps: Callable[[Any], bytes], loads: Callable[[bytes], Any]) -> None:
    """Add a codec for topics and records to name."""
    CODECS[name] = Codec(name, dumps, loads)


_READERS: dict[Any, Callable[[Any], Any]] = {
    int: lambda value: int(_text(value)),
    float: lambda value: float(_text(value)),
    Decimal: lambda value: Decimal(_text(value)),
    str: lambda value: _text(value),  # noqa: PLW0108  defined below
    bytes: lambda value: value if isinstance(value, bytes) else str(value).encode(),
    list: list,
    dict: dict,
    bool: bool,
}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value if isinstance(value, str) else str(value)


class FaustSerde:
    """Values of a type in a form; without a type, of whatever comes. A serde as `streams.serdes` wants it."""

    by_value = False

    def __init__(self, form: Any, kind: Any = None, *, hashable: bool = False) -> None:
        from streams.compat.faust.models import reconstructed

        chosen = codec(form)
        self.type: Any = kind or object
        self._dumps, self._loads = chosen.dumps, chosen.loads
        self._wrap: Callable[[Any], Any]
        if hasattr(kind, "__is_model__"):
            self._wrap = kind.from_data
        elif kind is None or kind is Any or kind is object:
            self._wrap = _as_key if hashable else reconstructed
        else:
            self._wrap = _READERS.get(kind) or (_as_key if hashable else reconstructed)

    def serialize(self, value: Any) -> bytes:
        """Raises: TypeError for what the form cannot hold."""
        if isinstance(value, bytes):
            return value
        if hasattr(value, "__is_model__") and value._options.serializer:
            return bytes(value.dumps())
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


def _as_key(value: Any) -> Any:
    """Lists as tuples, for they are keys of tables: (key, (start, end)) in windows."""
    return tuple(map(_as_key, value)) if isinstance(value, list) else value
