"""The options of Records, and the forms they are written in, are Faust's: both libraries, compared."""

import json
import typing
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import new_class
from typing import Any, NamedTuple, Optional

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


class Stamp(NamedTuple):
    number: int
    at: datetime


WHEN = "2026-01-02T00:00:00"
KINDS: list[tuple[Any, Any]] = [
    (Mapping[str, datetime], {"a": WHEN}),
    (typing.MutableMapping[str, Decimal], {"a": "1.5"}),
    (Mapping[str, datetime] | None, {"a": WHEN}),
    (typing.OrderedDict[str, datetime], {"a": WHEN}),
    (Sequence[datetime], [WHEN]),
    (Sequence[Sequence[datetime]], [[WHEN]]),
    (deque[datetime], [WHEN]),
    (typing.AbstractSet[datetime], [WHEN]),
    (Stamp, [1, WHEN]),
    (list[Stamp], [[1, WHEN]]),
]


@pytest.mark.parametrize(("kind", "data"), KINDS, ids=str)
def test_abstract_kinds_and_named_tuples_are_converted(kind: Any, data: Any) -> None:
    """What is inside a field becomes what it is in Faust, by whatever name the field calls its dict or list."""
    theirs = pytest.importorskip("faust")

    def value(library: Any) -> Any:
        made = new_class("Holder", (library.Record,), {}, lambda names: names.update(__annotations__={"held": kind}))
        return made.from_data({"held": data}).held

    found, wanted = value(faust), value(theirs)
    assert found == wanted
    assert type(found) is type(wanted)
    assert WHEN not in repr(found)


def test_records_may_be_dataclasses_too() -> None:
    """The decorator changes nothing: fields that are missing are an error, defaults are values, and records are hashed."""

    @dataclass
    class Station(faust.Record, include_metadata=False):
        number: int
        name: str
        open: bool = True

    assert Station(1, "a").asdict() == {"number": 1, "name": "a", "open": True}
    assert Station.loads(b'{"number":1,"name":"a"}') == Station(1, name="a")
    assert len({Station(1, "a"), Station(1, "a")}) == 1
    assert Station.number.field == "number"
    with pytest.raises(TypeError, match="misses a value for its field 'name'"):
        Station(1)


def test_a_record_may_have_an_init_of_its_own() -> None:
    """It is called for what is loaded as well, with the fields; what else there was is kept."""

    class Quote(faust.Record, include_metadata=False):
        ask: float
        bid: float

        def __init__(self, ask: float, bid: float, **others: Any) -> None:
            self._model_init(ask, bid, **others)
            self.spread = ask - bid

    class Later(Quote):
        at: int = 0

    loaded = Quote.loads(b'{"ask":3,"bid":1,"more":5}')
    assert (loaded.spread, loaded.more, Quote(3, 1).spread) == (2, 5, 2)
    assert loaded.dumps() == b'{"ask":3,"bid":1}'
    assert Later(3, 1, 7).asdict() == {"ask": 3, "bid": 1, "at": 7}


def test_a_record_may_say_what_of_it_is_written() -> None:
    """`_prepare_dict` has the last word over `asdict` and the written form; comparing goes by all fields."""

    class Quote(faust.Record, include_metadata=False):
        ask: float | None = None
        bid: float | None = None

        def _prepare_dict(self, payload: dict[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in payload.items() if value is not None}

    class Pair(faust.Record, include_metadata=False):
        first: Quote

    assert Quote(1.0).asdict() == Quote(1.0).__json__() == {"ask": 1.0}
    assert Pair(Quote(bid=2.0)).dumps() == b'{"first":{"bid":2.0}}'
    assert Quote(1.0).derive(bid=2.0) == Quote(1.0, 2.0) != Quote(1.0)
    assert Quote(1.0).validation_errors == []


def test_a_field_of_a_record_within_is_named() -> None:
    """`Outer.inner.field` is the field, found in the value of the outer one."""

    class Vendor(faust.Record):
        city: str

    class Trip(faust.Record):
        vendor: Vendor | None
        zone: int

    assert Trip.vendor.city.ident == "Vendor.city"
    assert Trip.vendor.city.getattr(Trip(Vendor("Oslo"), 1)) == "Oslo"
    for missing in (lambda: Trip.vendor.street, lambda: Trip.zone.city):
        with pytest.raises(AttributeError, match="a field has no attribute"):
            missing()
