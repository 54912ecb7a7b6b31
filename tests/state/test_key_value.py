"""Key-value stores against a dictionary, on both engines, with and without record cache."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import StoreClosed, StoreKind, ValueAndTimestamp
from state.errors import UnreadableState

KEYS = st.sampled_from(["", "a", "aa", "ab", "b", "é", "z"])
VALUES = st.integers(-5, 5)
PUT = st.tuples(st.just("put"), KEYS, st.none() | VALUES, st.integers(0, 9))
OTHER = st.sampled_from(["commit", "seal", "unseal", "discard", "reopen", "flush"]).map(
    lambda verb: (verb, None, None, None)
)
STEPS = st.lists(st.one_of(PUT, PUT, PUT, OTHER), max_size=25)


class Model:
    """A store as a dictionary: what is seen, what is committed, and the changelog that was committed."""

    def __init__(self, bench, spec, directory, cache_bytes):
        self.bench, self.spec, self.directory, self.cache_bytes = bench, spec, directory, cache_bytes
        self.changelog = bench.changelog()
        self.seen, self.committed, self.logged = {}, {}, 0
        self.sealed = None
        self.open()

    def open(self):
        self.store = self.bench.open(
            self.spec, directory=self.directory, changelog=self.changelog, cache_bytes=self.cache_bytes
        )
        self.store.set_flush_listener(lambda flushed: None, send_old_values=True)

    def put(self, key, value, timestamp):
        self.store.put(key, value, timestamp)
        if value is None:
            self.seen.pop(key, None)
        else:
            self.seen[key] = ValueAndTimestamp(value, timestamp)

    def flush(self):
        self.store.flush()
        self.store.drain()

    def seal(self):
        if self.sealed is None:
            self.flush()
            self.store.seal()
            self.sealed = dict(self.seen), len(self.changelog.rows)

    def unseal(self):
        self.store.unseal()
        self.sealed = None

    def commit(self):
        """Of what was sealed, else of everything."""
        if self.sealed is None:
            self.flush()
        committed, logged = self.sealed or (dict(self.seen), len(self.changelog.rows))
        self.store.commit(logged)
        self.committed, self.logged, self.sealed = committed, logged, None

    def discard(self):
        self.store.discard()
        self.forget()

    def reopen(self):
        if self.directory is not None:
            self.store.close()
            self.open()
            self.forget()

    def forget(self):
        self.seen, self.sealed = dict(self.committed), None
        del self.changelog.rows[self.logged :]

    def check(self):
        expected = sorted(self.seen.items(), key=lambda item: item[0].encode())
        assert list(self.store.all()) == expected
        assert list(self.store.reverse_all()) == expected[::-1]
        assert list(self.store.range("a", "b")) == [item for item in expected if b"a" <= item[0].encode() <= b"b"]
        assert list(self.store.prefix_scan(b"a")) == [item for item in expected if item[0].startswith("a")]
        for key in ("", "a", "é", "nowhere"):
            assert self.store.get(key) == self.store.lookup(key) == self.seen.get(key)


@pytest.mark.parametrize("key_serde", ["text", "document"])
@pytest.mark.parametrize("cache_bytes", [None, 0, 150, 1 << 20])
@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
@settings(max_examples=20, deadline=None)
@given(steps=STEPS)
def test_it_is_a_dictionary(bench, engine, cache_bytes, key_serde, steps):
    """Reads, ranges, commits (sealed first or not), aborts and restarts are a dictionary's; its changelog restores it."""
    directory = bench.task() if engine == "rocksdb" else None
    serde = bench.text if key_serde == "text" else TextByBytes()
    model = Model(bench, bench.spec(key_serde=serde, cached=True), directory, cache_bytes)
    for verb, key, value, timestamp in steps:
        if verb == "put":
            model.put(key, value, timestamp)
        else:
            getattr(model, verb)()
        model.check()
    model.unseal()
    model.commit()
    copy = bench.open(bench.spec(key_serde=serde))
    copy.restore(*model.changelog.columns(), len(model.changelog.rows))
    assert list(copy.all()) == list(model.store.all())
    assert copy.position == model.store.position == len(model.changelog.rows)
    model.store.close()


class TextByBytes:
    """Text whose objects are not used as dictionary keys."""

    by_value = False

    def serialize(self, value):
        return value.encode()

    def deserialize(self, data):
        return data.decode()


def test_every_put_below_no_cache_is_logged(bench, directory):
    """Without record cache each put is a changelog record with its own time; the store's position is the caller's."""
    changelog = bench.changelog()
    store = bench.open(directory=directory, changelog=changelog)
    store.put("k", 1, 5)
    store.put("k", 2, 3)
    store.put("k", None, 7)
    assert not changelog.rows
    store.drain()
    one, two = ((number).to_bytes(8, "big") for number in (1, 2))
    assert changelog.rows == [(b"k", one, 5), (b"k", two, 3), (b"k", None, 7)]
    assert store.position is None
    store.commit(42)
    assert store.position == 42
    store.close()


def test_a_restart_continues_at_the_position(bench):
    """Committed values and position survive; what was not committed is gone."""
    directory = bench.task()
    store = bench.open(directory=directory)
    store.put("a", 1, 5)
    store.commit(7)
    store.put("a", 2, 6)
    store.close()
    again = bench.open(directory=directory)
    assert (again.position, again.get("a")) == (7, ValueAndTimestamp(1, 5))
    again.close()


