"""DataFrames into topics and out of them, types kept."""

import enum
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypedDict

import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest

from streams import App, ConfigError, Connection, TimeWindowedSerde, UnlimitedWindows, Windowed
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.errors import ProductionError
from streams.frames import frame_of, rows_of
from streams.record import Record
from streams.serdes import serde_for
from streams.testing import TopologyTestDriver

AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


class Ride(msgspec.Struct):
    zone: int | None
    fare: float
    paid: bool | None = None
    at: datetime | None = None
    driver: str | None = None


RIDES = [Ride(1, 2.5, True, AT, "x"), Ride(None, 3.0)]


@pytest.fixture
def connection() -> Connection:
    app = App("taxi")
    app.topic("rides", key=str, value=Ride, partitions=1)
    app.topic("anything", key=str, partitions=1)
    app.topic("plain", key=int, value=float, partitions=1)
    found = Connection(MemoryClients(MemoryBroker()), app.config, app._topics)
    found.create(app._new_topics.values())
    return found


def test_types_are_kept(connection: Connection) -> None:
    """Whole numbers and truth stay what they are beside nulls, times are UTC, fields are columns."""
    connection.write("rides", [Record("a", RIDES[0], 1_000), Record("b", RIDES[1], 2_000)])
    frame = connection.read("rides").to_pandas()
    assert list(frame.columns) == ["key", "zone", "fare", "paid", "at", "driver", "timestamp"]
    assert [str(frame[name].dtype) for name in ("zone", "fare", "paid")] == ["Int64", "float64", "boolean"]
    assert frame["at"][0] == pd.Timestamp(AT)
    assert frame[["zone", "paid", "at", "driver"]].isna().to_numpy().tolist() == [[False] * 4, [True] * 4]
    assert frame["timestamp"].tolist() == [
        pd.Timestamp(1_000, unit="ms", tz="UTC"),
        pd.Timestamp("1970-01-01T00:00:02Z"),
    ]


def test_what_was_read_can_be_written(connection: Connection) -> None:
    """A frame goes back as the same records: keys, values, times and nulls."""
    connection.write("rides", [Record("a", RIDES[0], 1_000), Record(None, RIDES[1], 2_000)])
    connection.write("rides", connection.read("rides").to_pandas())
    records = [(each.key, each.value, each.timestamp) for each in connection.read("rides")]
    assert records[2:] == records[:2] == [("a", RIDES[0], 1_000), (None, RIDES[1], 2_000)]


def test_columns_as_key_and_time(connection: Connection) -> None:
    """Columns named as key and timestamp stay part of the value."""
    frame = pd.DataFrame({"driver": ["x", "y"], "zone": [7, 8], "fare": [1.0, 2.0], "at": [AT, AT]})
    connection.write("rides", frame, key="driver", timestamp="at")
    (first, _) = connection.read("rides")
    assert (first.key, first.value) == ("x", Ride(7, 1.0, None, AT, "x"))
    assert first.timestamp == int(AT.timestamp() * 1000)


def test_plain_values_are_a_column_called_value(connection: Connection) -> None:
    """Values without fields are read and written as `value`; the places are given on demand."""
    connection.write("plain", pd.DataFrame({"key": [1, 2], "value": [0.5, 1.5]}), timestamp=4)
    frame = connection.read("plain").to_pandas(places=True)
    assert frame.drop(columns="timestamp").to_dict("records") == [
        {"key": 1, "value": 0.5, "partition": 0, "offset": 0},
        {"key": 2, "value": 1.5, "partition": 0, "offset": 1},
    ]


def test_names_that_meet() -> None:
    """A field called key or timestamp does not hide the record's own."""
    frame = frame_of([Record(Windowed("a", 0, 10), {"key": 5, "timestamp": 6}, 7)])
    assert list(frame.columns) == ["key", "window_start", "window_end", "value_key", "value_timestamp", "timestamp"]
    assert frame["key"].tolist() == ["a"]


