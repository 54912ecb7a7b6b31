"""Tests for state.bounded: a store of so many entries."""

import pytest

from state import StoreKind


@pytest.fixture
def spec(bench):
    return bench.spec(StoreKind.KEY_VALUE, max_entries=2, persistent=False)


def test_what_was_not_used_for_longest_makes_room(bench, spec):
    """A read is a use, and what goes is logged as a deletion."""
    changelog = bench.changelog()
    store = bench.open(spec, changelog=changelog)
    store.put("a", 1)
    store.put("b", 2)
    assert store.get("a") == 1
    store.put("c", 3)
    assert list(store.all()) == [("a", 1), ("c", 3)]
    assert store.get("b") is None
    store.drain()
    assert [(key, value is None) for key, value, _ in changelog.rows][-1] == (b"b", True)


def test_reading_many_uses_each(bench, spec):
    """As reading them one by one does."""
    store = bench.open(spec)
    store.put("a", 1)
    store.put("b", 2)
    assert store.values_of(["b", "x", "a"]) == [2, None, 1]
    store.put("c", 3)
    assert list(store.all()) == [("a", 1), ("c", 3)]


def test_a_deletion_makes_room(bench, spec):
    """Nothing else has to go then."""
    store = bench.open(spec)
    for key, value in (("a", 1), ("b", 2), ("a", None), ("c", 3)):
        store.put(key, value)
    assert list(store.all()) == [("b", 2), ("c", 3)]


def test_an_abort_and_a_restore_keep_the_bound(bench, spec):
    """What was aborted takes no room; a store made from the changelog holds the same, and no more."""
    changelog = bench.changelog()
    store = bench.open(spec, changelog=changelog)
    for key in "abc":
        store.put(key, 1)
    store.drain()
    store.commit(4)
    store.put("d", 2)
    store.discard()
    assert [key for key, _ in store.all()] == ["b", "c"]
    other = bench.open(spec)
    other.restore(*changelog.columns(), 4)
    other.put("e", 3)
    assert [key for key, _ in other.all()] == ["c", "e"]
