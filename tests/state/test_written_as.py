"""A store that another program of the same name has written in another way."""

import pytest

from state import CorruptStore, StateError, StoreKind
from state.keys import LONG_MAX

DAY, TODAY = 86_400_000, 1_700_000_000_000
KEYS = [StoreKind.KEY_VALUE, StoreKind.TIMESTAMPED_KEY_VALUE, StoreKind.VERSIONED_KEY_VALUE]
TIMED = [StoreKind.WINDOW, StoreKind.TIMESTAMPED_WINDOW, StoreKind.SESSION]


def filled(bench, kind, **settings):
    """The directory of a store with an entry."""
    directory = bench.task()
    store = bench.open(bench.spec(kind, **settings), directory=directory)
    if kind in KEYS:
        store.put("k", 1, TODAY)
    elif kind is StoreKind.SESSION:
        store.put("k", TODAY, TODAY + 1, 1)
    else:
        store.put("k", 1, TODAY)
    store.commit(1)
    store.close()
    return directory


def found(bench, directory, kind, **settings):
    """What a store has there."""
    store = bench.open(bench.spec(kind, **settings), directory=directory)
    rows = list(store.all())
    store.close()
    return rows


@pytest.mark.parametrize("kind", TIMED)
def test_another_retention(bench, kind):
    """Segments of another length: it is to be restored. Retentions with segments of one length are no difference."""
    directory = filled(bench, kind, retention_ms=2 * DAY)
    with pytest.raises(
        CorruptStore, match=rf"store s was written as {kind.value}, segments of 86400000 ms.*restore it"
    ):
        found(bench, directory, kind, retention_ms=3 * DAY)
    assert len(found(bench, directory, kind, retention_ms=2 * DAY)) == 1
    short = filled(bench, kind, retention_ms=1_000)
    assert len(found(bench, short, kind, retention_ms=90_000)) == 1


@pytest.mark.parametrize("before", KEYS)
@pytest.mark.parametrize("after", KEYS)
def test_another_kind_of_values_by_key(bench, before, after):
    """Their changelogs are alike, so it is to be restored; the same kind is no difference."""
    directory = filled(bench, before, retention_ms=DAY)
    if before is after:
        assert len(found(bench, directory, after, retention_ms=2 * DAY)) == 1
        return
    with pytest.raises(CorruptStore, match=f"written as {before.value}, and the program says {after.value} now"):
        found(bench, directory, after, retention_ms=DAY)


def test_a_changelog_that_does_not_fit_either(bench):
    """Windows are not sessions, wherever they lie: there is nothing to restore from."""
    directory = filled(bench, StoreKind.WINDOW, retention_ms=DAY)
    with pytest.raises(StateError, match="give it another name, or take the application back") as raised:
        found(bench, directory, StoreKind.SESSION, retention_ms=DAY)
    assert not isinstance(raised.value, CorruptStore)


def test_duplicates_and_headers(bench):
    """Both lie in the entries."""
    settings = {"retention_ms": DAY, "retain_duplicates": True}
    directory = filled(bench, StoreKind.WINDOW, **settings)
    with pytest.raises(CorruptStore, match="duplicates, and the program says"):
        found(bench, directory, StoreKind.WINDOW, retention_ms=DAY)
    directory = filled(bench, StoreKind.TIMESTAMPED_KEY_VALUE)
    with pytest.raises(CorruptStore, match="timestamped-key-value, headers now"):
        found(bench, directory, StoreKind.TIMESTAMPED_KEY_VALUE, headers=True)


def test_a_store_of_an_earlier_release(bench):
    """It has no note, and is taken for what the program says; from then on it has one."""
    directory = filled(bench, StoreKind.WINDOW, retention_ms=DAY)
    store = bench.open(bench.spec(StoreKind.WINDOW, retention_ms=DAY), directory=directory)
    store._engine._metadata.delete(b"written-as")
    store.close()
    assert len(found(bench, directory, StoreKind.WINDOW, retention_ms=DAY)) == 1
    with pytest.raises(CorruptStore):
        found(bench, directory, StoreKind.WINDOW, retention_ms=LONG_MAX // 2)
