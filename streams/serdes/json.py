"""JSON serdes, by msgspec: typed ones that validate what they read, and the one for values of unknown type.

Encoders and decoders are built once per serde. A typed serde accepts what msgspec does: Struct, dataclass, TypedDict,
NamedTuple, attrs, enum, datetime, Decimal, and containers of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from streams.errors import shown
from streams.serdes.finite import NULL, FiniteFloats, all_finite, holds_floats, not_finite
from streams.serdes.set_order import encoders

_encode = msgspec.json.Encoder().encode
_UNTYPED = (str, int, float, bool, list, dict)
_PLAIN_FORMS = {  # of what comes out of arrays and DataFrames, by the beginning of its type's name
    "numpy.ndarray": "array.tolist()",
    "numpy.": "number.item()",
    "Timestamp": "time.to_pydatetime()",
    "Timedelta": "duration.to_pytimedelta()",
    "NAType": "None for pandas' NA",
    "NaTType": "None for pandas' NaT",
}
_HEAD_BYTES = 5  # of a value whose schema is in a registry: 0, and the schema's id


def type_name(kind: Any) -> str:
    """A type as its author wrote it, for messages."""
    return kind.__name__ if isinstance(kind, type) and not getattr(kind, "__args__", ()) else str(kind)


def one_of_type(kind: Any) -> str:
    """A type with its article, for messages: "an int", "a Ride"."""
    name = type_name(kind)
    return f"{'an' if name[:1] in 'aeioAEIO' else 'a'} {name}"


class JsonSerde:
    """Values of one type as JSON.

    Raises (when made): TypeError, by msgspec, for a type that it cannot decode.
    """

    by_value = False

    def __init__(self, kind: Any) -> None:
        self.type = kind
        self._name = type_name(kind)
        self._decode = msgspec.json.Decoder(kind).decode
        self._class = checkable(kind)
        told = msgspec.inspect.type_info(kind)
        self._encode, self._encode_lines = encoders(kind, told)
        self._finite = FiniteFloats(told) if holds_floats(told) else None

    def serialize(self, value: Any) -> bytes:
        """Raises: TypeError when `value` is not of this serde's type, or holds what JSON has no form for."""
        if self._class is not None and not isinstance(value, self._class):
            raise TypeError(f"expected {self._name}, got {shown(value)}")
        try:
            data = self._encode(value)
        except (TypeError, ValueError, OverflowError) as problem:
            raise not_json(self._name, value, problem) from None
        if self._finite is not None and data.partition(NULL)[1] and not self._finite.in_one(value):
            raise not_finite(self._name, value)
        return data

    def deserialize(self, data: bytes) -> Any:
        """Raises: ValueError that says where `data` differs from the type."""
        try:
            return self._decode(data)
        except ValueError as problem:
            raise ValueError(f"expected {self._name} as JSON: {problem}{hint(data)}") from None

    def serialize_many(self, column: Sequence[Any]) -> list[bytes]:
        """As `serialize`, for a column at once: the check of types is one for all. An error does not say which."""
        encode_lines = self._encode_lines
        if encode_lines is not None and self._class is not None and set(map(type, column)) == {self._class}:
            joined = encode_lines(column)
            lines = joined.split(b"\n")
            a_line_each = lines.pop() == b"" and len(lines) == len(column)  # only `msgspec.Raw` can hold line ends
            if a_line_each and (self._finite is None or self._finite.in_many(column, joined)):
                return lines
        return list(map(self.serialize, column))

    def deserialize_many(self, column: Sequence[bytes]) -> list[Any]:
        """As `deserialize`, for a column at once; an error does not say which."""
        return list(map(self._decode, column))


def not_json(wanted: str, value: Any, problem: Exception) -> TypeError:
    """What is wrong with a value that JSON cannot hold, and what to write instead of one of numpy or pandas."""
    told = str(problem)  # of an encoder, which names the type
    plain = next((f": write {plain}" for kind, plain in _PLAIN_FORMS.items() if f"objects of type {kind}" in told), "")
    return TypeError(f"expected {wanted} that JSON can hold, got {shown(value)}: {told}{plain}")


def hint(data: bytes) -> str:
    """What bytes that are no JSON may be instead: Confluent's wire format begins with a 0 and the id of a schema."""
    if len(data) <= _HEAD_BYTES or data[0]:
        return ""
    number = int.from_bytes(data[1:_HEAD_BYTES], "big")
    return f" (as Avro, JsonSchema or Protobuf perhaps: it begins like a value with the schema {number} of a registry)"


def checkable(kind: Any) -> Any:
    """The class that `isinstance` can check values against, or None when there is none (TypedDict, unions)."""
    origin = getattr(kind, "__origin__", kind)
    if not isinstance(origin, type) or hasattr(origin, "__total__"):
        return None
    return origin


class DynamicSerde:
    """Values whose type nobody declared: plain JSON, so that what comes back equals what went in.

    It is what an undeclared key or value gets everywhere (sinks, repartition topics, changelogs), so a str is written
    with quotes. Where the other side of a join or merge has a declared serde, that one must be used instead, or equal
    keys would meet in different partitions. Types that JSON does not bring back (bytes, tuples, structs) are refused.
    """

    by_value = False
    type: Any = object

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder().decode

    def serialize(self, value: Any) -> bytes:
        """Raises: TypeError for a type that has to be declared."""
        if type(value) not in _UNTYPED:
            name = type_name(type(value))
            raise TypeError(f"no type was declared for {shown(value)}: say key={name} or value={name} where it is made")
        try:
            data = _encode(value)
        except (TypeError, ValueError, OverflowError) as problem:
            raise not_json("a value", value, problem) from None
        if type(value) is not str and data.partition(NULL)[1] and not all_finite((value,)):
            raise not_finite("a value", value)
        return data

    def deserialize(self, data: bytes) -> Any:
        """Raises: ValueError when `data` is not JSON."""
        try:
            return self._decode(data)
        except ValueError as problem:
            raise ValueError(
                f"expected JSON, because no type was declared ({problem}): say key= or value={hint(data)}"
            ) from None

    def deserialize_many(self, column: Sequence[bytes]) -> list[Any]:
        """As `deserialize`, for a column at once; an error does not say which."""
        return list(map(self._decode, column))


DYNAMIC = DynamicSerde()
