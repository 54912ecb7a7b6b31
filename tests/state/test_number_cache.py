"""A record cache whose entries lie in rows does what any record cache does: nobody can tell, but for the time."""

import operator
import random
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from state import number_cache
from state.key_value import TimestampedStore
from state.name_cache import NameCache
from state.number_cache import NumberCache
from state.number_table import FREE
from state.numbers import NumberStore

KEY = st.integers(-15, 40)
COUNT = st.lists(st.tuples(KEY, st.integers(0, 99)), min_size=1, max_size=40)
VERBS = ["get", "put", "delete", "flush", "commit", "discard", "scan", "topic", "others", "lookup"]
STEP = st.one_of(
    st.tuples(st.just("count"), COUNT),
    st.tuples(st.just("count"), COUNT),
    st.tuples(st.just("count"), COUNT),
    st.tuples(st.sampled_from(VERBS), st.integers(0, 40)),
)
CACHE = 1 << 20
ENTRY = 8 + 16 + 45
TOPIC = 5


def plus_one(key, value, count):
    return count + 1


COUNTS = (int, plus_one, operator.add, int)
FOLDS = {
    "sum from the first value": (
        lambda: None,
        lambda key, value, old: value if old is None else old + value,
        None,
        int,
    ),
    "order matters": (lambda: 7, lambda key, value, old: (old * 31 + value + key) % 1_000_003, None, int),
    "floats": (float, lambda key, value, old: old / 3 - value, None, float),
    "floats that are ints at times": (float, lambda key, value, old: old + value if value % 5 else value, None, float),
    "deletions": (int, lambda key, value, old: None if value % 7 == 3 else old + value, None, int),
    "counts of floats": (float, plus_one, operator.add, float),
}


