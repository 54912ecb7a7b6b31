"""Record batches: what is accepted, what comes out of them, and that others read them too."""

import struct
from collections.abc import Callable

import pytest
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BrokerError, ErrorCode
from broker.protocol.compression import Codec, decompress
from broker.protocol.record_batch import (
    CONTROL_BIT,
    LOG_APPEND_TIME_BIT,
    Rules,
    assigned_prefix,
    batch_spans,
    check_client_batch,
    headers_in,
    increment_sequence,
    parse_header,
    seal,
    set_log_append_time,
)
from broker.protocol.records import (
    Record,
    build_batch,
    build_marker,
    build_pairs,
    decode_marker,
    decode_records,
    first_at_or_after,
    null_keys,
    recompress,
)

NOW_MS = 1_000_000
RULES = Rules(1 << 20, 1 << 30, 3_600_000, log_append_time=False)

Items = list[tuple[int, bytes | None, bytes | None, tuple[tuple[bytes, bytes | None], ...]]]

payloads = st.none() | st.binary(max_size=200)
headers = st.lists(st.tuples(st.text(max_size=4).map(str.encode), st.none() | st.binary(max_size=8)), max_size=3).map(
    tuple
)
content = st.lists(st.tuples(st.integers(0, 2**40), payloads, payloads, headers), min_size=1, max_size=20)


def made(items: Items) -> list[Record]:
    return [Record(offset, *item) for offset, item in enumerate(items)]


@given(content, st.sampled_from(list(Codec)))
def test_records_survive(items: Items, codec: Codec) -> None:
    """What is put into a batch comes out of it, in every codec."""
    records = made(items)
    batch = build_batch(records, codec=codec)
    assert decode_records(batch, parse_header(batch)) == records
    assert parse_header(batch).max_timestamp == max(record.timestamp for record in records)


@given(content, st.sampled_from(list(Codec)))
def test_aiokafka_reads_our_batches(items: Items, codec: Codec) -> None:
    """An independent implementation finds the same offsets, timestamps, keys and values."""
    records = made(items)
    batch = MemoryRecords(build_batch(records, codec=codec)).next_batch()
    assert batch.validate_crc()
    read = [(record.offset, record.timestamp, record.key, record.value) for record in batch]
    assert read == [tuple(record)[:4] for record in records]


@given(content, st.sampled_from(list(Codec)), st.sampled_from(list(Codec)))
def test_recompression_keeps_the_records(items: Items, old: Codec, new: Codec) -> None:
    """A batch stored with another codec holds the same records and is valid."""
    batch = build_batch(made(items), codec=old)
    again = recompress(batch, parse_header(batch), new)
    header = check_client_batch(again, RULES, 2**41)
    assert header.codec is new
    assert decode_records(again, header) == made(items)


def changed(offset: int, layout: str, value: int, *, sealed: bool = True) -> Callable[[], bytes]:
    def change() -> bytes:
        batch = bytearray(build_pairs([(b"k", b"1"), (b"k", b"2")], timestamp_ms=NOW_MS))
        struct.pack_into(layout, batch, offset, value)
        if sealed:
            seal(batch)
        return bytes(batch)

    return change


ONE = build_pairs([(b"k", b"v")], timestamp_ms=NOW_MS)


@pytest.mark.parametrize(
    ("code", "make"),
    [
        pytest.param(ErrorCode.INVALID_RECORD, lambda: b"", id="nothing"),
        pytest.param(ErrorCode.INVALID_RECORD, lambda: ONE + ONE, id="two batches"),
        pytest.param(ErrorCode.INVALID_RECORD, changed(16, ">b", 1), id="magic 1"),
        pytest.param(ErrorCode.CORRUPT_MESSAGE, changed(8, ">i", 9), id="length too small"),
        pytest.param(ErrorCode.INVALID_RECORD, changed(8, ">i", 1 << 20), id="length too large"),
        pytest.param(ErrorCode.CORRUPT_MESSAGE, changed(30, ">b", 77, sealed=False), id="CRC"),
        pytest.param(ErrorCode.INVALID_RECORD, changed(0, ">q", 5), id="base offset"),
        pytest.param(ErrorCode.INVALID_RECORD, changed(57, ">i", 0), id="no records"),
        pytest.param(ErrorCode.INVALID_RECORD, changed(23, ">i", 7), id="offset delta"),
        pytest.param(ErrorCode.INVALID_RECORD, changed(21, ">h", CONTROL_BIT), id="control batch"),
        pytest.param(ErrorCode.INVALID_RECORD, changed(43, ">q", 4), id="producer without sequence"),
        pytest.param(ErrorCode.INVALID_TIMESTAMP, changed(21, ">h", LOG_APPEND_TIME_BIT), id="log-append time"),
        pytest.param(ErrorCode.INVALID_TIMESTAMP, changed(35, ">q", NOW_MS + 3_600_001), id="future"),
        pytest.param(ErrorCode.INVALID_TIMESTAMP, changed(27, ">q", 2**63 - 1), id="first record in the future"),
        pytest.param(ErrorCode.INVALID_TIMESTAMP, changed(27, ">q", -(2**63)), id="first record before all time"),
        pytest.param(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, changed(21, ">h", 6), id="codec"),
        pytest.param(
            ErrorCode.MESSAGE_TOO_LARGE, lambda: build_pairs([(b"", bytes(1 << 20))], timestamp_ms=1), id="large"
        ),
    ],
)
def test_what_clients_may_not_send(code: ErrorCode, make: Callable[[], bytes]) -> None:
    """Each broken rule is answered with Kafka's code."""
    with pytest.raises(BrokerError) as caught:
        check_client_batch(make(), RULES, NOW_MS)
    assert caught.value.code is code


