"""Functions of DataFrames as steps of a program."""

from pathlib import Path

import msgspec
import pandas as pd
import pytest

from streams import App, TopologyError, dead_letter
from streams.errors import ProcessingError
from streams.pytest_plugin import RunningBroker
from streams.testing import TopologyTestDriver


class Ride(msgspec.Struct):
    zone: int | None
    fare: float


class Priced(msgspec.Struct):
    zone: int | None
    price: float


def priced(rides: pd.DataFrame) -> pd.DataFrame:
    """Rides with a zone, their fare with tax; columns of the value only."""
    kept = rides[rides["zone"].notna()]
    return pd.DataFrame({"zone": kept["zone"], "price": kept["fare"] * 1.5})


def app_of(function: object, value: type = Priced) -> App:
    app = App("frames")
    rides = app.topic("rides", key=str, value=Ride)
    app.process(rides, to=app.topic("priced", key=str, value=value), batch="pandas")(function)
    return app


def test_rows_keep_key_and_time() -> None:
    """A row that comes back without a key or time has those of the row that it was; dropped rows are gone."""
    with TopologyTestDriver(app_of(priced)) as driver:
        rides = driver.input("rides")
        for second, zone in enumerate((7, None, 9)):
            rides.send(str(zone), Ride(zone, 2.0), second * 1_000)
        read = [(each.key, each.value, each.timestamp) for each in driver.output("priced").read()]
    assert read == [("7", Priced(7, 3.0), 0), ("9", Priced(9, 3.0), 2_000)]


def test_columns_of_its_own() -> None:
    """A frame with key and timestamp may have any rows."""

    def twice(rides: pd.DataFrame) -> pd.DataFrame:
        both = pd.concat([rides, rides]).assign(key="all", price=1.0)
        return both[["key", "zone", "price", "timestamp"]]

    with TopologyTestDriver(app_of(twice)) as driver:
        driver.input("rides").send("x", Ride(1, 2.0), 5)
        read = [(each.key, each.value, each.timestamp) for each in driver.output("priced").read()]
    assert read == [("all", Priced(1, 1.0), 5)] * 2


def test_plain_values_come_from_one_column() -> None:
    """The only one, or the one called value; an empty frame is no row, whatever columns it has."""

    def fares(rides: pd.DataFrame) -> pd.DataFrame:
        paid = rides[rides["fare"] > 1]
        return pd.DataFrame() if paid.empty else paid[["fare"]] if paid["zone"].isna().any() else paid.assign(value=9.0)

    with TopologyTestDriver(app_of(fares, float)) as driver:
        for zone, fare in ((None, 0.0), (None, 2.0), (7, 3.0)):
            driver.input("rides").send("x", Ride(zone, fare), 5)
        assert driver.output("priced").read_values() == [2.0, 9.0]


def test_a_sink_in_python() -> None:
    """Without `to` the function is the end of the stream."""
    seen: list[float] = []
    app = App("frames")

    @app.process(app.topic("rides", key=str, value=Ride), batch="pandas")
    def add(rides: pd.DataFrame) -> None:
        seen.append(float(rides["fare"].sum()))

    with TopologyTestDriver(app) as driver:
        driver.input("rides").send("x", Ride(1, 2.0), 5)
    assert seen == [2.0]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda frame: frame["nothing"], "'nothing'"),
        (lambda frame: 5, "has to return a DataFrame or None, got int"),
        (lambda frame: pd.DataFrame({"zone": [1], "price": [2.0]}, index=[99]), "keep their index"),
        (lambda frame: pd.DataFrame({"zone": [1], "price": ["much"]}), "row 0 of the DataFrame is not a Priced"),
        (lambda frame: pd.concat([frame, frame], axis=1), "has several columns 'fare', 'key', 'timestamp', 'zone'"),
        (lambda frame: frame[["zone"]], "no column 'price', which Priced needs; it has zone"),
    ],
)
def test_wrong_results(function: object, message: str) -> None:
    """What goes wrong stops the task with the record that it goes wrong for."""
    with TopologyTestDriver(app_of(function)) as driver, pytest.raises(ProcessingError, match=message):
        driver.input("rides").send("x", Ride(1, 2.0), 5)


@pytest.mark.broker
def test_only_the_rows_that_it_raises_for_are_set_aside(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """Wherever they are in a batch: each is a letter of its own and counts once, and the others go on in their order."""
    app = App(
        "frames",
        broker=streams_broker.url,
        state_dir=str(tmp_path),
        on_error=dead_letter("frames-letters"),
    )
    letters = app.topic("frames-letters", key=str, value=Ride, partitions=1)
    rides = app.topic("frames-rides", key=str, value=Ride, partitions=1)
    sizes: list[int] = []

    @app.process(rides, to=app.topic("frames-priced", key=str, value=Priced, partitions=1), batch="pandas")
    def price(frame: pd.DataFrame) -> pd.DataFrame:
        sizes.append(len(frame))
        if (frame["fare"] < 0).any():
            raise ValueError("a ride that pays")
        return priced(frame)

    wrong = {0, 9, 10, 22}
    app.write(rides, [(str(number), Ride(1, -1.0 if number in wrong else number)) for number in range(23)])
    with app.running() as run:
        run.catch_up(timeout_s=60)
        assert run.status().skipped == len(wrong)
    assert max(sizes) == 23
    assert [int(each.key) for each in app.read(letters)] == sorted(wrong)
    assert [int(each.key) for each in app.read("frames-priced")] == [
        number for number in range(23) if number not in wrong
    ]


def test_wrong_declarations() -> None:
    """Another kind of batch, and async functions, are refused when they are declared."""
    app = App("frames")
    with pytest.raises(TopologyError, match="expected batch=\"pandas\", got 'polars'"):
        app.process("rides", batch="polars")(priced)

    async def later(frame: pd.DataFrame) -> None: ...

    with pytest.raises(TopologyError, match="cannot be async def"):
        app.process("rides", batch="pandas")(later)
