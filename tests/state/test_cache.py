"""Kafka's record cache: what is let go, when, and in which order."""

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from state import RecordCacheBudget, StoreKind, open_store
from state.cache import CachedEntries, RecordCache
from state.folding_cache import FoldingCache

VALUE_BYTES = 8
ENTRY_BYTES = 1 + 16 + 45  # key of one letter, timestamp and value, Kafka's overhead


class Sink:
    """A flush listener that remembers what it was given, flush by flush."""

    def __init__(self):
        self.flushes = []

    def __call__(self, flushed):
        self.flushes.append(flushed)

    def keys(self):
        return [flushed.keys for flushed in self.flushes]


def cached(bench, entries, *, send_old_values=False, budget=None, **spec):
    """A cached store with room for so many entries, its listener and its changelog."""
    changelog, sink = bench.changelog(), Sink()
    store = open_store(
        bench.spec(cached=True, **spec),
        directory=None,
        changelog=changelog,
        cache=budget or RecordCacheBudget(entries * ENTRY_BYTES),
    )
    store.set_flush_listener(sink, send_old_values=send_old_values)
    return store, sink, changelog


def test_updates_replace_each_other_until_a_flush(bench):
    """One update per key comes out, in the order of each key's last update, with its time and cause."""
    store, sink, changelog = cached(bench, 100)
    cause = ((("h", b"1"),), "t", 0, 7)
    store.put("a", 1, 10)
    store.put("b", 2, 11)
    store.put("a", 3, 12, cause)
    assert store.dirty
    assert sink.flushes == []
    store.flush()
    assert sink.flushes == [(["b", "a"], [2, 3], [None, None], [11, 12], [None, cause])]
    store.drain()
    assert [(key, timestamp) for key, _, timestamp in changelog.rows] == [(b"b", 11), (b"a", 12)]
    store.flush()
    assert len(sink.flushes) == 1
    assert not store.dirty


def test_the_old_value_is_that_of_the_store_below(bench):
    """An update's old value is what was flushed before, not what the cache held in between."""
    store, sink, _ = cached(bench, 100, send_old_values=True)
    for value in (1, 2):
        store.put("a", value, 1)
    store.flush()
    store.put("a", 3, 2)
    store.put("a", None, 3)
    store.flush()
    assert [(flushed.new_values, flushed.old_values) for flushed in sink.flushes] == [([2], [None]), ([None], [2])]


def test_a_deletion_of_nothing_is_not_seen(bench):
    """New is None and nothing below: neither a changelog record nor a result."""
    store, sink, changelog = cached(bench, 100)
    store.put("a", 1, 1)
    store.put("a", None, 2)
    store.put("b", None, 3)
    store.flush()
    store.drain()
    assert sink.flushes == []
    assert changelog.rows == []


def test_without_a_listener_everything_is_written(bench):
    """Nobody to forward to: the deletion of nothing is logged, as Kafka does."""
    changelog = bench.changelog()
    store = bench.open(bench.spec(cached=True), changelog=changelog, cache_bytes=1_000)
    store.put("b", None, 3)
    store.flush()
    store.drain()
    assert changelog.rows == [(b"b", None, 3)]


def test_an_eviction_lets_all_dirty_entries_go(bench):
    """The least recently used entry goes first, and with it everything dirty, which stays as clean entries."""
    store, sink, _ = cached(bench, 2)
    for key in "abc":
        store.put(key, 1, 0)
    assert sink.keys() == [["a", "b", "c"]]
    store.put("d", 1, 0)
    assert sink.keys() == [["a", "b", "c"]], "b was clean and just went"
    store.put("e", 1, 0)
    assert sink.keys() == [["a", "b", "c"]], "c was clean too"
    store.put("f", 1, 0)
    assert sink.keys() == [["a", "b", "c"], ["d", "e", "f"]]


def test_reads_count_as_uses(bench):
    """A key that was read stays, and the other is evicted first."""
    store, sink, _ = cached(bench, 2)
    store.put("a", 1, 0)
    store.put("b", 1, 0)
    store.get("a")
    store.put("c", 1, 0)
    assert sink.keys() == [["b", "a", "c"]]


