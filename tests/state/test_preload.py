"""Keys looked up at once: nobody can tell, but for the time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

KEYS = st.lists(st.sampled_from([f"key{number}" for number in range(30)]), max_size=40)


@pytest.mark.parametrize("cache_bytes", [None, 100_000])
@settings(max_examples=30, deadline=None)
@given(committed=KEYS, written=KEYS, deleted=KEYS, asked=KEYS)
def test_preloading_changes_no_answer(bench, cache_bytes, committed, written, deleted, asked):
    """Whatever is in the engine, uncommitted or in a cache: every key is answered as by a store that looks up singly."""
    plain, preloaded = (bench.open(bench.spec(cached=True), cache_bytes=cache_bytes) for _ in range(2))
    for store in (plain, preloaded):
        for time, key in enumerate(committed):
            store.put(key, time, time)
        store.flush()
        store.commit(1)
        for time, key in enumerate(written):
            store.put(key, -time, time)
        for time, key in enumerate(deleted):
            store.put(key, None, time)
        store.flush()
        store._live.clear()  # as when they became too many
    preloaded.preload(asked)
    assert [preloaded.get(key) for key in asked] == [plain.get(key) for key in asked]
    assert list(preloaded.all()) == list(plain.all())


STEP = st.tuples(
    st.sampled_from(["preload", "put", "put", "delete", "flush", "seal", "commit", "drop", "get"]),
    st.lists(st.integers(0, 30), min_size=1, max_size=25),
)


@pytest.mark.parametrize("old_values", [False, True])
@settings(max_examples=50, deadline=None)
@given(steps=st.lists(STEP, max_size=20))
def test_numbers_pass_a_large_record_cache(bench, old_values, steps):
    """Live values that are kept by the record cache alone are never older than what was flushed, old values included."""
    spec = bench.spec(cached=True, key_serde=bench.long, value_serde=bench.long)
    store, model, flushed, told = bench.open(spec, cache_bytes=2 << 20), {}, {}, []
    store.set_flush_listener(told.append, send_old_values=old_values)
    assert store._passes is not old_values
    for number, (verb, keys) in enumerate(steps):
        if verb == "preload":
            store.preload(keys)
        elif verb == "put":
            for key in keys:
                store.put(key, number, key)
                model[key] = number
        elif verb == "delete":
            store.put(keys[0], None, 0)
            model.pop(keys[0], None)
        elif verb in {"flush", "seal", "commit"}:
            store.flush()
            for batch in told:
                expected = [flushed.get(key) if old_values else None for key in batch.keys]
                assert batch.old_values == expected
            told.clear()
            flushed = dict(model)
            if verb == "seal" and store._sealed is None:
                store.seal()
            elif verb == "commit":
                store.commit(number)
        elif verb == "drop":
            store._cache.clear()  # as what was evicted
            model = dict(flushed)
        for key in keys:
            found = store.get(key)
            assert (found and found.value) == model.get(key)
