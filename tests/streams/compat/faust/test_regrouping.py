"""Steps by way of other topics: the keys, values and types of `group_by` and `through` are Faust's."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Optional
from uuid import UUID

import pytest

from streams.compat import faust
from streams.testing import TopologyTestDriver


class Colour(str, Enum):  # noqa: UP042  as Faust's users write it
    GREEN = "green"


class Ride(faust.Record, coerce=True, include_metadata=False):
    vendor: Optional[str] = None  # noqa: UP045  as Faust's users write it
    zone: int = 0
    fare: Decimal = Decimal("1.50")
    id: UUID = UUID(int=5)
    at: datetime = datetime(2026, 1, 2, tzinfo=UTC)
    paid: bool = False
    colour: Colour = Colour.GREEN


@pytest.fixture
def app() -> faust.App:
    """An empty application."""
    return faust.App("app", broker="kafka://unused:9092", topic_partitions=1)


def regrouped(app: faust.App, by: Any, ride: Ride, **options: Any) -> tuple[bytes | None, Any]:
    """A ride's key after `group_by`: as it is written, and as an agent has it."""
    rides = app.topic("rides", value_type=Ride, **options)
    seen: list[Any] = []

    @app.agent(rides, name="by")
    async def agent(stream: Any) -> None:
        named = {} if isinstance(by, faust.models.FieldDescriptor) else {"name": "function"}
        async for key, _ in stream.group_by(by, **named).items():  # noqa: PERF102  a stream has no keys()
            seen.append(key)

    with TopologyTestDriver(app) as driver:
        driver.input("rides").send(None, ride)
        name = "function" if callable(by) else by.ident
        (written,) = driver.output(f"by-rides-{name}-repartition", key=bytes, value=bytes).read()
    return written.key, seen[0]


FIELDS: list[tuple[Any, Ride, bytes | None, Any]] = [
    (Ride.vendor, Ride(vendor="é1"), "é1".encode(), "é1"),
    (Ride.vendor, Ride(), None, None),
    (Ride.zone, Ride(zone=7), b"7", 7),
    (Ride.fare, Ride(), b"1.50", Decimal("1.50")),
    (Ride.id, Ride(), str(UUID(int=5)).encode(), UUID(int=5)),
    (Ride.at, Ride(), b"2026-01-02 00:00:00+00:00", datetime(2026, 1, 2, tzinfo=UTC)),
    (Ride.paid, Ride(), b"False", False),
    (Ride.colour, Ride(), b"green", Colour.GREEN),
    (lambda ride: ride.vendor, Ride(vendor="é1"), "é1".encode(), "é1"),
]


@pytest.mark.parametrize(("by", "ride", "written", "key"), FIELDS)
def test_keys_are_raw_as_those_of_the_topic(app: faust.App, by: Any, ride: Ride, written: bytes, key: Any) -> None:
    """Faust's default, raw, is the form of the new keys too, whatever the field's type; they are read as that type."""
    assert regrouped(app, by, ride) == (written, key)


JSON: list[tuple[Any, Ride, bytes, Any]] = [
    (Ride.vendor, Ride(vendor="é1"), b'"\\u00e91"', "é1"),
    (Ride.zone, Ride(zone=7), b"7", 7),
    (Ride.fare, Ride(), b'"1.50"', Decimal("1.50")),
    (Ride.paid, Ride(), b"false", False),
    (lambda ride: [ride.vendor, 1], Ride(vendor="v"), b'["v",1]', ["v", 1]),
]


@pytest.mark.parametrize(("by", "ride", "written", "key"), JSON)
def test_keys_have_the_serializer_of_the_topic(app: faust.App, by: Any, ride: Ride, written: bytes, key: Any) -> None:
    """A topic whose keys are JSON is grouped into one whose keys are JSON: text is quoted, too."""
    assert regrouped(app, by, ride, key_serializer="json") == (written, key)


