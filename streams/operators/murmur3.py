"""128-bit Murmur3 as Kafka's foreign-key joins use it: a fingerprint of a serialized value.

Source: Kafka's Murmur3.hash128 (x64 variant, seed 104729); 16 bytes, both words big endian.
"""

from __future__ import annotations

from struct import Struct

__all__ = ["fingerprint"]

SEED = 104729
MASK = 0xFFFFFFFFFFFFFFFF
C1, C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F
BLOCK = Struct("<QQ")
RESULT = Struct(">QQ")


def fingerprint(data: bytes) -> bytes:
    """The hash of `data`."""
    first = second = SEED
    whole = len(data) & ~15
    for at in range(0, whole, 16):
        low, high = BLOCK.unpack_from(data, at)
        first = (_rotated(first ^ _mixed_low(low), 27) + second) & MASK
        first = (first * 5 + 0x52DCE729) & MASK
        second = (_rotated(second ^ _mixed_high(high), 31) + first) & MASK
        second = (second * 5 + 0x38495AB5) & MASK
    tail = data[whole:]
    if tail:
        low, high = BLOCK.unpack(tail.ljust(16, b"\0"))
        first ^= _mixed_low(low)
        second ^= _mixed_high(high)
    return RESULT.pack(*_finished(first ^ len(data), second ^ len(data)))


def _mixed_low(word: int) -> int:
    return (_rotated((word * C1) & MASK, 31) * C2) & MASK


def _mixed_high(word: int) -> int:
    return (_rotated((word * C2) & MASK, 33) * C1) & MASK


def _rotated(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (64 - bits))) & MASK


def _finished(first: int, second: int) -> tuple[int, int]:
    first = (first + second) & MASK
    second = (second + first) & MASK
    first, second = _avalanche(first), _avalanche(second)
    first = (first + second) & MASK
    return first, (second + first) & MASK


def _avalanche(word: int) -> int:
    word ^= word >> 33
    word = (word * 0xFF51AFD7ED558CCD) & MASK
    word ^= word >> 33
    word = (word * 0xC4CEB9FE1A85EC53) & MASK
    return word ^ (word >> 33)
