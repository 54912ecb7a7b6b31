"""JSON as Faust writes it, to the byte: keys are found by their bytes, in tables that Faust filled and in partitions.

Faust writes with the standard library (`json`): in ASCII, with exponents of its own, and with NaN. Most of what
applications write looks the same by msgspec, which is several times faster; the rule is that msgspec writes only what
is known to come out alike, and all else is left to the standard library.
"""

from __future__ import annotations

import enum
import json
from collections import deque
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from streams.errors import shown

_ALIKE = frozenset({str, int, bool, type(None)})
"""Types that are written alike, as long as what is written is ASCII."""


def dumps(value: Any) -> bytes:
    """JSON of a value. Raises: TypeError for what it cannot hold."""
    if _alike(value):
        try:
            data = _fast(value)
        except UnicodeError:  # half a surrogate pair, which can be written in ASCII only
            return _exact(value).encode()
        if data.isascii() and b"\x7f" not in data:
            return data
    return _exact(value).encode()


def loads(data: bytes) -> Any:
    """The value of JSON. Raises: ValueError."""
    try:
        return _read(data)
    except ValueError:  # NaN, infinities and lone surrogates, or no JSON at all
        return json.loads(data)


def _alike(value: Any) -> bool:
    """Whether both libraries write a value alike; nothing is said of characters beyond ASCII."""
    kind = type(value)
    if kind in _ALIKE:
        return True
    if kind is float:
        return bool(value == 0 or 1e-4 <= abs(value) < 1e16)
    if kind is dict:
        for key, each in value.items():  # a generator takes twice the time
            if type(key) is not str or not (type(each) in _ALIKE or _alike(each)):
                return False
        return True
    if kind is list or kind is tuple:
        return all(map(_alike, value))
    return _alike(value.to_representation()) if hasattr(value, "__is_model__") else False


def _plain(value: Any) -> Any:
    """What JSON has for other types: Faust's choice."""
    if hasattr(value, "__is_model__"):
        return value.to_representation()
    if isinstance(value, Decimal | UUID | bytes):
        return str(value)
    if isinstance(value, date | time):
        written = value.isoformat() if isinstance(value, datetime | time) else f"{value.isoformat()}T00:00:00"
        return f"{written[:-6]}Z" if written.endswith("+00:00") else written
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, set | frozenset | deque):
        return list(value)
    if hasattr(value, "__json__"):
        return value.__json__()
    raise TypeError(f"JSON cannot hold {shown(value)}: declare a faust.Record, or another serializer")


_fast = msgspec.json.Encoder(enc_hook=_plain).encode
_read = msgspec.json.Decoder().decode
_exact = json.JSONEncoder(separators=(",", ":"), default=_plain).encode
