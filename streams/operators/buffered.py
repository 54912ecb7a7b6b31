"""Records that wait in a buffer, as bytes: where they came from, and the values of a change. Equal to Kafka's layouts.

Origin: timestamp (8) ‖ offset (8) ‖ topic ‖ partition (4) ‖ headers; topic, header names and header values have their
length (4) in front. A change behind it: prior, old and new value, each with its length (4); -1 is null, and an old
length of -2 means "the same as prior". Source: Kafka's ProcessorRecordContext.serialize, BufferValue.serialize.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from state.stores import Cause
from streams.record import Batch, Headers

__all__ = ["BufferedChange", "Origin", "origin_of", "pack_change", "unpack_change"]

LENGTH = Struct(">i")
TIMES = Struct(">qq")
NULL, SAME = -1, -2


class Origin(NamedTuple):
    """When and where a waiting record was read."""

    timestamp: int
    offset: int
    topic: str
    partition: int
    headers: Headers

    @property
    def cause(self) -> Cause:
        """The same for those behind the buffer."""
        return self.headers, self.topic or None, self.partition, self.offset

    @property
    def size(self) -> int:
        """Bytes as Kafka estimates them."""
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return 8 + 8 + len(self.topic) + 4 + headers


class BufferedChange(NamedTuple):
    """A table's update that waits: the value before the buffer, and the latest change's old and new value, as bytes."""

    origin: Origin
    prior: bytes | None
    old: bytes | None
    new: bytes | None

    @property
    def size(self) -> int:
        """Bytes as Kafka estimates them."""
        old = 0 if self.old is None or self.old == self.prior else len(self.old)
        return len(self.prior or b"") + old + len(self.new or b"") + self.origin.size


def origin_of(batch: Batch, row: int, timestamp: int) -> Origin:
    """Where the record at index `row` was read."""
    return Origin(
        timestamp,
        batch.offsets[row] if batch.offsets is not None else -1,
        (batch.topics[row] if batch.topics else batch.topic) or "",
        batch.partition,
        batch.headers[row] if batch.headers else (),
    )


def pack_change(change: BufferedChange) -> bytes:
    """A change that waits, as bytes."""
    origin = change.origin
    parts = [
        TIMES.pack(origin.timestamp, origin.offset),
        sized(origin.topic.encode()),
        LENGTH.pack(origin.partition),
        LENGTH.pack(len(origin.headers)),
        *(sized(name.encode()) + sized(value) for name, value in origin.headers),
        sized(change.prior),
    ]
    if change.old is not None and change.old == change.prior:
        parts.append(LENGTH.pack(SAME))
    else:
        parts.append(sized(change.old))
    parts.append(sized(change.new))
    return b"".join(parts)


def unpack_change(data: bytes) -> BufferedChange:
    """The change that `pack_change` wrote; what follows it is left alone."""
    timestamp, offset = TIMES.unpack_from(data)
    topic, at = read_sized(data, TIMES.size)
    partition, count = (LENGTH.unpack_from(data, at + 4 * index)[0] for index in (0, 1))
    at += 8
    headers = []
    for _ in range(count):
        name, at = read_sized(data, at)
        value, at = read_sized(data, at)
        headers.append(((name or b"").decode(), value))
    origin = Origin(timestamp, offset, (topic or b"").decode(), partition, tuple(headers))
    prior, at = read_sized(data, at)
    same = LENGTH.unpack_from(data, at)[0] == SAME
    old, at = (prior, at + 4) if same else read_sized(data, at)
    return BufferedChange(origin, prior, old, read_sized(data, at)[0])


def sized(data: bytes | None) -> bytes:
    """Bytes with their length in front."""
    return LENGTH.pack(NULL) if data is None else LENGTH.pack(len(data)) + data


def read_sized(data: bytes, at: int) -> tuple[bytes | None, int]:
    """Bytes with their length in front, and where they end."""
    (length,) = LENGTH.unpack_from(data, at)
    start = at + LENGTH.size
    return (None, start) if length < 0 else (data[start : start + length], start + length)
