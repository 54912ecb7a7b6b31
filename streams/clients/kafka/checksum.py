"""The checksum of record batches, CRC-32C."""

from __future__ import annotations

from crc32c import crc32c

KEEPING_THE_LOCK = 0


def checksum(data: bytes | bytearray | memoryview) -> int:
    """The CRC-32C of `data`, which the interpreter is kept for.

    The package would let others have it from 32 KB on. 128 KB take 7 µs, and to get it back from a thread that computes
    takes a turn of that thread: a thousand times as long, with two threads woken.
    """
    return crc32c(data, gil_release_mode=KEEPING_THE_LOCK)
