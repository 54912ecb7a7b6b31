"""Avro's logical types: which objects fastavro writes itself, and how a schema tells a default of theirs.

Rules: what the schema has a logical type for stays an object, all else is what msgspec makes of it (a Decimal is text where
the schema says string). A default is JSON in the schema; fastavro gives it as it stands, so it is made an object before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

_KEPT: dict[str, type] = {"decimal": Decimal, "time-millis": time, "time-micros": time}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_ONE = date(1970, 1, 1)


def kept_types(schema: Any) -> tuple[type, ...]:
    """The types whose objects are left to fastavro."""
    logical = {_KEPT[each["logicalType"]] for each in _within(schema) if each.get("logicalType") in _KEPT}
    return (bytes, datetime, date, UUID, *logical)


def _within(schema: Any) -> Iterator[dict[str, Any]]:
    """All parts of a schema that are told by an object, fields included."""
    ahead = [schema]
    while ahead:
        each = ahead.pop()
        if isinstance(each, list):
            ahead += each
        elif isinstance(each, dict):
            yield each
            ahead += [each[name] for name in ("type", "items", "values", "fields") if name in each]


def tells_moments(schema: Any) -> bool:
    """Whether a schema has times that are moments, which fastavro takes for local ones where they have no zone."""
    return any(str(each.get("logicalType")).startswith("timestamp-") for each in _within(schema))


def in_utc(plain: Any) -> Any:
    """A value in its plain form, whose times without a zone are UTC."""
    if isinstance(plain, datetime):
        return plain if plain.tzinfo else plain.replace(tzinfo=UTC)
    if isinstance(plain, dict):
        return {name: in_utc(entry) for name, entry in plain.items()}
    return [in_utc(entry) for entry in plain] if isinstance(plain, list | tuple) else plain


def default_of(value: Any) -> Any:
    """A default as the schema of `avro_schema_of` tells it."""
    plain = msgspec.to_builtins(value, builtin_types=(bytes, datetime, date))
    return _as_json(in_utc(plain))


def _as_json(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {name: _as_json(entry) for name, entry in plain.items()}
    if isinstance(plain, list | tuple):
        return list(map(_as_json, plain))
    if isinstance(plain, bytes):
        return plain.decode("latin-1")
    if isinstance(plain, datetime):
        return (plain - _EPOCH) // timedelta(microseconds=1)
    return (plain - _DAY_ONE).days if isinstance(plain, date) else plain


def with_defaults(parsed: Any) -> Any:
    """A parsed schema whose defaults are what values are."""
    parsed = deepcopy(parsed)
    records = {each["name"]: each for each in _within(parsed) if "fields" in each}
    for each in _within(parsed):
        for field in each.get("fields", ()):
            if "default" in field:
                field["default"] = _as_value(field["type"], field["default"], records)
    return parsed


_VALUES: dict[Any, Callable[[Any], Any]] = {
    "timestamp-micros": lambda number: _EPOCH + timedelta(microseconds=number),
    "timestamp-millis": lambda number: _EPOCH + timedelta(milliseconds=number),
    "date": lambda number: _DAY_ONE + timedelta(days=number),
}


def _as_value(schema: Any, default: Any, records: dict[str, Any]) -> Any:
    """A default as a value of its schema; of a union it is the first branch that it is of."""
    if isinstance(schema, list):
        return default if default is None else _as_value(schema[0], default, records)
    if not isinstance(schema, dict):
        if schema in records:
            return _as_value(records[schema], default, records)
        return default.encode("latin-1") if schema == "bytes" and isinstance(default, str) else default
    logical = _VALUES.get(schema.get("logicalType"))
    if logical is not None and isinstance(default, int):
        return logical(default)
    if schema["type"] == "array":
        return [_as_value(schema["items"], entry, records) for entry in default]
    if schema["type"] == "map":
        return {name: _as_value(schema["values"], entry, records) for name, entry in default.items()}
    if schema["type"] == "record":
        kinds = {field["name"]: field["type"] for field in schema["fields"]}
        return {name: _as_value(kinds[name], entry, records) for name, entry in default.items()}
    return default if "logicalType" in schema else _as_value(schema["type"], default, records)
