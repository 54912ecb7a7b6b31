"""The record batch (magic 2): the unit of wire and disk, seen through its 61-byte header.

    base offset 0 | length 8 | leader epoch 12 | magic 16 | CRC 17 | attributes 21 | last offset delta 23
    base timestamp 27 | max timestamp 35 | producer id 43 | epoch 51 | base sequence 53 | record count 57 | records 61

Offset, length and leader epoch lie outside the CRC-32C (byte 21 to the end): a broker assigns them without touching the
rest. Records inside a batch are `broker.protocol.records`' business; nothing here decodes one.

Rules: bytes only, no I/O. Validation raises what a client is to be told.
Source: Kafka's record format; validation as Kafka's UnifiedLog and LogValidator do it.
"""

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from crc32c import crc32c

from broker.errors import BrokerError, ErrorCode
from broker.protocol.compression import Codec
from broker.protocol.primitives import INT16, INT64, Buffer

HEADER_BYTES = 61
LOG_OVERHEAD_BYTES = 12  # base offset and length, which `length` does not count
MIN_LENGTH = HEADER_BYTES - LOG_OVERHEAD_BYTES
OLDEST_MIN_LENGTH = 14  # of formats before this one, which Kafka still steps over
LENGTH_BYTE = 8
MAGIC_BYTE = 16
CRC_OFFSET = 17
ATTRIBUTES_OFFSET = 21
MAX_TIMESTAMP_OFFSET = 35
MAGIC = 2
NO_TIMESTAMP = -1
NO_PRODUCER_ID = -1
NO_SEQUENCE = -1
MAX_SEQUENCE = 2**31 - 1
MAX_INT64 = 2**63 - 1

CODEC_MASK = 0x07
LOG_APPEND_TIME_BIT = 0x08
TRANSACTIONAL_BIT = 0x10
CONTROL_BIT = 0x20
DELETE_HORIZON_BIT = 0x40

_HEADER = Struct(">qiibIhiqqqhii")
_PREFIX = Struct(">qii")  # base offset, length, leader epoch
_SPAN = Struct(">qi11xi")  # base offset, length, (epoch, magic, crc, attributes skipped) last offset delta
_CRC = Struct(">I")
assert _HEADER.size == HEADER_BYTES


