"""Queries change nothing in a record cache: they are no use of what it holds, and nothing is kept for them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import StoreKind, ValueAndTimestamp
from state.number_cache import NumberCache
from state.window import SegmentedWindowStore

KEYS = st.sampled_from("abcdef")
STEPS = st.lists(st.tuples(st.sampled_from(["put", "delete", "flush", "commit", "query"]), KEYS), max_size=40)
HELD = 5 * (1 + 16 + 45)
LATER = 10**9


def within(store):
    """All that an order or a place in the cache can be told by."""
    cache = store._cache
    return list(cache.dirty.items()), list(cache.entries.items()), cache._bytes, store._budget.used


def by_key(store):
    """Every way to ask a store by key."""
    scans = (
        store.all(),
        store.reverse_all(),
        store.range("b", "d"),
        store.reverse_range(None, "c"),
        store.prefix_scan(b"a"),
    )
    return [*map(store.get, "abcdefg"), *map(list, scans)]


def by_window(store):
    """Every way to ask a window store; each key has one window."""
    spans = [read(key, 0, LATER) for key in "abcdefg" for read in (store.fetch_range, store.backward_fetch_range)]
    return [
        *(store.fetch(key, 0) for key in "abcdefg"),
        *map(list, [*spans, store.all(), store.fetch_keys("a", "c", 0, 9)]),
        *map(list, [store.backward_all(), store.backward_fetch_keys("a", "c", 0, 9), store.backward_fetch_all(0, 9)]),
    ]


def by_session(store):
    """Every way to ask a session store."""
    by_key = (store.find_sessions, store.backward_find_sessions)
    by_keys = (store.find_sessions_of_keys, store.backward_find_sessions_of_keys)
    found = [find(key, 0, LATER) for key in "abcdefg" for find in by_key]
    found += [find("b", "d", 0, LATER) for find in by_keys]
    found += [store.all(), store.backward_all()]
    return [*(store.fetch_session(key, 0, 0) for key in "abcdefg"), *map(list, found)]


VERBS = {
    StoreKind.KEY_VALUE: (by_key, lambda store, key, value: store.put(key, value)),
    StoreKind.TIMESTAMPED_KEY_VALUE: (by_key, lambda store, key, value: store.put(key, value, 0)),
    StoreKind.WINDOW: (by_window, lambda store, key, value: store.put(key, value, 0)),
    StoreKind.TIMESTAMPED_WINDOW: (by_window, lambda store, key, value: store.put(key, value, 0)),
    StoreKind.SESSION: (by_session, lambda store, key, value: store.put(key, 0, 0, value)),
}


@pytest.mark.parametrize("cache_bytes", [HELD, 1 << 20], ids=["little room", "room"])
@pytest.mark.parametrize("kind", VERBS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("values", ["number", "document"])
@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_what_is_asked_changes_nothing(bench, kind, values, cache_bytes, steps):
    """What is let go and when is as if nobody had asked, and the answers are those of a store without a cache."""
    ask, put = VERBS[kind]
    spec = bench.spec(kind, value_serde=getattr(bench, values), cached=True, retention_ms=10**6, window_size_ms=10)
    asked, other, plain = (bench.open(spec, cache_bytes=room) for room in (cache_bytes, cache_bytes, None))
    told = [], []
    for store, flushed in zip((asked, other), told, strict=True):
        store.set_flush_listener(flushed.append, send_old_values=False)
    for number, (verb, key) in enumerate(steps):
        if verb in {"put", "delete"}:
            for store in (asked, other, plain):
                put(store, key, number if verb == "put" else None)
        elif verb != "query":
            for store in (asked, other, plain):
                store.flush()
                if verb == "commit":
                    store.commit(number)
        else:
            before = within(asked)
            assert ask(asked.queried()) == ask(plain)
            assert within(asked) == before
        assert told[0] == told[1]
        assert within(asked) == within(other)


def test_a_scan_goes_on_as_it_began(bench):
    """What is let go while a query is on its way through a store is still found, in its place."""
    store = bench.open(bench.spec(cached=True), cache_bytes=1 << 20)
    store.set_flush_listener(lambda _flushed: None, send_old_values=False)
    for number, key in enumerate("abc"):
        store.put(key, number, 0)
    scan = store.queried().all()
    assert next(scan) == ("a", ValueAndTimestamp(0, 0))
    store.flush()
    store.commit(1)
    assert [key for key, _ in scan] == ["b", "c"]


def test_a_scan_that_has_begun_misses_nothing(bench):
    """What a query has not come to yet may be put again, deleted or lose its place: it is found as it was at first."""
    store = bench.open(bench.spec(cached=True), cache_bytes=HELD)
    store.set_flush_listener(lambda _flushed: None, send_old_values=False)
    for number, key in enumerate("abcd"):
        store.put(key, number, 0)
    scans = store.queried().all(), store.queried().reverse_all(), store.queried().range("b", None)
    assert [next(scan)[0] for scan in scans] == ["a", "d", "b"]
    store.put("c", 9, 1)
    store.put("d", None, 1)
    for key in "efghij":  # there is room for five
        store.put(key, 9, 1)
    assert not any(key in store._cache.entries for key in "abcd")
    assert [[(key, value.value) for key, value in scan] for scan in scans] == [
        [("b", 1), ("c", 2), ("d", 3)],
        [("c", 2), ("b", 1), ("a", 0)],
        [("c", 2), ("d", 3)],
    ]


def test_a_scan_of_few_among_many_is_of_one_moment_too(bench):
    """It looks at no more than it asks for."""
    store = bench.open(bench.spec(cached=True), cache_bytes=1 << 20)
    store.set_flush_listener(lambda _flushed: None, send_old_values=False)
    for number in range(100):
        store.put(f"{number:03}", number, 0)
    scan = store.queried().range("040", "043")
    assert next(scan) == ("040", ValueAndTimestamp(40, 0))
    for key in ("041", "042"):
        store.put(key, None if key == "042" else 9, 1)
    assert [(key, value.value) for key, value in scan] == [("041", 41), ("042", 42), ("043", 43)]


def test_entries_in_rows_are_found_there(bench):
    """A number is read from its row, or from below, and the others stay where they are."""
    spec = bench.spec(key_serde=bench.long, value_serde=bench.long, cached=True)
    store = bench.open(spec, directory=bench.task(), cache_bytes=1 << 20)
    store.set_flush_listener(lambda _flushed: None, send_old_values=False)
    store.flushes.together = True
    store.put(-1, 7, 1)
    store.flush()
    store.commit(1)
    store._cache.clear()
    keys = list(range(1_000))
    store._begin(store._cache)
    assert store.fold_columns(keys, keys, keys, int, lambda _key, value, old: old + value, None) == 1_000
    assert isinstance(store._cache, NumberCache) and store._cache.in_rows
    view = store.queried()
    assert [view.get(key) for key in (-1, 0, 999, 1_000)] == [(7, 1), (0, 0), (999, 999), None]
    assert store._cache.in_rows
    assert len(list(view.all())) == 1_001


def test_closing_windows_are_found_without_a_use(bench):
    """Nor does it count when windows of all keys are asked for by their start."""
    store = bench.open(bench.spec(StoreKind.TIMESTAMPED_WINDOW, cached=True, retention_ms=100), cache_bytes=1 << 20)
    assert isinstance(store, SegmentedWindowStore)
    for key in "ba":
        store.put(key, 1, 0)
    assert [key for (key, _), _ in store.queried().fetch_by_start(0, 9)] == ["a", "b"]
    assert [key for key, _ in store._cache.entries] == ["b", "a"]


@pytest.mark.parametrize("kind", [StoreKind.KEY_VALUE, StoreKind.TIMESTAMPED_KEY_VALUE])
@pytest.mark.parametrize("long", [False, True])
def test_a_scan_shows_what_was_there_when_it_began(bench, kind, long):
    """It comes in pages, between which the record cache lets go of entries, and is given others in their place."""
    value = bench.long if long else bench.number
    spec = bench.spec(kind, cached=True, key_serde=bench.name, value_serde=value)
    store, put = bench.open(spec, directory=bench.task(), cache_bytes=HELD), VERBS[kind][1]
    store.set_flush_listener(lambda _flushed: None, send_old_values=False)
    for number, key in enumerate("abcd"):
        put(store, key, number)
    store.commit(1)
    put(store, "b", None)
    put(store, "c", 9)
    scans = [(scan, list(scan())) for scan in (store.queried().all, store.queried().reverse_all)]
    begun = [(iter(scan()), found) for scan, found in scans]
    first = [next(scan) for scan, _ in begun]
    for number, key in enumerate("efghijklmabz"):
        put(store, key, number + 20)
    assert [[one, *scan] for one, (scan, _) in zip(first, begun, strict=True)] == [found for _, found in begun]
    assert [key for key, _ in scans[0][1]] == ["a", "c", "d"]
    store.close()