def test_lookups_do_not_count_as_uses(bench):
    """A lookup changes no order: its caller puts the key next."""
    store, sink, _ = cached(bench, 2)
    store.put("a", 1, 0)
    store.put("b", 1, 0)
    store.lookup("a")
    store.put("c", 1, 0)
    assert sink.keys() == [["a", "b", "c"]]


def test_stores_share_the_budget(bench):
    """A store evicts from its own cache when all of them together exceed the budget."""
    budget = RecordCacheBudget(3 * ENTRY_BYTES)
    one, one_sink, _ = cached(bench, 0, budget=budget)
    two, two_sink, _ = cached(bench, 0, budget=budget, name="other")
    for key in "ab":
        one.put(key, 1, 0)
        two.put(key, 1, 0)
    assert one_sink.flushes == []
    assert two_sink.keys() == [["a", "b"]]
    assert budget.used == 3 * ENTRY_BYTES
    one.close()
    two.close()
    assert budget.used == 0


def test_a_budget_of_zero_is_no_cache(bench):
    """The store is then uncached, and says so."""
    store = bench.open(bench.spec(cached=True), cache_bytes=0)
    assert not store.cached
    assert bench.open(bench.spec(cached=True), cache_bytes=1).cached
    assert not bench.open(bench.spec(cached=False), cache_bytes=1).cached


def test_window_entries_outlive_retention_in_the_cache(bench):
    """What the cache holds is exempt from retention; once it is gone, the store below has expired it."""
    spec = bench.spec(StoreKind.TIMESTAMPED_WINDOW, cached=True, retention_ms=100)
    store = bench.open(spec, cache_bytes=10_000)
    store.put("a", 1, 0, 0)
    store.flush()
    store.put("a", 2, 500, 500)
    store.flush()
    assert [start for start, _ in store.fetch_range("a", 0, 1_000)] == [0, 500]
    assert [key for key, _ in store.fetch_all(0, 1_000)] == [("a", 0), ("a", 500)]
    store.drain()
    store.commit(None)
    store.discard()
    assert [start for start, _ in store.fetch_range("a", 0, 1_000)] == [500]


PUTS = st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=40)


@settings(deadline=None)
@given(puts=PUTS, room=st.integers(0, 6))
def test_it_evicts_as_a_plain_lru_list_does(puts, room):
    """Order and moment of every release equal those of a list kept by hand."""
    released, expected = [], []
    below = {}

    def release(updates):
        released.append(updates.entries)
        below.update(zip(updates.entries, updates.values, strict=True))

    cache = RecordCache(
        RecordCacheBudget(room * 46), below=below.get, release=release, size=lambda *_: 1, keep_reads=True
    )
    lru, dirty = [], []
    for number, (key, is_put) in enumerate(puts):
        if not is_put and key not in lru and key not in below:
            assert cache.get(key) is None
            continue
        if is_put:
            cache.put(key, number, 0, None)
            dirty = [other for other in dirty if other != key] + [key]
        else:
            cache.get(key)
        lru = [other for other in lru if other != key] + [key]
        while len(lru) > room:
            eldest = lru.pop(0)
            if eldest in dirty:
                expected.append([eldest] + [other for other in dirty if other != eldest])
                dirty = []
        assert (released, list(cache.entries), list(cache.dirty)) == (expected, lru, dirty)


@pytest.mark.parametrize("cache_bytes", [None, 1_000])
def test_a_value_of_the_wrong_type_changes_nothing(bench, cache_bytes):
    """A put whose value cannot be serialized raises the serde's error, and the store is as before."""
    store = bench.open(bench.spec(cached=True), changelog=bench.changelog(), cache_bytes=cache_bytes)
    with pytest.raises(AttributeError):
        store.put("a", "text", 1)
    assert store.get("a") is None
    assert not store.dirty
    store.flush()
    assert store.uncommitted_bytes == 0


