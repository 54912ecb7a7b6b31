"""Record batches as they are filled and built."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from streams.clients.kafka.open_batch import OpenBatch
from streams.record import Headers

TIMES = st.integers(-1, 2**40)
TEXTS = st.none() | st.binary(max_size=80)
HEADERS = st.lists(st.tuples(st.text(max_size=4), TEXTS), max_size=2).map(tuple)
RECORDS = st.lists(st.tuples(TEXTS, TEXTS, TIMES, HEADERS), min_size=1, max_size=30)


def filled(
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    timestamps: Sequence[int],
    headers: Sequence[Headers] | None,
    cuts: Sequence[int],
    codec: int = 0,
) -> bytes:
    """A batch that was given its records up to each of `cuts`, and then the rest."""
    batch = OpenBatch(codec, 1 << 20, transactional=True)
    start = 0
    for stop in [*sorted(cuts), len(keys)]:
        if stop > start:
            given_headers = headers and headers[:stop]
            assert batch.extend(keys[:stop], values[:stop], timestamps[:stop], given_headers, start) == stop - start
            start = stop
    assert batch.count == len(keys)
    return bytes(batch.build(7, 3, 41))


@given(RECORDS, st.lists(st.integers(0, 30), max_size=3), st.booleans())
def test_batches_are_to_the_byte_what_aiokafka_builds(
    records: list[tuple[bytes | None, bytes | None, int, Headers]], cuts: list[int], with_headers: bool
) -> None:
    """Header, checksum and records, however many calls the records came in, times that are unknown (-1) included."""
    theirs = DefaultRecordBatchBuilder(2, 0, 1, 7, 3, 41, 1 << 20)
    for offset, (key, value, timestamp, headers) in enumerate(records):
        theirs.append(offset, timestamp, key, value, list(headers) if with_headers else [])
    keys, values, timestamps, headers_of = zip(*records, strict=True)
    cuts = [min(cut, len(keys)) for cut in cuts]
    assert filled(keys, values, timestamps, headers_of if with_headers else None, cuts) == bytes(theirs.build())


def test_a_full_batch_takes_what_fits_and_says_how_much() -> None:
    """The first record always goes in; the one that does not fit is the first of what is left, and stays out."""
    batch = OpenBatch(0, 200, transactional=False)
    values = [b"x" * 300, b"y", b"z"]
    assert batch.extend([None] * 3, values, [1, 2, 3], None, 0) == 1
    assert batch.extend([None] * 3, values, [1, 2, 3], None, 1) == 0
    (record,) = DefaultRecordBatch(bytes(batch.build(-1, -1, -1)))
    assert record.value == values[0]


@pytest.mark.parametrize("codec", [0, 1])
def test_records_come_back_from_a_batch_compressed_or_not(codec: int) -> None:
    """Keys, values, times and offsets; the checksum holds."""
    keys, values, timestamps = [b"a", None, b"c"], [b"1", b"2", None], [5, 3, 9]
    batch = DefaultRecordBatch(filled(keys, values, timestamps, None, [1], codec))
    assert batch.validate_crc()
    assert (batch.first_timestamp, batch.max_timestamp, batch.compression_type) == (5, 9, codec)
    found = [(record.key, record.value, record.timestamp, record.offset) for record in batch]
    assert found == list(zip(keys, values, timestamps, range(3), strict=True))
