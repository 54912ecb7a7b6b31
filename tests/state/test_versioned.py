"""Versioned stores against a list of all puts, and Kafka's corners one by one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import StoreKind, ValueAndTimestamp
from state.versioned import LATEST, NOT_PUT

HISTORY = 40
PUT = st.tuples(st.just("put"), st.sampled_from("ab"), st.none() | st.integers(0, 9), st.integers(0, 99))
OTHER = st.sampled_from(["seal", "commit", "discard", "reopen"]).map(lambda verb: (verb, None, None, 0))
STEPS = st.lists(st.one_of(PUT, PUT, PUT, PUT, OTHER), max_size=30)


class Model:
    """Every version of every key, None for deletions, and the store's time."""

    def __init__(self, versions=None, time=-1):
        self.versions, self.time = {key: dict(known) for key, known in (versions or {}).items()}, time

    def erases(self, key, value, time):
        """Whether this is the deletion at the very time of the latest value: Kafka's quirk, tested on its own."""
        known = self.versions.get(key, {})
        return value is None and bool(known) and time == max(known) and known[time] is not None

    def put(self, key, value, time):
        if time < self.time - HISTORY:
            return NOT_PUT
        self.time = max(self.time, time)
        known = self.versions.setdefault(key, {})
        known[time] = value
        return min((other for other in known if other > time), default=LATEST)

    def get(self, key, time):
        known = {start: value for start, value in self.versions.get(key, {}).items() if start <= time}
        if not known or known[max(known)] is None:
            return None
        latest = max(known) == max(self.versions[key])
        if time < self.time - HISTORY and not latest:
            return None
        return ValueAndTimestamp(known[max(known)], max(known))


def check(store, model):
    for key in "ab":
        assert store.get(key) == model.get(key, 10**9)
        for time in range(0, 100, 7):
            assert store.get(key, time) == model.get(key, time)
    expected = [(key, model.get(key, 10**9)) for key in "ab" if model.get(key, 10**9) is not None]
    assert list(store.all()) == expected


@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_it_knows_what_was_valid_when(bench, engine, steps):
    """Puts in any order of time, commits, aborts and restarts: every question is answered as from a list of puts."""
    directory = bench.task() if engine == "rocksdb" else None
    spec, changelog = bench.spec(StoreKind.VERSIONED_KEY_VALUE, retention_ms=HISTORY), bench.changelog()
    store, model, committed, logged = bench.open(spec, directory=directory, changelog=changelog), Model(), Model(), 0
    sealed = None
    for verb, key, value, time in steps:
        if verb == "put":
            if not model.erases(key, value, time):
                assert store.put(key, value, time) == model.put(key, value, time)
        elif verb == "seal" and sealed is None:
            store.drain()
            store.seal()
            sealed = Model(model.versions, model.time), len(changelog.rows)
        elif verb in ("seal", "commit"):
            store.drain()
            committed, logged = sealed or (Model(model.versions, model.time), len(changelog.rows))
            store.commit(logged)
            sealed = None
        else:
            sealed = None
            if verb == "reopen" and directory is not None:
                store.close()
                store = bench.open(spec, directory=directory, changelog=changelog)
            store.discard()
            model = Model(committed.versions, committed.time)
            del changelog.rows[logged:]
        check(store, model)
    store.drain()
    copy = bench.open(spec)
    copy.restore(*changelog.columns(), len(changelog.rows))
    check(copy, model)
    store.close()


@pytest.fixture
def store(bench):
    return bench.open(bench.spec(StoreKind.VERSIONED_KEY_VALUE, retention_ms=HISTORY))


def test_a_deletion_at_the_time_of_the_only_version_leaves_no_trace(store):
    """Kafka's quirk: an older put is then the latest."""
    store.put("k", 1, 10)
    assert store.put("k", None, 10) == LATEST
    assert store.put("k", 2, 5) == LATEST
    assert store.get("k") == ValueAndTimestamp(2, 5)


def test_such_a_deletion_after_another_value_is_remembered(store):
    """The history ends at that time: an older put is valid until then, and not the latest."""
    store.put("k", 1, 5)
    store.put("k", 2, 10)
    assert store.put("k", None, 10) == LATEST
    assert store.put("k", 3, 7) == 10
    assert store.get("k") is None
    assert store.get("k", 9) == ValueAndTimestamp(3, 7)


def test_too_old_is_not_put_but_logged(bench):
    """An update older than the history changes nothing and says so; Kafka logs it nevertheless."""
    changelog = bench.changelog()
    store = bench.open(bench.spec(StoreKind.VERSIONED_KEY_VALUE, retention_ms=HISTORY), changelog=changelog)
    store.put("a", 1, 100)
    assert store.put("b", 1, 59) == NOT_PUT
    assert store.put("b", 1, 60) == LATEST
    store.drain()
    assert [timestamp for *_, timestamp in changelog.rows] == [100, 59, 60]


def test_delete_answers_what_was_valid(store):
    """A deletion returns the value valid at its time."""
    store.put("k", 1, 5)
    store.put("k", 2, 10)
    assert store.delete("k", 7) == ValueAndTimestamp(1, 5)
    assert store.get("k", 8) is None
    assert store.get("k") == ValueAndTimestamp(2, 10)


def test_a_deletion_before_the_history_answers_nothing(bench):
    """It deletes nothing, and does not tell what is there: also when the latest version is older still, as in Kafka."""
    store = bench.open(bench.spec(StoreKind.VERSIONED_KEY_VALUE, retention_ms=10))
    store.put("k", 1, 5)
    store.put("other", 2, 100)
    assert store.delete("k", 89) is None
    assert store.get("k") == ValueAndTimestamp(1, 5)
    assert store.expired_writes == 1
    assert store.delete("k", 90) == ValueAndTimestamp(1, 5)
    assert store.get("k") is None


def test_all_versions_within_a_time(bench):
    """Those valid at some time in it, the latest without an end; deletions leave gaps; the past ends with the history."""
    store = bench.open(bench.spec(StoreKind.VERSIONED_KEY_VALUE, retention_ms=100))
    for value, time in ((1, 10), (2, 20), (None, 30), (4, 40)):
        store.put("k", value, time)
    assert store.versions("k", 0, 1_000) == [(1, 10, 20), (2, 20, 30), (4, 40, None)]
    assert store.versions("k", 20, 39) == [(2, 20, 30)]
    assert store.versions("k", 30, 39) == store.versions("nobody", 0, 50) == []
    store.put("other", 1, 200)
    assert store.versions("k", 0, 50) == [(4, 40, None)]


def test_a_key_without_a_past_has_one_version(bench, directory):
    """As long as nothing was replaced."""
    store = bench.open(bench.spec(StoreKind.VERSIONED_KEY_VALUE, retention_ms=100), directory=directory)
    store.put("k", 1, 10)
    assert store.versions("k", 0, 50) == [(1, 10, None)]
    assert store.versions("k", 0, 9) == []
    store.close()


def test_a_value_that_can_not_be_written_changes_nothing(bench):
    """Nor does it put the columns of the changelog out of step: what follows is logged under its own key."""
    changelog = bench.changelog()
    store = bench.open(bench.spec(StoreKind.VERSIONED_KEY_VALUE, retention_ms=HISTORY), changelog=changelog)
    with pytest.raises(AttributeError):
        store.put("a", "no number", 1)
    store.put("b", 2, 2)
    store.drain()
    assert changelog.rows == [(b"b", store.spec.value_serde.serialize(2), 2)]
    assert (store.get("a"), store.get("b")) == (None, ValueAndTimestamp(2, 2))
