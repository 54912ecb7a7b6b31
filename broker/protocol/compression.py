"""The codecs of record batches: none, gzip, snappy, lz4, zstd, by the number in a batch's attributes.

Snappy comes in two forms: one raw block (librdkafka) or the framing of the Java library (Java clients); both are read,
the Java form is written, which every client reads. Java also reads lz4 in independent blocks only.

Rules: bytes only. Decompression never makes more than `MAX_DECOMPRESSED_BYTES` out of a batch.
"""

from enum import IntEnum

import cramjam

from broker.errors import BrokerError, ErrorCode
from broker.protocol.primitives import INT32, Buffer

MAX_DECOMPRESSED_BYTES = 256 * 1024 * 1024
_LZ4_HEADER = b"\x04\x22\x4d\x18\x60\x40\x82"  # magic, version 1 with independent blocks, 64 KB, checksum of both
_LZ4_BLOCK_BYTES = 64 * 1024
_LZ4_STORED = 1 << 31
_LZ4_END = bytes(4)
_OUT_OF_ROOM = "failed to write whole buffer"
_JAVA_SNAPPY_MAGIC = b"\x82SNAPPY\x00"
_JAVA_SNAPPY_HEADER = _JAVA_SNAPPY_MAGIC + INT32.pack(1) + INT32.pack(1)
_JAVA_SNAPPY_BLOCK_BYTES = 32 * 1024


class Codec(IntEnum):
    """The lowest three bits of a batch's attributes."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


def compress(codec: Codec, data: Buffer) -> bytes:
    """`data` as the codec stores it."""
    if codec is Codec.NONE:
        return bytes(data)
    if codec is Codec.GZIP:
        return bytes(cramjam.gzip.compress(data))
    if codec is Codec.LZ4:
        return _compress_independent_lz4(memoryview(data))
    if codec is Codec.ZSTD:
        return bytes(cramjam.zstd.compress(data))
    return _compress_java_snappy(memoryview(data))


def decompress(codec: Codec, data: Buffer) -> bytes:
    """What was compressed.

    Raises: BrokerError(CORRUPT_MESSAGE), if the bytes are not the codec's or would grow beyond the limit.
    """
    if codec is Codec.NONE:
        return bytes(data)
    try:
        if codec is Codec.SNAPPY:
            return _decompress_snappy(bytes(data))
        return _inflate(codec, bytes(data))
    except (cramjam.DecompressionError, OverflowError, IndexError, ValueError) as error:
        raise BrokerError(
            ErrorCode.CORRUPT_MESSAGE, f"a batch does not decompress with {codec.name}: {error}"
        ) from error


def _inflate(codec: Codec, data: bytes) -> bytes:
    """Decompress into memory of a fixed size that doubles until all fits: a small bomb cannot take the process down."""
    module = {Codec.GZIP: cramjam.gzip, Codec.LZ4: cramjam.lz4, Codec.ZSTD: cramjam.zstd}[codec]
    capacity = max(64 * 1024, 8 * len(data))
    while True:
        out = bytearray(capacity)
        try:
            return bytes(memoryview(out)[: module.decompress_into(data, out)])
        except cramjam.DecompressionError as error:
            if capacity >= MAX_DECOMPRESSED_BYTES or _OUT_OF_ROOM not in str(error):
                raise
            capacity = min(capacity * 8, MAX_DECOMPRESSED_BYTES)


def _compress_independent_lz4(data: memoryview) -> bytes:
    """A frame of independent 64 KB blocks, the only kind Java clients read."""
    out = bytearray(_LZ4_HEADER)
    for start in range(0, len(data), _LZ4_BLOCK_BYTES):
        plain = data[start : start + _LZ4_BLOCK_BYTES]
        block = bytes(cramjam.lz4.compress_block(plain, store_size=False))
        if len(block) < len(plain):
            out += len(block).to_bytes(4, "little")
            out += block
        else:
            out += (len(plain) | _LZ4_STORED).to_bytes(4, "little")
            out += plain
    return bytes(out + _LZ4_END)


def _compress_java_snappy(data: memoryview) -> bytes:
    out = bytearray(_JAVA_SNAPPY_HEADER)
    for start in range(0, len(data), _JAVA_SNAPPY_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(data[start : start + _JAVA_SNAPPY_BLOCK_BYTES]))
        out += INT32.pack(len(block))
        out += block
    return bytes(out)


def _decompress_snappy(data: bytes) -> bytes:
    if not data.startswith(_JAVA_SNAPPY_MAGIC):
        return _decompress_snappy_block(data)
    parts, offset = [], len(_JAVA_SNAPPY_HEADER)
    while offset < len(data):
        size = int.from_bytes(data[offset : offset + 4], "big")
        parts.append(_decompress_snappy_block(data[offset + 4 : offset + 4 + size]))
        offset += 4 + size
    return b"".join(parts)


def _decompress_snappy_block(block: bytes) -> bytes:
    if cramjam.snappy.decompress_raw_len(block) > MAX_DECOMPRESSED_BYTES:
        raise ValueError("a snappy block announces more than the limit")
    return bytes(cramjam.snappy.decompress_raw(block))