def test_restoring_from_a_position_equals_restoring_all(bench, directory):
    """Replaying only what a store misses gives the state of replaying everything."""
    changelog = bench.changelog()
    source = bench.open(changelog=changelog)
    for number in range(50):
        source.put(f"k{number % 7}", None if number % 11 == 3 else number, number)
    source.drain()
    partial = bench.open(directory=directory)
    partial.restore(*(column[:20] for column in changelog.columns()), 20)
    assert partial.position == 20
    partial.restore(*changelog.columns(20), 50)
    assert list(partial.all()) == list(source.all())
    partial.close()


def test_ranges_are_snapshots(bench, directory):
    """Puts, deletions and a commit while a range is read do not show in it."""
    store = bench.open(directory=directory)
    for key in "abcd":
        store.put(key, 1, 0)
    store.commit(1)
    store.put("b", 2, 0)
    walk = store.all()
    assert next(walk)[0] == "a"
    store.put("c", None, 1)
    store.put("bb", 9, 1)
    store.commit(2)
    assert [(key, value.value) for key, value in walk] == [("b", 2), ("c", 1), ("d", 1)]
    assert [key for key, _ in store.all()] == ["a", "b", "bb", "d"]
    store.close()


def test_plain_stores_have_kafkas_verbs(bench, directory):
    """put_if_absent and delete answer with what was there; writes are logged with the record's time."""
    changelog = bench.changelog()
    store = bench.open(bench.spec(StoreKind.KEY_VALUE), directory=directory, changelog=changelog)
    store.record_timestamp = 77
    assert store.put_if_absent("a", 1) is None
    assert store.put_if_absent("a", 2) == 1
    assert store.delete("a") == 1
    assert store.delete("a") is None
    store.drain()
    assert [(key, timestamp) for key, _, timestamp in changelog.rows] == [(b"a", 77)] * 3
    assert store.get("a") is None
    store.close()


def test_many_entries_are_put_at_once(bench, directory):
    """In their order, None deletes; of values with times each has its own, as it was read from another store."""
    changelog = bench.changelog()
    store = bench.open(bench.spec(StoreKind.KEY_VALUE), directory=directory, changelog=changelog)
    store.put_all([("b", 1), ("a", 2), ("b", None), ("c", 3)])
    assert list(store.all()) == [("a", 2), ("c", 3)]
    store.drain()
    assert [key for key, _, _ in changelog.rows] == [b"b", b"a", b"b", b"c"]
    store.close()
    timed = bench.open(bench.spec(StoreKind.TIMESTAMPED_KEY_VALUE))
    timed.put("b", 9, 9)
    timed.put_all([("a", ValueAndTimestamp(1, 5)), ("b", None)])
    assert list(timed.all()) == [("a", ValueAndTimestamp(1, 5))]


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("kind", [StoreKind.KEY_VALUE, StoreKind.TIMESTAMPED_KEY_VALUE])
def test_what_cannot_be_written_is_refused_when_it_is_put(bench, kind, known):
    """Not by the commit that lets it go: also of numbers, which are not written to be measured."""
    store = bench.open(
        bench.spec(kind, key_serde=bench.long, value_serde=bench.long, cached=True), cache_bytes=10 << 20
    )
    if known:
        store.put(1, 5, 0)
    for wrong in ("text", 1.5, 1 << 63, object()):
        with pytest.raises((TypeError, AttributeError, OverflowError)):
            store.put(1, wrong, 0)
    store.flush()
    found = store.get(1)
    assert (found[0] if isinstance(found, tuple) else found) == (5 if known else None)
    store.close()


def test_live_values_are_bounded(bench):
    """A store reads more keys than it may hold as objects, and still knows them all."""
    store = bench.open()
    store._live.limit = 10
    for number in range(100):
        store.put(f"{number:03}", number, 0)
        assert store.get(f"{number // 2:03}").value == number // 2
    store.commit(1)
    store.discard()
    store._live.limit = 10
    assert [store.get(f"{number:03}").value for number in range(100)] == list(range(100))
    assert 0 < len(store._live) <= 10


def test_a_closed_store_says_so(bench, directory):
    """Reads, writes that reach the engine and commits after close raise StoreClosed."""
    store = bench.open(directory=directory)
    store.put("a", 1, 0)
    store.close()
    store.close()
    for call in (lambda: store.get("a"), store.all, lambda: store.commit(1), store.flush):
        with pytest.raises(StoreClosed, match="store .*s is closed"):
            call()


@pytest.mark.parametrize("read", [lambda store: store.get("a"), lambda store: list(store.all())])
@pytest.mark.parametrize("kind", [StoreKind.KEY_VALUE, StoreKind.TIMESTAMPED_KEY_VALUE, StoreKind.VERSIONED_KEY_VALUE])
def test_a_store_of_another_type_is_named(bench, kind, read):
    """A program that reads text where numbers were written is told which store it is, and what to do."""
    directory = bench.task()
    store = bench.open(bench.spec(kind, name="totals"), directory=directory)
    store.put("a", -1, 1)
    store.drain()
    store.seal()
    store.commit(1)
    store.close()
    texts = bench.open(bench.spec(kind, name="totals", value_serde=bench.text), directory=directory)
    with pytest.raises(
        UnreadableState, match=r"store totals holds a value that cannot be read: 'utf-8'.*`streams reset`"
    ):
        read(texts)
    texts.close()
