"""Reads a segment as if nothing about it were known, and says where it stops being a log.

Used by recovery after a crash, by the offline check, and by whoever rebuilds an index.

Rules: bytes in, batches and one verdict out; changes nothing.
"""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from broker.protocol.primitives import Buffer
from broker.protocol.record_batch import HEADER_BYTES, MAGIC, MIN_LENGTH, BatchHeader, crc_matches, parse_header


class Damage(NamedTuple):
    """Where the last whole batch ends, and why what follows is none."""

    position: int
    reason: str


def mapped(path: Path) -> memoryview:
    """A file's bytes without reading them, for as long as somebody holds a view of them."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return memoryview(mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ) if size else b"")


def sound_batches(data: Buffer, position: int, next_offset: int) -> Iterator[tuple[int, BatchHeader] | Damage]:
    """(position, header) of every batch from `position` on that is whole, true to its CRC and in order; then a Damage,
    unless the last batch ends where the file ends.

    `next_offset` is the smallest offset the first batch may have.
    """
    end = len(data)
    while position < end:
        header, reason = _judge(data, position, end, next_offset)
        if header is None:
            yield Damage(position, reason)
            return
        yield position, header
        position += header.size
        next_offset = header.last_offset + 1


def _judge(data: Buffer, position: int, end: int, next_offset: int) -> tuple[BatchHeader | None, str]:
    left = end - position
    if left < HEADER_BYTES:
        return None, f"{left} bytes are no whole batch header"
    header = parse_header(data, position)
    reason = _fault(header, left, next_offset)
    if not reason and not crc_matches(data, position, header.size, header.crc):
        reason = f"the CRC of the batch at offset {header.base_offset} does not match its bytes"
    return (None, reason) if reason else (header, "")


def _fault(header: BatchHeader, left: int, next_offset: int) -> str:
    if header.length < MIN_LENGTH:
        return f"a batch of length {header.length} is shorter than its header"
    if header.size > left:
        return f"a batch of {header.size} bytes has only {left}"
    if header.magic != MAGIC:
        return f"a batch has format (magic) {header.magic}, expected {MAGIC}"
    if header.base_offset < next_offset:
        return f"a batch begins at offset {header.base_offset} where {next_offset} or more is due"
    if header.last_offset_delta < 0:
        return f"a batch ends at offset delta {header.last_offset_delta}"
    return ""
