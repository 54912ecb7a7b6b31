"""What the codecs write and read is what Faust's do: state and partitions are found by the bytes of their keys."""

import enum
import math
from collections import Counter
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from state.opening import open_store
from streams.compat import faust
from streams.compat.faust.serializers import codec


class Colour(enum.Enum):
    RED = "red"


VALUES: list[Any] = [
    "plain",
    "café ☕ 😀",
    "half \ud83d",
    "\x7f\b\f\n/\"'\x00",
    ("café", (60.0, 119.9)),
    *(0.1, -0.0, 1e15, 1e16, 1e22, 1.5e-5, 1e-4, math.inf, 2**70),
    {"a": [1, None, True, {"é": 1.0}], "b": math.inf},
    {1: "a", None: "b"},
    {True: "c"},
    *(b"ab", date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5, 6), datetime(2026, 1, 2, tzinfo=UTC), time(3, 4)),
    *(Decimal("1.50"), UUID(int=5), Colour.RED, frozenset([1]), Counter("a")),
    {"at": date(2026, 1, 2), "of": Colour.RED},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_json_is_fausts_to_the_byte(value: Any) -> None:
    """Characters beyond ASCII, exponents, infinities and other types are written as Faust writes them, and read."""
    pytest.importorskip("faust")
    from faust.serializers import codecs as theirs

    data = codec("json").dumps(value)
    assert data == theirs.dumps("json", value)
    assert codec("json").loads(data) == theirs.loads("json", data)


def test_a_date_comes_back() -> None:
    """A date is written with a time of day, as Faust does, and is a date again in a Record that converts."""

    class Day(faust.Record, coerce=True):
        on: date

    assert Day.loads(Day(date(2026, 1, 2)).dumps()).on == date(2026, 1, 2)


def test_no_number_stays_no_number() -> None:
    """NaN is written and read, as Faust does; so a sum that broke is not a None."""
    assert codec("json").dumps([math.nan]) == b"[NaN]"
    assert math.isnan(codec("json").loads(b"NaN"))


def test_what_is_no_json_is_an_error() -> None:
    """Neither what JSON cannot hold nor what is no JSON passes."""
    with pytest.raises(TypeError, match="JSON cannot hold"):
        codec("json").dumps({"a": object()})
    with pytest.raises(ValueError, match="Expecting property name"):
        codec("json").loads(b"{nothing}")


@pytest.mark.parametrize("options", [{"key_type": str}, {}], ids=["typed", "untyped"])
def test_state_that_faust_left_is_found_by_its_keys(options: dict[str, Any]) -> None:
    """A changelog written by Faust is restored; a name beyond ASCII is found, and counted on in its place."""
    table = faust.App("app", broker="kafka://unused:9092").Table("counts", default=int, **options)
    with closing(open_store(table.spec(), directory=None)) as store:
        store.restore([b'"caf\\u00e9"'], [b"5"], [0], 1)
        assert store.get("café") == 5
        store.put("café", 6)
        assert list(store.all()) == [("café", 6)]


def test_windows_that_faust_left_are_found_by_their_keys() -> None:
    """The same for a key and its window."""
    table = faust.App("app", broker="kafka://unused:9092").Table("counts", default=int)
    table.tumbling(60)
    with closing(open_store(table.spec(), directory=None)) as store:
        store.restore([b'["caf\\u00e9",[60.0,119.9]]'], [b"5"], [0], 1)
        assert store.get(("café", (60.0, 119.9))) == 5
