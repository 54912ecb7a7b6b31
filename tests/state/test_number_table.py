"""A table of rows: what was put last of a key is there, whoever wants the same place, and however often it comes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.number_table import NOTHING, UNUSED, Table, TooFar, column, column_of_any

COUNT = 61
KEY = st.one_of(st.integers(-30, 30), st.integers(-9, 9).map(lambda n: n * COUNT), st.sampled_from([-(1 << 63) + 1]))
PUT = st.lists(st.tuples(KEY, st.integers(0, 99)), min_size=1, max_size=30)


@settings(max_examples=300, deadline=None)
@given(puts=st.lists(PUT, max_size=5))
def test_the_last_row_of_a_key_counts(puts):
    """Keys that meet at a place, and come several times in a batch; the table is never taken beyond three quarters."""
    table, model = Table(COUNT), {}
    for number, rows in enumerate(puts):
        keys = [key for key, _ in rows]
        names, values = column(keys), column([value for _, value in rows])
        times, uses = column(range(number, number + len(rows))), np.arange(len(rows), dtype=np.int32)
        whole = table.put(names, values, times, uses)
        assert whole or table.used + len(rows) > COUNT * 3 // 4
        here = table.places(names)[1].tolist()
        kept = [place for place, there in enumerate(here) if there]
        model.update((keys[at], (rows[at][1], number + at, at)) for at in kept)
        assert all(key in model for key, there in zip(keys, here, strict=True) if there)
        assert table.used == len(model) <= COUNT * 3 // 4
    known = list(model)
    _, here, values, times, uses = table.columns(column(known))
    assert here.all()
    assert list(zip(values.tolist(), times.tolist(), uses.tolist(), strict=True)) == list(model.values())


def test_rows_that_are_removed_say_nothing():
    """Those of others stay; a part of the table leaves them out."""
    table, keys = Table(COUNT), column(range(10))
    table.put(keys, keys * 2, keys)
    table.remove(column([3, 4, 55]))
    assert table.columns(keys).timestamps.tolist() == [0, 1, 2, NOTHING, NOTHING, 5, 6, 7, 8, 9]
    found, values, times, uses = (numbers.tolist() for numbers in table.part(2, 8))
    assert (found, values, times, uses) == ([2, 5, 6, 7], [4, 10, 12, 14], [2, 5, 6, 7], [UNUSED] * 4)


def test_too_many_keys_at_one_place():
    """A key that would look at more than a thousand places is told so, in a table that is not full."""
    table = Table(4_093)
    keys = np.arange(1_500) * 4_093
    with pytest.raises(TooFar):
        table.put(keys, keys, keys)


def test_what_is_no_column():
    """Numbers of more than 64 bits, and what is no int."""
    assert column_of_any([1, -(1 << 63), True]).tolist() == [1, -(1 << 63), 1]
    assert column_of_any([]).tolist() == []
    for numbers in ([1, 1 << 63], [1.0], ["1"], [None]):
        assert column_of_any(numbers) is None
