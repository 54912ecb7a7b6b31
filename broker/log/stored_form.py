"""Batches whose form a topic's settings change, or whose records they ask to look at; most topics never come here.

Rules: pure functions over one batch.
Source: Kafka's LogValidator.
"""

from broker.errors import BrokerError, ErrorCode
from broker.log.config import MAX_LONG, LogConfig
from broker.protocol.compression import Codec
from broker.protocol.primitives import Buffer
from broker.protocol.record_batch import BatchHeader, parse_header, set_log_append_time
from broker.protocol.records import decode_records, null_keys, recompress

CODECS = {
    "uncompressed": Codec.NONE,
    "gzip": Codec.GZIP,
    "snappy": Codec.SNAPPY,
    "lz4": Codec.LZ4,
    "zstd": Codec.ZSTD,
}


def check_keys(records: Buffer, header: BatchHeader, config: LogConfig, now_ms: int) -> None:
    """What can be checked on single records only: keys in a compacted topic, and how old a record may be.

    Raises: BrokerError(INVALID_RECORD or INVALID_TIMESTAMP) that names the records.
    """
    if config.compacts:
        missing = null_keys(records, header)
        if missing:
            text = "Compacted topic cannot accept message without key in topic partition."
            errors = tuple((index, text) for index in missing)
            raise BrokerError(ErrorCode.INVALID_RECORD, "a compacted topic takes records with a key only", errors)
    oldest = now_ms - config.message_timestamp_before_max_ms
    if config.message_timestamp_before_max_ms < MAX_LONG and config.message_timestamp_type == "CreateTime":
        decoded = decode_records(records, header)
        stale = [index for index, record in enumerate(decoded) if 0 <= record.timestamp < oldest]
        if stale:
            errors = tuple((index, f"Timestamp is older than {oldest}.") for index in stale)
            raise BrokerError(ErrorCode.INVALID_TIMESTAMP, f"{len(stale)} records are older than {oldest}", errors)


def with_records(error: BrokerError, records: Buffer, config: LogConfig, now_ms: int) -> BrokerError:
    """The error with the records it is about, where it is about some: those too far ahead of the broker's clock."""
    if error.code is not ErrorCode.INVALID_TIMESTAMP or error.record_errors:
        return error
    latest = now_ms + config.message_timestamp_after_max_ms
    decoded = decode_records(records, parse_header(records))
    late = tuple(
        (index, f"Timestamp is later than {latest}.") for index, item in enumerate(decoded) if item.timestamp > latest
    )
    return BrokerError(error.code, error.message, late)


def stored_form(records: Buffer, header: BatchHeader, config: LogConfig, now_ms: int) -> tuple[Buffer, BatchHeader]:
    """The batch as the topic stores it: with the topic's codec, and the broker's time if it asks for that."""
    codec = CODECS.get(config.compression_type)
    if codec is not None and codec != header.codec:
        records = recompress(records, header, codec)
    if config.message_timestamp_type == "LogAppendTime":
        stamped = bytearray(records)
        set_log_append_time(stamped, now_ms)
        records = stamped
    return records, parse_header(records)
