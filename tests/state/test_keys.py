"""Kafka's layouts, byte for byte."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state import keys

VECTORS = Path(__file__).parents[3] / "shared" / "oracle" / "executed" / "format-vectors.json"
LONGS = st.integers(-(2**63), 2**63 - 1)
TIMES = st.integers(0, 2**63 - 1)


@pytest.fixture(scope="module")
def vectors():
    if not VECTORS.exists():
        pytest.skip("the byte vectors recorded from Kafka Streams are not on this machine")
    return json.loads(VECTORS.read_text())


def changelog_keys(vectors, topology, topic):
    steps = next(steps for name, steps in vectors["topologies"].items() if name.startswith(topology))
    return [row["key"] for step in steps for row in step["produced"] if row["topic"] == topic]


def test_window_key_is_kafkas(vectors):
    """The changelog key of a tumbling count is ours."""
    assert changelog_keys(vectors, "window-count", "app-w-changelog") == [keys.window_key(b"k", 10).hex()]


def test_session_keys_are_kafkas(vectors):
    """The changelog keys of a session that grows are ours: end before start."""
    ours = [keys.session_key(b"k", 15, 15), keys.session_key(b"k", 15, 15), keys.session_key(b"k", 15, 17)]
    assert changelog_keys(vectors, "session-count", "app-se-changelog") == [key.hex() for key in ours]


def test_duplicates_are_numbered_as_kafka_does(vectors):
    """Two records of a key at the same time have sequence numbers 1 and 2 in the join's store."""
    ours = [keys.window_key(b"k", 5, number).hex() for number in (1, 2)]
    assert changelog_keys(vectors, "outer-join", "app-js-outer-this-join-store-changelog")[:2] == ours


def test_own_vectors():
    """The layouts, spelled out."""
    assert keys.window_key(b"k", 10, 3).hex() == "6b000000000000000a00000003"
    assert keys.session_key(b"k", 10, 20).hex() == "6b0000000000000014000000000000000a"
    assert keys.timestamped(b"v", 5).hex() == "000000000000000576"


@given(st.binary(), TIMES, st.integers(0, 2**31 - 1))
def test_window_keys_come_back(key, start, sequence):
    """Splitting undoes joining, and the time can be read alone."""
    data = keys.window_key(key, start, sequence)
    assert keys.split_window_key(data) == (key, start, sequence)
    assert keys.time_of_window(data) == start


@given(st.binary(), TIMES, TIMES)
def test_session_keys_come_back(key, start, end):
    """Splitting undoes joining, and the end can be read alone."""
    data = keys.session_key(key, start, end)
    assert keys.split_session_key(data) == (key, start, end)
    assert keys.time_of_session(data) == end


@given(st.binary(), LONGS)
def test_timestamped_values_come_back(value, timestamp):
    """Splitting undoes joining."""
    assert keys.split_timestamped(keys.timestamped(value, timestamp)) == (value, timestamp)


@given(st.binary(), st.binary())
def test_after_prefix_bounds_the_prefix(prefix, other):
    """A key lies below the bound exactly when it has the prefix, or sorts before it."""
    bound = keys.after_prefix(prefix)
    assert bound is None or prefix < bound
    inside = prefix <= other and (bound is None or other < bound)
    assert inside == other.startswith(prefix)
