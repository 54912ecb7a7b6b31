"""The records inside a batch: read for compaction, look-ups and coordinators, written for the broker's own batches.

A record is: length, attributes, timestamp delta, offset delta, key, value, headers, all varints and bytes, compressed
together. Never on the hot path: a produce or fetch does not come here (exception: the key check of compacted topics).

Rules: bytes only, no I/O.
Source: Kafka's record format v2; control records as Kafka's EndTransactionMarker.
"""

from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import NamedTuple

from broker.errors import BrokerError, ErrorCode
from broker.protocol.compression import Codec, compress, decompress
from broker.protocol.primitives import Buffer, read_unsigned_varint, write_varint
from broker.protocol.record_batch import (
    CONTROL_BIT,
    HEADER_BYTES,
    LOG_APPEND_TIME_BIT,
    LOG_OVERHEAD_BYTES,
    MAGIC,
    NO_PRODUCER_ID,
    NO_SEQUENCE,
    TRANSACTIONAL_BIT,
    BatchHeader,
    headers_in,
    pack_header,
    seal,
)

_CONTROL_KEY = Struct(">hh")
_CONTROL_VALUE = Struct(">hi")
ABORT_MARKER = 0
COMMIT_MARKER = 1
_NULL_LENGTH = 1
"""-1 as a varint."""
_SHORT = 0x3FFF
"""The largest varint of two bytes."""
_SHORT_DELTAS = 9


class Record(NamedTuple):
    """One record as stored: absolute offset, timestamp in ms, key and value (None is null), headers."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[bytes, bytes | None], ...] = ()


class ControlRecord(NamedTuple):
    """A transaction marker."""

    commit: bool
    coordinator_epoch: int


def decode_records(batch: Buffer, header: BatchHeader, offset: int = 0) -> list[Record]:
    """All records of the batch at `offset`.

    Raises: BrokerError(CORRUPT_MESSAGE), if the records are not what the header says.
    """
    payload = decompress(header.codec, memoryview(batch)[offset + HEADER_BYTES : offset + header.size])
    try:
        return _decode(payload, header)
    except (IndexError, ValueError) as error:
        raise BrokerError(ErrorCode.CORRUPT_MESSAGE, f"the records of a batch cannot be read: {error}") from error


def records_in(buffer: Buffer) -> Iterator[Record]:
    """The records of every data batch in a buffer; markers are left out."""
    for position, header in headers_in(buffer):
        if not header.is_control:
            yield from decode_records(buffer, header, position)


def _decode(payload: bytes, header: BatchHeader) -> list[Record]:
    records = []
    position = 0
    fixed_timestamp = header.max_timestamp if header.has_log_append_time else None
    for _ in range(header.record_count):
        length, position = _varint(payload, position)
        end = position + length
        if length < 0 or end > len(payload):
            raise ValueError(f"a record of {length} bytes begins where {len(payload) - position} are left")
        delta, position = _varint(payload, position + 1)
        timestamp = header.base_timestamp + delta if fixed_timestamp is None else fixed_timestamp
        delta, position = _varint(payload, position)
        key, position = _bytes(payload, position, end)
        value, position = _bytes(payload, position, end)
        headers, position = _headers(payload, position, end)
        if position != end:
            raise ValueError(f"a record has {end - position} bytes too many")
        records.append(Record(header.base_offset + delta, timestamp, key, value, headers))
    return records


def _varint(payload: bytes, position: int) -> tuple[int, int]:
    byte = payload[position]
    if byte < 0x80:  # most lengths and deltas
        return (byte >> 1) ^ -(byte & 1), position + 1
    value, position = read_unsigned_varint(payload, position)
    return (value >> 1) ^ -(value & 1), position


def _bytes(payload: bytes, position: int, end: int) -> tuple[bytes | None, int]:
    length, position = _varint(payload, position)
    if length < 0:
        return None, position
    if position + length > end:
        raise ValueError(f"a field of {length} bytes reaches beyond its record")
    return payload[position : position + length], position + length


def _headers(payload: bytes, position: int, end: int) -> tuple[tuple[tuple[bytes, bytes | None], ...], int]:
    count, position = _varint(payload, position)
    if count == 0:
        return (), position
    if count < 0 or count > end - position:
        raise ValueError(f"a record announces {count} headers")
    headers = []
    for _ in range(count):
        key, position = _bytes(payload, position, end)
        value, position = _bytes(payload, position, end)
        headers.append((key or b"", value))
    return tuple(headers), position


def encode_record(out: bytearray, record: Record, base_offset: int, base_timestamp: int) -> None:
    """Append one record, its offset and timestamp as deltas."""
    body = bytearray(1)
    write_varint(body, record.timestamp - base_timestamp)
    write_varint(body, record.offset - base_offset)
    _write_nullable(body, record.key)
    _write_nullable(body, record.value)
    write_varint(body, len(record.headers))
    for key, value in record.headers:
        _write_nullable(body, key)
        _write_nullable(body, value)
    write_varint(out, len(body))
    out += body


def _write_nullable(out: bytearray, value: bytes | None) -> None:
    if value is None:
        out.append(1)  # zigzag of -1
    else:
        write_varint(out, len(value))
        out += value


def build_batch(
    records: Sequence[Record],
    *,
    codec: Codec = Codec.NONE,
    producer_id: int = NO_PRODUCER_ID,
    producer_epoch: int = -1,
    base_sequence: int = NO_SEQUENCE,
    leader_epoch: int = -1,
    attributes: int = 0,
) -> bytes:
    """One batch of records in ascending order of offset; the first record's offset is the batch's.

    `attributes` adds bits (transactional, control, log-append time) to the codec's.
    """
    assert records, "a batch has records"
    base = records[0]
    max_timestamp = max(record.timestamp for record in records)
    payload = bytearray()
    for record in records:
        encode_record(payload, record, base.offset, base.timestamp)
    header = BatchHeader(
        base_offset=base.offset,
        length=0,
        leader_epoch=leader_epoch,
        magic=MAGIC,
        crc=0,
        attributes=attributes | codec,
        last_offset_delta=records[-1].offset - base.offset,
        base_timestamp=base.timestamp,
        max_timestamp=max_timestamp,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        record_count=len(records),
    )
    return assemble(header, compress(codec, payload))


def assemble(header: BatchHeader, payload: bytes) -> bytes:
    """A batch from a header and its (compressed) records: length and CRC are set here."""
    length = HEADER_BYTES - LOG_OVERHEAD_BYTES + len(payload)
    batch = bytearray(pack_header(header._replace(length=length, crc=0)))
    batch += payload
    seal(batch)
    return bytes(batch)


def build_pairs(
    pairs: Iterable[tuple[bytes | None, bytes | None]],
    *,
    timestamp_ms: int,
    producer_id: int = NO_PRODUCER_ID,
    producer_epoch: int = -1,
    base_sequence: int = NO_SEQUENCE,
    transactional: bool = False,
) -> bytes:
    """A batch of (key, value) pairs of one instant, as coordinators write them; offsets begin at 0."""
    records = [Record(offset, timestamp_ms, key, value) for offset, (key, value) in enumerate(pairs)]
    return build_batch(
        records,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        attributes=TRANSACTIONAL_BIT if transactional else 0,
    )


def build_marker(
    producer_id: int, producer_epoch: int, *, commit: bool, coordinator_epoch: int, timestamp_ms: int
) -> bytes:
    """The control batch that ends a producer's transaction in one partition."""
    key = _CONTROL_KEY.pack(0, COMMIT_MARKER if commit else ABORT_MARKER)
    value = _CONTROL_VALUE.pack(0, coordinator_epoch)
    return build_batch(
        [Record(0, timestamp_ms, key, value)],
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        attributes=TRANSACTIONAL_BIT | CONTROL_BIT,
    )


