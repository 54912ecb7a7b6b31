"""Fetched bytes as batches that decode themselves when asked.

A fetch answers with whole record batches (magic 2), maybe with a torn one at the end. Here they are cut into chunks of
about CHUNK_BYTES, checked (CRC-32C), and freed of control batches and, under read_committed, of aborted ones; only
headers are read. Decoding waits for `FetchedBatch.columns`, on the processing thread.
Source: Kafka's DefaultRecordBatch, and CompletedFetch for the filter of aborted transactions.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, NamedTuple

from aiokafka.record.default_records import DefaultRecordBatch
from crc32c import crc32c

from streams.clients.raw_batch import Part, records_of_part
from streams.errors import ClientError
from streams.record import Batch, Headers, TopicPartition

CHUNK_BYTES = 1024**2
"""Several parts of a `PartitionGroup`, since what is left behind the last one makes a small batch."""
PREFIX_BYTES = 12
CRC_START = 21
TRANSACTIONAL, CONTROL = 0x10, 0x20
ABORT_MARKER = 0
_HEADER = struct.Struct(">qiiBIhiqqq")
"""base offset, length, leader epoch, magic, CRC, attributes, last offset delta, first and max timestamp, producer id"""
_OFFSETS = struct.Struct(">q15xi30xi")
"""base offset, last offset delta, count of records"""
_MARKER = struct.Struct(">hh")


class RecordBatchHeader(NamedTuple):
    """What is needed of a record batch before it is decoded; `end` is its end in the buffer."""

    start: int
    end: int
    base_offset: int
    next_offset: int
    crc: int
    attributes: int
    producer_id: int


class FetchedBatch:
    """Some record batches of one partition, undecoded. A `RawBatch`."""

    __slots__ = ("_views", "first_offset", "next_offset", "partition", "size", "topic")

    def __init__(
        self, partition: TopicPartition, first_offset: int, next_offset: int, views: list[memoryview], size: int
    ) -> None:
        self.topic, self.partition = partition
        self.first_offset = first_offset
        self.next_offset = next_offset
        self.size = size
        self._views = views

    def columns(self) -> Batch:
        """The records as columns. Raises: ClientError when they cannot be decoded."""
        records, offsets, count = self._records()
        return self._decoded(islice(records, count), offsets)

    def parts(self, part_bytes: int) -> Iterator[Part]:
        """The records as columns, some at a time, so that what was decoded is used before the next takes its place.

        Raises: ClientError when they cannot be decoded.
        """
        records, offsets, count = self._records()
        step = records_of_part(count, self.size, part_bytes)
        for start in range(0, count - step, step):
            columns = self._decoded(islice(records, step), offsets and offsets[start : start + step])
            assert columns.offsets, "a part before the last one has records"
            yield Part(columns, columns.offsets[-1] + 1, 0)
        rest = max(count - 1, 0) // step * step
        yield Part(self._decoded(records, offsets and offsets[rest:]), self.next_offset, self.size)

    def _decoded(self, records: Iterator[Any], offsets: Sequence[int] | None) -> Batch:
        """Records in one pass: each is dropped at once, before the next takes its memory."""
        keys: list[Any] = []
        values: list[Any] = []
        timestamps: list[int] = []
        headers: dict[int, Headers] = {}
        add_key, add_value, add_timestamp = keys.append, values.append, timestamps.append
        with self._decoding():
            if offsets is None:
                found = list(records)
                offsets = [record.offset for record in found]
                records = iter(found)
            for record in records:
                add_key(record.key)
                add_value(record.value)
                add_timestamp(record.timestamp)
                if record.headers:
                    headers[len(keys) - 1] = tuple(record.headers)
        return Batch(
            keys,
            values,
            timestamps,
            [headers.get(index, ()) for index in range(len(keys))] if headers else None,
            offsets=offsets,
            topic=self.topic,
            partition=self.partition,
        )

    def _records(self) -> tuple[Iterator[Any], Sequence[int] | None, int]:
        """The records from `first_offset` on, their offsets as far as they are known, and how many there are."""
        with self._decoding():
            batches = [DefaultRecordBatch(view) for view in self._views]
            records = chain.from_iterable(batches)
            if batches and batches[0].base_offset < self.first_offset:  # the first batch may begin before it
                found = [record for record in records if record.offset >= self.first_offset]
                return iter(found), self._known_offsets(), len(found)
        return records, self._known_offsets(), sum(_OFFSETS.unpack_from(view)[2] for view in self._views)

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        """Whatever a codec or aiokafka says of bytes that are no records is one error that names the place."""
        try:
            yield
        except Exception as error:
            raise ClientError(
                f"the records of {TopicPartition(self.topic, self.partition)} from offset {self.first_offset:,} up to "
                f"{self.next_offset:,} cannot be decoded ({type(error).__name__}: {error}), though their checksum matches: "
                "correct or upgrade what wrote them, or skip them by committing the offset after them"
            ) from error

    def _known_offsets(self) -> Sequence[int] | None:
        """The offset of each record as far as headers tell: None where records are missing in between.

        Mostly those are all from the first to the last; the end of a transaction takes one between two batches.
        """
        spans = [_OFFSETS.unpack_from(view) for view in self._views]
        if any(last_delta + 1 != count for _, last_delta, count in spans):
            return None
        ranges = [range(max(base, self.first_offset), base + count) for base, _, count in spans]
        if sum(map(len, ranges)) == self.next_offset - self.first_offset:
            return range(self.first_offset, self.next_offset)
        return list(chain.from_iterable(ranges))


class Fetched(NamedTuple):
    """What one partition's part of a fetch comes to; `next_offset` is where the next fetch begins."""

    batches: list[FetchedBatch]
    next_offset: int