def test_the_written_keys_are_fausts() -> None:
    """What Faust's derived topic makes of such keys is the same."""
    theirs = pytest.importorskip("faust")
    for serializer, cases in ((None, FIELDS[:1]), ("json", JSON)):
        topic = theirs.App("app").topic("rides", key_serializer=serializer).derive_topic(suffix="-repartition")
        for by, ride, written, _ in cases:
            key = by(ride) if callable(by) else by.getattr(ride)
            assert topic.prepare_key(key, None)[0] == written


def test_keys_are_read_as_the_topic_says(app: faust.App) -> None:
    """A topic that says what its keys are says so of the new keys as well, as in Faust."""
    assert regrouped(app, Ride.zone, Ride(zone=7), key_type=str) == (b"7", "7")


def costly(stream: Any) -> Any:
    """The rides that cost something, by vendor."""
    return stream.filter(lambda ride: ride.zone > 2).group_by(Ride.vendor)


class Ways:
    """Functions over streams, as methods."""

    def by_vendor(self, stream: Any) -> Any:
        """The same, two calls deep."""
        return costly(stream)


WAYS = Ways()
HIDDEN = "group_by"


async def through_a_function(stream: Any, seen: list[Any]) -> None:
    """An agent's loop over a stream that a function made."""
    async for key, ride in costly(stream).items():
        seen.append((key, ride.zone))


async def through_a_method(stream: Any, seen: list[Any]) -> None:
    """The same by a method of an object."""
    async for key, ride in WAYS.by_vendor(stream).items():
        seen.append((key, ride.zone))


@pytest.mark.parametrize("loop", [through_a_function, through_a_method])
def test_steps_are_found_in_functions_that_an_agent_calls(app: faust.App, loop: Any) -> None:
    """`group_by` in a helper goes by way of its topic, and the filter before it holds."""
    seen: list[Any] = []

    @app.agent(app.topic("rides", value_type=Ride), name="by")
    async def agent(stream: Any) -> None:
        await loop(stream, seen)

    with TopologyTestDriver(app) as driver:
        for zone in (1, 7):
            driver.input("rides").send("old", Ride(vendor="v", zone=zone))
        topic = driver.output("by-rides-Ride.vendor-repartition", key=str, value=bytes)
        assert [record.key for record in topic.read()] == ["v"]
    assert seen == [("v", 7)]


def test_what_stands_before_a_step_may_wait_and_echo(app: faust.App) -> None:
    """Async processors, keys and predicates run on the application's loop; echoes go out without keys, in their place."""
    copies, also = app.topic("copies", value_type=str), app.topic("also", key_type=str, value_type=str)
    seen: list[Any] = []

    @app.agent(also, name="reads")
    async def reads(stream: Any) -> None:
        async for _ in stream:
            pass

    async def known(word: str) -> bool:
        await asyncio.sleep(0)
        return word != "unknown"

    async def shout(word: str) -> str:
        await asyncio.sleep(0.001)
        return word.upper()

    async def length(word: str) -> int:
        return await asyncio.to_thread(len, word)

    @app.agent(app.topic("words", value_type=str), name="by")
    async def by(stream: Any) -> None:
        stream = stream.filter(known).echo("plain", copies)
        stream.add_processor(shout)
        async for key, word in stream.echo(reads).group_by(length, name="length").items():
            seen.append((key, word))

    with TopologyTestDriver(app) as driver:
        for word in ("so", "unknown", "yes"):
            driver.input("words").send("k", word)
        for topic, words in (("plain", "so yes"), ("copies", "so yes"), ("also", "SO YES")):
            written = driver.output(topic, key=bytes, value=bytes).read_key_values()
            assert written == [(None, f'"{word}"'.encode()) for word in words.split()]
    assert seen == [("2", "SO"), ("3", "YES")]


def test_an_echo_to_memory_before_a_step_is_told(app: faust.App) -> None:
    """The topology cannot hold it."""

    @app.agent(app.topic("words"), name="by")
    async def by(stream: Any) -> None:
        async for _ in stream.echo(app.channel()).group_by(len, name="length"):
            pass

    with pytest.raises(faust.ImproperlyConfigured, match="echo to a channel after it"):
        app.application()


