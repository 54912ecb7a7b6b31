"""Stores beside a store: what they show, what they leave below until they are taken in, and reads from other threads."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import StoreClosed, StoreKind
from state.aside import PIECE
from state.ordered import OrderedBytes

KINDS = [
    StoreKind.KEY_VALUE,
    StoreKind.TIMESTAMPED_KEY_VALUE,
    StoreKind.WINDOW,
    StoreKind.TIMESTAMPED_WINDOW,
    StoreKind.SESSION,
]
MINUTE = 60_000
WRITE = st.tuples(
    st.sampled_from(["", "a", "ab", "b", "é"]),
    st.none() | st.integers(-3, 3),
    st.integers(0, 8).map(lambda minutes: minutes * MINUTE),
)
FLIGHTS = st.lists(
    st.tuples(st.sampled_from(["beside", "beside", "dropped", "direct"]), st.lists(WRITE, max_size=6), st.booleans()),
    max_size=6,
)


def write(store, kind, key, value, time):
    if kind is StoreKind.SESSION:
        if value is None:
            store.remove(key, time, time + 5, timestamp=time)
        else:
            store.put(key, time, time + 5, value, timestamp=time)
    elif kind in {StoreKind.WINDOW, StoreKind.TIMESTAMPED_WINDOW}:
        store.put(key, value, time, time + 1)
    else:
        store.put(key, value, time)


def reads(store, kind):
    """All that a store shows, by every way in."""
    whole = list(store.all())
    if kind is StoreKind.SESSION:
        return whole, [list(store.fetch(key)) for key in ("", "a", "ab", "b", "é")]
    if kind in {StoreKind.WINDOW, StoreKind.TIMESTAMPED_WINDOW}:
        single = [store.fetch(key, minute * MINUTE) for key in ("", "a", "é") for minute in range(9)]
        ranges = [list(store.fetch_range(key, MINUTE, 5 * MINUTE)) for key in ("a", "ab", "b")]
        return whole, single, ranges, list(store.fetch_all(MINUTE, 4 * MINUTE))
    return whole, [store.get(key) for key in ("", "a", "ab", "b", "é")], list(store.reverse_range("a", "b"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("persistent", [True, False])
@settings(max_examples=10, deadline=None)
@given(flights=FLIGHTS)
def test_taken_in_it_is_as_if_written_below(bench, kind, persistent, flights):
    """Until then the store below shows nothing of it, commits or not; after it, store and changelog are the same."""
    spec = bench.spec(kind, retention_ms=3 * MINUTE)
    logs = bench.changelog(), bench.changelog()
    folders = [bench.task() if persistent else None for _ in logs]
    below, plain = (
        bench.open(spec, directory=folder, changelog=log) for folder, log in zip(folders, logs, strict=True)
    )
    for number, (way, writes, commits) in enumerate(flights):
        before = reads(below, kind)
        target = below if way == "direct" else below.aside()
        for each in writes:
            write(target, kind, *each)
            if way != "dropped":
                write(plain, kind, *each)
            if commits:
                below.drain()
                below.commit(number)
            if way != "direct":
                assert reads(below, kind) == before
        if way == "beside":
            assert reads(target, kind) == reads(plain, kind)
            below.take_in(target)
        assert reads(below, kind) == reads(plain, kind)
    for store in (below, plain):
        store.drain()
        store.commit(len(flights))
    assert logs[0].rows == logs[1].rows
    assert reads(below, kind) == reads(plain, kind)
    for store in (below, plain):
        store.close()


def test_values_that_can_change_in_place_are_its_own(bench, directory):
    """A list changed beside the store, and not set, changes nothing below; set, it counts when it is taken in."""
    store = bench.open(bench.spec(value_serde=bench.document), directory=directory)
    store.put("a", [1], 0)
    beside = store.aside()
    changed = beside.get("a").value
    changed.append(2)
    assert (store.get("a").value, beside.get("a").value) == ([1], [1])
    beside.put("a", changed, 1)
    store.take_in(beside)
    assert store.get("a").value == [1, 2]
    store.close()


def test_a_value_that_cannot_be_written_fails_where_it_is_put(bench, directory):
    """Not when it is taken in, where nobody knows any more whose it is; what was there before stays."""
    store = bench.open(directory=directory)
    store.put("a", 1, 0)
    beside = store.aside()
    with pytest.raises(AttributeError):
        beside.put("a", "no number", 1)
    store.take_in(beside)
    assert store.get("a").value == 1
    store.close()


def test_scans_from_other_threads_are_whole(bench, directory):
    """Scans of several pieces, forward and back, while the store below commits the same entries again and again."""
    store = bench.open(directory=directory)
    keys = [f"{number:05}" for number in range(2 * PIECE + 1)]
    for key in keys:
        store.put(key, 1, 0)
    beside, seen, done = store.aside(), [], threading.Event()

    def read():
        while not done.is_set() or not seen:
            seen.append([key for key, _ in beside.all()] == keys)
            seen.append([key for key, _ in beside.reverse_all()] == keys[::-1])

    other = threading.Thread(target=read)
    other.start()
    for number in range(20):
        store.commit(number)
        assert sum(1 for _ in store.all()) == len(keys)
    done.set()
    other.join()
    assert all(seen)
    store.close()


def test_it_ends_with_the_store_below(bench, directory):
    """Whoever still reads gets StoreClosed."""
    store = bench.open(directory=directory)
    store.put("a", 1, 0)
    beside = store.aside()
    store.close()
    with pytest.raises(StoreClosed):
        beside.get("a")
    with pytest.raises(StoreClosed):
        list(beside.all())


@pytest.mark.parametrize("settings", [{"cached": True}, {"max_entries": 3, "persistent": False}])
def test_not_of_stores_that_are_more_than_their_bytes(bench, settings):
    """What a record cache holds back, or a bound forgets, is not to be had from beside."""
    store = bench.open(bench.spec(StoreKind.KEY_VALUE, **settings), cache_bytes=1_000)
    with pytest.raises(AssertionError, match="more than its bytes"):
        store.aside()
    store.close()


class Moving(OrderedBytes):
    """Bytes that somebody moves right after they were looked at, once."""

    move = staticmethod(lambda: None)

    def get(self, key, default=None):
        found, move = super().get(key, default), self.move
        self.move = lambda: None
        move()
        return found


@pytest.mark.parametrize("verb", ["unseal", "commit"])
def test_a_point_is_read_while_bytes_move(bench, verb):
    """A commit that ends, or is put off, in the middle of a read: what was sealed is found where it lies then."""
    store = bench.open(bench.spec(StoreKind.KEY_VALUE), directory=bench.task())
    store.put("k", 1)
    store.commit(1)
    store.put("k", 2)
    store.seal()
    store._live.clear()
    store._uncommitted = moving = Moving()
    moving.move = store.unseal if verb == "unseal" else lambda: store.commit(2)
    assert store.aside().get("k") == 2
    store.close()