@given(st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    """Behind offset, length and leader epoch no bit can change without an error."""
    batch = bytearray(ONE)
    position = data.draw(st.integers(16, len(batch) - 1))
    batch[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BrokerError):
        check_client_batch(bytes(batch), RULES, NOW_MS)


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    """Bytes that are no batch are an answer to the client, never an accident."""
    with pytest.raises(BrokerError):
        check_client_batch(data, RULES, NOW_MS)


@given(st.binary(max_size=120), st.integers(1, 50), st.sampled_from(list(Codec)))
def test_random_records_are_refused(data: bytes, count: int, codec: Codec) -> None:
    """Records that are not what the header says raise CORRUPT_MESSAGE, whatever they are."""
    header = parse_header(ONE)._replace(record_count=count, attributes=codec, length=len(data) + 49)
    try:
        records = decode_records(bytes(61) + data, header)
    except BrokerError as error:
        assert error.code is ErrorCode.CORRUPT_MESSAGE
    else:
        assert len(records) == count


def test_a_compression_bomb_is_refused() -> None:
    """A few bytes that would become more than a batch can hold are refused without filling the memory."""
    import cramjam

    bomb = bytes(cramjam.zstd.compress(bytes(300 * 1024 * 1024)))
    with pytest.raises(BrokerError) as caught:
        decompress(Codec.ZSTD, bomb)
    assert caught.value.code is ErrorCode.CORRUPT_MESSAGE


def test_raw_snappy_is_read() -> None:
    """Librdkafka writes one raw block where Java writes frames."""
    import cramjam

    assert decompress(Codec.SNAPPY, bytes(cramjam.snappy.compress_raw(b"abc" * 50))) == b"abc" * 50


def test_place_is_outside_the_crc() -> None:
    """Offsets and leader epoch are assigned without touching the CRC."""
    batch = bytearray(ONE)
    batch[:16] = assigned_prefix(1234, int.from_bytes(batch[8:12], "big"), 5)
    header = parse_header(batch)
    assert (header.base_offset, header.leader_epoch, header.crc) == (1234, 5, parse_header(ONE).crc)


def test_log_append_time_replaces_every_timestamp() -> None:
    """All records of a stamped batch have the broker's time, and the CRC is new."""
    batch = bytearray(build_batch([Record(0, 5, None, b"a"), Record(1, 9, None, b"b")]))
    set_log_append_time(batch, 777)
    header = parse_header(batch)
    assert [record.timestamp for record in decode_records(batch, header)] == [777, 777]
    assert MemoryRecords(bytes(batch)).next_batch().validate_crc()
    assert first_at_or_after(batch, header, 700) == (777, 0)


def test_walking_a_buffer() -> None:
    """Whole batches are found, a cut one at the end is left."""
    buffer = ONE + ONE + ONE[:-1]
    assert [position for position, _ in headers_in(buffer)] == [0, len(ONE)]
    assert [(position, first, last) for position, _, first, last in batch_spans(buffer)][1] == (len(ONE), 0, 0)


def test_markers() -> None:
    """A marker says how its transaction ended and by which coordinator."""
    for commit in (True, False):
        batch = build_marker(9, 2, commit=commit, coordinator_epoch=3, timestamp_ms=NOW_MS)
        header = parse_header(batch)
        assert (header.is_control, header.is_transactional, header.base_sequence) == (True, True, -1)
        assert decode_marker(batch, header) == (commit, 3)


def test_null_keys_are_named() -> None:
    """The indexes of records without key."""
    batch = build_pairs([(None, b"1"), (b"k", b"2"), (None, b"3")], timestamp_ms=1)
    assert null_keys(batch, parse_header(batch)) == [0, 2]


long_payloads = payloads | st.integers(0, 9_000).map(bytes)
plain = st.lists(st.tuples(st.integers(0, 2**40), payloads, long_payloads, st.just(()) | headers), min_size=1)


@given(plain, st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=2))
def test_null_keys_are_those_of_the_decoded_records(items: Items, damage: list[tuple[float, int]]) -> None:
    """The quick look finds what decoding finds, and takes nothing that decoding refuses, whatever bytes are changed."""
    batch = bytearray(build_batch(made(items)))
    header = parse_header(batch)
    for place, byte in damage:
        batch[61 + int(place * (len(batch) - 61))] = byte

    def outcome(find: Callable[[], list[int]]) -> list[int] | ErrorCode:
        try:
            return find()
        except BrokerError as error:
            return error.code

    decoded = outcome(lambda: [at for at, each in enumerate(decode_records(batch, header)) if each.key is None])
    assert outcome(lambda: null_keys(batch, header)) == decoded


def test_sequences_wrap() -> None:
    """2^31-1 is followed by 0."""
    assert increment_sequence(2**31 - 2, 3) == 1
