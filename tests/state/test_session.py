"""Session stores against a naive model, on both engines, with and without record cache."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import StoreKind

KEYS = ["a", "aa", "b"]
RETENTION = 10**9
TIMES = st.integers(0, 20).map(lambda number: number * 10)
PUT = st.tuples(st.just("put"), st.sampled_from(KEYS), st.none() | st.integers(0, 9), TIMES, TIMES)
OTHER = st.sampled_from(["commit", "discard"]).map(lambda verb: (verb, None, None, 0, 0))
STEPS = st.lists(st.one_of(PUT, PUT, PUT, OTHER), max_size=25)


def check(store, model):
    by_bytes = sorted(
        (
            (key.encode() + end.to_bytes(8) + start.to_bytes(8), key, start, end, value)
            for (key, start, end), value in model.items()
        )
    )
    rows = [row[1:] for row in by_bytes]
    assert list(store.all()) == list(store.fetch_keys(None, None)) == rows
    assert list(store.backward_all()) == list(store.backward_fetch_keys("a", None)) == rows[::-1]
    some = [row for row in rows if row[0] <= "aa" and row[2] >= 50 and row[1] <= 100]
    assert list(store.find_sessions_of_keys("a", "aa", 50, 100)) == some
    assert list(store.backward_find_sessions_of_keys(None, "aa", 50, 100)) == some[::-1]
    for key in KEYS:
        mine = sorted((end, start, value) for (other, start, end), value in model.items() if other == key)
        assert list(store.fetch(key)) == [(start, end, value) for end, start, value in mine]
        overlapping = [(start, end, value) for end, start, value in mine if end >= 50 and start <= 100]
        assert list(store.find_sessions(key, 50, 100)) == overlapping
        assert list(store.backward_find_sessions(key, 50, 100)) == overlapping[::-1]
        assert list(store.backward_fetch(key)) == list(store.fetch(key))[::-1]
        assert store.fetch_session(key, 10, 30) == model.get((key, 10, 30))
    by_end = sorted(((end, start, key.encode()), value) for (key, start, end), value in model.items())
    ours = [((end, start, key.encode()), value) for key, start, end, value in store.fetch_by_end(0, 10**6)]
    assert ours == by_end


@pytest.mark.parametrize("cache_bytes", [None, 300, 1 << 20])
@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
@settings(max_examples=20, deadline=None)
@given(steps=STEPS)
def test_sessions_are_found(bench, engine, cache_bytes, steps):
    """Sessions put, removed, committed and aborted: every read equals a dictionary's, and so does a restore."""
    directory = bench.task() if engine == "rocksdb" else None
    spec, changelog = bench.spec(StoreKind.SESSION, retention_ms=RETENTION, cached=True), bench.changelog()
    store = bench.open(spec, directory=directory, changelog=changelog, cache_bytes=cache_bytes)
    model, committed, logged = {}, {}, 0
    for verb, key, value, one, two in steps:
        start, end = sorted((one, two))
        if verb == "put":
            store.put(key, start, end, value)
            model[key, start, end] = value
        elif verb == "commit":
            store.flush()
            store.drain()
            store.commit(len(changelog.rows))
            committed, logged = dict(model), len(changelog.rows)
        else:
            store.discard()
            model = dict(committed)
            del changelog.rows[logged:]
        model = {session: value for session, value in model.items() if value is not None}
        check(store, model)
    store.flush()
    store.drain()
    copy = bench.open(spec)
    copy.restore(*changelog.columns(), len(changelog.rows))
    check(copy, model)
    store.close()


def test_many_keys_come_by_segment_and_then_by_key(bench, directory):
    """Forward and backward, as Kafka's persistent stores have them; segments are 60 s wide at least."""
    store = bench.open(bench.spec(StoreKind.SESSION, retention_ms=120_000), directory=directory)
    rows = [("a", 0, 10, 1), ("b", 0, 5, 2), ("a", 50_000, 60_000, 3)]
    for key, start, end, value in reversed(rows):
        store.put(key, start, end, value)
    assert list(store.fetch_keys("a", "b")) == list(store.find_sessions_of_keys(None, None, 0, 50_000)) == rows
    assert list(store.backward_fetch_keys("a", "b")) == list(store.backward_all()) == rows[::-1]
    assert list(store.backward_find_sessions_of_keys("a", "a", 0, 49_999)) == [rows[0]]
    store.close()


def test_sessions_expire_by_their_end(bench, directory):
    """A session that ended before newest end - retention + 1 is not found; closing reads see its whole segment."""
    store = bench.open(bench.spec(StoreKind.SESSION, retention_ms=100), directory=directory)
    store.put("k", 0, 10, 1)
    store.put("k", 20, 60, 2)
    store.put("k", 160, 160, 3)
    assert [end for _, end, _ in store.fetch("k")] == [160]
    assert [end for _, _, end, _ in store.fetch_by_end(0, 100)] == [10, 60]
    store.put("k", 200_000, 200_000, 4)
    assert list(store.fetch_by_end(0, 1_000)) == []
    store.close()


def test_changelog_carries_the_records_time(bench):
    """Sessions are logged with the time given, or that of the record in process."""
    changelog = bench.changelog()
    store = bench.open(bench.spec(StoreKind.SESSION, retention_ms=100), changelog=changelog)
    store.put("k", 0, 10, 1, timestamp=7)
    store.record_timestamp = 8
    store.remove("k", 0, 10)
    store.drain()
    assert [(value is None, timestamp) for _, value, timestamp in changelog.rows] == [(False, 7), (True, 8)]


def test_what_comes_too_late_to_be_kept_is_counted(bench):
    """A session that is put; one that is removed is gone anyway."""
    store = bench.open(bench.spec(StoreKind.SESSION, retention_ms=1_000))
    store.put("a", 0, 10_000_000, 1)
    store.put("a", 0, 10, 2)
    store.remove("a", 0, 10)
    assert store.expired_writes == 1
