"""Stores of numbers with rows of what is below: nobody can tell, but for the time."""

import random
import struct
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.numbers import NumberStore

KEYS = range(-20, 20)
LARGE = 2 << 20
VERBS = ["put", "put", "delete", "flush", "seal", "unseal", "commit", "drop", "fill", "discard", "reopen"]
STEP = st.tuples(st.sampled_from(VERBS), st.lists(st.sampled_from(KEYS), min_size=1, max_size=25))


class Told:
    """A store, and what it should say: now, of a commit that is under way, and of what is committed."""

    def __init__(self, bench, spec):
        self.bench, self.spec, self.directory = bench, spec, bench.task()
        self.now, self.sealed, self.committed = {}, None, {}
        self.open()

    def open(self):
        self.store = self.bench.open(self.spec, directory=self.directory, cache_bytes=LARGE)
        self.store.set_flush_listener(lambda flushed: None, send_old_values=False)
        assert isinstance(self.store, NumberStore)

    def put(self, keys, number):
        for key in keys:
            self.store.put(key, number, key + 100)
            self.now[key] = (number, key + 100)

    def delete(self, keys, number):
        for key in keys[:9]:
            self.store.put(key, None, number)
            self.now.pop(key, None)

    def flush(self, *_):
        self.store.flush()

    def seal(self, *_):
        if self.sealed is None:
            self.store.flush()
            self.store.seal()
            self.sealed = dict(self.now)

    def unseal(self, *_):
        self.store.unseal()
        self.sealed = None

    def commit(self, _, number):
        self.seal()
        self.store.commit(number)
        self.committed, self.sealed = self.sealed, None

    def drop(self, *_):
        """As if all had been evicted."""
        self.store.flush()
        evict(self.store)

    def fill(self, *_):
        """As if what comes next had no room in the record cache."""
        begin(self.store)

    def discard(self, *_):
        self.store.discard()
        self.now, self.sealed = dict(self.committed), None

    def reopen(self, *_):
        self.store.close()
        self.discard_model()
        self.open()

    def discard_model(self):
        self.now, self.sealed = dict(self.committed), None


@pytest.mark.parametrize("values", ["long", "real"])
@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEP, max_size=20))
def test_rows_change_no_answer(bench, values, steps):
    """Whatever is put, deleted, sealed, committed and discarded: each key has what it was given last."""
    spec = bench.spec(cached=True, key_serde=bench.long, value_serde=bench.long if values == "long" else bench.real)
    told = Told(bench, spec)
    for number, (verb, keys) in enumerate(steps):
        getattr(told, verb)(keys, number)
        told.store.preload(KEYS)
        assert {key: told.store.get(key) for key in KEYS} == {key: told.now.get(key) for key in KEYS}
    told.store.close()


def evict(store):
    """As if all that is clean had been dropped for lack of room."""
    store._cache.clear()
    store._cache.dropped = True


def begin(store):
    """As when so much comes that the record cache can not hold all."""
    store._begin_if_full(LARGE)


def numbers(bench, directory, cache_bytes=LARGE):
    spec = bench.spec(cached=True, key_serde=bench.long, value_serde=bench.long)
    store = bench.open(spec, directory=directory, cache_bytes=cache_bytes)
    store.set_flush_listener(lambda flushed: None, send_old_values=False)
    return store


def known(store, keys):
    """The keys that have rows."""
    return list(store._rows.find(keys)[0])


def test_a_new_store_knows_all_of_its_keys_and_one_that_was_there_those_it_has_read(bench):
    """Rows of a store that was empty are complete; of others they are what was looked up, and what was written."""
    directory, keys = bench.task(), list(range(0, 90, 3))
    store = numbers(bench, directory)
    store.restore([], [], [], 0)  # a changelog without records
    for key in keys[:7]:
        store.put(key, key, key)
    store.flush()
    assert known(store, range(90)) == []
    begin(store)
    for key in keys[7:]:
        store.put(key, key, key)
    store.flush()
    assert store._rows.complete
    assert known(store, range(90)) == keys
    store.commit(1)
    store.close()
    store = numbers(bench, directory)
    assert not store._rows.complete
    begin(store)
    store.preload(range(45))
    assert known(store, range(90)) == keys[:15]
    store.put(89, 89, 89)
    store.flush()
    assert known(store, range(90)) == [*keys[:15], 89]
    store.restore([struct.pack(">q", 0)], [struct.pack(">q", 7)], [7], 2)
    assert known(store, range(90)) == []
    store.preload(range(45))
    assert store.get(0) == (7, 7)
    store.close()


