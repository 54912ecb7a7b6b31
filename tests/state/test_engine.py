"""Both engines are one: the same calls give the same answers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.engine import any_none
from state.errors import StoreClosed
from state.memory import MemoryEngine
from state.rocksdb import RocksDBEngine, RocksDBResources

KEYS = st.binary(max_size=3)
CHANGES = st.dictionaries(KEYS, st.none() | st.binary(max_size=4), max_size=12)
BOUND = st.none() | KEYS
DROPS = st.lists(st.tuples(BOUND, BOUND), max_size=2)
STEPS = st.lists(st.tuples(CHANGES, DROPS, BOUND, BOUND), min_size=1, max_size=6)


@pytest.fixture
def engine(directory, bench):
    engine = MemoryEngine() if directory is None else RocksDBEngine(directory, bench.resources)
    yield engine
    engine.close()


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_rocksdb_answers_as_memory_does(bench, steps):
    """Any writes, range deletions, reads and scans in both directions agree."""
    disk, memory = RocksDBEngine(bench.task(), bench.resources), MemoryEngine()
    for changes, drops, start, end in steps:
        dropped = [(low, high) for low, high in drops if low is None or high is None or low <= high]
        for engine in (disk, memory):
            engine.write(changes, metadata={b"n": bytes([len(changes)])}, dropped=dropped)
        for reverse in (False, True):
            found = list(disk.scan(start, end, reverse=reverse))
            assert found == list(memory.scan(start, end, reverse=reverse))
        asked = list(changes)
        assert disk.get_many(asked) == memory.get_many(asked) == [disk.get(key) for key in asked]
        assert disk.metadata(b"n") == memory.metadata(b"n")
    disk.close()


@settings(max_examples=25, deadline=None)
@given(steps=STEPS, fills=st.lists(st.booleans(), min_size=6, max_size=6))
def test_a_filled_engine_answers_as_memory_does(bench, steps, fills):
    """Fills begin and end between any writes and range deletions: what was written is there, meanwhile and afterwards."""
    disk, memory = RocksDBEngine(bench.task(), bench.resources), MemoryEngine()
    for (changes, drops, start, end), fill in zip(steps, fills, strict=False):
        if fill:
            disk.begin_fill()
        else:
            disk.end_fill()
        dropped = [(low, high) for low, high in drops if low is None or high is None or low <= high]
        for engine in (disk, memory):
            engine.write(changes, metadata={b"n": bytes([len(changes)])}, dropped=dropped)
        assert list(disk.scan(start, end)) == list(memory.scan(start, end))
        assert disk.metadata(b"n") == memory.metadata(b"n")
    disk.end_fill()
    assert list(disk.scan(None, None)) == list(memory.scan(None, None))
    disk.close()


def test_many_small_buffers_of_a_fill_are_one_store(bench):
    """More files than are merged at once, keys over and over, deletions: the last of each counts; writes go on after it."""
    engine = RocksDBEngine(bench.task(), RocksDBResources(total_bytes=2 << 20, write_buffer_bytes=256 << 10))
    engine.begin_fill()
    expected = {}
    for batch in range(200):
        keys = [(number * 7919 % 10_007).to_bytes(4, "big") for number in range(batch * 500, batch * 500 + 500)]
        values = [None if (batch + number) % 5 == 0 else b"%020d" % batch for number in range(500)]
        engine.fill(keys, values, metadata={b"n": b"%d" % batch})
        expected.update(zip(keys, values, strict=True))
    while not engine.fill_is_over():
        pass
    engine.end_fill()
    engine.write({b"last": b"1"})
    kept = {key: value for key, value in expected.items() if value is not None} | {b"last": b"1"}
    assert list(engine.scan(None, None)) == sorted(kept.items())
    assert engine.metadata(b"n") == b"199"
    engine.close()


def test_what_was_filled_outlives_a_close(bench):
    """Nothing of a fill is in a log: closing writes it."""
    directory = bench.task()
    engine = RocksDBEngine(directory, bench.resources)
    engine.begin_fill()
    engine.write({b"a": b"1"}, metadata={b"n": b"2"})
    engine.close()
    engine = RocksDBEngine(directory, bench.resources)
    assert (engine.get(b"a"), engine.metadata(b"n")) == (b"1", b"2")
    engine.close()


def test_a_fill_that_is_over_has_nothing_left_to_write(bench):
    """Asked until it is, also again, after more was written, and without a fill; then both the data and the rest are in files."""
    engine = RocksDBEngine(bench.task(), bench.resources)
    assert engine.fill_is_over()
    engine.begin_fill()
    for value in (b"1", b"2"):
        engine.write({b"a": value, b"b": value}, metadata={b"n": value})
        while not engine.fill_is_over():
            pass
        assert engine.fill_is_over()
        assert [int(family.property_int_value("rocksdb.num-entries-active-mem-table"))
                for family in (engine._db, engine._metadata)] == [0, 0]  # fmt: skip
    engine.end_fill()
    assert (engine.get(b"a"), engine.metadata(b"n")) == (b"2", b"2")
    engine.close()


def test_scans_are_snapshots(engine):
    """What is written after a scan was created does not show in it."""
    engine.write({b"a": b"1", b"b": b"2"})
    scan = engine.scan(None, None)
    engine.write({b"a": b"3", b"b": None, b"c": b"4"})
    assert list(scan) == [(b"a", b"1"), (b"b", b"2")]
    assert list(engine.scan(None, None)) == [(b"a", b"3"), (b"c", b"4")]


def test_metadata_do_not_show_among_the_data(engine):
    """A name used for metadata is free as a key."""
    engine.write({b"position": b"data"}, metadata={b"position": b"meta"})
    assert engine.get(b"position") == b"data"
    assert engine.metadata(b"position") == b"meta"
    assert list(engine.scan(None, None)) == [(b"position", b"data")]


def test_everything_refuses_after_close(engine):
    """A closed engine says so, and may be closed again."""
    engine.close()
    engine.close()
    for call in (lambda: engine.get(b"a"), lambda: engine.write({}), lambda: engine.scan(None, None), engine.flush):
        with pytest.raises(StoreClosed, match="is closed"):
            call()


def test_a_scan_that_outlives_rocksdb_says_so_and_lets_it_go(bench):
    """Closing ends open scans with StoreClosed, and another engine can open the directory at once."""
    path = bench.task()
    engine = RocksDBEngine(path, bench.resources)
    engine.write({bytes([n]): b"" for n in range(9)})
    scan = engine.scan(None, None)
    assert next(scan) == (b"\0", b"")
    engine.close()
    with pytest.raises(StoreClosed, match="while it was being read"):
        next(scan)
    RocksDBEngine(path, bench.resources).close()


def test_rocksdb_keeps_what_was_written(bench):
    """Data and metadata are there when the directory is opened again."""
    path = bench.task()
    engine = RocksDBEngine(path, bench.resources)
    engine.write({b"a": b"1"}, metadata={b"m": b"2"})
    engine.close()
    again = RocksDBEngine(path, bench.resources)
    assert (again.get(b"a"), again.metadata(b"m")) == (b"1", b"2")
    again.close()


class Moody:
    """Not equal to anything, false, and neither of both: as objects of users may be."""

    def __init__(self, answer: bool | None) -> None:
        self.answer = answer

    def __eq__(self, other: object) -> bool:
        raise AssertionError("nobody may ask this")

    __hash__ = None

    def __bool__(self) -> bool:
        if self.answer is None:
            raise ValueError("the truth of this is not known")
        return self.answer


ENTRIES = st.none() | st.sampled_from([0, 1, "", "a", (), {}, 0.0, False, *map(Moody, (True, False, None))])


@given(st.lists(ENTRIES, max_size=6))
def test_none_is_found_by_identity(column):
    """Among what is false, or will not say whether it is, and never by asking for equality."""
    assert any_none(column) == any(entry is None for entry in column)
    assert any_none(tuple(column)) == any_none(column)