def test_nothing_is_a_frame_too() -> None:
    """An empty topic gives an empty frame with the columns that every frame has."""
    assert list(frame_of([]).columns) == ["key", "value", "timestamp"]


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (pd.DataFrame({"zone": [1], "fare": ["cheap"]}), {}, "row 0 of the DataFrame is not a Ride: Expected `float`"),
        (pd.DataFrame({"zone": [1], "fare": [1.0]}), {"key": "zoen"}, "no column 'zoen': it has zone, fare"),
        (pd.DataFrame({"zone": [1], "fare": [1.0]}), {"key": len}, "key= names a column of the DataFrame"),
        (
            pd.DataFrame({"zone": [1], "fare": [1.0], "when": ["soon"]}),
            {"timestamp": "when"},
            "row 0 of the DataFrame: column when: expected a time such as .* got 'soon'",
        ),
        (
            pd.DataFrame({"zone": [1], "fare": [1.0], "timestamp": [pd.Timestamp("1969-12-31T23:59:59.999")]}),
            {},
            "row 0 of the DataFrame: column timestamp: expected a time since 1970",
        ),
    ],
)
def test_wrong_frames(connection: Connection, frame: pd.DataFrame, options: dict[str, object], message: str) -> None:
    """A row of another type is told with its number, and a missing column with those that are there."""
    with pytest.raises((ConfigError, ProductionError), match=message):
        connection.write("rides", frame, **options)


class Kind(enum.Enum):
    CASH = "cash"
    CARD = "card"


class Trip(msgspec.Struct):
    kind: Kind
    size: Literal["s", "l"] | None
    seats: int | None
    back: bool | None
    at: datetime | None
    took: timedelta
    on: date
    fare: float | None


TRIP = Trip(Kind.CARD, "s", 2, True, AT, timedelta(minutes=5), date(2026, 1, 2), 2.5)
DTYPES = ["category", "category", "Int64", "boolean", "datetime64[us, UTC]", "timedelta64[us]", "object", "float64"]


@pytest.mark.parametrize("empty", [False, True])
def test_a_types_columns_do_not_depend_on_the_rows(empty: bool) -> None:
    """Enums and literals are categories, nullable fields nullable dtypes, with nulls in the batch or without."""
    trip = msgspec.structs.replace(TRIP, size=None, seats=None, back=None, at=None, fare=None) if empty else TRIP
    frame = frame_of([Record("k", trip, 0)])
    names = list(Trip.__struct_fields__)
    assert [str(frame[name].dtype) for name in names] == DTYPES
    assert [list(frame[name].cat.categories) for name in ("kind", "size")] == [["cash", "card"], ["s", "l"]]
    app = App("taxi")
    (record,) = rows_of(frame, app.topic("trips", key=str, value=Trip), None, None)
    assert (record.key, record.value, record.timestamp) == ("k", trip, 0)


def test_times_fit_whole_numbers() -> None:
    """A column of times is ms where the field is a whole number, missing ones null."""

    class Stamped(msgspec.Struct):
        at: int | None

    frame = pd.DataFrame({"at": pd.to_datetime(["1970-01-01T00:00:01Z", None])})
    found = rows_of(frame, App("taxi").topic("stamped", value=Stamped), None, None)
    assert [record.value for record in found] == [Stamped(1_000), Stamped(None)]


def test_categories_go_in_as_what_they_name() -> None:
    """A categorical column is written as its entries, numbers and text."""
    frame = pd.DataFrame({"zone": pd.Categorical([7, None]), "fare": [1.0, 2.0], "driver": pd.Categorical(["x", None])})
    found = rows_of(frame, App("taxi").topic("rides", value=Ride), None, None)
    assert [record.value for record in found] == [Ride(7, 1.0, driver="x"), Ride(None, 2.0)]


class Total(msgspec.Struct):
    value: int


class TotalDict(TypedDict):
    value: int


class Zoned(pydantic.BaseModel):
    zone_id: int = pydantic.Field(alias="zoneId")


