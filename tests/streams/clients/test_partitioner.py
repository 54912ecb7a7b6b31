"""Kafka's partitioner, one key at a time and many at once."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.clients.hashed_column import hashes
from streams.clients.partitioner import (
    MANY,
    POSITIVE,
    SEED,
    KeyPartitioner,
    murmur2,
    murmur2_many,
    partition_for,
    partitions_for,
    partitions_many,
)

# Published vectors of Kafka's own test of Utils.murmur2, as signed numbers.
VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize("key", VECTORS)
def test_murmur2_equals_kafkas(key: bytes) -> None:
    """The hash of Kafka's test strings is Kafka's, bit by bit."""
    assert murmur2(key) == VECTORS[key] & 0xFFFFFFFF


@given(st.integers(0, 40).flatmap(lambda size: st.lists(st.binary(min_size=size, max_size=size), min_size=1)))
def test_many_keys_at_once_hash_as_one_by_one(keys: list[bytes]) -> None:
    """Hashing in lanes gives the same numbers as hashing each key alone."""
    assert murmur2_many(keys, len(keys[0])) == [murmur2(key) for key in keys]


@given(
    st.integers(0, 20).flatmap(lambda size: st.lists(st.binary(min_size=size, max_size=size), min_size=1)),
    st.sampled_from([1, 2, 3, 4, 7, 8, 100, 128, 256, 512, 1000]),
)
def test_partitions_of_keys_of_one_length(keys: list[bytes], count: int) -> None:
    """Keys hashed in lanes get the partition that each gets alone, whether their number is a power of two or not."""
    assert partitions_many(keys, len(keys[0]), count) == [partition_for(key, count) for key in keys]


@given(st.lists(st.binary(max_size=20)), st.integers(1, 50))
def test_partitions_of_a_batch(keys: list[bytes], count: int) -> None:
    """A batch of keys of mixed lengths gets the partition that each key gets alone."""
    assert partitions_for(keys, count) == [partition_for(key, count) for key in keys]


@pytest.mark.parametrize(
    "form", [b"key-%d", b"key-%02d", b"a key that is rather long %02d"], ids=["mixed", "short", "long"]
)
def test_the_memory_of_keys_is_bounded(form: bytes) -> None:
    """More keys than are remembered still get the right partitions, whatever their lengths."""
    partitioner = KeyPartitioner(remember=40, remember_short=20)
    keys = [form % number for number in range(100)]
    for size in (1, 7, 30):
        for start in range(0, 100, size):
            part = keys[start : start + size]
            assert partitioner.partitions_for(part, 5) == [partition_for(key, 5) for key in part]
    assert partitioner.partitions_for(keys, 5) == [partition_for(key, 5) for key in keys]


@pytest.mark.parametrize("length", [0, 1, 3, 4, 8, 11, 12, 36])
@given(seed=st.integers(0, 2**32), count=st.sampled_from([1, 4, 6, 256, 1000]))
@settings(deadline=None, max_examples=20)
def test_hundreds_of_keys_of_one_length(length: int, seed: int, count: int) -> None:
    """A column that is hashed by numpy gets the partitions that its keys get alone, short words at their ends included."""
    some = Random(seed)
    keys = [some.randbytes(length) for _ in range(MANY)]
    alone = [murmur2(key) for key in keys]
    assert hashes(keys, length, SEED).tolist() == alone
    assert partitions_many(keys, length, count) == [(each & POSITIVE) % count for each in alone]
    assert all(type(partition) is int for partition in partitions_many(keys, length, count))
