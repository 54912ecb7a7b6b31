"""Kafka's Change format: a table's update (new value, old value) in one record of a repartition topic.

Layout: only new: new ‖ 01; only old: old ‖ 00; both: varint(length of new) ‖ new ‖ old ‖ 02. Neither is no record value.
Source: Kafka's ChangedSerializer (since 3.5; before, both never travelled together).
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["pack", "unpack", "unpacked"]

OLD, NEW, BOTH = b"\x00", b"\x01", b"\x02"


def pack(new: bytes | None, old: bytes | None) -> bytes | None:
    """Both values as one."""
    if new is not None and old is not None:
        return varint(len(new)) + new + old + BOTH
    if new is not None:
        return new + NEW
    return None if old is None else old + OLD


def unpack(data: bytes | None) -> tuple[bytes | None, bytes | None]:
    """Shape: (new, old). Raises: ValueError."""
    if data is None:
        return None, None
    kind = data[-1:]
    if kind == NEW:
        return data[:-1], None
    if kind == OLD:
        return None, data[:-1]
    if kind != BOTH:
        raise ValueError(f"expected a table's change, which ends in a byte 0, 1 or 2, got {data[-1:]!r}")
    length, start = read_varint(data)
    return data[start : start + length], data[start + length : -1]


def unpacked(column: Iterable[bytes | None]) -> tuple[list[bytes | None], list[bytes | None]]:
    """A column of changes as two: new values, old values."""
    pairs = [unpack(data) for data in column]
    return [new for new, _ in pairs], [old for _, old in pairs]


def varint(number: int) -> bytes:
    """A length as Kafka writes signed numbers: doubled (zigzag), seven bits a byte, the lowest first."""
    encoded = bytearray()
    number <<= 1
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def read_varint(data: bytes) -> tuple[int, int]:
    """The number at the start of `data`, and where it ends."""
    number = shift = 0
    for index, byte in enumerate(data):
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number >> 1, index + 1
        shift += 7
    raise ValueError("expected a variable-length number, got bytes that never end one")
