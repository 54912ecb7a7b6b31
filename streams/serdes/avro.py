"""Avro values, by fastavro, with their schemas in a registry."""

from __future__ import annotations

import io
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from streams.errors import StreamsError, TopologyError, shown
from streams.row_values import converted
from streams.serdes.avro_form import AvroForm
from streams.serdes.avro_logical import in_utc, kept_types, tells_moments, with_defaults
from streams.serdes.avro_schema import avro_schema_of
from streams.serdes.json import checkable, type_name
from streams.serdes.registered import HEAD_BYTES, RegisteredSerde
from streams.serdes.schema_registry import AVRO, Schema, SchemaRegistry


class Avro(RegisteredSerde):
    """Values of a type as Avro, in Confluent's wire format.

    `Avro(Ride)` takes the schema from the type; `Avro(Ride, schema=...)` (a dict, JSON text or the path of an .avsc file)
    is given one, and `Avro(schema=...)` reads and writes dicts. Values written with another version of the schema are
    resolved as Avro's specification says.
    Raises: TopologyError for a schema that is none; StreamsError without fastavro.
    """

    def __init__(
        self,
        kind: Any = dict,
        *,
        schema: dict[str, Any] | str | Path | None = None,
        namespace: str | None = None,
        registry: str | SchemaRegistry | None = None,
        subject: str | None = None,
    ) -> None:
        self._library: Any = _fastavro()
        if schema is None:
            described: Any = avro_schema_of(kind, namespace)
        else:
            described = _described(schema)
        try:
            named: dict[str, Any] = {}
            self._parsed = self._library.parse_schema(described, named_schemas=named)
        except Exception as problem:
            raise TopologyError(f"Avro({type_name(kind)}): this is not a schema: {problem}") from None
        text = msgspec.json.encode(described).decode()
        self._parsed = with_defaults(self._parsed)
        self._form = AvroForm(kind, named)
        self._class = None if kind is dict else checkable(kind)
        self._kept, self._moments = kept_types(self._parsed), tells_moments(self._parsed)
        super().__init__(kind, Schema(text, AVRO), registry, subject)

    def _encode(self, value: Any) -> bytes:
        if self._class is not None and not isinstance(value, self._class):
            raise TypeError(f"expected {type_name(self.type)}, got {shown(value)}")
        out = io.BytesIO()
        try:
            self._library.schemaless_writer(out, self._parsed, self._plain(value), strict=False)
        except Exception as problem:
            raise TypeError(f"expected {type_name(self.type)} as its Avro schema says: {problem}") from None
        return out.getvalue()

    def _plain(self, value: Any) -> Any:
        """What fastavro writes: dicts, and what it has types for as it is."""
        plain = msgspec.to_builtins(value, builtin_types=self._kept)
        return self._form.written(in_utc(plain) if self._moments else plain)

    def _decode(self, data: bytes, schema_id: int) -> Any:
        written = self.registry.schema(schema_id)
        if written.kind != AVRO:
            raise ValueError(f"expected Avro, but schema {schema_id} is {written.kind}")
        try:
            found = self._library.schemaless_reader(
                io.BytesIO(data[HEAD_BYTES:]), _parsed(written.text), self._parsed, return_record_name=self._form.named
            )
        except Exception as problem:
            raise ValueError(
                f"what schema {schema_id} wrote cannot be read as {type_name(self.type)}: {problem or type(problem).__name__}"
            ) from None
        return converted(self._form.read(found), None if self.type is dict else self.type)


def _described(schema: dict[str, Any] | str | Path) -> Any:
    if isinstance(schema, dict):
        return schema
    path = Path(schema)
    text = path.read_text() if isinstance(schema, Path) or path.suffix == ".avsc" else str(schema)
    try:
        return msgspec.json.decode(text)
    except ValueError as problem:
        raise TopologyError(f"the Avro schema {shown(schema)} is not JSON: {problem}") from None


@cache
def _parsed(text: str) -> Any:
    return _fastavro().parse_schema(msgspec.json.decode(text))


def _fastavro() -> Any:
    try:
        return import_module("fastavro")
    except ImportError:
        raise StreamsError("Avro needs fastavro: pip install 'headrace[avro]'") from None