def split(partition: TopicPartition, data: bytes, position: int, aborted: Iterable[tuple[int, int]] | None) -> Fetched:
    """Cut fetched bytes into batches.

    `aborted` are the broker's (producer id, first offset) of aborted transactions, None unless read_committed.
    Skipped batches still move the offset: a batch without records carries it when nothing else does.
    Raises: ClientError when a checksum is wrong.
    """
    whole = memoryview(data)
    batches: list[FetchedBatch] = []
    views: list[memoryview] = []
    first = offset = position
    size = 0
    for header in _visible(partition, whole, position, AbortedTransactions(aborted)):
        if header.producer_id != _SKIPPED:
            views.append(whole[header.start : header.end])
        size += header.end - header.start
        offset = header.next_offset
        if size >= CHUNK_BYTES:
            batches.append(FetchedBatch(partition, first, offset, views, size))
            views, first, size = [], offset, 0
    if size:
        batches.append(FetchedBatch(partition, first, offset, views, size))
    return Fetched(batches, offset)


class AbortedTransactions:
    """Which producers' batches are void at the offset that has been reached."""

    def __init__(self, aborted: Iterable[tuple[int, int]] | None) -> None:
        self._coming = sorted(((first, producer) for producer, first in aborted or ()), reverse=True)
        self._open: set[int] = set()

    def voids(self, header: RecordBatchHeader, marker_of: memoryview) -> bool:
        """Whether a batch belongs to an aborted transaction; an abort marker ends its producer's."""
        while self._coming and self._coming[-1][0] <= header.base_offset:
            self._open.add(self._coming.pop()[1])
        if header.producer_id not in self._open:
            return False
        if header.attributes & CONTROL and _marker(marker_of) == ABORT_MARKER:
            self._open.discard(header.producer_id)
        return bool(header.attributes & TRANSACTIONAL)


_SKIPPED = -2


def _visible(
    partition: TopicPartition, data: memoryview, position: int, aborted: AbortedTransactions
) -> Iterator[RecordBatchHeader]:
    """The batches from `position` on; those not to be seen have the producer id _SKIPPED."""
    for header in headers(partition, data):
        view = data[header.start : header.end]
        if crc32c(view[CRC_START:]) != header.crc:
            raise ClientError(
                f"the record batch at offset {header.base_offset:,} of {partition} is damaged (its checksum does not "
                "match): check the broker's disk, or skip the batch by committing the offset after it"
            )
        void = aborted.voids(header, view)
        if header.next_offset <= position:
            continue
        hidden = void or header.attributes & CONTROL
        yield header._replace(producer_id=_SKIPPED) if hidden else header


def headers(partition: TopicPartition, data: memoryview) -> Iterator[RecordBatchHeader]:
    """The headers of the whole record batches in a buffer; a torn one at the end is left out."""
    at = 0
    while at + PREFIX_BYTES + 49 <= len(data):
        base, length, _, magic, crc, attributes, last_delta, _, _, producer_id = _HEADER.unpack_from(data, at)
        end = at + PREFIX_BYTES + length
        if magic != 2:
            raise ClientError(
                f"{partition} holds records in format v{magic}, written before Kafka 0.11: only v2 can be read; "
                "copy the topic with a current producer"
            )
        if end > len(data):
            return
        yield RecordBatchHeader(at, end, base, base + last_delta + 1, crc, attributes, producer_id)
        at = end


def _marker(view: memoryview) -> int | None:
    """The type of a control batch: 0 aborts, 1 commits; None: compaction took what it was, and left the batch empty."""
    record = next(iter(DefaultRecordBatch(view)), None)
    return int(_MARKER.unpack_from(record.key or b"\0\0\0\0")[1]) if record is not None else None
