"""Fields of coordinator records, one after the other: a cursor over the protocol's primitive types.

The records of `__consumer_offsets` and `__transaction_state` are short and rare beside the data they speak of, so two plain
classes do. Knows nothing of which record has which fields.
"""

from broker.protocol.primitives import (
    INT8,
    INT16,
    INT32,
    INT64,
    read_bytes,
    read_compact_string,
    read_string,
    read_unsigned_varint,
    write_bytes,
    write_compact_string,
    write_string,
    write_unsigned_varint,
)


class FieldWriter:
    """Appends fields; `done` gives what was written."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def int8(self, value: int) -> "FieldWriter":
        """One signed byte."""
        self._data += value.to_bytes(1, "big", signed=True)
        return self

    def int16(self, value: int) -> "FieldWriter":
        """A 16-bit number."""
        self._data += INT16.pack(value)
        return self

    def int32(self, value: int) -> "FieldWriter":
        """A 32-bit number."""
        self._data += INT32.pack(value)
        return self

    def int64(self, value: int) -> "FieldWriter":
        """A 64-bit number."""
        self._data += INT64.pack(value)
        return self

    def string(self, value: str | None) -> "FieldWriter":
        """A string after its 16-bit length; None is length -1."""
        write_string(self._data, value)
        return self

    def blob(self, value: bytes) -> "FieldWriter":
        """Bytes after their 32-bit length."""
        write_bytes(self._data, value)
        return self

    def varint(self, value: int) -> "FieldWriter":
        """An unsigned number of variable length."""
        write_unsigned_varint(self._data, value)
        return self

    def compact_string(self, value: str | None) -> "FieldWriter":
        """A string of a flexible version."""
        write_compact_string(self._data, value)
        return self

    def raw(self, value: bytes) -> "FieldWriter":
        """Bytes as they are."""
        self._data += value
        return self

    def no_tags(self) -> "FieldWriter":
        """The end of a flexible struct without tagged fields."""
        self._data.append(0)
        return self

    def done(self) -> bytes:
        """What was written."""
        return bytes(self._data)


class FieldReader:
    """Takes fields off the front; struct.error or ValueError where the record is shorter than its fields."""

    __slots__ = ("_data", "_offset")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    def int8(self) -> int:
        """One signed byte."""
        (value,) = INT8.unpack_from(self._data, self._offset)
        self._offset += 1
        return int(value)

    def int16(self) -> int:
        """A 16-bit number."""
        (value,) = INT16.unpack_from(self._data, self._offset)
        self._offset += 2
        return int(value)

    def int32(self) -> int:
        """A 32-bit number."""
        (value,) = INT32.unpack_from(self._data, self._offset)
        self._offset += 4
        return int(value)

    def int64(self) -> int:
        """A 64-bit number."""
        (value,) = INT64.unpack_from(self._data, self._offset)
        self._offset += 8
        return int(value)

    def nullable_string(self) -> str | None:
        """A string, or None for length -1."""
        value, self._offset = read_string(self._data, self._offset)
        return value

    def string(self) -> str:
        """A string; a null reads as empty."""
        return self.nullable_string() or ""

    def compact_string(self) -> str:
        """A string of a flexible version; a null reads as empty."""
        return self.nullable_compact_string() or ""

    def nullable_compact_string(self) -> str | None:
        """A string of a flexible version, or None."""
        value, self._offset = read_compact_string(self._data, self._offset)
        return value

    def raw(self, count: int) -> bytes:
        """The next `count` bytes as they are."""
        value = bytes(self._data[self._offset : self._offset + count])
        self.skip(count)
        return value

    def skip(self, count: int) -> None:
        """Go on behind the next `count` bytes. Raises: ValueError."""
        self._offset += count
        if self._offset > len(self._data):
            raise ValueError("a record is shorter than its fields")

    def varint(self) -> int:
        """An unsigned number of variable length."""
        value, self._offset = read_unsigned_varint(self._data, self._offset)
        return value

    def tags(self) -> None:
        """Tagged fields, none of which is of interest."""
        for _ in range(self.varint()):
            self.varint()
            self._offset += self.varint()

    def blob(self) -> bytes:
        """Bytes; a null reads as empty."""
        value, self._offset = read_bytes(self._data, self._offset)
        return value or b""