@pytest.fixture(autouse=True, scope="module")
def columns_from_the_first_record_on():
    """A test need not fold a hundred at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(number_cache, "COLUMNS_FROM", 1)
        yield


def name_of(number):
    """A key of a length of its own, one of them too long for rows."""
    return "ü" * (200 if number == -15 else number % 4) + str(number)


def number_of(name):
    return int(name.lstrip("ü"))


class Counting:
    """A store that counts, and whom it told of what; `room` entries fit its record cache beside what others hold.

    Its keys are numbers, or `named`: the names of numbers.
    """

    def __init__(self, bench, *, rows, room, together=True, fold=COUNTS, named=False):
        self.initial, self.add, self.repeated, kind = fold
        self.key = name_of if named else int
        if named:
            self.add = lambda name, value, old: fold[1](number_of(name), value, old)
        keys = bench.name if named else bench.long
        spec = bench.spec(cached=True, key_serde=keys, value_serde=bench.real if kind is float else bench.long)
        self.bench, self.rows, self.told = bench, rows, []
        self.store = bench.open(spec, directory=bench.task() if rows else None, cache_bytes=CACHE)
        self.store.set_flush_listener(self.tell, send_old_values=False)
        self.cache, self.budget = self.store._cache, self.store._budget
        self.budget.cause_bytes = TOPIC
        self.held = 0
        self.hold(CACHE - room * (ENTRY + TOPIC))
        self.store.flushes.together = together
        if rows:
            self.store._begin(self.cache)

    def tell(self, flushed):
        self.told += zip(flushed.keys, flushed.new_values, flushed.timestamps, strict=True)

    def hold(self, count):
        """So many bytes are what other stores hold."""
        self.budget.used += count - self.held
        self.held = count

    def count(self, records):
        numbers, times = map(list, zip(*records, strict=True))
        keys = list(map(self.key, numbers))
        with self.store.flushes:
            done = 0
            if self.rows:
                self.cache._staying = 0
                done = self.store.fold_columns(keys, times, times, self.initial, self.add, self.repeated)
            if done < len(keys):
                self.store.preload(keys[done:])
                rows = iter(list(zip(range(len(keys)), keys, times, times, strict=True))[done:])
                assert self.store.fold(rows, self.initial, self.add) is None

    def get(self, key):
        return self.store.get(self.key(key))

    def lookup(self, key):
        return self.store.lookup(self.key(key))

    def put(self, key):
        self.store.put(self.key(key), key * 2, key)

    def delete(self, key):
        self.store.put(self.key(key), None, key)

    def flush(self, _):
        self.store.flush()

    def commit(self, key):
        self.store.flush()
        self.store.commit(key)

    def discard(self, _):
        self.store.discard()

    def scan(self, key):
        return list(self.store.range(None, self.key(key)))

    def topic(self, key):
        self.budget.cause_bytes = TOPIC + key % 2

    def others(self, key):
        self.hold(CACHE - (key + 3) * (ENTRY + TOPIC) + key % 7)

    def seen(self):
        """All that anybody can tell."""
        return self.told, self.budget.used, self.store.dirty

    def within(self):
        """What lies in the cache, in its orders."""
        dirty = dict(self.cache.dirty)
        return list(self.cache.entries.items()), list(dirty.items()), self.cache._bytes


def same_with_and_without_rows(bench, steps, **options):
    one, other = (Counting(bench, rows=rows, **options) for rows in (True, False))
    assert (type(one.store), type(other.store)) == (NumberStore, TimestampedStore)
    assert type(one.cache) is (NameCache if options.get("named") else NumberCache)
    for verb, argument in steps:
        answers = [getattr(store, verb)(argument) for store in (one, other)]
        assert answers[0] == answers[1]
        assert one.seen() == other.seen()
    assert one.within() == other.within()
    one.store.close()
    other.store.close()


@pytest.mark.parametrize(("room", "together"), [(0, True), (1, True), (2, True), (20, True), (20, False), (200, True)])
@settings(max_examples=120, deadline=None)
@given(steps=st.lists(STEP, max_size=25))
def test_rows_change_nothing_that_can_be_told(bench, room, together, steps):
    """What is forwarded and when, what is read, and what of the budget is used: as without rows, step by step."""
    same_with_and_without_rows(bench, steps, room=room, together=together)


@pytest.mark.parametrize(("room", "together"), [(0, True), (2, True), (20, True), (20, False), (60, True), (200, True)])
@settings(max_examples=120, deadline=None)
@given(steps=st.lists(STEP, max_size=25))
@example(
    steps=[("count", [(0, 0), (1, 0), (-1, 0), (2, 0)]), ("others", 0), ("count", [(0, 0)])]
)  # others take its room
def test_names_change_nothing_that_can_be_told(bench, room, together, steps):
    """The same of keys that are names, of several lengths."""
    same_with_and_without_rows(bench, steps, room=room, together=together, named=True)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize("room", [2, 20])
@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEP, max_size=25))
def test_whatever_makes_numbers(bench, room, fold, named, steps):
    """Sums that begin with the first value, floats, results that are gone or of another kind, order that matters."""
    same_with_and_without_rows(bench, steps, room=40 if named else room, fold=FOLDS[fold], named=named)


def test_a_function_that_raises(bench):
    """What came before the record is folded in, and the next batch goes on from there, as without rows. It is asked twice."""
    asked = Counter()

    def add(key, value, old):
        asked[value] += 1
        if value == 13:
            raise ValueError(key)
        return old + value

    one, other = (Counting(bench, rows=rows, room=20, fold=(int, add, None, int)) for rows in (True, False))
    for store in (one, other):
        store.count([(key, key) for key in range(9)])
        with pytest.raises(ValueError, match="^2$"):
            store.count([(1, 50), (1, 6), (30, 7), (2, 13), (3, 9)])
        store.count([(key % 25, 2) for key in range(40)])
        store.flush(0)
    assert (asked[50], asked[13]) == (2, 3)  # of two stores, one of which asks again
    assert one.seen() == other.seen()
    assert one.within() == other.within()
    one.store.close()
    other.store.close()


def many(bench, room=300):
    """A store that counts by rows from the first record on, with what it should say."""
    store = Counting(bench, rows=True, room=room)
    store.put(-1)
    store.cache._staying = 0
    assert store.cache._enter(1)
    return store


def counted(store, keys):
    """What the store says of each key, and what it has told at last."""
    store.store.flush()
    store.store.preload(keys)
    told = {key: value for key, value, _ in store.told}
    said = {key: found and found[0] for key, found in zip(keys, map(store.store.lookup, keys), strict=True)}
    assert said == {key: told.get(key) for key in keys}
    return said


def count_at_random(store, counts, batches, keys):
    """Count a thousand of so many keys at a time, with commits now and then; yields the number of each batch."""
    order = random.Random(4)
    for batch in range(batches):
        numbers = [order.randrange(keys) for _ in range(1_000)]
        store.count([(number, batch) for number in numbers])
        counts.update(numbers)
        if batch % 9 == 8:
            store.commit(batch)
        yield batch


@pytest.mark.parametrize("reopened", [False, True])
def test_counting_many_keys(bench, reopened):
    """Rows move to more places while entries lie in them, uses that are over are let go of, and what has no row is read."""
    store, counts = many(bench, 3_000), Counter()
    for batch in count_at_random(store, counts, 200, 20_000):
        if reopened and batch == 100:
            store.store._rows.complete = False
            store.store._forget_rows()
            store.store._begin_if_full(CACHE)
    assert store.cache.in_rows
    assert store.cache._uses.first > 100_000
    assert store.cache._uses.next - store.cache._uses.first < 80_000
    assert store.budget.used <= CACHE
    assert counted(store, range(20_000)) == {key: counts.get(key) for key in range(20_000)}
    store.store.close()


@pytest.mark.parametrize("named", [False, True])
def test_uses_of_entries_that_never_go(bench, named):
    """They are numbered anew now and then, so that they do not become more without end, also while some wait."""
    store, counts = Counting(bench, rows=True, room=3_000, named=named), Counter([0])
    store.count([(0, 0)])
    assert len(list(count_at_random(store, counts, 160, 1_000))) == 160
    assert store.cache.in_rows
    assert not store.cache.dropped
    assert store.cache._uses.first > 50_000
    assert store.cache._uses.next - store.cache._uses.first < 72_000
    assert counted(store, list(map(store.key, range(1_000)))) == {store.key(key): counts[key] for key in range(1_000)}
    store.store.close()


def test_rows_begin_with_many_entries(bench):
    """Not for a few records at once, which are quicker one by one; nor where the entries are few."""
    store = Counting(bench, rows=True, room=10_000, named=True)
    store.store._rows.begun = store.rows = False
    store.count([(number, 0) for number in range(400)])
    assert not store.store.folds_columns(1_000)
    store.count([(number, 0) for number in range(600)])
    assert not store.store.folds_columns(100)
    assert store.store.folds_columns(1_000)
    store.rows = True
    store.count([(number, 1) for number in range(1_000)])
    assert store.cache.in_rows
    assert set(counted(store, list(map(name_of, range(1_000)))).values()) == {1, 2, 3}
    store.store.close()


def test_a_name_that_can_not_be_written(bench):
    """It is refused as without rows, and what came before it is counted."""
    one, other = (Counting(bench, rows=rows, room=20, named=True) for rows in (True, False))
    for store in (one, other):
        store.count([(number, number) for number in range(9)])
        store.key, store.add = {9: "new", 10: "\ud800", 11: "newer"}.__getitem__, plus_one
        with pytest.raises(UnicodeEncodeError):
            store.count([(9, 1), (10, 1), (11, 1)])
    assert one.seen() == other.seen()
    assert one.within() == other.within()
    one.store.close()
    other.store.close()


def test_a_cache_whose_entries_are_asked_for_stays_out_of_the_rows(bench):
    """For eight records per entry, then for sixteen; to take entries out takes longer than folding them in."""
    store, stays = many(bench), []
    for _ in range(2):
        assert store.get(-1) == (-2, -1)
        store.flush(0)
        folded = 0
        while not store.store.fold_columns([folded % 10], [1], [1], int, plus_one, operator.add):
            store.store.fold([(0, folded % 10, 1, 1)], int, plus_one)
            folded += 1
            store.flush(0)
        stays.append(folded)
    assert stays == [8 * 1 - 1, 16 * 9 - 1]
    store.store.close()


@pytest.mark.parametrize("named", [False, True])
def test_keys_that_are_looked_up_while_entries_lie_in_rows(bench, named):
    """A batch that is nothing for columns, say for its headers: what waits is not taken for what lies below it."""
    one, other = (Counting(bench, rows=rows, room=40, named=named) for rows in (True, False))
    for store in (one, other):
        store.put(20)
        store.count([(number, number) for number in range(12)])
        assert not store.rows or store.cache.in_rows
        store.store.preload(list(map(store.key, range(12))))
        for number in range(12):
            store.delete(number)
        store.flush(0)
    assert one.told == other.told == [(one.key(20), 40, 20)]  # of the others nothing was below
    assert one.within() == other.within()
    one.store.close()
    other.store.close()


def test_a_key_that_marks_free_places(bench):
    """It is counted as without rows, and as long as it is in the cache there are none."""
    store = many(bench)
    store.count([(1, 5), (FREE, 6), (1, 7)])
    assert not store.cache.in_rows
    store.cache._staying = 0
    assert not store.cache._enter(1)
    assert dict(store.cache.entries) == {-1: (-2, -1), 1: (2, 7), FREE: (1, 6)}
    store.store.close()


def test_a_key_that_no_column_holds(bench):
    """The store refuses it, as without rows; what came before it is counted."""
    store = many(bench)
    with pytest.raises(OverflowError):
        store.count([(1, 5), (1 << 63, 6), (1, 7)])
    assert dict(store.cache.entries) == {-1: (-2, -1), 1: (1, 5)}
    store.store.close()


def test_numbers_that_no_column_holds(bench):
    """They leave the rows, and are refused when they are put, as by the store itself: what was there stays."""
    store, most = many(bench), (1 << 63) - 1
    store.store.put(1, most, 3)
    store.cache._staying = 0
    assert store.cache._enter(1)
    with pytest.raises(OverflowError):
        store.count([(0, 4), (1, 4), (2, 4)])
    assert not store.cache.in_rows
    assert dict(store.cache.entries) == {-1: (-2, -1), 0: (1, 4), 1: (most, 3)}
    store.cache.clear()
    store.store.close()


def test_keys_that_want_the_same_place(bench):
    """At such a distance keys have no rows any more; what lay in them goes on."""
    store, step = many(bench, 5_000), 1_021 * 4_093 * 16_381 * 65_521
    keys = [number * step for number in range(2_000)]
    for start in range(0, 2_000, 100):
        store.count([(key, 1) for key in keys[start : start + 100]] * 2)
    assert not store.cache.in_rows
    assert counted(store, keys) == dict.fromkeys(keys, 2)
    store.store.close()


def test_entries_that_want_the_same_place(bench):
    """They stay where they are, and the next records are counted there."""
    store, step = Counting(bench, rows=True, room=5_000), 1_021 * 4_093 * 16_381 * 65_521
    keys = [number * step for number in range(2_000)]
    store.store._rows.begun = False
    store.count([(key, 1) for key in keys])
    store.store._rows.begun = True
    store.count([(7, 1), (keys[9], 1)])
    assert not store.cache.in_rows
    assert not store.store._rows.begun
    assert counted(store, [7, *keys]) == {7: 1, **dict.fromkeys(keys, 1), keys[9]: 2}
    store.store.close()


def test_numbers_of_uses_begin_anew(bench):
    """When there are no more, the rows forget those that they have."""
    store, keys = many(bench), list(range(100))
    store.count([(key, 1) for key in keys])
    store.cache.have_entries()
    store.cache._uses.begin((1 << 31) - 450)
    for _ in range(20):
        store.count([(key, 1) for key in keys])
    assert store.cache.in_rows
    assert store.cache._uses.next < 3_000
    assert counted(store, keys) == dict.fromkeys(keys, 21)
    store.store.close()


def test_a_listener_that_reads(bench):
    """What an eviction sets off may read the store, and so use entries that lie in rows; the rest of the batch goes on."""
    one, other = (Counting(bench, rows=rows, room=10, together=False) for rows in (True, False))
    for store in (one, other):
        store.read = []
        store.store.set_flush_listener(reader(store, from_value=3), send_old_values=False)
        for keys in (range(10), [3, 4, 12, 13, 4], range(15), range(12), range(5)):
            store.count([(key, key) for key in keys])
            store.flush(0)
    assert len(one.read) > 1
    assert one.read == other.read
    assert one.seen() == other.seen()
    assert one.within() == other.within()
    one.store.close()
    other.store.close()


def reader(store, from_value):
    """A listener of the store that looks into it when it is told of such a value, or a higher one."""

    def tell(flushed):
        store.tell(flushed)
        if max(flushed.new_values) >= from_value:
            store.read.append([store.get(key) for key in range(0, 12, 3)])

    return tell
