"""The Avro schema of a Python type: struct, dataclass, TypedDict, and what they are made of."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.errors import TopologyError, shown
from streams.serdes.avro_form import may_be_left_out
from streams.serdes.avro_logical import default_of

_PLAIN: dict[type, Any] = {
    msgspec.inspect.StrType: "string",
    msgspec.inspect.BoolType: "boolean",
    msgspec.inspect.IntType: "long",
    msgspec.inspect.FloatType: "double",
    msgspec.inspect.BytesType: "bytes",
    msgspec.inspect.NoneType: "null",
    msgspec.inspect.DateTimeType: {"type": "long", "logicalType": "timestamp-micros"},
    msgspec.inspect.DateType: {"type": "int", "logicalType": "date"},
    msgspec.inspect.UUIDType: {"type": "string", "logicalType": "uuid"},
}


def avro_schema_of(kind: Any, namespace: str | None = None) -> dict[str, Any]:
    """The schema of a record type. Fields that may be None are unions with null; defaults are the type's.

    Raises: TopologyError for what Avro has no type for.
    """
    told = msgspec.inspect.type_info(kind)
    if not hasattr(told, "fields"):
        raise TopologyError(f"Avro({shown(kind)}): expected a struct, dataclass or TypedDict, or say schema=")
    schema: dict[str, Any] = _Writer(namespace).of(told)
    return schema


class _Writer:
    """Writes types as Avro; a named one is written once, and then called by its name."""

    def __init__(self, namespace: str | None) -> None:
        self._namespace = namespace
        self._written: set[str] = set()

    def of(self, told: Any) -> Any:
        """The schema of a type as msgspec tells it."""
        if type(told) in _PLAIN:
            return _PLAIN[type(told)]
        if hasattr(told, "fields"):
            return self._record(told)
        if isinstance(told, msgspec.inspect.UnionType):
            branches = [self.of(each) for each in told.types]
            return sorted(branches, key=lambda branch: branch != "null")
        if isinstance(told, msgspec.inspect.ListType | msgspec.inspect.VarTupleType | msgspec.inspect.SetType):
            return {"type": "array", "items": self.of(told.item_type)}
        if isinstance(told, msgspec.inspect.DictType) and isinstance(told.key_type, msgspec.inspect.StrType):
            return {"type": "map", "values": self.of(told.value_type)}
        if isinstance(told, msgspec.inspect.EnumType):
            return self._named(told.cls, {"type": "enum", "symbols": [str(each.value) for each in told.cls]})
        raise TopologyError(f"Avro has no type for {type(told).__name__.removesuffix('Type').lower()}: say schema=")

    def _record(self, told: Any) -> Any:
        fields = "fields"
        made = self._named(told.cls, {"type": "record", fields: []})
        if isinstance(made, dict):
            made[fields] += [self._field(each) for each in told.fields]
        return made

    def _field(self, field: Any) -> dict[str, Any]:
        schema = self.of(field.type)
        if field.required:
            return {"name": field.encode_name, "type": schema}
        if may_be_left_out(field):
            branches = schema if isinstance(schema, list) else [schema]
            schema = ["null", *(branch for branch in branches if branch != "null")]
            return {"name": field.encode_name, "type": schema, "default": None}
        default = default_of(field.default_factory() if field.default is msgspec.NODEFAULT else field.default)
        if isinstance(schema, list) and default is not None:
            schema = [*(branch for branch in schema if branch != "null"), "null"]  # a default is of the first branch
        return {"name": field.encode_name, "type": schema, "default": default}

    def _named(self, kind: type, schema: dict[str, Any]) -> Any:
        name = f"{self._namespace}.{kind.__name__}" if self._namespace else kind.__name__
        if name in self._written:
            return name
        self._written.add(name)
        return (
            {"type": schema.pop("type"), "name": kind.__name__}
            | ({"namespace": self._namespace} if self._namespace else {})
            | schema
        )
