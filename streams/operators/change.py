"""Kafka's Change format: a table's update (new value, old value) in one record of a repartition topic.

Layout: only new: new ‖ 01; only old: old ‖ 00; both: varint(length of new) ‖ new ‖ old ‖ 02. Neither is no record value.
Source: Kafka's ChangedSerializer (since 3.5; before, both never travelled together).
"""

from __future__ import annotations

from collections.abc import Iterable

from state.varint import read_unsigned_varint, varint

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
    doubled, start = read_unsigned_varint(data, 0)  # it ends at the last byte at the latest
    length = doubled >> 1
    return data[start : start + length], data[start + length : -1]


def unpacked(column: Iterable[bytes | None]) -> tuple[list[bytes | None], list[bytes | None]]:
    """A column of changes as two: new values, old values."""
    pairs = [unpack(data) for data in column]
    return [new for new, _ in pairs], [old for _, old in pairs]
