"""Lists in the layout of Kafka's ListSerializer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.serdes import Int32, ListSerde, serde_for

INTS = ListSerde(serde_for(Int32))
TEXTS = ListSerde(serde_for(str))


def test_fixed_length_layout() -> None:
    """Strategy 0, the indexes of nulls, the size, then the other values."""
    assert INTS.serialize([1, None, 2]).hex() == "000000000100000001000000030000000100000002"


def test_variable_length_layout() -> None:
    """Strategy 1, the size, then each length and value, with -1 for null."""
    assert TEXTS.serialize(["ab", None, ""]).hex() == "0100000003000000026162ffffffff00000000"


def test_the_type_of_entries_will_do() -> None:
    """Numbers of a fixed length are told by it, too."""
    assert ListSerde(Int32).serialize([1, None, 2]) == INTS.serialize([1, None, 2])


@given(st.lists(st.none() | st.integers(-(2**31), 2**31 - 1)))
def test_numbers_round_trip(values: list[Any]) -> None:
    """A list of numbers comes back, nulls in their places."""
    assert INTS.deserialize(INTS.serialize(values)) == values


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]))))
def test_texts_round_trip(values: list[Any]) -> None:
    """A list of texts comes back, empty ones and nulls told apart."""
    assert TEXTS.deserialize(TEXTS.serialize(values)) == values


@given(st.lists(st.text(min_size=1), min_size=1), st.data())
def test_cut_bytes_are_refused(values: list[str], data: st.DataObject) -> None:
    """A list cut anywhere is an error, never a shorter list."""
    whole = ListSerde(serde_for(bytes)).serialize([value.encode("utf-8", "replace") for value in values])
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ValueError, match="expected a list as Kafka writes it"):
        ListSerde(serde_for(bytes)).deserialize(whole[:cut])


def test_not_a_list() -> None:
    """Something else than a list is refused."""
    with pytest.raises(TypeError, match="expected a list, got 5"):
        TEXTS.serialize(5)  # type: ignore[arg-type]
