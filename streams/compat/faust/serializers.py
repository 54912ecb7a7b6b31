"""Codecs by name: Faust's bytes, to the letter where it matters.

`json` is the default of values, `raw` of keys. Rule: bytes pass every codec as they are.
"""

from __future__ import annotations

import pickle
from base64 import b64decode, b64encode
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from streams.compat.faust import json_codec
from streams.compat.faust.errors import ImproperlyConfigured
from streams.errors import shown


class Codec(NamedTuple):
    """A form of values on the wire."""

    name: str
    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]


def _to_raw(value: Any) -> bytes:
    """Bytes and text as they are; Faust has no others, so what a number or an enum is here is ours to say."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict | list | tuple | set):
        raise TypeError(f"raw cannot hold {shown(value)}: it takes bytes and text; choose another serializer")
    return _to_raw(value.value) if isinstance(value, Enum) else str(value).encode()


CODECS = {
    "raw": Codec("raw", _to_raw, bytes),
    "json": Codec("json", json_codec.dumps, json_codec.loads),
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
