"""Tests for state.merged_reads: ranges read through a record cache while writes evict from it."""

import pytest

from state import StoreKind, ValueAndTimestamp
from state.merged_reads import merged

TWO_ENTRIES_BYTES = 200


@pytest.fixture
def store(bench, directory):
    """Windows 0 and 10 of a key: 1 and 2 below, 11 and 12 in a cache that is full with them."""
    spec = bench.spec(StoreKind.TIMESTAMPED_WINDOW, retention_ms=1000, cached=True)
    store = bench.open(spec, directory=directory, cache_bytes=TWO_ENTRIES_BYTES)
    for first in (1, 11):
        store.put("a", first, 0)
        store.put("a", first + 1, 10)
        if first == 1:
            store.flush()
    yield store
    store.close()


def test_what_is_evicted_meanwhile_reads_as_below(store):
    """The write evicts window 0 before its turn comes, and what lay below when the read began was 1."""
    windows = store.backward_fetch_range("a", 0, 100)
    assert next(windows) == (10, ValueAndTimestamp(12, 10))
    store.put("a", 13, 20)
    assert list(windows) == [(0, ValueAndTimestamp(1, 0))]
    assert store.fetch("a", 0) == ValueAndTimestamp(11, 0)


def test_what_nobody_evicts_reads_as_cached(store):
    """Read to its end before anything is written."""
    assert [value.value for _, value in store.fetch_range("a", 0, 100)] == [11, 12]


def test_a_read_is_a_use(store):
    """Window 0 was read last, so that window 10 goes first."""
    assert next(store.fetch_range("a", 0, 5)) == (0, ValueAndTimestamp(11, 0))
    evicted = []
    store.set_flush_listener(lambda flushed: evicted.extend(flushed.keys), send_old_values=False)
    store.put("a", 13, 20)
    assert evicted[0] == ("a", 10)


def test_looking_backward_uses_all_of_the_segment(store):
    """Windows before the range are no result, but Kafka's search goes through them: they are evicted last."""
    store.put("a", 12, 10)
    assert list(store.backward_fetch_range("a", 5, 100)) == [(10, ValueAndTimestamp(12, 10))]
    evicted = []
    store.set_flush_listener(lambda flushed: evicted.extend(flushed.keys), send_old_values=False)
    store.put("a", 13, 20)
    assert evicted[0] == ("a", 10)


@pytest.mark.parametrize("read", ["backward_fetch_all", "backward_fetch_keys"])
def test_a_scan_backward_uses_what_it_has_come_to(store, read):
    """It stopped behind window 10, so that window 0 was used longer ago and goes first; forward it is the other one."""
    bounds = (0, 100) if read == "backward_fetch_all" else ("a", "b", 0, 100)
    list(store.fetch_range("a", 0, 5))  # window 0 is the one used last
    assert next(getattr(store, read)(*bounds)) == (("a", 10), ValueAndTimestamp(12, 10))
    evicted = []
    store.set_flush_listener(lambda flushed: evicted.extend(flushed.keys), send_old_values=False)
    store.put("a", 13, 20)
    assert evicted[0] == ("a", 0)


@pytest.mark.parametrize("backward", [False, True])
def test_the_cache_counts_and_hides(backward):
    """Of an entry in both, the cache's value; nothing where the cache holds a deletion."""
    cached = [(1, "new"), (2, None), (4, "only here")]
    stored = [(0, "below"), (1, "old"), (2, "deleted"), (3, "below")]
    found = [(0, "below"), (1, "new"), (3, "below"), (4, "only here")]
    step = -1 if backward else 1
    assert list(merged(iter(cached[::step]), iter(stored[::step]), backward=backward)) == found[::step]
