"""The records of __consumer_offsets: what is written is read back, byte for byte as Kafka has it."""

from hypothesis import given
from hypothesis import strategies as st

from broker.coordinators.group_records import (
    CommittedOffset,
    GroupKey,
    OffsetKey,
    StoredGroup,
    StoredMember,
    group_key,
    group_value,
    offset_key,
    offset_value,
    parse_group,
    parse_key,
    parse_offset,
)
from broker.coordinators.runtime import java_hash, java_magnitude

NAMES = st.text(max_size=20)
INTS = st.integers(-(2**31), 2**31 - 1)
LONGS = st.integers(0, 2**63 - 1)
MEMBERS = st.builds(StoredMember, NAMES, st.none() | NAMES, NAMES, NAMES, INTS, INTS, st.binary(), st.binary())
GROUPS = st.builds(StoredGroup, NAMES, INTS, st.none() | NAMES, st.none() | NAMES, LONGS, st.tuples(MEMBERS, MEMBERS))
OFFSETS = st.builds(CommittedOffset, LONGS, INTS, NAMES, LONGS)


@given(GROUPS)
def test_group_round_trip(group: StoredGroup) -> None:
    """A group's metadata survives its record."""
    assert parse_group(group_value(group)) == group


@given(OFFSETS, NAMES, NAMES, INTS)
def test_offset_round_trip(offset: CommittedOffset, group: str, topic: str, partition: int) -> None:
    """A committed offset survives its record, and so does its key."""
    assert parse_offset(offset_value(offset)) == offset
    assert parse_key(offset_key(group, topic, partition)) == OffsetKey(group, topic, partition)
    assert parse_key(group_key(group)) == GroupKey(group)


def test_bytes_as_kafka_writes_them() -> None:
    """Key version 1 and value version 3, field by field."""
    assert offset_key("g", "t", 3) == b"\0\1\0\1g\0\1t\0\0\0\3"
    value = offset_value(CommittedOffset(7, 2, "m", 9))
    assert value == b"\0\3" + b"\0\0\0\0\0\0\0\7" + b"\0\0\0\2" + b"\0\1m" + b"\0\0\0\0\0\0\0\x09"


def test_own_expiry_is_kept() -> None:
    """An offset with an expiry of its own is written as value version 1, as Kafka does."""
    offset = CommittedOffset(7, -1, "m", 9, expire_ms=100)
    assert offset_value(offset)[:2] == b"\0\1"
    assert parse_offset(offset_value(offset)) == offset


def test_newer_offset_version() -> None:
    """Value version 4, flexible, is read though it is not written."""
    value = b"\0\4" + (7).to_bytes(8, "big") + (2).to_bytes(4, "big") + b"\2m" + (9).to_bytes(8, "big") + b"\0"
    assert parse_offset(value) == CommittedOffset(7, 2, "m", 9)


def test_unknown_key_versions_are_left_alone() -> None:
    """Keys of newer group types mean nothing here."""
    assert parse_key(b"\0\x15\0\1g") is None


def test_partition_of_a_group_is_kafkas() -> None:
    """Groups are placed by Java's String.hashCode."""
    assert java_hash("abc") == 96354
    assert java_hash("") == 0


def test_groups_lie_where_kafka_looks_for_them() -> None:
    """A partition is chosen by the absolute value of the hash, which may be negative; as seen on Apache Kafka 4.3.1."""
    found = [
        java_magnitude(java_hash(f"e2026-6-{name}")) % 4 for name in ("group-0", "group-1", "group-2", "consumers-0")
    ]
    assert found == [3, 2, 1, 1]
    assert (java_magnitude(1 << 31), java_magnitude(0), java_magnitude((1 << 32) - 1)) == (0, 0, 1)
