"""Bytes on a command line: types by name, and values as JSON that says what they are.

Rules: what is not declared is shown as text or JSON where the bytes are that, and else as {"bytes": HEX}: eight bytes may
be a long, a double or a time, and a guess would be a lie. Windowed keys are objects with their bounds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import msgspec

from state.serde import Serde
from streams.connect.record_lines import told_headers
from streams.durations import milliseconds
from streams.errors import ConfigError
from streams.record import Record, Windowed
from streams.serdes import Float32, Int16, Int32, SessionWindowedSerde, TimeWindowedSerde, serde_for
from streams.settings import nearest

_NUMBERS = {"int16": Int16, "int32": Int32, "float32": Float32}
NAMES = (
    "auto",
    "str",
    "json",
    "int",
    "float",
    "bool",
    "bytes",
    "uuid",
    *_NUMBERS,
    "windowed:TYPE[:SIZE]",
    "session:TYPE",
)


class TextSerde:
    """What is not declared, of a key: text where the bytes are printable text, else their hex."""

    type: Any = object
    by_value = False

    def serialize(self, value: Any) -> bytes:
        """Text as it is; anything else as JSON."""
        return value.encode() if isinstance(value, str) else msgspec.json.encode(value)

    def deserialize(self, data: bytes) -> Any:
        """Never fails."""
        try:
            text = data.decode()
        except ValueError:
            return data
        return text if all(each.isprintable() or each in "\n\t" for each in text) else data


class TextOrJsonSerde(TextSerde):
    """What is not declared, of a value: JSON where the bytes are that, else as `TextSerde`."""

    def deserialize(self, data: bytes) -> Any:
        """Never fails."""
        try:
            return msgspec.json.decode(data)
        except ValueError:
            return super().deserialize(data)


class Unreadable(NamedTuple):
    """Bytes that are not of their declared type: as they look, and what is wrong with them."""

    looks_like: Any
    problem: str


class TolerantSerde:
    """Another serde's values, for reading only; what that cannot read becomes Unreadable, so that a topic goes on."""

    by_value = False

    def __init__(self, serde: Serde[Any], auto: Serde[Any]) -> None:
        self.type = getattr(serde, "type", object)
        self.serialize = serde.serialize
        self._deserialize = serde.deserialize
        self._auto = auto

    def deserialize(self, data: bytes) -> Any:
        """Never fails."""
        try:
            return self._deserialize(data)
        except (ValueError, TypeError) as problem:
            return Unreadable(self._auto.deserialize(data), str(problem))


AUTO_KEY, AUTO_VALUE = TextSerde(), TextOrJsonSerde()


def serde_named(name: str, auto: Serde[Any]) -> Serde[Any]:
    """The serde of a type's name, `auto` for "auto". Raises: ConfigError that lists the names."""
    kind, colon, rest = name.partition(":")
    if name == "auto":
        return auto
    if kind == "windowed" and colon:
        inner, _, size = rest.partition(":")
        return TimeWindowedSerde(serde_named(inner, auto), *([_size_ms(size)] if size else []))
    if kind == "session" and colon:
        return SessionWindowedSerde(serde_named(rest, auto))
    if name in _NUMBERS:
        return serde_for(_NUMBERS[name])
    if name in NAMES:
        return serde_for(name)
    raise ConfigError(f"no type is called {name!r}: expected one of {', '.join(NAMES)}{nearest(name, NAMES)}")


def _size_ms(size: str) -> int:
    try:
        return milliseconds(size)
    except (TypeError, ValueError) as problem:
        raise ConfigError(f"windowed:TYPE:SIZE, as in windowed:int:10m: {problem}") from None


def line_of(record: Record) -> str:
    """A record as a line of JSON: topic, partition, offset, timestamp, key, value, and headers if it has some."""
    line: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": plain(record.key),
        "value": plain(record.value),
    }
    if record.headers:
        line["headers"] = told_headers(record.headers, lambda data: plain(AUTO_KEY.deserialize(data)))
    return msgspec.json.encode(line, enc_hook=str).decode() + "\n"


_TOKENS: Mapping[str, Callable[[Record], str]] = {
    "t": lambda record: str(record.topic),
    "p": lambda record: str(record.partition),
    "o": lambda record: str(record.offset),
    "k": lambda record: _as_text(record.key),
    "s": lambda record: _as_text(record.value),
    "T": lambda record: str(record.timestamp),
    "h": lambda record: ",".join(f"{name}={_as_text(data)}" for name, data in record.headers),
    "%": lambda _record: "%",
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\"}


def formatter(form: str) -> Callable[[Record], str]:
    """A function that prints records as kcat's --format says. Raises: ConfigError for a token that is none."""
    parts: list[Callable[[Record], str]] = []
    at = 0
    for match in re.finditer(r"%(.?)|\\(.)", form):
        parts.append(partial(_literal, form[at : match.start()]))
        at = match.end()
        if match[2] is not None:
            parts.append(partial(_literal, _ESCAPES.get(match[2], match[0])))
        elif match[1] in _TOKENS:
            parts.append(_TOKENS[match[1]])
        else:
            raise ConfigError(f"--format: expected one of {' '.join(f'%{each}' for each in _TOKENS)}, got {match[0]!r}")
    parts.append(partial(_literal, form[at:]))
    return lambda record: "".join(part(record) for part in parts)


def _literal(text: str, _record: Record) -> str:
    return text


def _as_text(value: Any) -> str:
    """Text as it is, null as nothing, everything else as JSON."""
    if value is None:
        return ""
    shown = AUTO_KEY.deserialize(value) if isinstance(value, bytes) else value
    return shown if isinstance(shown, str) else msgspec.json.encode(plain(shown), enc_hook=str).decode()


def plain(value: Any) -> Any:
    """A value as JSON can say it."""
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, Unreadable):
        return {"unreadable": plain(value.looks_like), "problem": value.problem}
    if isinstance(value, Windowed):
        return {"key": plain(value.key), "start_ms": value.start_ms, "end_ms": value.end_ms}
    if value is None or isinstance(value, str | int | float | bool | date | datetime):
        return value
    return msgspec.to_builtins(value, enc_hook=_fields)


def _fields(value: Any) -> Any:
    if hasattr(value, "DESCRIPTOR"):
        forms: Any = import_module("google.protobuf.json_format")
        return forms.MessageToDict(value, preserving_proto_field_name=True)
    return value.model_dump() if hasattr(value, "model_dump") else str(value)
