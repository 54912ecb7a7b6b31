"""The options of Records, and the forms they are written in, are Faust's: both libraries, compared."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Optional

import pytest

from streams.compat import faust
from streams.testing import TopologyTestDriver


class Money:
    def __init__(self, cents: Any) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and other.cents == self.cents

    def __hash__(self) -> int:
        return hash(self.cents)


def stamp(value: Any) -> datetime:
    """A parser of dates that are seconds."""
    return datetime.fromtimestamp(int(value), UTC)


def models(library: Any) -> dict[str, Any]:
    """The same Records, made by one library or the other."""

    class Dated(library.Record, serializer="json", isodates=True, namespace="Dated"):
        at: datetime
        price: Decimal
        count: int
        until: Optional[datetime] = None  # noqa: UP045  as Faust's users write it

    class Priced(library.Record, serializer="json", decimals=True, namespace="Priced"):
        at: datetime
        price: Decimal

    class Many(library.Record, serializer="json", namespace="Many"):
        at: list[datetime]
        prices: dict[str, Decimal]
        counts: list[int]

    class Stamped(library.Record, serializer="json", isodates=True, date_parser=stamp, namespace="Stamped"):
        at: datetime

    class Paid(library.Record, serializer="json", coercions={Money: Money}, namespace="Paid"):
        sum: Money
        parts: list[Money] = []  # noqa: RUF012  as Faust has it

    class PaidTwice(Paid, namespace="PaidTwice"):
        again: Money

    class Base(library.Record, serializer="json", namespace="Base"):
        x: int

    class Child(Base, namespace="Child"):
        y: int = 0

    class Blessed(Base, allow_blessed_key=True, namespace="Blessed"):
        y: int = 0

    class Shape(library.Record, abstract=True, polymorphic_fields=True, namespace="Shape"):
        side: int

    class Square(Shape, serializer="json", namespace="Square"):
        pass

    class Held(library.Record, serializer="json", namespace="Held"):
        base: Base
        shape: Shape
        shapes: list[Shape] = []  # noqa: RUF012  as Faust has it

    found = locals()
    return {name: kind for name, kind in found.items() if name != "library"}


ISO = "2026-01-02T03:04:05"

USES: list[Callable[[dict[str, Any]], Any]] = [
    lambda known: known["Dated"].from_data({"at": ISO, "price": "1.5", "count": "3", "until": ISO}).asdict(),
    lambda known: known["Priced"].from_data({"at": ISO, "price": "1.5"}).asdict(),
    lambda known: {
        name: getattr(known["Many"].from_data({"at": [ISO, None], "prices": {"a": "1.5"}, "counts": ["1"]}), name)
        for name in ("at", "prices", "counts")
    },
    lambda known: known["Stamped"].from_data({"at": "5"}).asdict(),
    lambda known: known["Paid"].from_data({"sum": 5, "parts": [1, 2]}).parts,
    lambda known: known["Paid"].from_data({"sum": 5}).sum,
    lambda known: known["Paid"].from_data({"sum": Money(5)}).sum,
    lambda known: known["PaidTwice"].from_data({"sum": 5, "again": 6}).again,
    lambda known: type(known["Base"].from_data(known["Child"](1, 2).to_representation())).__name__,
    lambda known: type(known["Base"].loads(known["Child"](1, 2).dumps())).__name__,
    lambda known: (
        type(known["Base"].from_data(known["Child"](1, 2).to_representation(), preferred_type=known["Base"])).__name__
    ),
    lambda known: (
        type(known["Base"].from_data(known["Blessed"](1, 2).to_representation(), preferred_type=known["Base"])).__name__
    ),
    lambda known: [
        type(each).__name__
        for held in [known["Held"].from_data(json.loads(known["Held"](*held_by(known)).dumps()))]
        for each in (held.base, held.shape, *held.shapes)
    ],
]


def held_by(known: dict[str, Any]) -> tuple[Any, ...]:
    """Values of the fields of `Held`."""
    return known["Child"](1), known["Square"](2), [known["Square"](3)]


@pytest.mark.parametrize("use", USES)
def test_options_have_fausts_effect(use: Callable[[dict[str, Any]], Any]) -> None:
    """Dates, decimals, coercions of the application, and the class that data name."""
    theirs = pytest.importorskip("faust")
    ours = use(models(faust))
    assert ours == use(models(theirs))


def test_a_class_may_name_types_that_come_later() -> None:
    """`lazy_creation` leaves the fields until `make_final`."""

    class Node(faust.Record, lazy_creation=True):
        leaf: "Leaf"

    class Leaf(faust.Record):
        x: int

    Node.__annotations__["leaf"] = Leaf
    Node.make_final()
    assert Node.from_data({"leaf": {"x": 1}}).leaf == Leaf(1)


class Ride(faust.Record, namespace="test_model_options.Ride"):
    vendor: str
    amount: float


faust.serializers.register("spaced", lambda value: json.dumps(value, indent=1).encode(), json.loads)


@pytest.mark.parametrize("form", ["spaced", "pickle", "json"])
def test_records_are_written_in_any_form(form: str) -> None:
    """A codec is given what a Record has to say, not the Record: what it writes is what Faust writes."""
    theirs = pytest.importorskip("faust")
    app = faust.App("app", broker="kafka://unused:9092", topic_partitions=1)
    rides, copies = app.topic("rides", value_type=Ride), app.topic("copies", value_type=Ride, value_serializer=form)
    untyped, seen = app.topic("copies", value_serializer=form), []

    @app.agent(rides)
    async def copy(stream: Any) -> None:
        async for ride in stream:
            await copies.send(value=ride)
            await untyped.send(value=ride)

    @app.agent(copies)
    async def read(stream: Any) -> None:
        async for ride in stream:
            seen.append(ride)  # noqa: PERF401  the stream never ends

    with TopologyTestDriver(app) as driver:
        driver.input("rides").send(None, Ride("é", 1.5))
        written = driver.output("copies", value=bytes).read_values()
    assert seen == [Ride("é", 1.5)] * 2
    assert written[0] == written[1]
    if form != "spaced":
        assert written[0] == theirs.serializers.codecs.dumps(form, Ride("é", 1.5).to_representation())


def test_raw_refuses_what_is_no_text() -> None:
    """A Record is not written as Python shows it: raw takes bytes and text, as in Faust."""
    topic = faust.App("app", broker="kafka://unused:9092").topic("rides", value_serializer="raw")
    with pytest.raises(TypeError, match="raw cannot hold"):
        topic.value_serde.serialize(Ride("1", 1.5))
    assert topic.value_serde.serialize("é") == "é".encode()
