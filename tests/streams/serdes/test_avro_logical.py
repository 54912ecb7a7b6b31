"""Avro's logical types, defaults of such, and fields that may be left out."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, NotRequired, TypedDict
from uuid import UUID

import msgspec
import pytest

from streams import Avro
from streams.serdes.schema_registry import FileRegistry

NOON = datetime(2026, 7, 1, 12, 0, 0, 5, tzinfo=UTC)


class Fare(TypedDict):
    amount: float
    at: datetime


class Loose(TypedDict, total=False):
    amount: int
    note: str | None


class Mixed(TypedDict):
    amount: int
    tip: NotRequired[int]


class Unset(msgspec.Struct):
    amount: int
    tip: int | msgspec.UnsetType = msgspec.UNSET


class Priced(msgspec.Struct):
    price: Decimal
    at: time
    text: Decimal | None = None


class Small(msgspec.Struct, rename={"amount": "n"}):
    amount: int


class Defaults(msgspec.Struct, rename={"amount": "n"}):
    amount: int
    at: datetime = NOON
    naive: datetime | None = datetime(2026, 7, 1)
    day: date = date(1969, 12, 31)
    photo: bytes = b"\0\xff\xfeab"
    id: UUID = UUID(int=7)
    photos: list[bytes] = msgspec.field(default_factory=lambda: [b"\xff"])
    named: dict[str, bytes] = msgspec.field(default_factory=lambda: {"a": b"\x80"})


PRICED = {
    "type": "record",
    "name": "Priced",
    "fields": [
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "at", "type": {"type": "long", "logicalType": "time-micros"}},
    ],
}


@pytest.fixture
def registry(tmp_path: Path) -> FileRegistry:
    return FileRegistry(tmp_path / "schemas")


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process has a local time that is not UTC."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    clock.tzset()
    yield
    monkeypatch.undo()
    clock.tzset()
    assert os.environ.get("TZ") != "Asia/Tokyo"


def given(serde: Any, registry: Any, subject: str = "x-value") -> Any:
    return serde.bound(subject, lambda: registry)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Fare, {"amount": 2.5, "at": NOON}),
        (Loose, {"note": "x"}),
        (Loose, {"amount": 1, "note": None}),
        (Mixed, {"amount": 1}),
        (Mixed, {"amount": 1, "tip": 2}),
        (Unset, Unset(1)),
        (Unset, Unset(1, 2)),
        (Defaults, Defaults(1)),
        (Defaults, Defaults(1, NOON + timedelta(1), None, date(2026, 1, 1), b"\xff", UUID(int=8), [b"b"], {})),
    ],
    ids=str,
)
def test_round_trip(registry: FileRegistry, kind: Any, value: Any) -> None:
    """TypedDicts, their fields that may be left out, and types whose defaults are times and bytes."""
    serde = given(Avro(kind), registry)
    read = serde.deserialize(serde.serialize(value))
    if isinstance(value, Defaults) and value.naive is not None:
        value = msgspec.structs.replace(value, naive=value.naive.replace(tzinfo=UTC))
    assert read == value


def test_what_may_be_left_out_or_none_is_none(registry: FileRegistry) -> None:
    """Avro has one null for both."""
    serde = given(Avro(Loose), registry)
    assert serde.deserialize(serde.serialize({})) == {"note": None}


def test_what_is_no_such_dict_is_refused(registry: FileRegistry) -> None:
    """A TypedDict is no class to check values against: its schema does."""
    with pytest.raises(TypeError, match="expected Fare as its Avro schema says"):
        given(Avro(Fare), registry).serialize({"amount": "x"})


@pytest.mark.parametrize("kind", [Priced, dict])
def test_decimals_and_times_of_a_schema(registry: FileRegistry, kind: Any) -> None:
    """They are objects where the schema has a logical type for them."""
    serde = given(Avro(kind, schema=PRICED), registry)
    fields = {"price": Decimal("12.50"), "at": time(1, 2, 3, 4)}
    value = kind(**fields)
    data = serde.serialize(value)
    assert data[5:] == b"\x04\x04\xe2" + data[8:]  # 1250, in two bytes
    assert serde.deserialize(data) == value


def test_decimals_as_text(registry: FileRegistry) -> None:
    """Where the schema says string, a Decimal is its text."""
    schema = {"type": "record", "name": "T", "fields": [{"name": "text", "type": "string"}]}
    made = msgspec.defstruct("T", [("text", Decimal)])
    serde = given(Avro(made, schema=schema), registry)
    assert serde.serialize(made(Decimal("1.10")))[5:] == b"\x081.10"
    assert serde.deserialize(serde.serialize(made(Decimal("1.10")))) == made(Decimal("1.10"))


@pytest.mark.usefixtures("far_east")
def test_a_time_without_a_zone_is_utc(registry: FileRegistry) -> None:
    """As everywhere else, whatever the time of the machine; a zone that is said counts."""
    serde = given(Avro(Fare), registry)
    for at in (NOON.replace(tzinfo=None), NOON, NOON.astimezone(timezone(timedelta(hours=9)))):
        assert serde.deserialize(serde.serialize({"amount": 1.0, "at": at})) == {"amount": 1.0, "at": NOON}


def test_defaults_are_told_in_avros_own_form(registry: FileRegistry) -> None:
    """Microseconds, days, and a character for each byte; an older value without these fields is read with them."""
    serde = given(Avro(Defaults), registry)
    told = {field["name"]: field.get("default") for field in msgspec.json.decode(serde.schema.text)["fields"]}
    assert told["at"] == 1782907200000005
    assert told["day"] == -1
    assert told["photo"] == "\0\xff\xfeab"
    assert told["photos"] == ["\xff"]
    old = {**msgspec.json.decode(Avro(Small).schema.text), "name": "Defaults"}
    before = given(Avro(Small, schema=old), registry, "old").serialize(Small(3))
    assert serde.deserialize(before) == Defaults(3, naive=datetime(2026, 7, 1, tzinfo=UTC))
