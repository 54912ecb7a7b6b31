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
