"""Writes any response body from plain dictionaries, by Kafka's schema of the version asked for.

A handler states all it knows, in kio's field names, once for every version: the writer takes the fields the version has
and fills what is missing with the schema's default, as Kafka's own message classes do. Error codes are ints, durations and
instants milliseconds, ids `uuid.UUID`, arrays any sequence, structs mappings. A name no version knows is an assertion.

Rules: bytes only. Knows kio's schema classes; must not know what a field means.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from kio.index import load_response_schema
from kio.schema.index import api_key_map, schema_name_map
from kio.serial._introspect import EntityField, EntityTupleField, classify_field, get_field_tag, is_optional

from broker.protocol.primitives import (
    FLOAT64,
    INT8,
    INT16,
    INT32,
    INT64,
    write_bytes,
    write_compact_bytes,
    write_compact_string,
    write_string,
    write_unsigned_varint,
)

Body: TypeAlias = Mapping[str, Any]
Write: TypeAlias = Callable[[bytearray, Any], None]

_NIL = bytes(16)


def _number(pack: Callable[[Any], bytes]) -> Write:
    def write(out: bytearray, value: Any) -> None:
        out += pack(value)

    return write


def _write_bool(out: bytearray, value: Any) -> None:
    out.append(1 if value else 0)


def _write_uuid(out: bytearray, value: UUID | None) -> None:
    out += _NIL if value is None else value.bytes


def _write_instant(out: bytearray, value: int | None) -> None:
    out += INT64.pack(-1 if value is None else value)


_FIXED: dict[str, tuple[Write, Any]] = {
    "int8": (_number(INT8.pack), 0),
    "int16": (_number(INT16.pack), 0),
    "int32": (_number(INT32.pack), 0),
    "int64": (_number(INT64.pack), 0),
    "uint16": (_number(lambda value: INT16.pack(value - 0x10000 if value > 0x7FFF else value)), 0),
    "float64": (_number(FLOAT64.pack), 0.0),
    "error_code": (_number(INT16.pack), 0),
    "timedelta_i32": (_number(INT32.pack), 0),
    "timedelta_i64": (_number(INT64.pack), 0),
    "datetime_i64": (_write_instant, 0),
    "bool": (_write_bool, False),
    "uuid": (_write_uuid, None),
}
_SIZED: dict[str, tuple[Write, Write, Any]] = {  # legacy, compact, default
    "string": (write_string, write_compact_string, ""),
    "bytes": (write_bytes, write_compact_bytes, b""),
    "records": (write_bytes, write_compact_bytes, None),
}


def _primitive(kafka_type: str, *, is_flexible: bool) -> tuple[Write, Any]:
    if kafka_type in _FIXED:
        return _FIXED[kafka_type]
    legacy, compact, default = _SIZED[kafka_type]
    return (compact if is_flexible else legacy), default


def _array(write_item: Write, *, is_flexible: bool) -> Write:
    def write(out: bytearray, items: Sequence[Any] | None) -> None:
        if is_flexible:
            write_unsigned_varint(out, 0 if items is None else len(items) + 1)
        else:
            out += INT32.pack(-1 if items is None else len(items))
        for item in items or ():
            write_item(out, item)

    return write


def _nullable_struct(write_struct: Write) -> Write:
    def write(out: bytearray, value: Body | None) -> None:
        out.append(0xFF if value is None else 1)
        if value is not None:
            write_struct(out, value)

    return write


def _field_writer(field: dataclasses.Field[Any], *, is_flexible: bool) -> tuple[Write, Any]:
    """How one field is written, and its default."""
    shape: Any = classify_field(field)
    if isinstance(shape, EntityField):
        if is_optional(field) and get_field_tag(field) is None:
            return _nullable_struct(struct_writer(shape.type_)), None
        return struct_writer(shape.type_), {}
    if isinstance(shape, EntityTupleField):
        return _array(struct_writer(shape.type_), is_flexible=is_flexible), ()
    write, default = _primitive(field.metadata["kafka_type"], is_flexible=is_flexible)
    if shape.is_array:
        return _array(write, is_flexible=is_flexible), ()
    return write, plain_default(field, default)


def plain_default(field: dataclasses.Field[Any], default: Any) -> Any:
    """A field's default as a plain value, `default` if the schema has none."""
    declared = field.default
    if declared is dataclasses.MISSING:
        return default
    if hasattr(declared, "total_seconds"):
        return round(declared.total_seconds() * 1000)
    if hasattr(declared, "timestamp"):
        return round(declared.timestamp() * 1000)
    return declared


def _write_tagged(out: bytearray, body: Body, tagged: Sequence[tuple[int, str, Write, Any]]) -> int:
    sections = []
    for tag, name, write, default in tagged:
        if name in body and body[name] != default:
            section = bytearray()
            write(section, body[name])
            sections.append((tag, section))
    write_unsigned_varint(out, len(sections))
    for tag, section in sections:
        write_unsigned_varint(out, tag)
        write_compact_bytes_without_bias(out, section)
    return sum(name in body for _, name, _, _ in tagged)


def write_compact_bytes_without_bias(out: bytearray, section: bytearray) -> None:
    """A tagged field's payload: its plain length, then the bytes."""
    write_unsigned_varint(out, len(section))
    out += section


@functools.cache
def struct_writer(schema: Any) -> Write:
    """The writer of one struct of one version, compiled from kio's schema class."""
    is_flexible = schema.__flexible__
    plain: list[tuple[str, Write, Any]] = []
    tagged: list[tuple[int, str, Write, Any]] = []
    for field in dataclasses.fields(schema):
        write, default = _field_writer(field, is_flexible=is_flexible)
        tag = get_field_tag(field)
        if tag is None:
            plain.append((field.name, write, default))
        else:
            tagged.append((int(tag), field.name, write, default))
    tagged.sort(key=lambda item: item[0])

    def write_struct(out: bytearray, body: Body) -> None:
        known = 0
        for name, write, default in plain:
            if name in body:
                known += 1
                write(out, body[name])
            else:
                write(out, default)
        if is_flexible:
            if tagged:
                known += _write_tagged(out, body, tagged)
            else:
                out.append(0)
        if known != len(body):
            _assert_known_elsewhere(schema, body)

    return write_struct


def _assert_known_elsewhere(schema: Any, body: Body) -> None:
    unknown = frozenset(body) - {field.name for field in dataclasses.fields(schema)}
    strangers = _strangers(int(schema.__api_key__), schema.__name__, unknown)
    assert not strangers, f"no version of {schema.__name__} has a field {', '.join(sorted(strangers))}"


@functools.cache
def _strangers(api_key: int, struct: str, names: frozenset[str]) -> frozenset[str]:
    """Those of `names` that a struct has in no version; the newest versions are asked first."""
    for version in sorted(schema_name_map[api_key_map[api_key]], reverse=True):
        for candidate in _structs(load_response_schema(api_key, version)):
            if candidate.__name__ == struct:
                names -= {field.name for field in dataclasses.fields(candidate)}
        if not names:
            break
    return names


def _structs(schema: Any) -> list[Any]:
    found = [schema]
    for field in dataclasses.fields(schema):
        shape: Any = classify_field(field)
        if isinstance(shape, EntityField | EntityTupleField):
            found += _structs(shape.type_)
    return found
