"""Window stores against a naive model of Kafka's rules, on both engines."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import StoreKind, ValueAndTimestamp
from state.memory import MemoryEngine

KEYS = ["a", "aa", "b"]
RETENTION = 150_000
INTERVAL = 75_000
TIMES = st.integers(0, 40).map(lambda number: number * 10_000)
PUT = st.tuples(st.just("put"), st.sampled_from(KEYS), st.none() | st.integers(0, 9), TIMES)
OTHER = st.sampled_from(["seal", "commit", "discard", "reopen"]).map(lambda verb: (verb, None, None, None))
STEPS = st.lists(st.one_of(PUT, PUT, PUT, OTHER), max_size=25)


class Model:
    """Values by (key, start), the highest start written, and Kafka's rules for what is lost and what is read."""

    def __init__(self):
        self.rows, self.time = {}, -1

    def copy(self):
        other = Model()
        other.rows, other.time = dict(self.rows), self.time
        return other

    def put(self, key, value, start):
        self.time = max(self.time, start)
        first_live = max(0, self.time - RETENTION) // INTERVAL
        if value is None or start // INTERVAL < first_live:
            self.rows.pop((key, start), None)
        else:
            self.rows[key, start] = ValueAndTimestamp(value, start + 1)

    def read(self, low, high):
        oldest = max(low, self.time - RETENTION + 1)
        found = [row for row in self.rows.items() if oldest <= row[0][1] <= high]
        return sorted(found, key=lambda row: (row[0][1] // INTERVAL, row[0][0].encode() + row[0][1].to_bytes(8)))


def check(store, model):
    assert list(store.all()) == model.read(0, 10**9)
    assert list(store.fetch_all(50_000, 200_000)) == model.read(50_000, 200_000)
    assert list(store.backward_all()) == model.read(0, 10**9)[::-1]
    assert list(store.backward_fetch_all(50_000, 200_000)) == model.read(50_000, 200_000)[::-1]
    narrow = [row for row in model.read(0, 10**9) if row[0][0] <= "aa"]
    assert list(store.fetch_keys(None, "aa", 0, 10**9)) == narrow
    upper = [row for row in model.read(20_000, 10**9) if row[0][0] >= "aa"]
    assert list(store.backward_fetch_keys("aa", None, 20_000, 10**9)) == upper[::-1]
    for key in KEYS:
        mine = [(start, value) for (other, start), value in sorted(model.read(20_000, 10**9)) if other == key]
        assert list(store.fetch_range(key, 20_000, 10**9)) == mine
        assert list(store.backward_fetch_range(key, 20_000, 10**9)) == mine[::-1]
        known = dict(model.read(0, 10**9))
        assert [store.fetch(key, start) for start in (0, 100_000)] == [known.get((key, s)) for s in (0, 100_000)]


@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
@settings(max_examples=30, deadline=None)
@given(steps=STEPS)
def test_it_keeps_and_forgets_as_kafka_does(bench, engine, steps):
    """Puts in any order of time, commits, aborts and restarts: every read equals the model's, and so does a restore."""
    directory = bench.task() if engine == "rocksdb" else None
    spec, changelog = bench.spec(StoreKind.TIMESTAMPED_WINDOW, retention_ms=RETENTION), bench.changelog()
    store, model, committed, logged = bench.open(spec, directory=directory, changelog=changelog), Model(), Model(), 0
    sealed = None
    for verb, key, value, start in steps:
        if verb == "put":
            store.put(key, value, start, start + 1)
            model.put(key, value, start)
        elif verb == "seal" and sealed is None:
            store.drain()
            store.seal()
            sealed = model.copy(), len(changelog.rows)
        elif verb in ("seal", "commit"):
            store.drain()
            committed, logged = sealed or (model.copy(), len(changelog.rows))
            store.commit(logged)
            sealed = None
        elif verb == "discard" or directory is None:
            store.discard()
            model, sealed = committed.copy(), None
            del changelog.rows[logged:]
        else:
            store.close()
            store, model = bench.open(spec, directory=directory, changelog=changelog), committed.copy()
            sealed = None
            del changelog.rows[logged:]
        check(store, model)
    store.drain()
    copy = bench.open(spec)
    copy.restore(*changelog.columns(), len(changelog.rows))
    check(copy, model)
    store.close()


def test_duplicates_are_all_found(bench, directory):
    """A store for joins keeps records of the same key and time, in the order they came; None is no record."""
    spec = bench.spec(StoreKind.WINDOW, retain_duplicates=True, retention_ms=1_000)
    store = bench.open(spec, directory=directory)
    for value, start in ((1, 10), (2, 5), (3, 10), (4, 20)):
        store.put("k", value, start)
    store.put("k", None, 10)
    store.put("kk", 9, 10)
    expected = [(5, 2), (10, 1), (10, 3)]
    assert list(store.fetch_range("k", 0, 10)) == expected
    store.commit(4)
    store.put("k", 5, 10)
    assert list(store.fetch_range("k", 0, 10)) == [*expected, (10, 5)]
    store.discard()
    assert list(store.fetch_range("k", 0, 10)) == expected
    store.close()


def test_sequence_numbers_go_on_after_a_restart(bench):
    """A record put after a restart does not replace one from before."""
    spec, directory = bench.spec(StoreKind.WINDOW, retain_duplicates=True, retention_ms=1_000), bench.task()
    for value in (1, 2):
        store = bench.open(spec, directory=directory)
        store.put("k", value, 10)
        store.commit(value)
        store.close()
    store = bench.open(spec, directory=directory)
    assert list(store.fetch_range("k", 0, 99)) == [(10, 1), (10, 2)]
    store.close()


def test_expired_segments_leave_the_engine(bench, directory):
    """At the commit after time has moved on, expired windows are gone from the engine itself."""
    spec = bench.spec(StoreKind.TIMESTAMPED_WINDOW, retention_ms=60_000)
    store = bench.open(spec, directory=directory)
    for start in range(0, 600_000, 30_000):
        store.put("k", 1, start)
        store.commit(start)
    left = [key for key, _ in store._engine.scan(None, None)]
    assert len(left) == 4, "segments [480 s, 540 s) and [540 s, 600 s)"
    store.close()


def test_late_puts_are_logged_but_lost(bench):
    """A put into an expired segment reaches the changelog, as in Kafka, but not the store."""
    changelog = bench.changelog()
    store = bench.open(bench.spec(StoreKind.TIMESTAMPED_WINDOW, retention_ms=60_000), changelog=changelog)
    store.put("k", 1, 500_000)
    store.put("k", 2, 1_000)
    store.drain()
    assert len(changelog.rows) == 2
    assert [key for key, _ in store.all()] == [("k", 500_000)]


def test_a_late_value_that_can_not_be_written_is_not_logged_by_half(bench):
    """What is put after it into an expired segment reaches the changelog under its own key."""
    changelog = bench.changelog()
    store = bench.open(bench.spec(StoreKind.TIMESTAMPED_WINDOW, retention_ms=60_000), changelog=changelog)
    store.put("k", 1, 500_000)
    with pytest.raises(AttributeError):
        store.put("wrong", "no number", 1_000)
    store.put("l", 2, 1_000)
    store.drain()
    assert [key[:1] for key, _, _ in changelog.rows] == [b"k", b"l"]


def test_closing_windows_come_by_time(bench, directory):
    """fetch_by_start goes by window start and then key bytes."""
    spec = bench.spec(StoreKind.TIMESTAMPED_WINDOW, retention_ms=100, time_ordered=True)
    store = bench.open(spec, directory=directory)
    for key, start in (("b", 0), ("a", 50), ("a", 0), ("b", 50), ("a", 100)):
        store.put(key, 1, start)
    assert [key for key, _ in store.fetch_by_start(0, 50)] == [("a", 0), ("b", 0), ("a", 50), ("b", 50)]
    store.close()


@pytest.mark.parametrize(("time_ordered", "found"), [(False, [50]), (True, [0, 50])])
def test_time_ordered_stores_are_read_one_ms_further_back(bench, directory, time_ordered, found):
    """All their reads, as in Kafka, also of what another key's write has pushed to the edge; others end 1 ms before it."""
    spec = bench.spec(StoreKind.TIMESTAMPED_WINDOW, retention_ms=100, time_ordered=time_ordered)
    store = bench.open(spec, directory=directory)
    for key, start in (("a", 0), ("a", 50), ("b", 100)):
        store.put(key, 1, start)
    assert [start for start, _ in store.fetch_range("a", 0, 100)] == found
    assert [start for start, _ in store.backward_fetch_range("a", 0, 100)] == found[::-1]
    assert [key for key, _ in store.fetch_keys("a", "a", 0, 100)] == [("a", start) for start in found]
    assert [key for key, _ in store.all()] == [*(("a", start) for start in found), ("b", 100)]
    assert (store.fetch("a", 0) is not None) is time_ordered
    store.close()


class Asked(MemoryEngine):
    """Remembers how often it was asked for a key."""

    asked = 0

    def get(self, key):
        self.asked += 1
        return super().get(key)


def test_windows_that_nobody_has_written_are_not_looked_for(bench):
    """Nothing below is newer than the store's time, which is kept with it: new windows cost no look-up, others do."""
    engine = Asked("s")
    spec = bench.spec(StoreKind.TIMESTAMPED_WINDOW, retention_ms=60_000, cached=True, engine=lambda *_: engine)
    store = bench.open(spec, cache_bytes=1 << 20)
    store.put("k", 1, 50)
    store.flush()
    store.commit(1)
    assert (store.fetch("k", 51), store.fetch("a", 1_000), engine.asked) == (None, None, 0)
    store.put("k", 2, 60)  # newer, and only in the record cache
    again = bench.open(spec, cache_bytes=1 << 20)
    assert again.fetch("k", 50) == ValueAndTimestamp(1, 50)
    assert (again.fetch("a", 50), again.fetch("k", 60), engine.asked) == (None, None, 2)