def decode_marker(batch: Buffer, header: BatchHeader, offset: int = 0) -> ControlRecord | None:
    """The marker in a control batch; None for control records of other kinds.

    Raises: BrokerError(CORRUPT_MESSAGE).
    """
    if header.record_count == 0:  # compaction keeps the header of a producer's last marker
        return None
    record = decode_records(batch, header, offset)[0]
    if record.key is None or record.value is None or len(record.key) < _CONTROL_KEY.size:
        raise BrokerError(ErrorCode.CORRUPT_MESSAGE, "a control batch holds no control record")
    _, kind = _CONTROL_KEY.unpack_from(record.key)
    if kind not in (ABORT_MARKER, COMMIT_MARKER):
        return None
    _, coordinator_epoch = _CONTROL_VALUE.unpack_from(record.value)
    return ControlRecord(kind == COMMIT_MARKER, coordinator_epoch)


def recompress(batch: Buffer, header: BatchHeader, codec: Codec) -> bytes:
    """The same batch with its records compressed by another codec; everything else stays."""
    payload = decompress(header.codec, memoryview(batch)[HEADER_BYTES : header.size])
    attributes = header.attributes & ~0x07 | codec
    return assemble(header._replace(attributes=attributes), compress(codec, payload))


def null_keys(batch: Buffer, header: BatchHeader) -> list[int]:
    """Indexes of the records without a key, which a compacted topic does not take.

    Raises: BrokerError(CORRUPT_MESSAGE), if the records are not what the header says.
    """
    payload = decompress(header.codec, memoryview(batch)[HEADER_BYTES : header.size])
    try:
        plain = _null_keys(payload, header.record_count)
    except IndexError:
        plain = None
    if plain is not None:
        return plain
    return [index for index, record in enumerate(decode_records(batch, header)) if record.key is None]


def _null_keys(payload: bytes, count: int) -> list[int] | None:
    """The same for plain records, a fifth of the price: all changelogs pass here. None: decode them, to be sure.

    Plain are records without headers, of up to 8 KB, whose parts fill them. May raise IndexError for others.
    """
    missing = []
    position = 0
    for index in range(count):
        length, position = payload[position], position + 1
        if length > 0x7F:
            length, position = length & 0x7F | payload[position] << 7, position + 1
        end = position + (length >> 1)
        position += 1  # attributes
        deltas = position
        while payload[position] > 0x7F:  # of the timestamp
            position += 1
        position += 1
        while payload[position] > 0x7F:  # of the offset
            position += 1
        if position - deltas > _SHORT_DELTAS:
            return None
        key, position = payload[position + 1], position + 2
        if key == _NULL_LENGTH:
            missing.append(index)
        elif key & 1 or key > 0x7F:
            return None
        else:
            position += key >> 1
        value, position = payload[position], position + 1
        if value > 0x7F:
            value, position = value & 0x7F | payload[position] << 7, position + 1
        if value != _NULL_LENGTH:
            position += value >> 1
            if value & 1 or value > _SHORT:
                return None
        if position != end - 1 or payload[position] or length & 1 or length > _SHORT:
            return None
        position = end
    return missing


def first_at_or_after(
    batch: Buffer, header: BatchHeader, timestamp: int, from_offset: int = 0
) -> tuple[int, int] | None:
    """(timestamp, offset) of a batch's first record from `from_offset` on that is not older than `timestamp`."""
    if header.max_timestamp < timestamp:
        return None
    if header.attributes & LOG_APPEND_TIME_BIT and header.base_offset >= from_offset:
        return header.max_timestamp, header.base_offset
    for record in decode_records(batch, header):
        if record.timestamp >= timestamp and record.offset >= from_offset:
            return record.timestamp, record.offset
    return None
