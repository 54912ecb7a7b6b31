"""What a loop of folds leaves behind when it is broken off."""

import pytest


def test_what_was_folded_in_stays_when_the_next_record_can_not_be(bench):
    """The record in the middle of a batch is passed over: every other count is there after the commit, none counts twice."""
    changelog = bench.changelog()
    spec = bench.spec(key_serde=bench.long, value_serde=bench.long, cached=True)
    store = bench.open(spec, changelog=changelog, cache_bytes=100_000)

    def add(_key, value, count):
        return 1.5 if value == "wrong" else count + 1

    def rows(start, stop):
        return [(index, index, "right", 0) for index in range(start, stop)]

    assert store.folds
    store.fold(rows(0, 1_000), int, add)
    with pytest.raises(AttributeError):
        store.fold([*rows(1_000, 1_400), (1_400, 1_400, "wrong", 0)], int, add)
    store.flush()
    store.drain()
    store.commit(len(changelog.rows))
    assert [store.get(key) and store.get(key).value for key in range(1_401)] == [1] * 1_400 + [None]
    assert len(changelog.rows) == 1_400
