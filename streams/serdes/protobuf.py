"""Protobuf messages, by Google's library, with their schemas in a registry.

Source: Confluent's wire format for Protobuf: the indexes that lead to the message in its file follow the schema's id, as
zigzag varints after their count; the first message alone is one 00. The schema is the file's descriptor in base64, as
Confluent's own Python serializer registers it.
"""

from __future__ import annotations

import base64
from importlib import import_module
from typing import Any

from state.varint import read_unsigned_varint, varint
from streams.errors import TopologyError, shown
from streams.serdes.registered import HEAD_BYTES, RegisteredSerde
from streams.serdes.schema_registry import PROTOBUF, Schema, SchemaRegistry


class Protobuf(RegisteredSerde):
    """Messages of a generated class, in Confluent's wire format.

    Fields that a reader does not know are kept, those that are missing have Protobuf's defaults.
    Raises: TopologyError for a class that is none, or one whose file imports others than Google's.
    """

    def __init__(
        self, message: Any, *, registry: str | SchemaRegistry | None = None, subject: str | None = None
    ) -> None:
        descriptor = getattr(message, "DESCRIPTOR", None)
        if descriptor is None or not hasattr(message, "FromString"):
            raise TopologyError(f"Protobuf({shown(message)}): expected a message class that protoc generated")
        foreign = [each.name for each in descriptor.file.dependencies if not each.name.startswith("google/protobuf/")]
        if foreign:
            raise TopologyError(
                f"Protobuf({descriptor.name}): its file imports {', '.join(foreign)}, and schemas that refer to others are "
                "not supported: put the messages into one file"
            )
        self._indexes = _written_indexes(_indexes_of(descriptor))
        text = base64.b64encode(descriptor.file.serialized_pb).decode()
        super().__init__(message, Schema(text, PROTOBUF), registry, subject)

    def from_plain(self, value: Any) -> Any:
        """A message out of Protobuf's JSON form. Raises: ValueError."""
        forms: Any = import_module("google.protobuf.json_format")
        try:
            return forms.ParseDict(value, self.type())
        except forms.ParseError as problem:
            raise ValueError(f"expected {self.type.DESCRIPTOR.full_name} as Protobuf's JSON: {problem}") from None

    def _encode(self, value: Any) -> bytes:
        if not isinstance(value, self.type):
            raise TypeError(f"expected {self.type.DESCRIPTOR.full_name}, got {shown(value)}")
        try:
            return self._indexes + bytes(value.SerializeToString())
        except Exception as problem:
            raise TypeError(f"expected a complete {self.type.DESCRIPTOR.full_name}: {problem}") from None

    def _decode(self, data: bytes, schema_id: int) -> Any:
        try:
            return self.type.FromString(data[_after_indexes(data, HEAD_BYTES) :])
        except Exception as problem:
            raise ValueError(
                f"what schema {schema_id} wrote cannot be read as {self.type.DESCRIPTOR.full_name}: {problem}"
            ) from None


def _indexes_of(descriptor: Any) -> list[int]:
    """The way from the file to the message: the index among its siblings, at every depth."""
    found = []
    while descriptor is not None:
        parent = descriptor.containing_type
        siblings = descriptor.file.message_types_by_name.values() if parent is None else parent.nested_types
        found.append([each.full_name for each in siblings].index(descriptor.full_name))
        descriptor = parent
    return found[::-1]


def _written_indexes(indexes: list[int]) -> bytes:
    if indexes == [0]:
        return b"\x00"
    return b"".join(map(varint, [len(indexes), *indexes]))


def _after_indexes(data: bytes, at: int) -> int:
    count, at = read_unsigned_varint(data, at)
    for _ in range(count >> 1):
        _, at = read_unsigned_varint(data, at)
    return at
