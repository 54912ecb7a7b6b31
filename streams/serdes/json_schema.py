"""JSON values with their JSON Schema in a registry."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import msgspec

from streams.errors import StreamsError, TopologyError
from streams.serdes.json import JsonSerde, type_name
from streams.serdes.models import model_serde
from streams.serdes.registered import HEAD_BYTES, RegisteredSerde
from streams.serdes.schema_registry import JSON, Schema, SchemaRegistry

DRAFT_7, DRAFT_2020 = "http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"
"""What all registries read, and what tuples need."""


class JsonSchema(RegisteredSerde):
    """Values of a type as JSON, in Confluent's wire format.

    `JsonSchema(Ride)` takes the schema from a struct, dataclass, TypedDict or pydantic model, which also checks what is
    read. `JsonSchema(schema={...})` reads and writes dicts, checked by the library jsonschema.
    Raises: TopologyError for a type or schema that is none; StreamsError without jsonschema where it is needed.
    """

    def __init__(
        self,
        kind: Any = dict,
        *,
        schema: dict[str, Any] | None = None,
        registry: str | SchemaRegistry | None = None,
        subject: str | None = None,
    ) -> None:
        self._check: Any = None
        self._json: Any = (model_serde(kind) if isinstance(kind, type) else None) or JsonSerde(kind)
        if schema is not None:
            self._check = _validator(schema)
        elif kind is dict:
            raise TopologyError("JsonSchema(): expected a type, or schema=")
        else:
            schema = _schema_of(kind)
        super().__init__(kind, Schema(msgspec.json.encode(schema).decode(), JSON), registry, subject)

    def _encode(self, value: Any) -> bytes:
        data: bytes = self._json.serialize(value)
        if self._check is not None:
            self._expect(msgspec.json.decode(data), TypeError)
        return data

    def _decode(self, data: bytes, schema_id: int) -> Any:
        del schema_id  # JSON is read as it stands; the type, or the schema, says whether it fits
        body = data[HEAD_BYTES:]
        if self._check is not None:
            self._expect(msgspec.json.decode(body), ValueError)
        return self._json.deserialize(body)

    def _expect(self, value: Any, kind: type[Exception]) -> None:
        wrong = next(self._check.iter_errors(value), None)
        if wrong is not None:
            raise kind(
                f"expected {type_name(self.type)} as its JSON Schema says: {wrong.message} - at {wrong.json_path}"
            )


def _schema_of(kind: Any) -> dict[str, Any]:
    """A type's schema, which says its dialect: a registry may tell kinds of schemas by their content."""
    try:
        found = kind.model_json_schema() if hasattr(kind, "model_json_schema") else msgspec.json.schema(kind)
    except TypeError as problem:
        raise TopologyError(f"JsonSchema({type_name(kind)}): {problem}; say schema=") from None
    has_tuples = b'"prefixItems":' in msgspec.json.encode(found)
    return {"$schema": DRAFT_2020 if has_tuples else DRAFT_7, **found}


def _validator(schema: dict[str, Any]) -> Any:
    try:
        library: Any = import_module("jsonschema")
    except ImportError:
        raise StreamsError("a JSON Schema of its own needs jsonschema: pip install 'headrace[jsonschema]'") from None
    kind = library.validators.validator_for(schema)
    try:
        kind.check_schema(schema)
    except library.SchemaError as problem:
        raise TopologyError(f"JsonSchema(schema=...): this is not a schema: {problem.message}") from None
    return kind(schema)