class Big(msgspec.Struct):
    n: int
    some: int | None = None


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Total, [Total(5), Total(6)]),
        (TotalDict, [{"value": 5}]),
        (Zoned, [Zoned(zoneId=7)]),
        (Big, [Big(2**63), Big(-1, 2**64 - 1), Big(1, None)]),
        (Big, [Big(2**63), Big(2**64 - 1)]),
        (dict, [{"n": 2**63, "m": 1}, {"n": None, "m": 2**63}]),
        (int, [5]),
    ],
    ids=str,
)
def test_a_frame_goes_back_as_the_same_values(kind: Any, values: list[Any]) -> None:
    """A type's only field called value, names that pydantic writes otherwise, and whole numbers beyond 64 bits."""
    frame = frame_of([Record("k", value, 0) for value in values])
    app = App("taxi")
    assert [record.value for record in rows_of(frame, app.topic("t", key=str, value=kind), None, None)] == values


class Bill(msgspec.Struct):
    amount: Decimal | None


def test_decimals_are_numbers(connection: Connection) -> None:
    """Not the text that JSON has of them, of which pandas' sum would be a longer text; they go back as they came."""
    topic = App("app").topic("anything", key=str, value=Bill)
    connection.write(topic, [(None, Bill(Decimal(text))) for text in ("1.10", "2.20")])
    frame = connection.read(topic).to_pandas()
    assert frame["amount"].sum() == Decimal("3.30")
    connection.write(topic, frame.assign(amount=frame["amount"] * 2))
    connection.write(topic, [(None, Bill(None))])
    assert [each.value.amount for each in connection.read(topic)] == [
        Decimal(text) if text else None for text in ("1.10", "2.20", "2.20", "4.40", None)
    ]


def test_a_window_without_end_has_none_in_a_frame() -> None:
    """Neither pandas nor anybody has a time so late: it is missing, whether the store tells it or a topic."""
    app = App("taxi")
    rides = app.topic("rides", key=str, value=int)
    counted = app.stream(rides).group_by_key().windowed_by(UnlimitedWindows.of()).count(name="counts")
    counted.to_stream().to(app.topic("out", key=TimeWindowedSerde(serde_for(str)), value=int))
    with TopologyTestDriver(app) as driver:
        driver.input("rides").send("a", 5, 1_000)
        found = driver.output("out").read_record()
        stored = app.store("counts").to_pandas()
    assert (stored["key"].tolist(), stored["window_end"].isna().tolist()) == (["a"], [True])
    frame = frame_of([Record(found.key, found.value, found.timestamp), Record(Windowed("b", 0, 10), 2, 0)])
    assert frame["window_end"].isna().tolist() == [True, False]
    assert frame["window_end"][1] == pd.Timestamp(10, unit="ms", tz="UTC")
    assert str(frame["window_end"].dtype) == str(frame["window_start"].dtype)
    assert frame["window_start"].tolist() == [pd.Timestamp(0, unit="ms", tz="UTC")] * 2


class Booking(msgspec.Struct):
    zone: str
    day: date
    seats: int | None = None
    path: list[float] = []
    places: list[dict[str, Any]] = []


def booked(frame: pd.DataFrame, kind: Any = Booking, **where: Any) -> list[Record]:
    return list(rows_of(frame, App("taxi").topic("t", key=str, value=kind), where.get("key"), where.get("timestamp")))


def test_columns_fit_as_pandas_has_them(tmp_path: Path) -> None:
    """Days are times at midnight, whole numbers beside nulls are floats, and lists out of Parquet are arrays."""
    frame = pd.DataFrame(
        {
            "zone": ["a", "b"],
            "day": pd.to_datetime(["2026-01-02", "2026-01-03"]),
            "seats": [2.0, None],
            "path": [[0.5, 1.5], []],
            "places": [[{"id": 1}], [{"id": 2}]],
        }
    )
    frame.to_parquet(tmp_path / "bookings.parquet")
    back = pd.read_parquet(tmp_path / "bookings.parquet")
    assert type(back["path"][0]).__name__ == "ndarray"
    expected = [
        Booking("a", date(2026, 1, 2), 2, [0.5, 1.5], [{"id": 1}]),
        Booking("b", date(2026, 1, 3), None, [], [{"id": 2}]),
    ]
    assert [record.value for record in booked(back)] == [record.value for record in booked(frame)] == expected
    with pytest.raises(
        ProductionError, match=r"row 0 of the DataFrame is not a Booking: Expected `int \| null`, got `float`"
    ):
        booked(frame.assign(seats=[0.5, None]))
    with pytest.raises(
        ProductionError, match="row 1 of the DataFrame is not a Booking: Expected `date`, got `datetime`"
    ):
        booked(frame.assign(day=frame["day"] + pd.to_timedelta([0, 1], unit="h")))