class BatchHeader(NamedTuple):
    """The header's fields, in the order they lie in."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def size(self) -> int:
        """Bytes of the whole batch."""
        return self.length + LOG_OVERHEAD_BYTES

    @property
    def last_offset(self) -> int:
        """Offset of the last record, present or compacted away."""
        return self.base_offset + self.last_offset_delta

    @property
    def last_sequence(self) -> int:
        """Sequence of the last record; numbers wrap from 2^31-1 to 0."""
        return increment_sequence(self.base_sequence, self.last_offset_delta)

    @property
    def codec(self) -> Codec:
        """How the records are compressed.

        Raises: BrokerError(UNSUPPORTED_COMPRESSION_TYPE).
        """
        return codec_of(self.attributes)

    @property
    def is_transactional(self) -> bool:
        """Whether the batch is part of a transaction (markers are)."""
        return bool(self.attributes & TRANSACTIONAL_BIT)

    @property
    def is_control(self) -> bool:
        """Whether the batch holds a transaction marker instead of records."""
        return bool(self.attributes & CONTROL_BIT)

    @property
    def has_log_append_time(self) -> bool:
        """Whether every record's timestamp is the batch's maximum, set by the broker."""
        return bool(self.attributes & LOG_APPEND_TIME_BIT)

    @property
    def delete_horizon_ms(self) -> int | None:
        """When tombstones and markers of the batch may go; None before the first compaction met them."""
        return self.base_timestamp if self.attributes & DELETE_HORIZON_BIT else None


class Rules(NamedTuple):
    """What a log accepts from clients; built once per change of its configuration."""

    max_message_bytes: int
    segment_bytes: int
    timestamp_after_max_ms: int
    log_append_time: bool


def increment_sequence(sequence: int, by: int) -> int:
    """A sequence number `by` records later.

    >>> increment_sequence(2**31 - 1, 1)
    0
    """
    return (sequence + by) & MAX_SEQUENCE


def codec_of(attributes: int) -> Codec:
    """The codec named by a batch's attributes.

    Raises: BrokerError(UNSUPPORTED_COMPRESSION_TYPE).
    """
    number = attributes & CODEC_MASK
    if number > Codec.ZSTD:
        raise BrokerError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"a batch names codec {number}; known are 0 to 4")
    return Codec(number)


def parse_header(buffer: Buffer, offset: int = 0) -> BatchHeader:
    """The header at `offset`, unchecked; at least 61 bytes must be there."""
    return BatchHeader._make(_HEADER.unpack_from(buffer, offset))


def crc_matches(batch: Buffer, offset: int, size: int, crc: int) -> bool:
    """Whether the CRC in the header is that of the bytes from the attributes to the end."""
    view = memoryview(batch)[offset + ATTRIBUTES_OFFSET : offset + size]
    return bool(crc32c(view) == crc)


def headers_in(buffer: Buffer, offset: int = 0, end: int | None = None) -> Iterator[tuple[int, BatchHeader]]:
    """(position, header) of every whole batch in a buffer; stops before a cut one or an impossible length."""
    limit = len(buffer) if end is None else end
    while limit - offset >= HEADER_BYTES:
        header = parse_header(buffer, offset)
        size = header.size
        if header.length < MIN_LENGTH or limit - offset < size:
            return
        yield offset, header
        offset += size


def batch_spans(buffer: Buffer, offset: int = 0) -> Iterator[tuple[int, int, int, int]]:
    """(position, size, base offset, last offset) of every batch whose header is in the buffer; the cheapest walk there is."""
    unpack = _SPAN.unpack_from
    limit = len(buffer) - HEADER_BYTES
    while offset <= limit:
        base_offset, length, delta = unpack(buffer, offset)
        if length < MIN_LENGTH:
            return
        yield offset, length + LOG_OVERHEAD_BYTES, base_offset, base_offset + delta
        offset += length + LOG_OVERHEAD_BYTES


def check_client_batch(records: Buffer, rules: Rules, now_ms: int) -> BatchHeader:
    """The header of the one batch a client may send per partition, if it obeys the rules.

    Raises: BrokerError with Kafka's code for the first rule it breaks.
    Source: Kafka ProduceRequest.validateRecords, UnifiedLog.analyzeAndValidateRecords, LogValidator.validateBatch.
    """
    header = check_shape(records)
    size = len(records)
    if header.base_offset != 0:
        raise BrokerError(ErrorCode.INVALID_RECORD, f"a client's batch begins at offset 0, not {header.base_offset}")
    _check_sizes(size, rules)
    if not crc_matches(records, 0, size, header.crc):
        raise BrokerError(ErrorCode.CORRUPT_MESSAGE, "the batch does not match its CRC-32C")
    _check_fields(header)
    _check_timestamps(header, rules, now_ms)
    return header


def check_shape(records: Buffer | None) -> BatchHeader:
    """The header of the one batch that came for a partition.

    Raises: BrokerError, if it is not one batch of the format in use.
    """
    size = len(records or b"")
    if records is None or size < HEADER_BYTES:
        raise BrokerError(ErrorCode.INVALID_RECORD, f"{size} bytes hold no record batch, whose header alone has 61")
    header = parse_header(records)
    if header.length < MIN_LENGTH:
        raise BrokerError(ErrorCode.CORRUPT_MESSAGE, f"a batch announces {header.size} bytes, its header alone has 61")
    if header.size > size:
        raise BrokerError(ErrorCode.INVALID_RECORD, f"a batch announces {header.size} bytes where {size} came")
    if header.magic != MAGIC:
        code = ErrorCode.INVALID_RECORD if header.magic < MAGIC else ErrorCode.CORRUPT_MESSAGE
        raise BrokerError(code, f"batch format (magic) 2 is accepted, {header.magic} came")
    if header.size < size:
        raise BrokerError(ErrorCode.INVALID_RECORD, "more than one record batch for a partition in one request")
    return header


def is_torn(records: Buffer) -> bool:
    """Whether a batch cannot even be stepped over: its length or its format is none there is."""
    size = len(records)
    if size < LOG_OVERHEAD_BYTES:
        return False
    if int.from_bytes(records[LENGTH_BYTE:LOG_OVERHEAD_BYTES], signed=True) < OLDEST_MIN_LENGTH:
        return True
    return size > MAGIC_BYTE and records[MAGIC_BYTE] > MAGIC


def _check_sizes(size: int, rules: Rules) -> None:
    if size > rules.max_message_bytes:
        raise BrokerError(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"a batch of {size:,} bytes exceeds max.message.bytes {rules.max_message_bytes:,}",
        )
    if size > rules.segment_bytes:
        raise BrokerError(
            ErrorCode.RECORD_LIST_TOO_LARGE, f"a batch of {size:,} bytes exceeds segment.bytes {rules.segment_bytes:,}"
        )


def _check_fields(header: BatchHeader) -> None:
    if header.record_count <= 0 or header.last_offset_delta != header.record_count - 1:
        raise BrokerError(
            ErrorCode.INVALID_RECORD,
            f"a batch counts {header.record_count} records and ends at offset delta {header.last_offset_delta}",
        )
    if header.attributes & CONTROL_BIT:
        raise BrokerError(ErrorCode.INVALID_RECORD, "clients may not write control batches")
    if header.producer_id >= 0 and header.base_sequence < 0:
        raise BrokerError(ErrorCode.INVALID_RECORD, f"producer id {header.producer_id} without a sequence number")
    if header.attributes & CODEC_MASK > Codec.ZSTD:
        codec_of(header.attributes)


def _check_timestamps(header: BatchHeader, rules: Rules, now_ms: int) -> None:
    """By the header alone: its base is the first record's timestamp, and all others are differences to it."""
    first, newest = header.base_timestamp, header.max_timestamp
    if max(newest, now_ms) - first > MAX_INT64:
        raise BrokerError(ErrorCode.INVALID_TIMESTAMP, f"timestamp {first} lies too far back for any other beside it")
    if rules.log_append_time:
        return
    if header.attributes & LOG_APPEND_TIME_BIT:
        message = "a client's batch may not be of type LogAppendTime"
        raise BrokerError(ErrorCode.INVALID_TIMESTAMP, message, ((0, message),))
    latest = max(first, newest)
    if latest - now_ms > rules.timestamp_after_max_ms:
        raise BrokerError(
            ErrorCode.INVALID_TIMESTAMP,
            f"timestamp {latest} is more than {rules.timestamp_after_max_ms} ms ahead of the broker",
        )


def assigned_prefix(base_offset: int, length: int, leader_epoch: int) -> bytes:
    """The first 16 bytes of a batch with the place it gets: all that changes when a broker stores it."""
    return _PREFIX.pack(base_offset, length, leader_epoch)


def set_log_append_time(batch: bytearray, timestamp_ms: int) -> None:
    """Make the broker's time that of every record: attribute bit, maximum timestamp and a new CRC."""
    (attributes,) = INT16.unpack_from(batch, ATTRIBUTES_OFFSET)
    INT16.pack_into(batch, ATTRIBUTES_OFFSET, attributes | LOG_APPEND_TIME_BIT)
    INT64.pack_into(batch, MAX_TIMESTAMP_OFFSET, timestamp_ms)
    seal(batch)


def seal(batch: bytearray) -> None:
    """Write the CRC of a batch that was changed."""
    _CRC.pack_into(batch, CRC_OFFSET, crc32c(memoryview(batch)[ATTRIBUTES_OFFSET:]))


def pack_header(header: BatchHeader) -> bytes:
    """A header as 61 bytes; its CRC is taken as it is."""
    return _HEADER.pack(*header)