def in_faust(agent_topic: str | None, ways: list[str]) -> list[str]:
    """The names that Faust itself gives to the topics of an agent's `group_by`s."""
    theirs = pytest.importorskip("faust")
    app = theirs.App("app", broker="kafka://unused:9092")

    @app.agent(agent_topic and app.topic(agent_topic), name="by")
    async def by(stream: Any) -> None:
        raise NotImplementedError

    async def derived() -> list[str]:
        stream, names = app.stream(by.channel, prefix="by"), []
        for way in ways:
            stream = stream.group_by(len, name=way)
            names.append(stream.channel.get_topic_name())
        return names

    return asyncio.run(derived())


@pytest.mark.parametrize("topic", ["rides", None], ids=["topic", "own topic"])
def test_the_topics_of_group_bys_have_fausts_names(app: faust.App, topic: str | None) -> None:
    """The agent's name stands before the first one, unless the topic is the agent's own and begins with it."""
    seen: list[Any] = []

    @app.agent(topic and app.topic(topic), name="by", value_type=str)
    async def by(stream: Any) -> None:
        async for event in stream.group_by(len, name="length").group_by(str.upper, name="upper").events():
            seen.append(event.key)  # noqa: PERF401  the stream never ends

    with TopologyTestDriver(app) as driver:
        driver.input(by.channel.name).send(None, "v")
        for name in in_faust(topic, ["length", "upper"]):
            assert len(driver.output(name, key=bytes, value=bytes).read()) == 1, name
    assert seen == ["V"]


def test_a_step_that_was_not_found_is_an_error(app: faust.App) -> None:
    """A step that cannot be seen before the agent runs is never left out: the application stops and says why."""

    @app.agent(app.topic("rides", value_type=Ride), name="by")
    async def agent(stream: Any) -> None:
        async for _ in getattr(stream, HIDDEN)(Ride.vendor):
            pass

    with (
        pytest.raises(faust.ImproperlyConfigured, match="the agent by uses group_by or through could not be seen"),
        TopologyTestDriver(app) as driver,
    ):
        driver.input("rides").send("old", Ride(vendor="v"))


def test_a_topic_of_a_name_alone_keeps_the_types(app: faust.App) -> None:
    """`through("other")` reads keys and values as what they were before, as in Faust."""
    seen: list[Any] = []

    @app.agent(app.topic("rides", key_type=str, value_type=Ride))
    async def agent(stream: Any) -> None:
        async for key, ride in stream.through("other").items():
            seen.append((key, ride))

    with TopologyTestDriver(app) as driver:
        driver.input("rides").send("k", Ride(vendor="v"))
    assert seen == [("k", Ride(vendor="v"))]


def test_each_agent_reads_by_its_own_handle(app: faust.App, caplog: pytest.LogCaptureFixture) -> None:
    """Handles on one topic may say different types; what one of them cannot read, the others still do."""
    seen: dict[str, list[Any]] = {"typed": [], "raw": [], "again": [], "through": []}

    def read(name: str, topic: Any, *through: Any) -> None:
        @app.agent(topic, name=name)
        async def agent(stream: Any) -> None:
            stream = stream.through(*through) if through else stream
            async for event in stream.events():
                seen[name].append((event.key, event.value, event.message.offset))

    read("typed", app.topic("rides", key_type=str, value_type=Ride))
    read("raw", app.topic("rides", value_serializer="raw"))
    read("again", app.topic("rides", key_type=str, value_type=Ride))
    read("through", app.topic("words", value_type=str), app.topic("rides", value_serializer="raw"))
    with TopologyTestDriver(app) as driver:
        rides = driver.input("rides", key=bytes, value=bytes)
        rides.send(b"k", b'{"vendor":"v"}')
        rides.send(b"k", b"nothing")
        rides.send(None, None)
        driver.input("words").send("w", "word")
    typed = [("k", Ride(vendor="v"), 0), (None, None, 2)]
    assert (seen["typed"], seen["again"]) == (typed, typed)
    raw = [(b"k", b'{"vendor":"v"}', 0), (b"k", b"nothing", 1), (None, None, 2), (b"w", b'"word"', 3)]
    assert seen["raw"] == seen["through"] == raw
    assert "nothing" in caplog.text
