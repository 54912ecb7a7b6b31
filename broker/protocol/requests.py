"""Reads any request body into plain objects, by Kafka's schema of the version it was sent in.

For each version met, Python source is written from kio's schema class: a function per struct that takes runs of numbers with
one `unpack` and the rest field by field, as one would by hand. kio's own native reader is faster still, but takes memory for
whatever length an array announces before looking whether so much came: a few bytes of garbage end the process.

A request has kio's field names as attributes: durations and instants in milliseconds, arrays as tuples, the nil id as None;
fields a version lacks are not there.

Rules: bytes only. No length is believed before it was compared with the bytes at hand.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from struct import Struct, calcsize
from typing import Any, TypeAlias
from uuid import UUID

from kio.index import load_request_schema
from kio.serial._introspect import EntityField, EntityTupleField, classify_field, get_field_tag, is_optional

from broker.protocol.bodies import plain_default
from broker.protocol.primitives import (
    INT8,
    INT32,
    Buffer,
    read_bytes,
    read_compact_bytes,
    read_compact_string,
    read_string,
    read_unsigned_varint,
)

Read: TypeAlias = Callable[[Buffer, int], tuple[Any, int]]

_LAYOUTS = {
    "bool": "?",
    "datetime_i64": "q",
    "error_code": "h",
    "float64": "d",
    "int8": "b",
    "int16": "h",
    "int32": "i",
    "int64": "q",
    "timedelta_i32": "i",
    "timedelta_i64": "q",
    "uint16": "H",
    "uuid": "16s",
}
_SIZED: dict[str, tuple[str, int]] = {
    "string": ("read_string", 2),
    "bytes": ("read_bytes", 4),
    "records": ("read_bytes", 4),
}
_COMPACT = {"string": "read_compact_string", "bytes": "read_compact_bytes", "records": "read_compact_bytes"}
_NIL = bytes(16)


class Message:
    """A struct of a request; its subclasses have the fields of one version as slots."""

    __slots__: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Name and fields, for log lines."""
        fields = ", ".join(f"{name}={getattr(self, name, None)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"


def _uuid(data: bytes) -> UUID | None:
    return None if data == _NIL else UUID(bytes=data)


def _null(name: str) -> None:
    raise ValueError(f"{name} may not be null")


def _length(buffer: Buffer, offset: int, item_bytes: int) -> tuple[int, int]:
    """The length of a legacy array, -1 for null, believed only if so many items can follow."""
    (length,) = INT32.unpack_from(buffer, offset)
    return _believed(length, offset + 4, buffer, item_bytes)


def _compact_length(buffer: Buffer, offset: int, item_bytes: int) -> tuple[int, int]:
    length, offset = read_unsigned_varint(buffer, offset)
    return _believed(length - 1, offset, buffer, item_bytes)


def _believed(length: int, offset: int, buffer: Buffer, item_bytes: int) -> tuple[int, int]:
    if length < -1 or length * item_bytes > len(buffer) - offset:
        raise ValueError(f"an array of {length} items begins where {len(buffer) - offset} bytes are left")
    return length, offset


def _items(buffer: Buffer, offset: int, length: int, read: Read) -> tuple[tuple[Any, ...], int]:
    items = []
    for _ in range(length):
        item, offset = read(buffer, offset)
        items.append(item)
    return tuple(items), offset


def _numbers(buffer: Buffer, offset: int, length: int, layout: str) -> tuple[tuple[Any, ...], int]:
    run = Struct(f">{length}{layout}")
    return run.unpack_from(buffer, offset), offset + run.size


def _uuids(buffer: Buffer, offset: int, length: int) -> tuple[tuple[UUID | None, ...], int]:
    ids = tuple(_uuid(bytes(buffer[at : at + 16])) for at in range(offset, offset + 16 * length, 16))
    return ids, offset + 16 * length


_NAMESPACE: dict[str, Any] = {
    "_length": _length,
    "_compact_length": _compact_length,
    "_items": _items,
    "_null": _null,
    "_numbers": _numbers,
    "_uuid": _uuid,
    "_uuids": _uuids,
    "int8": INT8.unpack_from,
    "read_bytes": read_bytes,
    "read_compact_bytes": read_compact_bytes,
    "read_compact_string": read_compact_string,
    "read_string": read_string,
    "varint": read_unsigned_varint,
}


class _Source:
    """The source of one struct's reader while it is being written, and the smallest size such a struct can have."""

    def __init__(self, schema: Any) -> None:
        self.flexible: bool = schema.__flexible__
        self.namespace = dict(_NAMESPACE)
        self.lines = ["def read(buffer, offset):", "    m = new(Struct)"]
        self.least_bytes = 1 if self.flexible else 0
        self._run: list[tuple[str, str]] = []
        self._names = 0
        names = tuple(field.name for field in dataclasses.fields(schema))
        self.namespace["Struct"] = type(schema.__name__, (Message,), {"__slots__": names})
        self.namespace["new"] = object.__new__

    def write(self, line: str, depth: int = 1) -> None:
        """A line of the function; a run of numbers before it is read first."""
        self._end_run()
        self.lines.append("    " * depth + line)

    def number(self, name: str, layout: str) -> None:
        """A field of fixed size, taken together with its neighbours."""
        self._run.append((name, layout))
        self.least_bytes += calcsize(">" + layout)

    def bind(self, value: Any) -> str:
        """A name in the function for a value."""
        self._names += 1
        name = f"given_{self._names}"
        self.namespace[name] = value
        return name

    def _end_run(self) -> None:
        if not self._run:
            return
        run, self._run = self._run, []
        unpack = Struct(">" + "".join(layout for _, layout in run))
        targets = ", ".join(f"m.{name}" for name, _ in run)
        self.lines.append(f"    {targets}, = {self.bind(unpack.unpack_from)}(buffer, offset)")
        self.lines.append(f"    offset += {unpack.size}")
        self.lines += [f"    m.{name} = _uuid(m.{name})" for name, layout in run if layout == "16s"]

    def compiled(self) -> Read:
        """The function."""
        self.write("return m, offset")
        source = "\n".join(self.lines)
        exec(compile(source, f"<reader of {self.namespace['Struct'].__name__}>", "exec"), self.namespace)  # noqa: S102  our own source
        read: Read = self.namespace["read"]
        return read


@functools.cache
def struct_reader(schema: Any) -> tuple[Read, int]:
    """(reader, smallest size in bytes) of one struct of one version."""
    source = _Source(schema)
    tagged = []
    for field in dataclasses.fields(schema):
        if get_field_tag(field) is not None:
            tagged.append(field)
            continue
        layout = _number_layout(field)
        if layout:
            source.number(field.name, layout)
        else:
            source.least_bytes += 1
            for line in _field_lines(source, field):
                source.write(line)
    if source.flexible:
        _write_tags(source, tagged)
    return source.compiled(), max(source.least_bytes, 1)


def _number_layout(field: Any) -> str | None:
    shape: Any = classify_field(field)
    if isinstance(shape, EntityField | EntityTupleField) or shape.is_array:
        return None
    return _LAYOUTS.get(field.metadata["kafka_type"])


def _field_lines(source: _Source, field: Any) -> Iterator[str]:
    """The lines that read one field which is not a plain number of a run."""
    shape: Any = classify_field(field)
    target = f"m.{field.name}"
    nullable = is_optional(field)
    if isinstance(shape, EntityField):
        yield from _struct_lines(source, shape.type_, target, nullable=nullable and get_field_tag(field) is None)
    elif shape.is_array:
        yield from _array_lines(source, field, shape, target)
    else:
        kafka_type = field.metadata["kafka_type"]
        layout = _LAYOUTS.get(kafka_type)
        if layout:
            yield f"{target}, = {source.bind(Struct('>' + layout).unpack_from)}(buffer, offset)"
            yield f"offset += {calcsize('>' + layout)}"
            if layout == "16s":
                yield f"{target} = _uuid({target})"
            return
        reader = _COMPACT[kafka_type] if source.flexible else _SIZED[kafka_type][0]
        yield f"{target}, offset = {reader}(buffer, offset)"
        if not nullable:
            yield f"if {target} is None: _null({field.name!r})"


def _struct_lines(source: _Source, schema: Any, target: str, *, nullable: bool) -> Iterator[str]:
    read = source.bind(struct_reader(schema)[0])
    if not nullable:
        yield f"{target}, offset = {read}(buffer, offset)"
        return
    yield "there, = int8(buffer, offset)"
    yield "offset += 1"
    yield f"{target}, offset = (None, offset) if there < 0 else {read}(buffer, offset)"


def _array_lines(source: _Source, field: Any, shape: Any, target: str) -> Iterator[str]:
    length = "_compact_length" if source.flexible else "_length"
    if isinstance(shape, EntityTupleField):
        reader, least = struct_reader(shape.type_)
        items = f"_items(buffer, offset, length, {source.bind(reader)})"
    else:
        kafka_type = field.metadata["kafka_type"]
        layout = _LAYOUTS.get(kafka_type)
        if kafka_type == "uuid":
            items, least = "_uuids(buffer, offset, length)", 16
        elif layout:
            items, least = f"_numbers(buffer, offset, length, {layout!r})", calcsize(">" + layout)
        else:
            name, least = (_COMPACT[kafka_type], 1) if source.flexible else _SIZED[kafka_type]
            items = f"_items(buffer, offset, length, {name})"
    yield f"length, offset = {length}(buffer, offset, {least})"
    empty = "(None, offset)" if is_optional(field) else f"_null({field.name!r})"
    yield f"{target}, offset = {items} if length >= 0 else {empty}"


def _write_tags(source: _Source, tagged: list[Any]) -> None:
    """The section of tagged fields: known ones are read, others skipped."""
    for field in tagged:
        source.write(f"m.{field.name} = {source.bind(_tagged_default(field))}")
    source.write("tags, offset = varint(buffer, offset)")
    source.write("for _ in range(tags):")
    source.write("tag, offset = varint(buffer, offset)", 2)
    source.write("size, offset = varint(buffer, offset)", 2)
    source.write("end = offset + size", 2)
    source.write("if end > len(buffer): raise ValueError('a tagged field ends behind the request')", 2)
    for field in tagged:
        source.write(f"if tag == {int(field.metadata['tag'])}:", 2)
        for line in _field_lines(source, field):
            source.write(line, 3)
    source.write("offset = end", 2)


def _tagged_default(field: Any) -> Any:
    shape: Any = classify_field(field)
    if isinstance(shape, EntityField | EntityTupleField) or shape.is_array:
        return field.default
    default = None if field.metadata["kafka_type"] in _SIZED else 0
    return plain_default(field, default)


@functools.cache
def request_reader(api_key: int, version: int) -> Read:
    """The reader of one API's request in one version."""
    return struct_reader(load_request_schema(api_key, version))[0]
