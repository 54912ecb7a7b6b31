"""Updates that a record cache lets go within a batch, told together at its end."""

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import RecordCacheBudget, StoreKind, open_store
from state.flushes import Flushes
from state.stores import Flushed

CAUSE = ((("h", b"1"),), "t", 0, 7)
ACTS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from([1, 2, 3, None, "read", "tell", "end"]), st.booleans()),
    max_size=40,
)


class Heard:
    """A flush listener that remembers updates one by one, and how often it was told."""

    def __init__(self):
        self.updates, self.times = [], 0

    def __call__(self, flushed):
        self.times += 1
        causes = flushed.causes or [None] * len(flushed.keys)
        self.updates += zip(*flushed[:4], causes, strict=True)


def verbs(store, key, time):
    """Reads and puts of a key, whatever kind of store it is."""
    if store.spec.kind is StoreKind.TIMESTAMPED_KEY_VALUE:
        return lambda: store.get(key), lambda value, cause: store.put(key, value, time, cause)
    start = time * 7 % 40
    return lambda: store.fetch(key, start), lambda value, cause: store.put(key, value, start, time, cause)


def run(bench, acts, room, spec, *, together, send_old_values):
    """What is heard, logged, kept and read when the acts are one batch, or several that end where it says so."""
    heard, changelog, read = Heard(), bench.changelog(), []
    store = open_store(spec, directory=None, changelog=changelog, cache=RecordCacheBudget(room))
    store.set_flush_listener(heard, send_old_values=send_old_values)
    store.flushes.together = together
    batches = [[]]
    for time, act in enumerate(acts):
        batches[-1].append((time, *act))
        if act[1] == "end":
            batches.append([])
    for batch in batches:
        with store.flushes:
            for time, key, act, caused in batch:
                get, put = verbs(store, key, time)
                if act == "read":
                    read.append(get())
                elif act == "tell":
                    store.flushes.tell()
                    read.append(list(heard.updates))
                elif act != "end":
                    put(act, CAUSE if caused else None)
        read.append(list(heard.updates))
        store.drain()
    store.flush()
    store.drain()
    return heard.updates, changelog.rows, list(store.all()), read


@pytest.mark.parametrize("kind", [StoreKind.TIMESTAMPED_KEY_VALUE, StoreKind.TIMESTAMPED_WINDOW])
@settings(deadline=None)
@given(acts=ACTS, room=st.sampled_from([1, 150, 300]), send_old_values=st.booleans(), long=st.booleans())
def test_what_is_told_together_is_what_would_be_told_one_by_one(bench, kind, acts, room, send_old_values, long):
    """Updates, changelog and reads, whatever is evicted again and again, and after every batch and `tell`."""
    kept = {"retention_ms": 20} if kind is StoreKind.TIMESTAMPED_WINDOW else {}
    spec = bench.spec(kind, cached=True, value_serde=bench.long if long else bench.number, **kept)
    seen = [
        run(bench, acts, room, spec, together=together, send_old_values=send_old_values) for together in (False, True)
    ]
    assert seen[0] == seen[1]


def test_a_listener_hears_of_a_batch_once(bench):
    """In a cache without room; outside of a batch, or where it matters, each time."""
    spec = bench.spec(cached=True)
    for together, expected in ((True, 1), (False, 20)):
        heard = Heard()
        store = open_store(spec, directory=None, changelog=bench.changelog(), cache=RecordCacheBudget(1))
        store.set_flush_listener(heard, send_old_values=False)
        store.flushes.together = together
        with store.flushes:
            for number in range(20):
                store.put("ab"[number % 2], number, number)
        assert heard.times == expected
        store.put("a", 1, 20)
        store.put("b", 1, 21)
        assert heard.times == expected + 2


def test_long_batches_are_told_in_parts():
    """What is gathered is bounded, and nothing of it is lost or told twice."""
    heard, flushes = Heard(), Flushes()
    flushes.listener, flushes.together = heard, True
    with flushes:
        for number in range(10_000):
            flushes.take(Flushed([number], [number], [None], [0], None))
    assert [key for key, *_ in heard.updates] == list(range(10_000))
    assert heard.times == 3


def test_causes_stay_with_their_updates():
    """Some updates have one and some have none, in any order."""
    heard, flushes = Heard(), Flushes()
    flushes.listener, flushes.together = heard, True
    columns = [None, [CAUSE], None, [None, CAUSE]]
    with flushes:
        for causes in columns:
            rows = len(causes or "1")
            flushes.take(Flushed([0] * rows, [0] * rows, [None] * rows, [0] * rows, causes))
    assert [cause for *_, cause in heard.updates] == list(chain.from_iterable(causes or [None] for causes in columns))
