"""Records behave as Faust's own do: the same classes, made by both libraries, compared."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from streams.compat import faust
from streams.serdes import serde_for


def models(library: Any) -> dict[str, Any]:
    """The same Records, made by one library or the other."""

    class Point(library.Record, serializer="json", namespace="Point"):
        x: int
        label: str = "none"
        note: str | None = None

    class Order(library.Record, serializer="json", coerce=True, namespace="Order"):
        at: datetime
        price: Decimal
        where: Point
        others: list[Point] = []  # noqa: RUF012  as Faust has it

    class Checked(library.Record, serializer="json", validation=True, include_metadata=False, namespace="Checked"):
        count: int
        share: float

    return {"Point": Point, "Order": Order, "Checked": Checked}


USES: list[Callable[[dict[str, Any]], Any]] = [
    lambda known: known["Point"](1).asdict(),
    lambda known: known["Point"](1, "a", note="b").dumps(),
    lambda known: known["Point"].from_data({"x": "not converted", "more": 5}).__dict__["more"],
    lambda known: repr(known["Point"](1)),
    lambda known: known["Point"](1) == known["Point"](1, label="none"),
    lambda known: known["Point"](1) < known["Point"](2),
    lambda known: known["Point"](1, label=None).label,
    lambda known: known["Point"](1).derive(x=5).asdict(),
    lambda known: known["Point"].x.field,
    lambda known: known["Point"].loads(b'{"x": 3, "note": "n"}').asdict(),
    lambda known: (
        known["Order"].loads(known["Order"](datetime(2026, 1, 2), Decimal("1.5"), known["Point"](1)).dumps()).price
    ),
    lambda known: (
        known["Order"]
        .from_data({"at": "2026-01-02T03:04:05", "price": "2.50", "where": {"x": 1}, "others": [{"x": "2"}]})
        .to_representation()
    ),
    lambda known: known["Checked"].from_data({"count": "3", "share": 1}).asdict(),
    lambda known: known["Checked"](count=4.0, share="0.5").dumps(),
]


@pytest.mark.parametrize("use", USES)
def test_equals_faust(use: Callable[[dict[str, Any]], Any]) -> None:
    """What a Record does and writes is what Faust's does and writes, to the byte."""
    theirs = pytest.importorskip("faust")
    ours, original = use(models(faust)), use(models(theirs))
    assert plain(ours) == plain(original)


def plain(value: Any) -> Any:
    """A value with its Records taken apart."""
    if hasattr(value, "asdict"):
        return plain(value.asdict())
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


class Ride(faust.Record, validation=True):
    kind: ClassVar[str] = "ride"
    vendor: str
    amount: float


def test_wrong_values_name_field_and_value() -> None:
    """What does not fit is refused with class, field, value and type; what is missing with its name."""
    with pytest.raises(faust.ValidationError, match=r"Ride\.amount: expected float, got 'much'"):
        Ride.from_data({"vendor": "1", "amount": "much"})
    with pytest.raises(TypeError, match="Ride misses a value for its field 'amount'"):
        Ride("1")
    with pytest.raises(TypeError, match="Ride got unexpected argument: colour"):
        Ride("1", 2.0, colour="red")
    with pytest.raises(TypeError, match=r"expected an object with the fields vendor, amount, got \[1\]"):
        Ride.from_data([1])  # type: ignore[arg-type]


def test_an_unknown_option_is_named() -> None:
    """An option of Faust that is not here says so when the class is made."""
    with pytest.raises(faust.NotHere, match="frozen"):

        class Wide(faust.Record, frozen=True):
            value: int


def test_is_a_serde_of_native_applications() -> None:
    """A Record is a type like any other for `app.topic(value=Ride)`."""
    serde = serde_for(Ride)
    assert serde.deserialize(serde.serialize(Ride("1", 2.0))) == Ride("1", 2.0)
