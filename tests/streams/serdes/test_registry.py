"""Which serde a type gets, for every kind of type that users bring."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple, Optional, TypedDict

import faust
import msgspec
import pydantic
import pytest

from streams.errors import TopologyError
from streams.serdes import DYNAMIC, declared, serde_for


class Ride(msgspec.Struct):
    id: int
    zone: str = "?"


@dataclass
class Point:
    x: float


class Cell(NamedTuple):
    x: int
    y: int


class Fare(TypedDict):
    amount: float


class Colour(Enum):
    RED = "red"


class Person(pydantic.BaseModel):
    name: str
    born: date


class Order(faust.Record):
    id: int


VALUES: list[tuple[Any, Any]] = [
    (Ride, Ride(1, "Queens")),
    (Ride | None, Ride(2)),
    (Optional[Ride], Ride(3)),  # noqa: UP045  both spellings must work
    (Point, Point(0.5)),
    (Cell, Cell(1, 2)),
    (Fare, {"amount": 2.5}),
    (Colour, Colour.RED),
    (dict, {"a": [1, None]}),
    (list[Ride], [Ride(4)]),
    (tuple[str, int], ("a", 1)),
    (dict[str, Ride], {"a": Ride(5)}),
    (int | str, "either"),
    (datetime, datetime(2026, 11, 21, tzinfo=UTC)),
    (Decimal, Decimal("1.10")),
    (Person, Person(name="Ada", born=date(1815, 12, 10))),
    (Order, Order(id=7)),
    (object, {"plain": [1.5, "x"]}),
    ("json", "text"),
]


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=lambda each: str(each)[:40])
def test_round_trip(kind: Any, value: Any) -> None:
    """What a type's serde writes, it reads back equal."""
    serde = serde_for(kind)
    assert serde.deserialize(serde.serialize(value)) == value


def test_same_type_same_serde() -> None:
    """Decoders are built once: asking again gives the same object, and a serde passes through."""
    assert serde_for(Ride) is serde_for(Ride)
    assert serde_for(serde_for(Ride)) is serde_for(Ride)


def test_models_are_json_for_others() -> None:
    """Structs and pydantic models are plain JSON; faust records carry Faust's own metadata."""
    assert serde_for(Ride).serialize(Ride(1)) == b'{"id":1,"zone":"?"}'
    assert msgspec.json.decode(serde_for(Person).serialize(VALUES[14][1])) == {"name": "Ada", "born": "1815-12-10"}
    assert msgspec.json.decode(serde_for(Order).serialize(Order(id=7)))["id"] == 7


def test_undeclared_values_must_survive_json() -> None:
    """Without a declared type only what JSON brings back is written; the error says how to declare one."""
    assert serde_for(object) is DYNAMIC
    assert not declared(DYNAMIC)
    assert declared(serde_for(dict))
    for value in (Ride(1), (1, 2), b"raw"):
        with pytest.raises(TypeError, match=r"no type was declared for .*: say key=.* or value="):
            DYNAMIC.serialize(value)


@pytest.mark.parametrize(
    "kind", [5, len, Ride | Order, "floot", lambda: None], ids=["5", "len", "union", "floot", "lambda"]
)
def test_no_serde(kind: Any) -> None:
    """Something that is no type is refused with what may be given instead."""
    with pytest.raises(TopologyError, match=r"no serde is|must be one of"):
        serde_for(kind)


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (Ride, b"{}", "expected Ride as JSON: Object missing required field `id`"),
        (Ride, b'{"id":"x"}', r"expected Ride as JSON: Expected `int`, got `str` - at `\$.id`"),
        (Ride, b"no json", "expected Ride as JSON: JSON is malformed"),
        (Ride, b"\0\0\0\1\2rest", "JSON is malformed.*it begins like a value with the schema 258 of a registry"),
        (Person, b"\0\0\0\1\2rest", "it begins like a value with the schema 258 of a registry"),
        (object, b"\0\0\0\1\2rest", "no type was declared.*it begins like a value with the schema 258 of a registry"),
        (Person, b"{}", "expected Person as JSON: 2 validation errors"),
        (Order, b"{}", "expected Order as Faust writes it"),
        (object, b"\xff", "expected JSON, because no type was declared"),
    ],
)
def test_wrong_bytes(kind: Any, data: bytes, message: str) -> None:
    """The error names the type and where the bytes differ from it."""
    with pytest.raises(ValueError, match=message):
        serde_for(kind).deserialize(data)


@pytest.mark.parametrize("kind", [Ride, Person, Order, Point, list[Ride]], ids=str)
def test_wrong_value(kind: Any) -> None:
    """A value of another type is refused when it is written, not when somebody reads it."""
    with pytest.raises(TypeError, match=r"expected .*got 'text'"):
        serde_for(kind).serialize("text")
