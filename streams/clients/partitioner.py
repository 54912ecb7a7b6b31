"""Which partition a key belongs to: murmur2 of its bytes, as every Kafka client decides it.

Rules: `(murmur2(key) & 0x7fffffff) % partitions`, equal to Kafka's to the bit, or co-partitioned topics would not meet.
A batch of keys of one length is hashed at once: every key gets a 64-bit lane of one big integer, and the arithmetic of
big integers, which runs in C, does each step for all lanes. That costs about a tenth of hashing key by key. Columns of
hundreds of keys are numpy's (`hashed_column`), which takes a third of that again, and its import a tenth of a second.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

SEED = 0x9747B28C
MULTIPLIER = 0x5BD1E995
WORD = 0xFFFFFFFF
POSITIVE = 0x7FFFFFFF

FEW = 8
"""Below this many keys of one length, lanes cost more than they save."""

MANY = 256
"""From this many keys of one length on numpy is quicker than lanes."""

SHORT_BYTES = 16
"""Up to this length a key of many is hashed sooner than it is found among thousands."""

_STEP = 64
"""Numbers of lanes are multiples of this, so that their masks are known mostly."""

_LANE_BYTES, _BYTE = 8, 256


def murmur2(key: bytes) -> int:
    """The 32-bit hash of a key, unsigned.

    Source: Kafka's Utils.murmur2.
    """
    length = len(key)
    whole = length & ~3
    hashed = SEED ^ length
    for word in memoryview(key)[:whole].cast("I") if sys.byteorder == "little" else _words(key, whole):
        mixed = (word * MULTIPLIER) & WORD
        mixed ^= mixed >> 24
        hashed = ((hashed * MULTIPLIER) & WORD) ^ ((mixed * MULTIPLIER) & WORD)
    if length > whole:
        hashed = ((hashed ^ int.from_bytes(key[whole:], "little")) * MULTIPLIER) & WORD
    hashed = ((hashed ^ (hashed >> 13)) * MULTIPLIER) & WORD
    return hashed ^ (hashed >> 15)


class _Lanes(NamedTuple):
    """Numbers of `width` 64-bit lanes: a 1 in each, and masks of so many bits in each."""

    width: int
    ones: int
    low: int
    low_8: int
    low_17: int
    low_19: int


@lru_cache(maxsize=8)
def _lanes_of(count: int) -> _Lanes:
    ones = int.from_bytes(b"\x01\0\0\0\0\0\0\0" * count, "little")
    return _Lanes(count, ones, ones * WORD, ones * (WORD >> 24), ones * (WORD >> 15), ones * (WORD >> 13))


def hashed_lanes(keys: Sequence[bytes], length: int) -> tuple[int, _Lanes]:
    """The hashes of many keys, all of `length` bytes: a lane each, the first lowest, and some that stand for no key."""
    count = -(-len(keys) // _STEP) * _STEP
    lanes = _lanes_of(count)
    _, ones, low, low_8, low_17, low_19 = lanes
    hashed = ones * (SEED ^ length)
    data = b"".join(keys) + bytes((count - len(keys)) * length)
    for at in range(0, length & ~3, 4):
        mixed = (_lanes(data, at, 4, length) * MULTIPLIER) & low
        mixed ^= (mixed >> 24) & low_8
        hashed = ((hashed * MULTIPLIER) & low) ^ ((mixed * MULTIPLIER) & low)
    if rest := length & 3:
        hashed = ((hashed ^ _lanes(data, length & ~3, rest, length)) * MULTIPLIER) & low
    hashed = ((hashed ^ ((hashed >> 13) & low_19)) * MULTIPLIER) & low
    hashed ^= (hashed >> 15) & low_17
    return hashed, lanes


def murmur2_many(keys: Sequence[bytes], length: int) -> list[int]:
    """The hashes of many keys, all of `length` bytes."""
    hashed, lanes = hashed_lanes(keys, length)
    return _unpacked(hashed, lanes.width)[: len(keys)]


def partitions_many(keys: Sequence[bytes], length: int, count: int) -> list[int]:
    """The partitions of many keys, all of `length` bytes, in a topic of `count` partitions.

    A power of two takes the last bits of a hash: those are taken from all lanes at once, and come out as bytes, for which
    Python makes no objects.
    """
    if len(keys) >= MANY:
        from streams.clients.hashed_column import hashes  # here, for many programs never have as many that are new

        found: list[int] = ((hashes(keys, length, SEED) & POSITIVE) % count).tolist()
        return found
    if count & (count - 1) or count > _BYTE:
        return [(value & POSITIVE) % count for value in murmur2_many(keys, length)]
    hashed, lanes = hashed_lanes(keys, length)
    last_bits = (hashed & (lanes.ones * (count - 1))).to_bytes(_LANE_BYTES * lanes.width, "little")
    return list(last_bits[: _LANE_BYTES * len(keys) : _LANE_BYTES])


class KeyPartitioner:
    """Partitions of keys; those of the first `remember` keys are remembered, for each number of partitions.

    They are small integers, of which Python has one object each: a look-up reads a key, and no number of its own besides.
    Columns with other keys are hashed anew each time. For keys of one short length that takes half as long again as to look
    up a few thousand keys, and less than half of a look-up among ten thousand, which no processor keeps close beside all
    that a record is made of: of those only `remember_short` are remembered. After the first column that did not fit no more
    are, so that nobody looks for room again and again.
    """

    def __init__(self, remember: int = 50_000, remember_short: int = 4_000) -> None:
        self._remember = remember
        self._remember_short = min(remember, remember_short)
        self._known: dict[int, dict[bytes, int]] = {}

    def partitions_for(self, keys: Sequence[bytes], count: int) -> list[int]:
        """The partition of each key in a topic of `count` partitions."""
        known = self._known.get(count)
        if known is None:
            known = self._known[count] = {}
        try:
            return list(map(known.__getitem__, keys))
        except KeyError:
            lengths = set(map(len, keys)) if len(keys) >= FEW else ()
            alike = len(lengths) == 1
            if not self._learned(keys, count, short=alike and max(lengths) <= SHORT_BYTES):
                if alike:
                    return partitions_many(keys, max(lengths), count)
                known = _partitions(set(keys), count)
        return list(map(known.__getitem__, keys))

    def _learned(self, keys: Sequence[bytes], count: int, *, short: bool) -> bool:
        """Remember the keys, if there is room for all of them."""
        known = self._known[count]
        room = (self._remember_short if short else self._remember) - sum(map(len, self._known.values()))
        if room <= 0:
            return False
        unknown = set(keys).difference(known)
        if len(unknown) > room:
            self._remember_short = 0
            self._remember = self._remember if short else 0
            return False
        known.update(_partitions(unknown, count))
        return True


def _partitions(keys: Iterable[bytes], count: int) -> dict[bytes, int]:
    """The partition of each key, by its hash without a sign as Kafka's partitioner takes it."""
    found: dict[bytes, int] = {}
    for length, group in groupby(sorted(keys, key=len), len):
        same = list(group)
        few = len(same) < FEW
        partitions = [partition_for(key, count) for key in same] if few else partitions_many(same, length, count)
        found.update(zip(same, partitions, strict=True))
    return found


_PARTITIONER = KeyPartitioner()


def partitions_for(keys: Sequence[bytes], count: int) -> list[int]:
    """The partition of each key in a topic of `count` partitions, remembered for the whole process."""
    return _PARTITIONER.partitions_for(keys, count)


def partition_for(key: bytes, count: int) -> int:
    """The partition of one key in a topic of `count` partitions."""
    return (murmur2(key) & POSITIVE) % count


def _lanes(data: bytes, at: int, width: int, stride: int) -> int:
    """Bytes [at, at + width) of each key of `stride` bytes, little-endian, a 64-bit lane each."""
    count = len(data) // stride
    spread = bytearray(8 * count)
    for byte in range(width):
        spread[byte::8] = data[at + byte :: stride]
    return int.from_bytes(spread, "little")


def _unpacked(lanes: int, count: int) -> list[int]:
    """The lanes as a list."""
    values = array("Q", lanes.to_bytes(8 * count, "little"))
    if sys.byteorder == "big":
        values.byteswap()
    return values.tolist()


def _words(key: bytes, whole: int) -> list[int]:
    return [int.from_bytes(key[at : at + 4], "little") for at in range(0, whole, 4)]