def test_entries_of_numpy_are_pythons_own(connection: Connection) -> None:
    """Also where no type says what they are: such as what apply leaves in a column of objects."""
    entries = [np.int64(1), np.float32(0.5), np.array([[1], [2]]), {"at": np.array([np.array([3])], dtype=object)}]
    frame = pd.DataFrame({"key": ["k"] * 4, "found": pd.Series(entries, dtype=object)})
    connection.write("anything", frame)
    assert [record.value["found"] for record in connection.read("anything")] == [1, 0.5, [[1], [2]], {"at": [[3]]}]


def test_days_are_keys(connection: Connection) -> None:
    """A column of times at midnight is the key of a topic that is kept by days."""
    topic = App("taxi").topic("daily", key=date, value=float)
    frame = pd.DataFrame({"day": pd.to_datetime(["2026-01-02"]), "total": [1.5]})
    assert [(each.key, each.value) for each in rows_of(frame, topic, "day", None)] == [(date(2026, 1, 2), 1.5)]


def test_the_column_of_a_plain_value() -> None:
    """It is called value, or is the only one beside key and time; else it is asked for."""
    frame = pd.DataFrame({"zone": ["a"], "at": [AT], "fare": [2.5]})
    (record,) = booked(frame, float, key="zone", timestamp="at")
    assert (record.key, record.value, record.timestamp) == ("a", 2.5, int(AT.timestamp() * 1000))
    (record,) = booked(frame.rename(columns={"fare": "value"}), float, key="zone")
    assert record.value == 2.5
    with pytest.raises(ConfigError, match="the DataFrame has the columns zone, at, fare, and the topic carries float"):
        booked(frame, float, key="zone")


def test_a_frame_that_does_not_fit_says_what_to_do(connection: Connection) -> None:
    """Columns that are not there, are there twice, or lie in the index; rows without a time; and what is no DataFrame."""
    frame = pd.DataFrame({"zone": ["a"], "day": [date(2026, 1, 2)]})
    refused: list[tuple[pd.DataFrame, dict[str, Any], str]] = [
        (
            frame.rename(columns={"day": "dya"}),
            {},
            "no column 'day', which Booking needs; it has zone, dya; did you mean 'dya'",
        ),
        (frame, {"key": "zoen"}, "no column 'zoen': it has zone, day; did you mean 'zone'?"),
        (
            frame.set_index("zone"),
            {"key": "zone"},
            r"'zone' is the DataFrame's index, and no column: write frame.reset_index",
        ),
        (frame, {"key": ["zone", "day"]}, r"a key or a time is one column of the DataFrame, got \['zone', 'day'\]"),
        (pd.concat([frame, frame[["zone"]]], axis=1), {}, "the DataFrame has several columns 'zone'"),
        (pd.concat({"left": frame}, axis=1), {}, "the DataFrame's columns have 2 levels"),
    ]
    for given, where, said in refused:
        with pytest.raises(ConfigError, match=said):
            booked(given, **where)
    with pytest.raises(ProductionError, match="row 0 of the DataFrame: column at: expected a time .* got None"):
        booked(frame.assign(at=pd.to_datetime([None])), timestamp="at")
    with pytest.raises(ConfigError, match=r"a Series has no columns for key and value: write series.reset_index\(\)"):
        connection.write("rides", frame["zone"], key="zone")
    with pytest.raises(ConfigError, match="key='zone' names a field of the values, and 2.5 has none"):
        connection.write("plain", [2.5], key="zone")
