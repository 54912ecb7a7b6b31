"""Fetched bytes cut into batches, without decoding them."""

from __future__ import annotations

import struct

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from streams.clients.kafka.record_batches import split
from streams.clients.memory import MemoryBatch
from streams.errors import ClientError
from streams.record import TopicPartition

PARTITION = TopicPartition("t", 3)
TRANSACTIONAL, CONTROL = 0x10, 0x20


def record_batch(
    base: int, values: list[bytes], *, codec: int = 0, producer: int = -1, attributes: int = 0, key: bytes | None = b"k"
) -> bytes:
    """A record batch as a broker stores it: `values` at offsets from `base` on, timestamps equal to offsets."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, producer, 0, 0, 1 << 20)
    for at, value in enumerate(values):
        builder.append(at, base + at, key, value, [])
    data = bytearray(builder.build())
    struct.pack_into(">q", data, 0, base)
    (before,) = struct.unpack_from(">h", data, 21)
    struct.pack_into(">h", data, 21, before | attributes)
    struct.pack_into(">I", data, 17, crc32c(memoryview(data)[21:]))
    return bytes(data)


def marker(base: int, producer: int, kind: int) -> bytes:
    """A control batch: `kind` 0 aborts, 1 commits."""
    key = struct.pack(">hh", 0, kind)
    return record_batch(base, [b""], producer=producer, attributes=TRANSACTIONAL | CONTROL, key=key)


def values(data: bytes, position: int = 0, aborted: list[tuple[int, int]] | None = None) -> tuple[list[bytes], int]:
    fetched = split(PARTITION, data, position, aborted)
    found = [value for batch in fetched.batches for value in batch.columns().values]
    return found, fetched.next_offset


def test_records_with_their_offsets_and_timestamps() -> None:
    """Two record batches, decoded as one."""
    data = record_batch(5, [b"a", b"b"]) + record_batch(7, [b"c"])
    (batch,) = split(PARTITION, data, 5, None).batches
    columns = batch.columns()
    assert (columns.values, list(columns.offsets or ()), columns.timestamps) == (
        [b"a", b"b", b"c"],
        [5, 6, 7],
        [5, 6, 7],
    )
    assert (batch.first_offset, batch.next_offset, columns.topic, columns.partition) == (5, 8, "t", 3)


@pytest.mark.parametrize("codec", [0, 1, 2, 3, 4])
def test_every_codec_is_read(codec: int) -> None:
    """None, gzip, snappy, lz4 and zstd."""
    assert values(record_batch(0, [b"x" * 100] * 10, codec=codec))[0] == [b"x" * 100] * 10


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.data())
def test_reading_begins_at_the_position(sizes: list[int], data: st.DataObject) -> None:
    """A fetch answers with whole batches; what lies before the position is left out."""
    total = sum(sizes)
    position = data.draw(st.integers(0, total - 1))
    raw, base = b"", 0
    for size in sizes:
        raw += record_batch(base, [b"%d" % (base + at) for at in range(size)])
        base += size
    assert values(raw, position) == ([b"%d" % offset for offset in range(position, total)], total)


@pytest.mark.parametrize("compacted", [False, True])
@given(sizes=st.lists(st.integers(1, 150), min_size=1, max_size=4), part_bytes=st.integers(1, 40_000), data=st.data())
def test_parts_are_the_columns_cut(compacted: bool, sizes: list[int], part_bytes: int, data: st.DataObject) -> None:
    """However large they are and wherever reading begins: the same records, and each part tells where to go on."""
    raw, base = b"", 0
    for size in sizes:
        raw += record_batch(base, [b"%d" % (base + at) for at in range(size)])
        base += size + compacted
    position = data.draw(st.integers(0, base - 1 - compacted))
    for batch in split(PARTITION, raw, position, None).batches:
        whole, parts = batch.columns(), list(batch.parts(part_bytes))
        for name in ("values", "timestamps", "offsets"):
            assert [entry for part in parts for entry in getattr(part.columns, name)] == list(getattr(whole, name))
        assert [part.next_offset for part in parts[:-1]] == [max(part.columns.offsets or ()) + 1 for part in parts[:-1]]
        assert (parts[-1].next_offset, sum(part.size for part in parts)) == (batch.next_offset, batch.size)
        assert min(len(part.columns) for part in parts) > 0
        memory = MemoryBatch(PARTITION, batch.first_offset, whole, batch.next_offset)
        again = list(memory.parts(part_bytes))
        assert [value for part in again for value in part.columns.values] == whole.values
        assert (again[-1].next_offset, sum(part.size for part in again)) == (batch.next_offset, memory.size)


def test_a_torn_batch_at_the_end_waits_for_the_next_fetch() -> None:
    """Brokers cut where max_bytes falls."""
    whole, torn = record_batch(0, [b"a"]), record_batch(1, [b"b"])
    for cut in range(len(torn)):
        assert values(whole + torn[:cut]) == ([b"a"], 1)


def test_aborted_transactions_are_invisible() -> None:
    """Producer 9's first transaction was aborted, its second not; producer 8's records stay; markers never show."""
    data = (
        record_batch(0, [b"bad"], producer=9, attributes=TRANSACTIONAL)
        + record_batch(1, [b"good"], producer=8, attributes=TRANSACTIONAL)
        + marker(2, 9, 0)
        + record_batch(3, [b"fine"], producer=9, attributes=TRANSACTIONAL)
        + marker(4, 9, 1)
    )
    assert values(data, aborted=[(9, 0)]) == ([b"good", b"fine"], 5)
    assert values(data) == ([b"bad", b"good", b"fine"], 5)


def test_an_empty_control_batch_is_no_marker() -> None:
    """Compaction keeps the last batch of a producer without its records: Kafka's consumer goes past it."""
    emptied = bytearray(marker(1, 9, 0)[:61])
    struct.pack_into(">i", emptied, 8, len(emptied) - 12)
    struct.pack_into(">i", emptied, 57, 0)
    struct.pack_into(">I", emptied, 17, crc32c(memoryview(emptied)[21:]))
    data = record_batch(0, [b"bad"], producer=9, attributes=TRANSACTIONAL) + bytes(emptied)
    data += record_batch(2, [b"bad"], producer=9, attributes=TRANSACTIONAL) + marker(3, 9, 0)
    data += record_batch(4, [b"good"], producer=9, attributes=TRANSACTIONAL)
    assert values(data, aborted=[(9, 0)]) == ([b"good"], 5)