def test_causes_count_too(bench):
    """The record that made an update takes room as in Kafka: its topic's name, its headers' names and values."""
    budget = RecordCacheBudget(10_000)
    store, _, _ = cached(bench, 0, budget=budget)
    store.put("a", 1, 0, ((("name", b"12345"), ("none", None)), "topic", 0, 7))
    assert budget.used == ENTRY_BYTES + 4 + 5 + 4 + len("topic")


UPDATES = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 9)), min_size=1, max_size=12)


@settings(deadline=None)
@given(warm=UPDATES, flushed=st.booleans(), updates=UPDATES, causes=st.integers(0, 2), fixed_size=st.booleans())
def test_many_known_entries_are_put_as_if_one_by_one(warm, flushed, updates, causes, fixed_size):
    """`put_known` leaves values, both orders, times, causes and sizes as single puts do, new entries after it too."""
    caches = [
        RecordCache(
            RecordCacheBudget(1 << 20),
            below={}.get,
            release=len,
            size=lambda *_: 1,
            keep_reads=True,
            fixed_size=fixed_size,
        )
        for _ in range(2)
    ]
    for cache in caches:
        for entry, time in warm:
            cache.put(entry, ("old", time), time, ((("h", b"1"),), "t", 0, 1) if causes else None)
        if flushed:
            cache.flush()
    for some in (updates[:4], updates[4:]):
        known = [(entry, time) for entry, time in some if entry in caches[0].entries]
        unknown = {entry: time for entry, time in some if entry not in caches[0].entries}
        for entry, time in known:
            caches[0].put(entry, ("new", time), time, ((), "t", 0, time) if causes == 2 else None)
        caches[1].put_known(
            [entry for entry, _ in known],
            {entry: ("new", time) for entry, time in known},
            [((), "t", 0, time) for _, time in known] if causes == 2 else None,
        )
        for cache in caches:
            for entry, time in unknown.items():
                assert cache.get(entry) is None
                cache.put(entry, ("first", time), time, ((), "t", 0, time) if causes == 2 else None)
    for cache in caches if not fixed_size else ():
        cache._measure()
    dirty = [list(cache.dirty.items()) for cache in caches]
    assert dirty[0] == dirty[1]
    one, other = ({**vars(cache), "entries": list(cache.entries.items())} for cache in caches)
    for name in ("entries", "_sizes", "_bytes"):
        assert one[name] == other[name], name
    assert [caches[0]._causes.get(entry) for entry, _ in dirty[0]] == [
        caches[1]._causes.get(entry) for entry, _ in dirty[1]
    ]


@pytest.mark.parametrize("several", [3, 5_000, 20_000])
def test_updates_that_wait_for_their_places_are_as_many_as_their_entries(several: int) -> None:
    """A hundred thousand updates by `put_known`, of few entries or many: both orders are those of single puts."""
    budget = RecordCacheBudget(1 << 24)
    cache = RecordCache(budget, below={}.get, release=len, size=lambda *_: 1, keep_reads=True, fixed_size=True)
    for entry in range(several):
        cache.put((entry, 0), (0, 0), 0, None)
    numbers = random.Random(several)
    order = {(entry, 0): 0 for entry in range(several)}
    longest = 0
    for time in range(1, 101):
        touched = [(numbers.randrange(several), 0) for _ in range(1_000)]
        cache.put_known(touched, dict.fromkeys(touched, (time, time)), None)
        for entry in touched:
            del order[entry]
            order[entry] = time
        longest = max(longest, len(cache._unplaced))
    assert longest < max(5_000, 4 * several)
    assert list(cache.dirty.items()) == list(order.items())
    assert list(cache.entries) == list(order)


def test_entries_that_get_other_values_keep_their_places() -> None:
    """Many at once, in another order, and after that a use, a new entry and a removal as if nothing had been."""
    entries = CachedEntries(int)
    for entry in range(100):
        entries[entry] = "old"
    entries.replace(dict.fromkeys(range(99, 9, -1), "new"))
    entries.move_to_end(5)
    entries[100] = "new"
    assert entries.popitem(last=False) == (0, "old")
    assert list(entries) == [*range(1, 5), *range(6, 100), 5, 100]
    assert list(reversed(entries.values()))[:3] == ["new", "old", "new"]


