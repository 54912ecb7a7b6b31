"""The store of a stream join: columns at once are what puts one by one would be."""

from hypothesis import given, settings
from hypothesis import strategies as st

from state import StoreKind

RETENTION_MS = 90_000
TIMES = st.integers(0, 30).map(lambda number: number * 10_000)
BATCHES = st.lists(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9), TIMES), max_size=8), max_size=6)


def spec_of(bench):
    return bench.spec(StoreKind.WINDOW, retain_duplicates=True, retention_ms=RETENTION_MS)


@settings(max_examples=40, deadline=None)
@given(batches=BATCHES)
def test_columns_are_as_good_as_single_puts(bench, batches):
    """The same changelog, the same entries and the same answers, segments that expire within a column included."""
    logs = bench.changelog(), bench.changelog()
    single, columns = (bench.open(spec_of(bench), changelog=log) for log in logs)
    for batch in batches:
        for key, value, time in batch:
            single.put(key, value, time)
        keys, values, times = map(list, zip(*batch, strict=True)) if batch else ([], [], [])
        encoded = columns.encoded(keys, values)
        for key, time, raw in zip(keys, times, encoded.values, strict=True):
            columns.recent.add(key, time, raw)
        columns.append(encoded, times, times)
        assert list(columns.all()) == list(single.all())
        for key in "ab":
            assert list(columns.fetch_range(key, 0, 10**9)) == list(single.fetch_range(key, 0, 10**9))
        for store in (single, columns):
            store.drain()
            store.commit(len(logs[0].rows))
    assert logs[0].rows == logs[1].rows


def test_what_nobody_can_read_any_more_is_logged_and_not_written(bench):
    """Of what was appended since the last commit, only entries within retention reach the engine; all reach the log."""
    log = bench.changelog()
    store = bench.open(spec_of(bench), changelog=log)
    for time in (0, 5_000, RETENTION_MS + 4_000):
        store.put("a", time, time)
    assert store.uncommitted_bytes > 0
    store.drain()
    store.commit(3)
    assert [time for _, _, time in log.rows] == [0, 5_000, RETENTION_MS + 4_000]
    assert len(list(store._engine.scan(None, None))) == 2
    assert [start for start, _ in store.fetch_range("a", 0, 10**9)] == [5_000, RETENTION_MS + 4_000]
    assert [value for _, value in store.committed().fetch_range("a", 0, 10**9)] == [5_000, RETENTION_MS + 4_000]


def test_after_a_restart_reads_reach_back_before_it(bench):
    """What an earlier run kept is found in the engine, and joined by what came since."""
    directory, spec = bench.task(), spec_of(bench)
    before = bench.open(spec, directory=directory)
    before.put("a", 1, 10_000)
    before.commit(1)
    before.close()
    after = bench.open(spec, directory=directory)
    after.put("a", 2, 20_000)
    assert list(after.fetch_range("a", 0, 30_000)) == [(10_000, 1), (20_000, 2)]
    assert list(after.fetch_range("a", 15_000, 30_000)) == [(20_000, 2)]
    after.close()


def test_an_aborted_write_is_not_remembered(bench):
    """After a discard reads know nothing of what was put."""
    store = bench.open(spec_of(bench))
    store.put("a", 1, 10_000)
    store.discard()
    assert list(store.fetch_range("a", 0, 30_000)) == []


def test_what_has_to_make_room_is_asked_of_the_engine(bench):
    """Values so large that few are kept at hand: a commit that drops some which can still be read loses no match."""
    store = bench.open(
        bench.spec(StoreKind.WINDOW, value_serde=bench.text, retain_duplicates=True, retention_ms=60_000)
    )
    value = "v" * 60_000
    store.put("a", value, 1_000_000)
    for number in range(300):
        store.put(f"b{number}", value, 1_050_000 + number)
    store.commit(301)
    for number in range(550):
        store.put(f"c{number}", value, 1_061_000 + number)
    for position in (301, 851):
        assert [start for start, _ in store.fetch_range("b7", 1_000_000, 1_100_000)] == [1_050_007]
        store.commit(position)
    assert [start for start, _ in store.fetch_range("b7", 1_000_000, 1_100_000)] == [1_050_007]
    assert [start for start, _ in store.fetch_range("c7", 1_000_000, 1_100_000)] == [1_061_007]


def test_numbers_of_duplicates_go_on_after_those_that_were_restored(bench):
    """Elsewhere a store is made of its changelog alone: what comes then takes no place of what was there."""
    log = bench.changelog()
    before = bench.open(spec_of(bench), changelog=log)
    before.put("a", 1, 10_000)
    before.drain()
    keys, values, times = map(list, zip(*log.rows, strict=True))
    after = bench.open(spec_of(bench))
    after.restore(keys, values, times, 1)
    after.put("a", 2, 10_000)
    assert list(after.fetch_range("a", 0, 30_000)) == [(10_000, 1), (10_000, 2)]
    after.drain()
    after.commit(2)
    assert [value for _, value in after.committed().fetch_range("a", 0, 30_000)] == [1, 2]
