"""The App: topics, stores, configuration, and its two doors."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams import App, ConfigError, StreamsError, TimeWindows, TopologyError, Windowed
from streams.testing import TopologyTestDriver


class Total(msgspec.Struct):
    count: int
    name: str


def test_a_topic_is_declared_once() -> None:
    """The same name gives the same handle; other types for it are refused."""
    app = App("taxi")
    rides = app.topic("rides", key=str, value=Total)
    assert app.topic("rides") is rides
    assert app.topic("rides", key=str, value=Total) is rides
    with pytest.raises(TopologyError, match="topic rides was declared with other types before"):
        app.topic("rides", value=int)


def test_how_a_topic_is_made_may_be_said_bit_by_bit() -> None:
    """What the first declaration said is not lost to the second, and other partitions or settings are refused."""
    app = App("taxi")
    app.topic("rides", partitions=3, config={"retention.ms": "5"})
    app.topic("rides", config={"segment.ms": "7", "retention.ms": "5"})
    app.stream(app.topic("rides", key=str, partitions=3))
    with pytest.raises(TopologyError, match="topic rides was declared with other partitions before"):
        app.topic("rides", partitions=4)
    with pytest.raises(TopologyError, match="topic rides was declared with other settings before"):
        app.topic("rides", config={"retention.ms": "6"})
    (made,) = app.application().new_topics
    assert (made.partitions, made.config) == (3, {"retention.ms": "5", "segment.ms": "7"})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"partitions": 0}, "topic rides: partitions: expected a whole number of at least 1, got 0"),
        ({"partitions": -5}, "partitions: .* got -5"),
        ({"partitions": "4"}, "partitions: .* got '4'; write it without quotes"),
        ({"config": "retention.ms=5"}, "topic rides: config: expected Kafka's topic settings as a dict such as"),
    ],
)
def test_what_no_topic_can_have_is_refused(options: dict[str, Any], says: str) -> None:
    """When it is declared, not when the broker is asked to make it."""
    with pytest.raises(TopologyError, match=says):
        App("taxi").topic("rides", **options)


def test_a_table_with_a_default_takes_types_only() -> None:
    """Its own name is that of its store; options of tables that are read from topics are refused."""
    with pytest.raises(TopologyError, match=r"table 'a' with default=: .* takes key= and value= beside it, got name="):
        App("taxi").table("a", default=int, name="q")


def test_a_second_declaration_adds_what_was_open() -> None:
    """A topic first met by its name gets its types later, and keeps those it has."""
    app = App("taxi")
    app.topic("rides")
    app.topic("rides", key=str)
    rides = app.topic("rides", value=Total)
    assert (rides.key_serde.type, rides.value_serde.type) == (str, Total)
    assert app.topic("rides") is rides


def test_what_an_aggregate_writes_is_known_by_name() -> None:
    """A bare topic name after `to=` gets the types of the updates, windowed keys included."""
    app = App("taxi")

    @app.aggregate(app.topic("rides", key=str, value=int), window=TimeWindows.of("10 s"), to="totals")
    def total(total: float, ride: int) -> float:
        return total + ride

    seen: list[tuple[Windowed, float]] = []

    @app.process("totals")
    def see(key: Windowed, value: float) -> None:
        seen.append((key, value))

    with TopologyTestDriver(app) as driver:
        driver.input("rides").send("a", 2, 12_000)
    assert seen == [(Windowed("a", 10_000, 20_000), 2.0)]


def test_types_of_a_topic_are_known_by_its_name() -> None:
    """The verbs accept a declared topic's name, and use its types."""
    app = App("taxi")
    app.topic("rides", key=str, value=Total)
    assert app.stream("rides").serdes.value.type is Total
    assert app.table("rides").serdes.key.type is str


def test_wrong_settings_fail_when_the_app_is_made() -> None:
    """A misspelt keyword is an error at once."""
    with pytest.raises(ConfigError, match="did you mean 'commit_interval_ms'"):
        App("taxi", commit_interval=5)


def test_the_command_line_wins() -> None:
    """`configure` puts settings over those of the constructor, and only those."""
    app = App("taxi", broker="kafka://one", linger_ms=5)
    app.configure({"broker": "kafka://two:1"})
    assert (app.config.broker, app.config.linger_ms) == ("kafka://two:1", 5)


def counting() -> App:
    """Counts per key, in windows and without."""
    app = App("counts")
    words = app.stream(app.topic("words", key=str, value=str))
    words.group_by_key().count(name="total")
    words.group_by_key().windowed_by(TimeWindows.of("10 s")).count(name="windowed")
    return app


@pytest.mark.parametrize("persistent", [False, True])
def test_stores_are_read_through_the_app(tmp_path: Path, persistent: bool) -> None:
    """Views give plain values by key, by window, by range and as a whole."""
    app = counting()
    with TopologyTestDriver(app, directory=tmp_path if persistent else None) as driver:
        words = driver.input("words")
        for second, key in enumerate("abaca"):
            words.send(key, "x", second * 4_000)
        total, windowed = app.store("total"), app.store("windowed")
        assert (total.get("a"), total.get("z"), len(total)) == (3, None, 3)
        assert dict(total.range("a", "b")) == {"a": 3, "b": 1}
        assert list(windowed.fetch("a", 0, 10_000)) == [
            (Windowed("a", 0, 10_000), 2),
            (Windowed("a", 10_000, 20_000), 1),
        ]
        assert windowed.get(Windowed("a", 0, 10_000)) == 2
        assert len(list(windowed)) == 4


def test_stores_as_data_frames() -> None:
    """Windows become columns of time, and fields of values columns of their own."""
    app = counting()
    total = (
        app.stream("words")
        .group_by_key()
        .aggregate(
            lambda: Total(0, ""), lambda key, value, total: Total(total.count + 1, value), value=Total, name="structs"
        )
    )
    assert total.node
    with TopologyTestDriver(app) as driver:
        driver.input("words").send("a", "x", 12_000)
        windowed, structs = app.store("windowed").to_pandas(), app.store("structs").to_pandas()
    assert [str(start) for start in windowed["window_start"]] == ["1970-01-01 00:00:10+00:00"]
    assert windowed[["key", "value"]].to_dict("records") == [{"key": "a", "value": 1}]
    assert structs.to_dict("records") == [{"key": "a", "count": 1, "name": "x"}]


def test_wrong_reads_say_so() -> None:
    """No run, no such store, and a query of the wrong kind are each a sentence."""
    app = counting()
    with pytest.raises(StreamsError, match="the store 'total' can be read while the application runs"):
        app.store("total")
    with TopologyTestDriver(app) as driver:
        driver.input("words").send("a", "x", 0)
        with pytest.raises(StreamsError, match="counts has no store 'totals'"):
            app.store("totals")
        with pytest.raises(StreamsError, match="windowed holds windows: get"):
            app.store("windowed").get("a")
        with pytest.raises(StreamsError, match="total is a timestamped-key-value store, which has no fetch"):
            list(app.store("total").fetch("a"))
    with pytest.raises(StreamsError, match="does not"):
        app.store("total")