@pytest.mark.parametrize("position", [0, 1, 5])
def test_offsets_are_right_around_markers_and_where_compaction_took_records(position: int) -> None:
    """A marker lies between two batches, records are missing in the third; reading may begin anywhere."""
    compacted = DefaultRecordBatchBuilder(2, 0, 0, -1, 0, 0, 1 << 20)
    for at in (0, 3, 4):
        compacted.append(at, 6 + at, b"k", b"c", [])
    last = bytearray(compacted.build())
    struct.pack_into(">q", last, 0, 6)
    struct.pack_into(">I", last, 17, crc32c(memoryview(last)[21:]))
    first = record_batch(0, [b"a", b"b", b"c"], producer=9, attributes=TRANSACTIONAL) + marker(3, 9, 1)
    for data, expected in (
        (first + record_batch(4, [b"d", b"e"]), [0, 1, 2, 4, 5]),
        (first + record_batch(4, [b"d", b"e"]) + bytes(last), [0, 1, 2, 4, 5, 6, 9, 10]),
    ):
        (batch,) = split(PARTITION, data, position, None).batches
        columns = batch.columns()
        assert list(columns.offsets or ()) == [offset for offset in expected if offset >= position]
        assert columns.timestamps == list(columns.offsets or ())


def test_a_marker_alone_still_moves_the_position() -> None:
    """A batch without records carries the position past it."""
    (batch,) = split(PARTITION, marker(4, 9, 1), 4, None).batches
    assert (batch.next_offset, len(batch.columns())) == (5, 0)
    (part,) = batch.parts(1)
    assert (part.next_offset, len(part.columns), part.size) == (5, 0, batch.size)


def test_damage_is_found_by_the_checksum() -> None:
    """A flipped bit anywhere behind the checksum is an error that names the place."""
    data = bytearray(record_batch(6, [b"abc"]))
    data[-2] ^= 1
    with pytest.raises(ClientError, match="offset 6 of t-3 is damaged"):
        split(PARTITION, bytes(data), 6, None)


@pytest.mark.parametrize("codec", range(8))
@pytest.mark.parametrize("position", [6, 7])
def test_what_cannot_be_decoded_is_told_with_its_place(codec: int, position: int) -> None:
    """Broken records of every codec there is, and of codecs that nobody knows, under a checksum that matches."""
    data = bytearray(record_batch(6, [b"abc", b"def"]))
    data[61:] = b"\x7f" * (len(data) - 61)
    struct.pack_into(">h", data, 21, codec)
    struct.pack_into(">I", data, 17, crc32c(memoryview(data)[21:]))
    (batch,) = split(PARTITION, bytes(data), position, None).batches
    for read in (batch.columns, lambda: list(batch.parts(10))):
        with pytest.raises(ClientError, match=f"records of t-3 from offset {position} up to 8 cannot be decoded"):
            read()


def test_old_formats_are_refused() -> None:
    """Magic 1 is named, with the cure."""
    data = bytearray(record_batch(0, [b"abc"]))
    data[16] = 1
    with pytest.raises(ClientError, match="format v1.*only v2"):
        split(PARTITION, bytes(data), 0, None)


def test_headers_come_along() -> None:
    """Only some records have headers; the others have none."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, 0, 0, 1 << 20)
    builder.append(0, 0, None, b"a", [])
    builder.append(1, 0, None, b"b", [("h", b"1"), ("n", None)])
    (batch,) = split(PARTITION, record_batch(0, [b"z"]) + _at(1, bytes(builder.build())), 0, None).batches
    assert batch.columns().headers == [(), (), (("h", b"1"), ("n", None))]


def _at(base: int, data: bytes) -> bytes:
    """The same record batch at another base offset, which the checksum does not cover."""
    return struct.pack(">q", base) + data[8:]
