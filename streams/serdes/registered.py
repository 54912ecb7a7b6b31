"""Serdes whose schema has a number in a registry: Confluent's wire format, and how a serde learns its subject.

Bytes: 00 ‖ schema id (4, big-endian) ‖ the value (Protobuf: ‖ the message's indexes before). Rules: `app.topic` binds a serde
to the subject `TOPIC-key` or `TOPIC-value` and to the application's registry; the schema is registered when the application
starts, or with the first value that is written, and then known for good. What is not bound by then, the topology binds
(`streams.topology.subjects`). What was written with another version is read by
the schema it names.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Callable
from typing import Any, Self, TypeVar

from streams.errors import TopologyError, shown
from streams.row_values import converted
from streams.serdes.json import type_name
from streams.serdes.schema_registry import Schema, SchemaRegistry, registry_at

S = TypeVar("S")
_HEAD = struct.Struct(">bI")
HEAD_BYTES = 5


def bound_to(serde: S, subject: str | None, registry: Callable[[], SchemaRegistry]) -> S:
    """A serde as it is, or, where it (or one inside it) has a schema, `bound` to a subject of a registry."""
    bind = getattr(serde, "bound", None)
    return serde if bind is None else bind(subject, registry)


def with_inner_bound(serde: S, subject: str | None, registry: Callable[[], SchemaRegistry]) -> S:
    """A serde around another one, its `inner`, with that one bound."""
    inner: Any = vars(serde)["inner"]
    bound = bound_to(inner, subject, registry)
    if bound is inner:
        return serde
    other = copy.copy(serde)
    vars(other)["inner"] = bound
    return other


class RegisteredSerde:
    """Base of the serdes with a schema. `registry` is an address or a SchemaRegistry; see `registry_at`."""

    by_value = False

    def __init__(self, kind: Any, schema: Schema, registry: str | SchemaRegistry | None, subject: str | None) -> None:
        self.type = kind
        self.schema = schema
        self.subject = subject
        self._registry: Callable[[], SchemaRegistry] | None = None
        self._has_its_own = registry is not None
        if registry is not None:
            self._registry = lambda: registry_at(registry) if isinstance(registry, str) else registry
        self._head: bytes | None = None

    def bound(self, subject: str | None, registry: Callable[[], SchemaRegistry]) -> Self:
        """The same serde for a subject of a registry, where it was not given its own; who only reads needs no subject.

        A subject that it was bound to before stays, a registry does not.
        """
        if self.subject is not None and (self._has_its_own or self._registry == registry):
            return self
        other = copy.copy(self)
        other.subject = self.subject or subject
        other._registry = self._registry if self._has_its_own else registry
        other._head = None
        return other

    def prepare(self) -> None:
        """Register the schema. Raises: SchemaError when it cannot evolve; ClientError when nobody answers."""
        if self._head is None:
            self._head = _HEAD.pack(0, self.registry.register(self._named_subject(), self.schema))

    @property
    def registry(self) -> SchemaRegistry:
        """Where the schema is registered. Raises: TopologyError when none was given."""
        if self._registry is None:
            raise TopologyError(
                f"the schema of {type_name(self.type)} has no registry: declare the topic with app.topic, or say registry="
            )
        return self._registry()

    def serialize(self, value: Any) -> bytes:
        """Raises: TypeError when the value does not fit the schema; SchemaError when that cannot be registered."""
        self.prepare()
        assert self._head is not None
        return self._head + self._encode(value)

    def deserialize(self, data: bytes) -> Any:
        """Raises: ValueError when `data` is not in this format, or was written with a schema that does not fit."""
        if len(data) < HEAD_BYTES or data[0] != 0:
            raise ValueError(
                f"expected 00, a schema's id and a value, as serializers with a registry write it, got {shown(bytes(data))}: "
                "was it written without one?"
            )
        (_, schema_id) = _HEAD.unpack_from(data)
        return self._decode(data, schema_id)

    def from_plain(self, value: Any) -> Any:
        """A value of this serde's type out of what JSON holds. Raises: ValueError that says where it differs."""
        return converted(value, None if self.type is dict else self.type)

    def _named_subject(self) -> str:
        if self.subject is None:
            raise TopologyError(
                f"the schema of {type_name(self.type)} has no subject: declare the topic with app.topic, or say subject="
            )
        return self.subject

    def _encode(self, value: Any) -> bytes:
        raise NotImplementedError

    def _decode(self, data: bytes, schema_id: int) -> Any:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and (other.type, other.schema) == (self.type, self.schema)

    def __hash__(self) -> int:
        return hash((type(self), self.schema))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type_name(self.type)})"