def test_a_store_with_a_key_and_a_deletion_is_not_new(bench):
    """RocksDB's estimate of its keys is none then."""
    directory = bench.task()
    store = numbers(bench, directory)
    store._uncommitted[struct.pack(">q", 5)] = struct.pack(">qq", 1, 6)
    store._uncommitted[struct.pack(">q", 8)] = None
    store.commit(1)
    store.close()
    store = numbers(bench, directory)
    assert not store.approximate_num_entries()
    store.preload(range(10))
    assert store.get(5) == (6, 1)
    store.close()


def test_rows_are_for_large_record_caches_that_nobody_asks_for_old_values(bench):
    """Elsewhere live values do what rows do; they take no room then, and give back what they took."""
    store = numbers(bench, bench.task())
    before = bench.resources.rows_budget.used
    store.put(1, 1, 1)
    store.flush()
    assert bench.resources.rows_budget.used == before
    begin(store)
    assert bench.resources.rows_budget.used > before
    store.set_flush_listener(lambda flushed: None, send_old_values=True)
    store.put(2, 2, 2)
    store.flush()
    assert bench.resources.rows_budget.used == before
    assert (store.get(1), store.get(2)) == ((1, 1), (2, 2))
    store.close()


@pytest.mark.parametrize("reopened", [False, True])
def test_counting_more_keys_than_the_record_cache_holds(bench, reopened):
    """Each key has its count, whether its entry is in the record cache, has a row, or has to be read from RocksDB."""
    directory, order, counts = bench.task(), random.Random(3), Counter()
    store = numbers(bench, directory, 1 << 20)
    for batch in range(60):
        keys = [order.randrange(40_000) for _ in range(1_000)]
        with store.flushes:
            store.preload(keys)
            rows = zip(range(1_000), keys, keys, keys, strict=True)
            assert store.fold(rows, int, lambda key, value, count: count + 1) is None
        counts.update(keys)
        if batch % 7 == 6:
            store.flush()
            store.commit(batch)
        if reopened and batch == 27:
            store.close()
            store = numbers(bench, directory, 1 << 20)
    assert store._rows._found
    assert store._rows.complete is not reopened
    assert len(store._cache.entries) < len(counts) / 2
    asked = list(range(40_000))
    for start in range(0, len(asked), 1_000):
        store.preload(asked[start : start + 1_000])
        found = [store.lookup(key) for key in asked[start : start + 1_000]]
        assert [value and value[0] for value in found] == [counts.get(key) for key in asked[start : start + 1_000]]
    store.close()


@pytest.mark.parametrize("folded", [False, True])
def test_a_record_cache_that_has_dropped_entries_does_not_hold_all(bench, folded):
    """However they were put: what it does not hold is read from below, for it may be there."""
    store, keys = numbers(bench, bench.task(), 1 << 20), range(30_000)
    for key in keys:
        if folded:
            store.fold([(0, key, 1, key)], int, lambda key, value, count: count + key)
        else:
            store.put(key, key, key)
        if key % 1_000 == 999:
            store.flush()
    assert store._cache.dropped
    assert not store._rows.begun
    store.preload(keys[:20])
    assert not store._rows.complete
    assert [store.get(key) for key in keys[:20]] == [(key, key) for key in keys[:20]]
    store.close()


@pytest.mark.parametrize("cache_bytes", [None, 0])
def test_stores_without_a_record_cache_have_no_rows(bench, cache_bytes):
    """What they read most is live."""
    spec = bench.spec(cached=True, key_serde=bench.long, value_serde=bench.long)
    store = bench.open(spec, directory=bench.task(), cache_bytes=cache_bytes)
    assert not getattr(store, "_passes", False)
    store.put(1, 1, 1)
    store.commit(1)
    assert store.get(1) == (1, 1)
    store.close()


@pytest.mark.parametrize("count", [1, 30])
def test_what_is_deleted_before_it_was_let_go_has_no_row(bench, count):
    """Rows begin with all that the record cache holds, also what was never below: its deletion is not written."""
    store = numbers(bench, bench.task())
    for key in range(count):
        store.put(key, key, 1)
    begin(store)
    for key in range(count):
        store.put(key, None, 2)
    store.flush()
    assert known(store, range(count)) == []
    store.preload(range(40))
    assert [store.get(key) for key in range(count)] == [None] * count
    store.close()


def test_an_update_alone_has_its_row(bench):
    """A record cache that lets go of one update writes it by itself."""
    store = numbers(bench, bench.task())
    begin(store)
    for value in (5, 6, None):
        store.put(3, value, 1)
        store.flush()
        store._cache.clear()
        assert store._rows.complete
        assert known(store, [3]) == ([] if value is None else [3])
        store.preload(range(10))
        assert store.get(3) == (None if value is None else (value, 1))
    store.close()
