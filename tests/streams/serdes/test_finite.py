"""NaN and infinity, which JSON has no form for: refused where they are written, wherever they are."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.serde import serializer
from streams import App, JsonSchema, Record
from streams.serdes import serde_for
from streams.testing import TopologyTestDriver

NAN = math.nan


class Low(msgspec.Struct):
    n: int = 0
    low: float = math.inf
    note: str | None = None


class Two(msgspec.Struct, rename="camel"):
    first_one: float
    other: float = 0.0


class Many(msgspec.Struct):
    a: float
    b: float | None
    c: float | str
    d: int | None = None


class Nested(msgspec.Struct):
    inner: list[Low]
    more: dict[str, float] = {}


class Tree(msgspec.Struct):
    weight: float = 0.0
    children: list[Tree] = []


@dataclass
class Point:
    x: float
    y: float | None = None
    path: list[Point] = field(default_factory=list)


class Cell(NamedTuple):
    at: int
    height: float


class Fare(TypedDict):
    amount: float


class Texts(msgspec.Struct):
    names: list[str | None]


class Model(pydantic.BaseModel):
    low: float
    note: str | None = None


class Spelled(pydantic.BaseModel, ser_json_inf_nan="constants"):
    low: float
    note: str | None = None


class OwnForm(pydantic.BaseModel):
    low: float
    note: str | None = None

    @pydantic.field_serializer("low")
    def written(self, low: float) -> float:
        return min(low, 9.0)


BAD: list[tuple[Any, Any]] = [
    (Low, Low()),
    (Low, Low(low=NAN, note="null")),
    (Two, Two(1.0, -math.inf)),
    (Many, Many(NAN, None, "x")),
    (Many, Many(1.0, NAN, "x")),
    (Many, Many(1.0, None, NAN)),
    (Nested, Nested([Low(low=1.0), Low(low=NAN)])),
    (Nested, Nested([], {"a": NAN})),
    (Tree, Tree(1.0, [Tree(), Tree(2.0, [Tree(NAN)])])),
    (Point, Point(1.0, NAN)),
    (Point, Point(1.0, None, [Point(NAN)])),
    (Cell, Cell(1, NAN)),
    (Fare, {"amount": NAN}),
    (list[float], [1.0, math.inf]),
    (tuple[float, ...], (NAN,)),
    (set[float], {NAN}),
    (float | str, NAN),
    (dict, {"a": [None, {"b": NAN}]}),
    (list[Any], [Low(low=1.0), Low(), None]),
    (object, NAN),
    (object, {"a": NAN}),
    (Model, Model(low=NAN)),
]
GOOD: list[tuple[Any, Any]] = [
    (Low, Low(low=1.0)),
    (Two, Two(1e308, 1e308)),
    (Many, Many(1.0, None, "null")),
    (Many, Many(1e308, 1e308, 1e308)),
    (Nested, Nested([Low(low=1.0, note="null")], {"a": 1.5})),
    (Tree, Tree(1.0, [Tree()])),
    (Point, Point(1.0, None, [Point(2.0)])),
    (Texts, Texts([None, "null"])),
    (dict, {"a": [None, 1.5]}),
    (list[float | None], [None, 1.5]),
    (object, {"a": [None, 1.5]}),
    (object, "null"),
    (Model, Model(low=1.5)),
    (Spelled, Spelled(low=math.inf)),
]


@pytest.mark.parametrize(("kind", "value"), BAD, ids=lambda each: str(each)[:30])
def test_what_json_cannot_hold_is_refused(kind: Any, value: Any) -> None:
    """Alone, and in a column whose other values are good."""
    serde = serde_for(kind)
    good = next((each for wanted, each in GOOD if wanted is kind), None)
    with pytest.raises(TypeError, match=r"that JSON can hold, got .*: JSON has neither NaN nor infinity"):
        serde.serialize(value)
    with pytest.raises(TypeError, match="JSON has neither NaN nor infinity"):
        serializer(serde)([value] if good is None else [good, value, good])


@pytest.mark.parametrize(("kind", "value"), GOOD, ids=lambda each: str(each)[:30])
def test_null_is_no_reason_to_refuse(kind: Any, value: Any) -> None:
    """None, the text null, and floats whose sum is infinite, come back; alone and as a column."""
    serde = serde_for(kind)
    assert serde.deserialize(serde.serialize(value)) == value
    assert [serde.deserialize(data) for data in serializer(serde)([value, value])] == [value, value]


def test_a_model_may_say_how_floats_are_written() -> None:
    """A serializer of a pydantic model's own has the last word."""
    serde = serde_for(OwnForm)
    assert serde.deserialize(serde.serialize(OwnForm(low=math.inf))) == OwnForm(low=9.0)


@given(
    st.lists(
        st.builds(Many, st.floats(), st.floats() | st.none(), st.floats() | st.text(), st.integers(-9, 9) | st.none())
    )
)
def test_a_column_is_refused_exactly_when_one_of_it_does_not_come_back(column: list[Many]) -> None:
    """Whatever floats, nulls and texts stand beside each other."""
    serde = serde_for(Many)
    finite = all(math.isfinite(x) for each in column for x in (each.a, each.b, each.c) if isinstance(x, float))
    if finite:
        assert [serde.deserialize(data) for data in serializer(serde)(column)] == column
    else:
        with pytest.raises(TypeError, match="neither NaN nor infinity"):
            serializer(serde)(column)


def test_with_a_schema_too() -> None:
    """JSON with its schema in a registry is the same JSON."""
    serde = JsonSchema(Low)
    with pytest.raises(TypeError, match="neither NaN nor infinity"):
        serde._encode(Low())


def test_an_aggregate_that_cannot_be_written_is_an_error_of_its_record() -> None:
    """The record that leaves infinity is told to `on_error`; what the store holds can be read, and the next is folded."""
    told: list[str] = []

    def skip(error: Exception, record: Record) -> str:
        told.append(str(error))
        return "continue"

    app = App("lows", on_error=skip)
    values = app.topic("values", key=str, value=float)

    def folded(_key: str, value: float, low: Low) -> Low:
        return Low(low.n + 1, low.low if value < 0 else min(value, low.low))

    table = app.stream(values).group_by_key().aggregate(Low, folded, value=Low, name="lows")
    table.to_stream().to(app.topic("out", key=str, value=Low))
    with TopologyTestDriver(app) as driver:
        driver.input("values").send("k", -1.0, 0)
        assert driver.store("lows").get("k") is None
        driver.input("values").send("k", 2.0, 1)
        assert driver.store("lows").get("k") == Low(1, 2.0)
        assert driver.output("out").read_values() == [Low(1, 2.0)]
    assert len(told) == 1
    assert "neither NaN nor infinity" in told[0]
