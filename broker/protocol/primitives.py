"""Kafka's primitive types as bytes: what hand-written readers and writers are made of.

Readers take a buffer and an offset and return (value, offset behind it); writers append to a bytearray.
`compact` types carry their length plus one as an unsigned varint (0 is null); legacy types an int16 or int32 (-1 is null).

Rules: no I/O, no knowledge of any message. Readers raise IndexError, ValueError or struct.error on bytes too few.
Source: the protocol guide's primitive types.
"""

from struct import Struct
from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview

INT8 = Struct(">b")
INT16 = Struct(">h")
INT32 = Struct(">i")
INT64 = Struct(">q")
FLOAT64 = Struct(">d")


def read_unsigned_varint(buffer: Buffer, offset: int) -> tuple[int, int]:
    """Seven bits a byte, lowest first."""
    byte = buffer[offset]
    if byte < 0x80:
        return byte, offset + 1
    value, shift = byte & 0x7F, 7
    while True:
        offset += 1
        byte = buffer[offset]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset + 1
        shift += 7
        if shift > 63:
            raise ValueError("a varint is longer than ten bytes")


def read_varint(buffer: Buffer, offset: int) -> tuple[int, int]:
    """A zigzag varint: small numbers of either sign are short."""
    value, offset = read_unsigned_varint(buffer, offset)
    return (value >> 1) ^ -(value & 1), offset


def read_string(buffer: Buffer, offset: int) -> tuple[str | None, int]:
    """A legacy string: int16 length, -1 for null."""
    (length,) = INT16.unpack_from(buffer, offset)
    return _text(buffer, offset + 2, length)


def read_compact_string(buffer: Buffer, offset: int) -> tuple[str | None, int]:
    """A compact string: length plus one, 0 for null."""
    length, offset = read_unsigned_varint(buffer, offset)
    return _text(buffer, offset, length - 1)


def read_bytes(buffer: Buffer, offset: int) -> tuple[bytes | None, int]:
    """Legacy bytes: int32 length, -1 for null."""
    (length,) = INT32.unpack_from(buffer, offset)
    return _slice(buffer, offset + 4, length)


def read_compact_bytes(buffer: Buffer, offset: int) -> tuple[bytes | None, int]:
    """Compact bytes: length plus one, 0 for null."""
    length, offset = read_unsigned_varint(buffer, offset)
    return _slice(buffer, offset, length - 1)


def _slice(buffer: Buffer, offset: int, length: int) -> tuple[bytes | None, int]:
    if length < 0:
        return None, offset
    end = offset + length
    if end > len(buffer):
        raise ValueError(f"a value of {length} bytes begins where {len(buffer) - offset} are left")
    return bytes(buffer[offset:end]), end


def _text(buffer: Buffer, offset: int, length: int) -> tuple[str | None, int]:
    value, offset = _slice(buffer, offset, length)
    return (None if value is None else value.decode()), offset


def write_unsigned_varint(out: bytearray, value: int) -> None:
    """Seven bits a byte, lowest first; `value` must not be negative."""
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def write_varint(out: bytearray, value: int) -> None:
    """A zigzag varint of a 64-bit number."""
    zigzag = (value << 1) ^ (value >> 63)
    if zigzag < 128:
        out.append(zigzag)
    else:
        write_unsigned_varint(out, zigzag)


def write_string(out: bytearray, value: str | None) -> None:
    """A legacy string, nullable."""
    if value is None:
        out += b"\xff\xff"
        return
    data = value.encode()
    out += INT16.pack(len(data))
    out += data


def write_compact_string(out: bytearray, value: str | None) -> None:
    """A compact string, nullable."""
    write_compact_bytes(out, None if value is None else value.encode())


def write_bytes(out: bytearray, value: Buffer | None) -> None:
    """Legacy bytes, nullable."""
    if value is None:
        out += b"\xff\xff\xff\xff"
        return
    out += INT32.pack(len(value))
    out += value


def write_compact_bytes(out: bytearray, value: Buffer | None) -> None:
    """Compact bytes, nullable."""
    if value is None:
        out.append(0)
        return
    write_unsigned_varint(out, len(value) + 1)
    out += value
