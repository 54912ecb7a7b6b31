"""Rows of numbers: they may be missing, and are never wrong."""

import math
import random
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.number_keys import Ints
from state.number_rows import NumberRows
from state.number_table import PLACE_BYTES
from state.rows_budget import RowsBudget

LEAST, MOST = -(1 << 63), (1 << 63) - 1
ROOM = 64 << 20
SMALL = PLACE_BYTES * 1_021
"""Room for the first places, and no more."""
KEY = st.one_of(
    st.integers(-40, 40), st.integers(-3, 3).map(lambda n: n * 1_021), st.sampled_from([LEAST, LEAST + 1, MOST])
)
KEYS = st.lists(KEY, min_size=1, max_size=30, unique=True)
STEP = st.tuples(st.sampled_from(["put", "put", "delete", "clear"]), KEYS)


def rows_of(max_bytes=ROOM, *, floats=False, budget=None):
    rows = NumberRows(budget or RowsBudget(max_bytes), keys=Ints(), kind=float if floats else int, complete=True)
    rows.begun = True
    return rows


def asked(rows, keys):
    """What `find` knows, by key; and the keys that it says nothing of."""
    found, pairs, others = rows.find(keys)
    return dict(zip(found, pairs, strict=True)), list(others)


@pytest.mark.parametrize("max_bytes", [ROOM, SMALL, 0])
@settings(max_examples=100, deadline=None)
@given(steps=st.lists(STEP, max_size=12), also=KEYS)
def test_rows_are_never_wrong(max_bytes, steps, also):
    """Whatever is put, deleted and cleared: what is found is what was put last; complete rows leave nothing out."""
    rows, model = rows_of(max_bytes), {}
    for number, (verb, keys) in enumerate(steps):
        if verb == "clear":
            rows.clear()
            assert not rows.complete
            rows.begun = number % 2 == 0
        else:
            values = [number if verb == "put" or index % 2 else None for index in range(len(keys))]
            rows.put(keys, values, [index + number for index in range(len(keys))])
            model.update(zip(keys, zip(values, range(number, number + len(keys)), strict=True), strict=True))
        for batch in (keys, also):
            found, others = asked(rows, batch)
            assert others == [key for key in batch if key not in found]
            assert all(model[key] == row for key, row in found.items())
            assert not rows.complete or all(model.get(key, (None,))[0] is None for key in others)


@pytest.mark.parametrize("step", [1, -3, 1_021, 1 << 22])
def test_rows_become_more(step):
    """Keys at any distance, in batches of any size: all are found, at every moment, and half of the places stay free."""
    rows, order, known = rows_of(), random.Random(7), {}
    keys = [number * step for number in range(40_000)]
    order.shuffle(keys)
    start = 0
    while start < len(keys):
        batch = keys[start : start + order.choice([1, 2, 100, 4_096])]
        rows.put(batch, [start] * len(batch), [key & 7 for key in batch])
        known.update((key, (start, key & 7)) for key in batch)
        start += len(batch)
        some = order.sample(keys[:start], min(start, 50)) if start % 64 else keys[:start]
        assert asked(rows, some) == ({key: known[key] for key in some}, [])
    assert rows.complete
    assert asked(rows, [-1, -2]) == ({}, [-1, -2])


def test_keys_that_want_the_same_place():
    """At a distance of as many keys as there are places all want one; rows do without them, and take no room."""
    budget = RowsBudget(ROOM)
    rows = rows_of(budget=budget)
    keys = [number * 16_381 for number in range(20_000)]
    for start in range(0, len(keys), 1_000):
        rows.put(keys[start : start + 1_000], [start] * 1_000, [0] * 1_000)
        found, _ = asked(rows, keys)
        assert found.keys() <= set(keys[: start + 1_000])
        assert all(row == (number // 16_381 // 1_000 * 1_000, 0) for number, row in found.items())
    assert not rows.complete
    assert not budget.used
    assert asked(rows, keys) == ({}, keys)


def test_room_is_given_back():
    """Two stores share a budget: what one has cleared the other can take."""
    budget = RowsBudget(PLACE_BYTES * (1_021 + 4_093))
    one, other = (rows_of(budget=budget) for _ in range(2))
    many = list(range(600))
    one.put(many, many, many)
    one.put(many[:1], many[:1], many[:1])
    assert asked(one, many) == ({key: (key, key) for key in many}, [])
    assert budget.used == PLACE_BYTES * 4_093
    other.put(many, many, many)
    assert budget.used == budget.max_bytes
    one.clear()
    assert budget.used == PLACE_BYTES * 1_021
    other.put(many, many, many)
    assert budget.used == PLACE_BYTES * 4_093
    assert asked(other, many) == ({key: (key, key) for key in many}, [])
    assert other.complete


def test_rows_without_room_rest_when_they_are_of_no_use():
    """Three quarters of the places are taken at most. Keys that came first leave when most lookups are for others."""
    rows = rows_of(SMALL)
    old, new = list(range(2_000)), list(range(5_000, 5_300))
    rows.put(old, old, old)
    assert not rows.complete
    kept, _ = asked(rows, old)
    assert len(kept) == 1_021 * 3 // 4
    lookups = 0
    while len(found := asked(rows, new)[0]) < len(new):
        others = [key for key in new if key not in found]
        rows.put(others, others, others)
        lookups += len(new)
    assert found == {key: (key, key) for key in new}
    assert 1_021 < lookups < 4 * 1_021  # half of a place's lookups to see it, one of rest


def test_rows_for_too_many_keys_rest_longer_and_longer():
    """Most lookups are made without rows, and without room for them, where a tenth of the keys at most could have one."""
    rows, order = rows_of(SMALL), random.Random(5)
    with_rows = 0
    for _ in range(2_000):
        keys = [order.randrange(20_000) for _ in range(100)]
        with_rows += rows._table is not None
        _, others = asked(rows, keys)
        rows.put(others, others, others)
    assert 20 < with_rows < 400


def test_rows_that_half_of_the_lookups_find_stay():
    """As long as they are of use, those for whom there is no room are read from below."""
    rows, order = rows_of(SMALL), random.Random(5)
    for _ in range(2_000):
        keys = list({order.randrange(1_000) for _ in range(100)})
        found, others = asked(rows, keys)
        assert found == {key: (key, key) for key in found}
        rows.put(others, others, others)
    assert len(asked(rows, list(range(1_000)))[0]) == 1_021 * 3 // 4


@pytest.mark.parametrize("number", [0.0, -0.0, 0.1, math.inf, -math.inf, math.nan, 3])
def test_floats_are_what_their_bytes_say(number):
    """As the store would have them: an int that was put as a float is one, and zero has a sign."""
    rows = rows_of(floats=True)
    for count in (1, 600):  # the latter moves them to other places
        rows.put(range(count), [number] * count, range(count))
    found, others = asked(rows, range(600))
    assert {pack(">d", value) for value, _ in found.values()} == {pack(">d", number)}
    assert {type(value) for value, _ in found.values()} == {float}
    assert not others
