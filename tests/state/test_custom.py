"""Tests for state.custom and for engines of one's own."""

import pytest

from state import StateStore, StoreKind, open_store
from state.memory import MemoryEngine


class Seen(StateStore):
    """A set of texts."""

    def init(self, log):
        super().init(log)
        self.keys = set()
        self.closed = False

    def add(self, key):
        self.keys.add(key)
        self.log(key.encode(), b"")

    def remove(self, key):
        self.keys.discard(key)
        self.log(key.encode(), None)

    def restore(self, key, value, timestamp):
        if value is None:
            self.keys.discard(key.decode())
        else:
            self.keys.add(key.decode())

    def close(self):
        self.closed = True


@pytest.fixture
def spec(bench):
    return bench.spec(StoreKind.CUSTOM, custom=Seen, persistent=False)


def test_what_it_logs_restores_another(bench, spec):
    """With the time of the record in process; a deletion too."""
    changelog = bench.changelog()
    store = bench.open(spec, changelog=changelog)
    store.record_timestamp = 7
    store.custom.add("a")
    store.custom.add("b")
    store.custom.remove("a")
    store.flush()
    store.drain()
    store.commit(3)
    assert changelog.rows == [(b"a", b"", 7), (b"b", b"", 7), (b"a", None, 7)]
    other = bench.open(spec)
    other.restore(*changelog.columns(), 3)
    assert (other.custom.keys, other.position) == ({"b"}, 3)


def test_a_standby_hands_it_over(bench, spec):
    """The task goes on with the same object, and takes its changes."""
    standby = bench.open(spec)
    standby.restore([b"a"], [b""], [1], 1)
    changelog = bench.changelog()
    active = open_store(spec, directory=None, changelog=changelog, engine=standby.hand_over())
    active.custom.add("b")
    active.drain()
    assert (active.custom.keys, active.position) == ({"a", "b"}, 1)
    assert changelog.rows == [(b"b", b"", 0)]
    active.close()
    assert active.custom.closed


def test_without_a_changelog_it_begins_empty(bench, spec):
    """Nobody takes its changes, and it need not care."""
    store = bench.open(spec)
    store.custom.add("a")
    store.drain()
    store.commit(None)
    assert store.position is None


def test_a_logged_store_has_to_say_how_it_is_restored():
    """The message names the class and the method."""
    with pytest.raises(NotImplementedError, match=r"StateStore .* define restore\(key, value, timestamp\)"):
        StateStore().restore(b"", b"", 0)


def test_an_engine_of_ones_own_lies_below_any_store(bench):
    """It is opened with the store's name and path, without one for a store in memory, and gets what is committed."""
    opened = []

    def engine(name, path):
        opened.append((name, path and path.name, MemoryEngine(name)))
        return opened[-1][2]

    for kind in (StoreKind.TIMESTAMPED_KEY_VALUE, StoreKind.TIMESTAMPED_WINDOW, StoreKind.VERSIONED_KEY_VALUE):
        for persistent in (True, False):
            spec = bench.spec(kind, engine=engine, persistent=persistent, retention_ms=100)
            store = bench.open(spec, directory=bench.task())
            store.put("k", 1, 5)
            store.commit(9)
            name, path, below = opened[-1]
            assert (name, path) == ("s", "s" if persistent else None)
            assert (below.approximate_count(), store.position) == (1, 9)
