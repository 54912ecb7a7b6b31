"""Committed state, read from any thread while the task goes on writing."""

import threading

import pytest

from state import StoreKind, ValueAndTimestamp


def test_a_view_shows_commits_only(bench, directory):
    """Neither uncommitted nor cached updates are in a view; a view made after the commit has them."""
    store = bench.open(bench.spec(cached=True), directory=directory, cache_bytes=1_000)
    store.put("a", 1, 0)
    store.flush()
    store.commit(1)
    store.put("a", 2, 0)
    store.put("b", 2, 0)
    store.flush()
    assert list(store.committed().all()) == [("a", ValueAndTimestamp(1, 0))]
    assert store.committed().get("b") is None
    store.commit(2)
    assert [key for key, _ in store.committed().all()] == ["a", "b"]
    store.close()


@pytest.mark.parametrize("kind", [StoreKind.WINDOW, StoreKind.SESSION, StoreKind.VERSIONED_KEY_VALUE])
def test_every_kind_has_views(bench, directory, kind):
    """Windows, sessions and versions are read from a view as from the store."""
    store = bench.open(bench.spec(kind, retention_ms=1_000), directory=directory)
    for number in range(5):
        arguments = (number, 10 + number, number) if kind is StoreKind.SESSION else (number, 10 + number)
        store.put("k", *arguments)
    store.commit(1)
    assert list(store.committed().all()) == list(store.all()) != []
    with pytest.raises(AssertionError, match="for reading"):
        store.committed().commit(2)
    store.close()


def test_views_on_another_thread_are_whole_commits(bench, directory):
    """A reader beside a writing store sees every key at the value of one commit, again and again."""
    store = bench.open(directory=directory)
    seen, done = [], threading.Event()

    def read():
        while not done.is_set():
            seen.append({value.value for _, value in store.committed().all()})

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(60):
        for key in "abcdefgh":
            store.put(key, number, 0)
        store.commit(number)
    done.set()
    reader.join()
    assert seen
    assert all(len(values) <= 1 for values in seen)
    store.close()