@given(
    st.lists(st.tuples(st.sampled_from(["put", "read", "delete"]), st.lists(st.sampled_from("abcdefg"), max_size=6)))
)
def test_many_are_read_as_if_one_by_one(acts):
    """Values, what is kept of what was read below, and the order of uses."""
    caches = [
        RecordCache(
            RecordCacheBudget(1 << 20), below={"a": (0, 0), "b": (0, 0)}.get, release=len, size=lambda *_: 1, keep_reads=True
        )
        for _ in range(2)
    ]  # fmt: skip
    for time, (act, entries) in enumerate(acts):
        if act == "read":
            assert caches[0].get_all(entries) == list(map(caches[1].get, entries))
            continue
        for cache in caches:
            for entry in entries:
                cache.put(entry, None if act == "delete" else (1, time), time, None)
    assert list(caches[0].entries.items()) == list(caches[1].entries.items())
    assert list(caches[0].dirty) == list(caches[1].dirty)


ACTS = st.lists(
    st.tuples(
        st.sampled_from("abcd"), st.sampled_from(["put", "put", "delete", "read", "flush"]), st.integers(3, 5),
        st.booleans(), st.integers(1, 9),
    ),
    max_size=30,
)  # fmt: skip


@settings(deadline=None)
@given(acts=ACTS, fixed_size=st.booleans(), held=st.booleans())
@example(
    acts=[("a", act, 3, False, length) for act, length in (("put", 1), ("put", 2), ("delete", 0), ("flush", 0))],
    fixed_size=False,
    held=False,
)
def test_a_roomy_cache_counts_every_byte(acts, fixed_size, held):
    """Names of topics, causes, deletions, reads and growing values: the size is that of what is here, once measured."""
    budget = RecordCacheBudget(1 << 20)
    below = dict.fromkeys("abcd", ("r", 0))

    def size(_entry, value):
        return 1 if value is None else 9 if fixed_size else 1 + len(value[0])

    cache = RecordCache(
        budget, below=below.get, release=len, size=size, keep_reads=True, fixed_size=fixed_size
    )  # fmt: skip
    expected = {}
    for entry, act, name_length, with_cause, length in acts:
        budget.cause_bytes = name_length
        if act == "flush":
            cache.flush()
            expected = {other: bytes_ for other, bytes_ in expected.items() if cache.entries.get(other) is not None}
        elif act == "read":
            cache.get(entry)
            expected.setdefault(entry, size(entry, ("r", 0)) + 45)
        else:
            value = ("x" * length, 0) if act == "put" else None
            cause = ((("h", b"1"),), "topic", 0, 7) if with_cause and not held else None
            if held and value is not None and cache.entries.get(entry) is not None:
                cache.put_known([entry], {entry: value}, None)
            else:
                cache.put(entry, value, 0, cause)
            expected[entry] = size(entry, value) + 45 + (7 if cause else name_length)
    if not fixed_size:
        cache._measure()
    assert cache._sizes == expected
    assert cache._bytes == budget.used == sum(expected.values())


ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d", "e", None]), st.sampled_from([1, 2, 3, None, "gone", "wide"]),
              st.integers(0, 9), st.sampled_from(["fold", "fold", "fold", "flush", "read", "headers", "cause", "told", "ranges"])),
    max_size=40,
)  # fmt: skip


def one_by_one(cache, rows, initial, add):
    """What `fold` stands for; what is deleted has the time of its record alone."""
    for row in rows:
        _, entry, value, time = row
        if entry is None or value is None:
            return row
        old, before = cache.entries[entry] or (initial(), time)
        new, latest = add(entry, value, old), max(before, time)
        cache.put(entry, None if new is None else (new, latest), time if new is None else latest, None)
    return None


def added(_entry, amount, total):
    """Most amounts make another number; some end a total, or make it one that is not alike."""
    return {"gone": None, "wide": float(total or 0)}.get(amount, int(total) + amount if isinstance(amount, int) else 0)


