"""Whole columns through a serde: the answers and the errors of entry by entry."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.serde import deserializer, serializer
from streams.serdes import serde_for
from streams.serdes.primitives import Float32, Int16, Int32


class Point(msgspec.Struct):
    x: int
    y: int = 0


class Nearer(Point):
    pass


class Quoting(msgspec.Struct):
    raw: msgspec.Raw


VALUES = {
    int: st.integers(-(2**63), 2**63 - 1),
    Int32: st.integers(-(2**31), 2**31 - 1),
    Int16: st.integers(-(2**15), 2**15 - 1),
    float: st.floats(allow_nan=False),
    Float32: st.floats(allow_nan=False, width=32),
    str: st.text(st.characters(exclude_categories=["Cs"])),
    bytes: st.binary(),
    bool: st.booleans(),
    Point: st.builds(Point, st.integers(-9, 9)) | st.builds(Nearer, st.integers(-9, 9)),
    object: st.lists(st.integers(-9, 9)) | st.text(),
}


@pytest.mark.parametrize("kind", VALUES)
@settings(max_examples=25)
@given(data=st.data())
def test_a_column_is_its_entries(kind: Any, data: st.DataObject) -> None:
    """Both ways, for every serde, subclasses of a struct and empty columns included."""
    serde, column = serde_for(kind), data.draw(st.lists(VALUES[kind], max_size=6))
    encoded = serializer(serde)(column)
    assert encoded == [serde.serialize(value) for value in column]
    assert deserializer(serde)(encoded) == [serde.deserialize(entry) for entry in encoded]


@given(st.lists(st.sampled_from([b"1", b"[1,\n2]", b"\n3", b""]), max_size=5))
def test_json_that_is_quoted_as_it_is_may_hold_line_ends(quoted: list[bytes]) -> None:
    """A column is encoded as lines, which a `msgspec.Raw` can break in two."""
    serde, column = serde_for(Quoting), [Quoting(msgspec.Raw(data)) for data in quoted]
    assert serializer(serde)(column) == [serde.serialize(value) for value in column]


@pytest.mark.parametrize(("kind", "wrong"), [(int, "1"), (str, 1), (Point, "x"), (object, b"x")])
def test_what_cannot_be_written_is_said_as_for_one(kind: Any, wrong: Any) -> None:
    """The error is that of the entry which does not fit."""
    serde = serde_for(kind)
    with pytest.raises(TypeError) as alone:
        serde.serialize(wrong)
    with pytest.raises(TypeError, match="expected|declared") as together:
        serializer(serde)([wrong])
    assert str(together.value) == str(alone.value)


@pytest.mark.parametrize("lengths", [(7, 9), (8, 0), (16, 0), (8, 8, 4)])
def test_numbers_of_other_lengths_do_not_pass_for_each_other(lengths: tuple[int, ...]) -> None:
    """Bytes that add up to whole numbers, but are none, are refused."""
    with pytest.raises(ValueError, match="in 8 bytes, got"):
        deserializer(serde_for(int))([b"\0" * length for length in lengths])
