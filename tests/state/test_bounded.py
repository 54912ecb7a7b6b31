"""Tests for state.bounded: a store of so many entries."""

import pytest
from msgspec.structs import replace

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
    assert [(key, value is None) for key, value, _ in changelog.rows][2:] == [(b"b", True), (b"c", False)]


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


def test_what_makes_room_is_logged_before_what_costs_it(bench, spec):
    """As in Kafka, whose store makes room while it is written to."""
    changelog = bench.changelog()
    store = bench.open(spec, changelog=changelog)
    store.record_timestamp = 7
    for key in "abc":
        store.put(key, 1)
    store.drain()
    assert [(key, value is None, time) for key, value, time in changelog.rows[2:]] == [
        (b"a", True, 7),
        (b"c", False, 7),
    ]


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


@pytest.mark.parametrize("committing", [False, True])
def test_an_abort_takes_uses_back(bench, spec, *, committing):
    """What makes room after it is what would have, had nothing happened: also where a commit was under way."""
    store = bench.open(replace(spec, max_entries=3))
    for key in "bca":
        store.put(key, 1)
    assert store.get("b") == 1
    store.drain()
    store.commit(3)
    assert store.get("c") == 1
    store.put("d", 2)
    store.put("a", None)
    if committing:
        store.drain()
        store.seal()
        store.put("e", 3)
        assert store.get("c") == 1
        store.put("f", 4)
    store.discard()
    assert [key for key, _ in store.all()] == ["a", "b", "c"]
    for key, left in (("x", "abx"), ("y", "bxy"), ("z", "xyz")):
        store.put(key, 5)
        assert "".join(each for each, _ in store.all()) == left


def test_a_commit_keeps_uses_of_what_came_while_it_was_under_way(bench, spec):
    """They are taken back alone, when what came then is aborted; those of the commit stay."""
    store = bench.open(spec)
    store.put("a", 1)
    store.put("b", 2)
    store.commit(2)
    assert store.get("a") == 1
    store.seal()
    assert store.get("b") == 2
    store.commit(2)
    store.discard()
    store.put("c", 3)
    assert [key for key, _ in store.all()] == ["a", "c"]
    store.seal()
    store.unseal()
    store.discard()
    store.put("d", 4)
    assert [key for key, _ in store.all()] == ["a", "d"]


def test_a_restore_goes_by_the_order_of_the_log(bench, spec):
    """Also in parts: the entry that was logged last is the one used last, whatever its key."""
    store = bench.open(spec)
    rows = [(b"z", 1), (b"y", 2), (b"a", 3), (b"y", None), (b"z", 4), (b"x", 5), (b"z", 6)]
    for position, (key, value) in enumerate(rows):
        store.restore([key], [None if value is None else bench.number.serialize(value)], [0], position + 1)
    assert list(store.all()) == [("x", 5), ("z", 6)]
    store.put("b", 7)
    assert list(store.all()) == [("b", 7), ("z", 6)]


def test_a_value_that_cannot_be_written_costs_nothing(bench, spec):
    """Neither room nor an entry."""
    store = bench.open(spec)
    store.put("a", 1)
    store.put("b", 2)
    with pytest.raises(AttributeError):
        store.put("c", "no number")
    store.put("b", 3)
    assert list(store.all()) == [("a", 1), ("b", 3)]


@pytest.fixture
def tables(bench):
    return bench.spec(max_entries=2, persistent=False, cached=True)


def test_a_table_does_not_log_what_makes_room(bench, tables):
    """Nor does Kafka's; reads and writes are uses, and an entry that is gone is none."""
    changelog = bench.changelog()
    store = bench.open(tables, changelog=changelog)
    store.put("a", 1, 10)
    store.put("b", 2, 20)
    assert store.get("a") == (1, 10)
    store.put("c", 3, 30)
    assert (store.get("b"), store.values_of(["c", "b", "a"])) == (None, [3, None, 1])
    store.put("d", 4, 40)
    assert [key for key, _ in store.all()] == ["a", "d"]
    store.drain()
    assert [key for key, _, _ in changelog.rows] == [b"a", b"b", b"c", b"d"]


def test_what_a_record_cache_answers_is_no_use(bench, tables):
    """The store below sees a read that the cache cannot answer, and what it lets go."""
    store = bench.open(tables, cache_bytes=10_000)
    flushed = []
    store.set_flush_listener(
        lambda told: flushed.extend(zip(told.keys, told.old_values, strict=True)), send_old_values=True
    )
    for key, value in (("a", 1), ("b", 2)):
        store.put(key, value, value)
    store.flush()
    assert store.get("a") == (1, 1)
    store.put("c", 3, 3)
    store.put("a", 4, 4)
    store.flush()
    assert flushed == [("a", None), ("b", None), ("c", None), ("a", None)]
    store.drain()
    store.seal()
    store.commit(3)
    assert list(store.committed().all()) == [("a", (4, 4)), ("c", (3, 3))]
