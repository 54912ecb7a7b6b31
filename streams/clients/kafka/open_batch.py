"""A record batch being filled, in the format that Kafka writes (magic 2).

aiokafka writes the records, a column at a time and without a line of Python per record. The header is written here, with
the checksum of the `crc32c` package: aiokafka's own, in software, takes half as long again as writing the records did.
For that its builder is asked for its buffer while it is empty, and goes on to write into it. Where that is not so
(another build of aiokafka), and where records are compressed, the batch is as aiokafka makes it.
Source: Kafka's DefaultRecordBatch.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import islice, repeat
from operator import length_hint
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from crc32c import crc32c

from streams.record import NO_TIMESTAMP, Headers, Record

MAGIC = 2
CODEC, TRANSACTIONAL = 0x07, 0x10
UNLIMITED = 2**30
LEADER_UNKNOWN = -1
UNSET = -1
NO_HEADERS: list[Any] = []
BATCH_OVERHEAD, HEADER_OVERHEAD = 90, 8
"""Bytes around the first record of a batch, and around a header, at most."""
_HEADER = struct.Struct(">qiibIhiqqqhii")
"""base offset, length, leader epoch, magic, CRC, attributes, last offset delta, first and max timestamp, producer id and
epoch, first sequence, count of records"""
_CRC = struct.Struct(">I")
_IDENTITY = struct.Struct(">qhi")
_IDENTITY_AT = 43
_CRC_AT, _LENGTH_FROM, _CRC_FROM = 17, 12, 21


def size_alone(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """How many bytes a batch of this record alone has at most, uncompressed."""
    size = BATCH_OVERHEAD + len(key or b"") + len(value or b"")
    for name, data in headers:
        size += HEADER_OVERHEAD + len(name) + len(data or b"")
    return size


class OpenBatch:
    """See the module. `codec` is Kafka's number of a compression, `batch_bytes` what makes a batch full."""

    __slots__ = ("_attributes", "_buffer", "_builder", "_first_timestamp", "_last_timestamp", "count")

    def __init__(self, codec: int, batch_bytes: int, *, transactional: bool) -> None:
        self._builder = DefaultRecordBatchBuilder(MAGIC, codec, int(transactional), UNSET, UNSET, 0, batch_bytes)
        self._buffer: bytearray | None = None if codec else self._builder.build()
        self._attributes = TRANSACTIONAL if transactional else 0
        self._first_timestamp = self._last_timestamp = NO_TIMESTAMP
        self.count = 0

    @property
    def size(self) -> int:
        """Its bytes so far, uncompressed."""
        return self._builder.size()

    def extend(
        self,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None,
        start: int,
    ) -> int:
        """Append the records from index `start` on until the batch is full; the answer is how many went in.

        The first record of a batch always does.
        """
        stop = len(keys)
        offsets = iter(range(self.count, self.count + stop - start))
        columns = (timestamps, keys, values)
        rest = [islice(column, start, None) for column in columns] if start else columns
        each_headers = repeat(NO_HEADERS) if headers is None else map(list, islice(headers, start, None))
        fits = all(map(self._builder.append, offsets, *rest, each_headers))  # None: it does not fit, and is not in
        done = stop - start - length_hint(offsets) - (not fits)
        self.count += done
        self._note(timestamps if done == len(timestamps) else timestamps[start : start + done])
        return done

    def _note(self, timestamps: Sequence[int]) -> None:
        if not timestamps:
            return
        if self.count == len(timestamps):
            self._first_timestamp = timestamps[0]
            if self._first_timestamp == NO_TIMESTAMP:
                self._buffer = None  # aiokafka counts from another record then
        latest = max(timestamps)
        self._last_timestamp = max(self._last_timestamp, latest)

    def build(self, producer_id: int, epoch: int, sequence: int) -> bytes | bytearray:
        """The batch as it goes over the wire, from the producer of that identity; it takes no more records."""
        buffer = self._buffer
        if buffer is None or len(buffer) != self._builder.size():
            self._builder.set_producer_state(producer_id, epoch, sequence)
            return bytes(self._builder.build())
        _HEADER.pack_into(
            buffer, 0, 0, len(buffer) - _LENGTH_FROM, LEADER_UNKNOWN, MAGIC, 0, self._attributes, self.count - 1,
            self._first_timestamp, self._last_timestamp, producer_id, epoch, sequence, self.count,
        )  # fmt: skip
        with memoryview(buffer) as view:
            _CRC.pack_into(buffer, _CRC_AT, crc32c(view[_CRC_FROM:]))
        return buffer


def renumbered(data: bytes | bytearray, producer_id: int, epoch: int, sequence: int) -> bytearray:
    """A batch that was built, as it would be of another identity or with another sequence number."""
    again = bytearray(data)
    _IDENTITY.pack_into(again, _IDENTITY_AT, producer_id, epoch, sequence)
    with memoryview(again) as view:
        _CRC.pack_into(again, _CRC_AT, crc32c(view[_CRC_FROM:]))
    return again


def records_in(data: bytes | bytearray) -> list[Record]:
    """The records of a batch that was built, in bytes."""
    return [
        Record(record.key, record.value, record.timestamp, tuple(record.headers))
        for record in DefaultRecordBatch(memoryview(data))
    ]


def batch_like(data: bytes | bytearray, records: Sequence[Record]) -> OpenBatch:
    """A batch of these records, however large, compressed and in a transaction as one that was built."""
    attributes = _HEADER.unpack_from(data)[5]
    batch = OpenBatch(attributes & CODEC, UNLIMITED, transactional=bool(attributes & TRANSACTIONAL))
    batch.extend(
        [record.key for record in records],
        [record.value for record in records],
        [record.timestamp for record in records],
        [record.headers for record in records],
        0,
    )
    return batch
