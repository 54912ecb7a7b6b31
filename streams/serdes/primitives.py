"""Serdes of single values, byte for byte as Kafka's own (`org.apache.kafka.common.serialization`).

All numbers are big endian. A Python `int` is Kafka's 8-byte long and a `float` its 8-byte double; the marker types
`Int16`, `Int32` and `Float32` choose the shorter forms in annotations.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, error, unpack
from typing import Any, NewType
from uuid import UUID

from streams.errors import shown

Int16 = NewType("Int16", int)
Int32 = NewType("Int32", int)
Float32 = NewType("Float32", float)


class StringSerde:
    """Text as UTF-8."""

    by_value = True
    exact = True
    type: Any = str
    certain = str

    def serialize(self, value: str) -> bytes:
        """Raises: TypeError for anything but str, ValueError for lone surrogates."""
        try:
            return value.encode()
        except AttributeError:
            raise TypeError(f"expected a str, got {shown(value)}") from None

    def deserialize(self, data: bytes) -> str:
        """Raises: ValueError when `data` is not UTF-8."""
        try:
            return str(data, "utf-8")
        except UnicodeDecodeError as problem:
            raise ValueError(f"expected UTF-8 text: {problem.reason} at byte {problem.start}") from None

    def serialize_many(self, column: Sequence[str]) -> list[bytes]:
        """As `serialize`, for a column at once; an error does not say which."""
        return list(map(str.encode, column))

    def deserialize_many(self, column: Sequence[bytes]) -> list[str]:
        """As `deserialize`, for a column at once; an error does not say which."""
        return list(map(bytes.decode, column))


class BytesSerde:
    """Bytes as they are."""

    by_value = True
    exact = True
    type: Any = bytes
    certain = bytes

    def serialize(self, value: Any) -> bytes:
        """Raises: TypeError for anything but bytes, bytearray and memoryview."""
        if isinstance(value, bytes):
            return value
        if isinstance(value, bytearray | memoryview):
            return bytes(value)
        raise TypeError(f"expected bytes, got {shown(value)}")

    def deserialize(self, data: bytes) -> bytes:
        """The bytes themselves."""
        return bytes(data)

    def deserialize_many(self, column: Sequence[bytes]) -> list[bytes]:
        """The bytes themselves."""
        return list(column) if set(map(type, column)) == {bytes} else list(map(bytes, column))


class NumberSerde:
    """A number of fixed length; `layout` is its `struct` code.

    Source: Kafka's Long-, Integer-, Short-, Double- and FloatSerializer.
    """

    def __init__(self, layout: str, marker: Any, wording: str) -> None:
        self._struct = Struct(layout)
        self._wording = wording
        self.size_bytes = self._struct.size
        self.type = marker
        self.certain: Any = {"q": int, "d": float}.get(layout[-1])
        # Equal floats can differ in bytes (0.0 and -0.0), NaN does not equal itself, and has many forms.
        self.by_value = self.exact = layout[-1] not in "df"

    def serialize(self, value: Any) -> bytes:
        """Raises: TypeError for another type or a number out of range."""
        try:
            return self._struct.pack(value)
        except (error, OverflowError):
            raise TypeError(f"expected {self._wording}, got {shown(value)}") from None

    def deserialize(self, data: bytes) -> Any:
        """Raises: ValueError when `data` has another length."""
        try:
            return self._struct.unpack(data)[0]
        except error:
            raise ValueError(f"expected {self._wording} in {self._struct.size} bytes, got {len(data)} bytes") from None

    def serialize_many(self, column: Sequence[Any]) -> list[bytes]:
        """As `serialize`, for a column at once; an error does not say which."""
        return list(map(self._struct.pack, column))

    def deserialize_many(self, column: Sequence[bytes]) -> list[Any]:
        """As `deserialize`, for a column at once: one big `unpack`. An error does not say which."""
        if set(map(len, column)) != {self._struct.size}:
            raise ValueError(f"expected {self._wording} in {self._struct.size} bytes each, got other lengths")
        return list(unpack(f">{len(column)}{self._struct.format[-1]}", b"".join(column)))


class BoolSerde:
    """One byte, 1 or 0."""

    by_value = True
    exact = True
    type: Any = bool
    certain = bool

    def serialize(self, value: object) -> bytes:
        """Raises: TypeError for anything but True and False."""
        if value is True:
            return b"\x01"
        if value is False:
            return b"\x00"
        raise TypeError(f"expected True or False, got {shown(value)}")

    def deserialize(self, data: bytes) -> bool:
        """Raises: ValueError for anything but one byte of 1 or 0."""
        if data == b"\x01":
            return True
        if data == b"\x00":
            return False
        raise ValueError(f"expected one byte, 00 or 01, got {data[:16].hex()}")


class UuidSerde:
    """A UUID as 36 characters of text, as Kafka's UUIDSerializer writes it."""

    by_value = True
    type: Any = UUID
    certain = UUID

    def serialize(self, value: UUID) -> bytes:
        """Raises: TypeError for anything but uuid.UUID."""
        if not isinstance(value, UUID):
            raise TypeError(f"expected a uuid.UUID, got {shown(value)}")
        return str(value).encode()

    def deserialize(self, data: bytes) -> UUID:
        """Raises: ValueError when `data` is not a UUID as text."""
        try:
            return UUID(str(data, "ascii"))
        except ValueError:
            raise ValueError(f"expected a UUID as text, got {shown(bytes(data))}") from None


class VoidSerde:
    """Keys or values that are always None (Kafka's VoidSerializer)."""

    by_value = True
    type: Any = type(None)

    def serialize(self, value: Any) -> bytes:
        """Raises: TypeError always, since None never reaches a serde."""
        raise TypeError(f"expected None, because the type given for it is None; got {shown(value)}")

    def deserialize(self, data: bytes) -> Any:
        """Raises: ValueError always, for the same reason."""
        raise ValueError(f"expected nothing, because the type given for it is None; got {len(data)} bytes")


PrimitiveSerde = StringSerde | BytesSerde | NumberSerde | BoolSerde | UuidSerde | VoidSerde
"""A serde of single values, which windowed keys are not."""

STRING = StringSerde()
BYTES = BytesSerde()
BOOL = BoolSerde()
UUID_TEXT = UuidSerde()
VOID = VoidSerde()
LONG = NumberSerde(">q", int, "an int of 64 bits")
INT32 = NumberSerde(">i", Int32, "an int of 32 bits")
INT16 = NumberSerde(">h", Int16, "an int of 16 bits")
DOUBLE = NumberSerde(">d", float, "a float")
FLOAT32 = NumberSerde(">f", Float32, "a float of 32 bits")
