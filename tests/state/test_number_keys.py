"""Keys of rows and their numbers."""

from uuid import UUID

import numpy as np
import pytest

from state.number_keys import Ints, Names, key_numbers


def test_ints_are_their_own_numbers():
    """As long as they have 64 bits."""
    keys = key_numbers(int)
    assert isinstance(keys, Ints)
    assert keys.of([5, -7, 5]).tolist() == [5, -7, 5]
    assert keys.keys(np.array([5, -7])) == [5, -7]
    assert keys.known([1 << 63]) is None


@pytest.mark.parametrize("names", [["b", "a", "ü"], [b"b", b"", b"\0"], [UUID(int=2), UUID(int=1), UUID(int=3)]])
def test_names_are_numbered_as_they_come(names):
    """One that has a number keeps it; to ask for it gives none."""
    keys, (first, second, third) = Names(type(names[0])), names
    assert keys.of([first, second, first]).tolist() == [0, 1, 0]
    assert keys.known([third, second]).tolist() == [2, 1]
    assert keys.known([third]).tolist() == [2]
    assert keys.of([third, second]).tolist() == [2, 1]
    assert keys.keys(np.array([2, 0])) == [third, first]
    keys.clear()
    assert keys.of([second]).tolist() == [0]


@pytest.mark.parametrize("wrong", [7, b"bytes", ["unhashable"], None, "x" * 129])
def test_what_is_no_name(wrong):
    """It has no number, a long one neither, and what comes with it has none either; names that have one go on."""
    keys = Names(str)
    assert keys.of(["a"]).tolist() == [0]
    assert keys.of(["a", wrong, "b"]) is None
    assert keys.of(["b", "a"]).tolist() == [1, 0]
