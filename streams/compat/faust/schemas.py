"""`Schema`: the types and serializers of a topic in one object, as Faust has them."""

from __future__ import annotations

from typing import Any

from streams.compat.faust.errors import not_here

FIELDS = ("key_type", "value_type", "key_serializer", "value_serializer")
_OWN_WAYS = ("loads_key", "loads_value", "dumps_key", "dumps_value", "on_dumps_key_prepare_headers", "decode")


class Schema:
    """How keys and values of a topic are written. What the topic says for itself stands over it."""

    def __init__(
        self,
        *,
        key_type: Any = None,
        value_type: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        allow_empty: bool | None = None,
    ) -> None:
        for name in _OWN_WAYS:
            if hasattr(self, name):
                raise not_here(f"class {type(self).__name__}(faust.Schema)", name)
        self.key_type = key_type
        self.value_type = value_type
        self.key_serializer = key_serializer
        self.value_serializer = value_serializer
        self.allow_empty = allow_empty

    def __repr__(self) -> str:
        return f"<Schema: {', '.join(f'{name}={getattr(self, name)!r}' for name in FIELDS)}>"


def with_schema(schema: Schema | None, **given: Any) -> dict[str, Any]:
    """Types and serializers: those given, else those of the schema."""
    if schema is None:
        return given
    return {name: getattr(schema, name) if value is None else value for name, value in given.items()}