@settings(deadline=None)
@given(rows=ROWS, room=st.integers(0, 400), others=st.integers(0, 100), large=st.booleans())
def test_folding_is_reading_and_putting_one_by_one(rows, room, others, large):
    """Releases, both orders, sizes and bytes are the same at every turn, with little room and with much."""
    seen = []
    for fold in (one_by_one, lambda cache, *rest: cache.fold(*rest, int)):
        budget, below, released = RecordCacheBudget(1 << 20 if large else room), {}, []
        budget.used = 0 if large else others

        def release(updates, below=below, released=released):
            released.append((*map(tuple, updates[:3]), updates.causes))
            below.update(zip(updates.entries, updates.values, strict=True))

        cache = FoldingCache(
            budget, below=below.get, release=release, size=lambda *_: 9, keep_reads=True, fixed_size=True
        )
        turns = []
        for entry, value, time, act in rows:
            if act == "flush":
                cache.flush()
            elif act == "read" and entry:
                cache.get(entry)
            elif act == "headers" and entry:
                cache.put(entry, (1, time), time, ((("h", b"1"),), "t", 0, 0))
            elif act == "cause":
                budget.cause_bytes = time
            elif act == "told":
                cache.cause = ((), "other", 0, 0) if time % 2 else None
            elif act == "ranges":
                cache.in_order(str.encode)
            left = fold(cache, iter([(0, entry, value, time)] * 2), int, added)
            state = [list(cache.entries.items()), list(cache.dirty.items()), dict(cache._sizes), set(cache._read)]
            order = cache._order and sorted(cache._order)
            turns.append((left, state, cache._bytes, budget.used, list(released), order))
        seen.append(turns)
    assert seen[0] == seen[1]


COLUMNS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 60), st.sampled_from([1, 1, 1, 1, 1, 1, 2, "gone", "wide"]), st.integers(0, 9)),
                 max_size=60),
        st.sampled_from(["nothing", "flush", "flush", "read", "used", "used", "others", "cause"]),
    ),
    max_size=8,
)  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(columns=COLUMNS, room=st.integers(300, 3_000), alike=st.booleans(), length=st.integers(0, 20))
def test_many_rows_fold_as_one_by_one(columns, room, alike, length):
    """What is dropped in one go is what would go one by one, and nothing dirty is; keys may be of one length or of many."""
    seen = []
    size = (lambda *_: 9) if alike else (lambda entry, _: 9 + entry % 7)
    for fold in (one_by_one, lambda cache, *rest: cache.fold(*rest, int, 9 if alike else 0)):
        budget, below, released = RecordCacheBudget(room), {}, []
        budget.cause_bytes = length

        def release(updates, below=below, released=released):
            released.append(tuple(map(tuple, updates[:3])))
            below.update(zip(updates.entries, updates.values, strict=True))

        cache = FoldingCache(budget, below=below.get, release=release, size=size, keep_reads=True, fixed_size=True)
        turns = []
        for rows, act in columns:
            if act == "flush":
                cache.flush()
            elif act == "read":
                list(map(cache.get, range(len(rows), 60, 9)))
            elif act == "used" and cache.entries:
                cache.get(next(iter(cache.entries)))
            elif act == "others":
                budget.used += 100 if len(turns) % 2 else -min(100, budget.used - cache._bytes)
            elif act == "cause":
                budget.cause_bytes = length + len(turns) % 2
            fold(cache, iter([(row, *rest) for row, rest in enumerate(rows)]), int, added)
            sizes = {entry: cache._sizes.get(entry, cache._alike) for entry in cache.entries}
            assert sum(sizes.values()) == cache._bytes
            state = [list(cache.entries.items()), list(cache.dirty.items()), sizes, set(cache._read)]
            turns.append((state, cache._bytes, budget.used, list(released)))
        seen.append(turns)
    assert seen[0] == seen[1]


def test_a_value_that_grows_is_evicted_when_it_is_too_large(bench):
    """Values of several lengths are measured often enough for an eviction to be late by few updates, if at all."""
    store, sink, _ = cached(bench, 0, budget=RecordCacheBudget(64 * 1024), value_serde=bench.text)
    for length in range(500, 100_000, 500):
        store.put("a", "x" * length, 0)
        if sink.flushes:
            break
    assert 64_000 < length <= 64_500 + 32 * 500
