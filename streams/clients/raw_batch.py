"""Records as a consumer hands them over: fetched, and decoded as a whole or part by part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from streams.record import Batch

OBJECT_BYTES = 100
"""What Python adds to the bytes of a record: the objects of its key, value and timestamp."""

PART_RECORDS = 64
"""A part of a batch has at least so many records, if they are there: fewer are not worth their overhead."""


class Part(NamedTuple):
    """Some records of a fetched batch, decoded: where reading goes on after them, and the bytes that are done with."""

    columns: Batch
    next_offset: int
    size: int


def records_of_part(count: int, size: int, part_bytes: int) -> int:
    """How many of `count` records in `size` bytes make a part of about `part_bytes`, decoded."""
    return max(PART_RECORDS, part_bytes * count // max(size + count * OBJECT_BYTES, 1))


class RawBatch(Protocol):
    """Records as they were fetched: one partition, not yet decoded.

    `first_offset` is the first record's, `next_offset` where reading goes on after this batch (control records and
    compacted gaps count), `size` its bytes in memory.
    """

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    size: int

    def columns(self) -> Batch:
        """The records, decoded: keys and values are bytes or None, offsets and headers filled in."""
        ...

    def parts(self, part_bytes: int) -> Iterator[Part]:
        """The same in parts of about so many bytes, at least one: the last one brings `next_offset` and `size`."""
        ...
