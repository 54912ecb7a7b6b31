"""Numbers of few bytes when they are small, seven bits each, the lowest first: as Kafka's protocol and Protobuf have them."""

from __future__ import annotations

__all__ = ["read_unsigned_varint", "read_varint", "varint"]


def varint(number: int) -> bytes:
    """A signed number as Kafka's varint: small ones of either sign are short."""
    rest = (number << 1) ^ (number >> 31)
    parts = bytearray()
    while rest > 0x7F:
        parts.append(rest & 0x7F | 0x80)
        rest >>= 7
    parts.append(rest)
    return bytes(parts)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The signed number at an index, and the index behind it. Raises: IndexError when it is cut."""
    rest, at = read_unsigned_varint(data, at)
    return (rest >> 1) ^ -(rest & 1), at


def read_unsigned_varint(data: bytes, at: int) -> tuple[int, int]:
    """The same of a number without a sign."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
