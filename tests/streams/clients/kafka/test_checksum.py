"""The checksum of record batches."""

from __future__ import annotations

import pytest

from streams.clients.kafka.checksum import checksum


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_checksum_is_crc32c(kind: type[bytes | bytearray | memoryview]) -> None:
    """The check value of its definition and the 32 zeros of RFC 3720."""
    assert checksum(kind(b"123456789")) == 0xE3069283
    assert checksum(kind(bytes(32))) == 0x8A9136AA
