"""Stores that keep headers beside values: what is read, what is logged, and what a restore finds again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state import StoreKind
from state.headed import AggregationWithHeaders, ValueTimestampHeaders, joined, parted
from state.varint import varint

ONE = (("h", b"1"), ("none", None), ("empty", b""))
CONTENTS = st.one_of(st.none(), st.binary(max_size=200))
HEADERS = st.lists(st.tuples(st.text(max_size=5), CONTENTS), max_size=70).map(tuple)


class Told:
    """A changelog that remembers headers too."""

    def __init__(self):
        self.rows = []

    def write(self, keys, values, timestamps, headers=None):
        self.rows += zip(keys, values, timestamps, headers or [()] * len(keys), strict=True)


def opened(bench, directory, kind, changelog=None, **settings):
    spec = bench.spec(kind, headers=True, retention_ms=100, window_size_ms=10, **settings)
    return bench.open(spec, directory=directory, changelog=changelog, cache_bytes=10_000)


@given(headers=HEADERS, value=st.binary(max_size=9))
def test_headers_and_value_come_apart_as_they_were_put_together(headers, value):
    """Null, empty and long ones included."""
    assert parted(joined(headers, value)) == (headers, value)


def test_layout():
    """As Kafka's: no headers are one byte; a null value has the length -1."""
    assert joined((), b"v") == b"\0v"
    assert joined((("k", None),), b"v") == b"\x08\x02\x02k\x01v"
    assert [varint(number) for number in (0, -1, 63, 64)] == [b"\0", b"\1", b"\x7e", b"\x80\1"]


@pytest.mark.parametrize("cached", [False, True])
def test_a_key_value_store_gives_headers_back(bench, directory, cached):
    """Reads, ranges, and what was there before a deletion."""
    store = opened(bench, directory, StoreKind.TIMESTAMPED_KEY_VALUE, cached=cached)
    users = store.for_users
    users.put("a", 1, 5, ONE)
    assert users.put_if_absent("b", 2, 6) is None
    assert users.put_if_absent("a", 3, 7) == users.get("a") == ValueTimestampHeaders(1, 5, ONE)
    assert list(users.all()) == list(users.range("a", None)) == [("a", (1, 5, ONE)), ("b", (2, 6, ()))]
    assert list(users.reverse_all()) == list(users.reverse_range(None, "b")) == list(users.all())[::-1]
    assert list(users.prefix_scan(b"b")) == [("b", (2, 6, ()))]
    users.put_all([("c", ValueTimestampHeaders(3, 8, ONE)), ("b", None)])
    assert list(users.all()) == [("a", (1, 5, ONE)), ("c", (3, 8, ONE))]
    assert users.delete("a") == (1, 5, ONE)
    assert users.get("a") is None
    store.close()


@pytest.mark.parametrize("cached", [False, True])
def test_the_changelog_has_values_alone_and_headers_as_the_records(bench, directory, cached):
    """A deletion has those of the record in hand; and a restore puts them together again."""
    told = Told()
    store = opened(bench, directory, StoreKind.TIMESTAMPED_KEY_VALUE, told, cached=cached)
    store.take_in_hand(9, ((("why", b""),), "t", 0, 1))
    store.for_users.put("a", 1, 5, ONE)
    store.for_users.put("b", 2, 6)
    store.flush()
    store.for_users.delete("b")
    store.flush()
    store.drain()
    number = bench.number.serialize
    rows = [(b"a", number(1), 5, ONE), (b"b", number(2), 6, ()), (b"b", None, 9, (("why", b""),))]
    assert told.rows == rows
    other = opened(bench, None, StoreKind.TIMESTAMPED_KEY_VALUE)
    keys, values, timestamps, headers = map(list, zip(*rows, strict=True))
    other.restore(keys, other.as_stored(values, headers), timestamps, 3)
    assert list(other.for_users.all()) == [("a", (1, 5, ONE))]
    store.close()


def test_windows_and_sessions_have_headers_too(bench, directory):
    """The verbs of their kinds."""
    store = opened(bench, directory, StoreKind.TIMESTAMPED_WINDOW)
    windows = store.for_users
    windows.put("a", 1, 10, 12, ONE)
    windows.put("a", 2, 20)
    assert windows.fetch("a", 10) == (1, 12, ONE)
    both = [(10, (1, 12, ONE)), (20, (2, 20, ()))]
    assert list(windows.fetch_range("a", 0, 50)) == list(windows.backward_fetch_range("a", 0, 50))[::-1] == both
    keyed = [(("a", start), value) for start, value in both]
    assert list(windows.all()) == list(windows.fetch_all(0, 50)) == list(windows.fetch_keys("a", "b", 0, 50)) == keyed
    backward = windows.backward_all(), windows.backward_fetch_all(0, 50), windows.backward_fetch_keys("a", None, 0, 50)
    assert [list(found) for found in backward] == [keyed[::-1]] * 3
    windows.put("a", None, 10)
    assert windows.fetch("a", 10) is None
    store.close()
    store = opened(bench, None if directory is None else bench.task(), StoreKind.SESSION)
    sessions = store.for_users
    sessions.put("a", 0, 5, 1, ONE)
    assert sessions.fetch_session("a", 0, 5) == AggregationWithHeaders(1, ONE)
    assert list(sessions.find_sessions("a", 0, 9)) == list(sessions.fetch("a")) == [(0, 5, (1, ONE))]
    sessions.put("a", 8, 9, 2)
    one_key = [(0, 5, (1, ONE)), (8, 9, (2, ()))]
    many = [("a", *session) for session in one_key]
    assert list(sessions.backward_find_sessions("a", 0, 9)) == list(sessions.backward_fetch("a")) == one_key[::-1]
    forward = sessions.all(), sessions.fetch_keys("a", "b"), sessions.find_sessions_of_keys(None, "b", 0, 9)
    backward = (
        sessions.backward_all(),
        sessions.backward_fetch_keys("a", "b"),
        sessions.backward_find_sessions_of_keys(None, "b", 0, 9),
    )
    assert [list(found) for found in forward] == [many] * 3
    assert [list(found) for found in backward] == [many[::-1]] * 3
    sessions.remove("a", 0, 5)
    assert sessions.fetch_session("a", 0, 5) is None
    store.close()
