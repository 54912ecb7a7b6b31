"""Whether values written with one schema can be read with another: what a file-based registry asks before it registers.

Rules: the answer is a list of sentences, empty when they can. Avro by the schema resolution of its specification; JSON
Schema by properties, required and types; Protobuf by field numbers and wire types. Names are compared as they stand.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

import msgspec

_PROMOTIONS = {
    ("int", "long"),
    ("int", "float"),
    ("int", "double"),
    ("long", "float"),
    ("long", "double"),
    ("float", "double"),
    ("string", "bytes"),
    ("bytes", "string"),
}
"""(writer, reader) that Avro lets differ."""


def problems(kind: str, *, reader: str, writer: str) -> list[str]:
    """What keeps `reader` from reading values of `writer`; `kind` is AVRO, JSON or PROTOBUF."""
    return list(_CHECKS[kind](reader, writer))


def _avro(reader: str, writer: str) -> Iterator[str]:
    one, other = msgspec.json.decode(reader), msgspec.json.decode(writer)
    return _Avro(_named(one), _named(other)).differ(one, other, "")


class _Avro:
    """Compares two Avro schemas; `readers` and `writers` are their named types."""

    def __init__(self, readers: Mapping[str, Any], writers: Mapping[str, Any]) -> None:
        self._readers = readers
        self._writers = writers
        self._seen: set[tuple[str, str]] = set()

    def differ(self, reader: Any, writer: Any, path: str) -> Iterator[str]:
        """What keeps one from reading the other, at a path of fields."""
        reader, writer = self._readers.get(_text(reader), reader), self._writers.get(_text(writer), writer)
        at = path or "the value"
        if isinstance(writer, list):
            for branch in writer:
                yield from self.differ(reader, branch, path)
        elif isinstance(reader, list):
            if all(any(self.differ(branch, writer, path)) for branch in reader):
                yield f"{at} may be {_word(writer)}, which {_word(reader)} cannot hold"
        elif _type(reader) != _type(writer):
            if (_type(writer), _type(reader)) not in _PROMOTIONS:
                yield f"{at} was {_word(writer)} and is {_word(reader)}"
        elif _type(reader) == "record":
            yield from self._records(reader, writer, path)
        elif _type(reader) == "enum":
            lost = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
            if lost and "default" not in reader:
                yield f"{at} has lost the symbols {', '.join(lost)}, and the enum has no default"
        elif _type(reader) == "array":
            yield from self.differ(reader["items"], writer["items"], f"{path}[]")
        elif _type(reader) == "map":
            yield from self.differ(reader["values"], writer["values"], f"{path}{{}}")
        elif _type(reader) == "fixed" and reader["size"] != writer["size"]:
            yield f"{at} was {writer['size']} bytes and is {reader['size']}"

    def _records(self, reader: Any, writer: Any, path: str) -> Iterator[str]:
        pair = _full_name(reader), _full_name(writer)
        if pair in self._seen:
            return
        self._seen.add(pair)
        if pair[0].rpartition(".")[2] != pair[1].rpartition(".")[2] and pair[1] not in reader.get("aliases", ()):
            yield f"{path or 'the record'} was called {pair[1]} and is called {pair[0]}"
        written = {field["name"]: field for field in writer["fields"]}
        for field in reader["fields"]:
            names = [field["name"], *field.get("aliases", ())]
            before = next((written[name] for name in names if name in written), None)
            at = f"{path}.{field['name']}" if path else field["name"]
            if before is not None:
                yield from self.differ(field["type"], before["type"], at)
            elif "default" not in field:
                yield f"the field {at} is new and has no default"


def _named(schema: Any) -> dict[str, Any]:
    """All named types within a schema."""
    found: dict[str, Any] = {}
    waiting = [schema]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each
        elif isinstance(each, dict):
            if each.get("type") in {"record", "enum", "fixed"}:
                found[_full_name(each)] = found[each["name"]] = each
            waiting += [field["type"] for field in each.get("fields", ())]
            waiting += [each[part] for part in ("items", "values", "type") if isinstance(each.get(part), dict | list)]
    return found


def _full_name(schema: Mapping[str, Any]) -> str:
    space = schema.get("namespace")
    return f"{space}.{schema['name']}" if space and "." not in schema["name"] else schema["name"]


def _type(schema: Any) -> Any:
    return schema["type"] if isinstance(schema, dict) else schema


def _text(schema: Any) -> str:
    return schema if isinstance(schema, str) else ""


def _word(schema: Any) -> str:
    if isinstance(schema, list):
        return " or ".join(map(_word, schema))
    return str(schema.get("name", schema["type"])) if isinstance(schema, dict) else str(schema)


def _json(reader: str, writer: str) -> Iterator[str]:
    one, other = msgspec.json.decode(reader), msgspec.json.decode(writer)
    return _json_differ(_resolved(one, one), _resolved(other, other), one, other, "")


def _json_differ(reader: Any, writer: Any, readers: Any, writers: Any, path: str) -> Iterator[str]:
    allowed, given = _json_types(reader, readers), _json_types(writer, writers)
    if allowed and given and not given <= allowed:
        yield f"{path or 'the value'} was {' or '.join(sorted(given))} and is {' or '.join(sorted(allowed))}"
        return
    before, now = writer.get("properties", {}), reader.get("properties", {})
    for name in reader.get("required", ()):
        if name not in writer.get("required", ()):
            yield f"the field {_dotted(path, name)} is {'no longer optional' if name in before else 'new and required'}"
    for name, schema in now.items():
        if name in before:
            one, other = _resolved(schema, readers), _resolved(before[name], writers)
            yield from _json_differ(one, other, readers, writers, _dotted(path, name))
    if reader.get("additionalProperties") is False:
        for name in before.keys() - now.keys():
            yield f"the field {_dotted(path, name)} is no longer known, and others are forbidden"


def _json_types(schema: Any, root: Any) -> set[str]:
    """The types that a schema allows; empty when it does not say. A whole number is a number too."""
    if "anyOf" in schema:
        parts = [_json_types(_resolved(part, root), root) for part in schema["anyOf"]]
        return set().union(*parts) if all(parts) else set()
    told = schema.get("type", ())
    types = {told} if isinstance(told, str) else set(told)
    return types | {"integer"} if "number" in types else types


def _resolved(schema: Any, root: Any) -> Any:
    while isinstance(schema, dict) and str(schema.get("$ref", "")).startswith("#/"):
        target = root
        for part in schema["$ref"][2:].split("/"):
            target = target[part]
        schema = target
    return schema


def _dotted(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


_WIRE = {1: 1, 6: 1, 16: 1, 2: 5, 7: 5, 15: 5, 9: 2, 11: 2, 12: 2, 10: 3}
"""Wire types by Protobuf field type; those that are missing are varints (0)."""


def _protobuf(reader: str, writer: str) -> Iterator[str]:
    one, other = (_messages(text) for text in (reader, writer))
    for name, fields in one.items():
        for number, (label, kind) in fields.items():
            if number in other.get(name, {}):
                label_before, kind_before = other[name][number]
                if _WIRE.get(kind, 0) != _WIRE.get(kind_before, 0) or (
                    {kind, kind_before} & {17, 18} and kind != kind_before
                ):
                    yield f"the field {name}.{label} (number {number}, was {label_before}) has another type"
    for name in other.keys() - one.keys():
        yield f"the message {name} is gone"


def _messages(text: str) -> dict[str, dict[int, tuple[str, int]]]:
    """Fields by number of every message of a file: name and type."""
    descriptors: Any = import_module("google.protobuf.descriptor_pb2")
    file = descriptors.FileDescriptorProto.FromString(base64.b64decode(text))
    found: dict[str, dict[int, tuple[str, int]]] = {}
    waiting = [(each.name, each) for each in file.message_type]
    while waiting:
        name, message = waiting.pop()
        found[name] = {field.number: (field.name, field.type) for field in message.field}
        waiting += [(f"{name}.{each.name}", each) for each in message.nested_type]
    return found


_CHECKS: Mapping[str, Callable[[str, str], Iterator[str]]] = {"AVRO": _avro, "JSON": _json, "PROTOBUF": _protobuf}
