"""Tests for streams.dsl.stores: stores of users' own classes and engines in a program."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from state.memory import MemoryEngine
from state.stores import Store
from streams import (
    App,
    KeyValueStore,
    Materialized,
    Record,
    SessionStore,
    SessionWindows,
    StateStore,
    StreamsError,
    TimestampedKeyValueStore,
    TimeWindowedSerde,
    TimeWindows,
    TopologyError,
    VersionedKeyValueStore,
    Windowed,
    WindowStore,
    bounded_key_value_store,
    custom_store,
    key_value_store,
    session_store,
    timestamped_key_value_store,
    until_window_closes,
    versioned_store,
    window_store,
)
from streams.dsl.stores import ProcessorStore
from streams.graph.windows import JoinWindows
from streams.processor import Processor
from streams.pytest_plugin import RunningBroker
from streams.serdes import ListSerde
from streams.testing import MockProcessorContext, TopologyTestDriver


class Longest(StateStore):
    """The longest text."""

    text = ""

    def offer(self, text: str) -> bool:
        """Whether it is the longest so far."""
        if len(text) <= len(self.text):
            return False
        self.text = text
        self.log(b"longest", text.encode())
        return True

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """The last change is all there is."""
        self.text = (value or b"").decode()


class Records(Processor):
    """Passes on texts that are longer than all before."""

    def process(self, record: Record) -> None:
        if self.context.store("longest").offer(record.value):
            self.context.forward(record)


def records(name: str, **settings: Any) -> App:
    """Texts that are longer than all before, by a store of this program's own."""
    app = App(name, **settings)
    texts = app.stream(app.topic(f"{name}-texts", key=str, value=str, partitions=1))
    texts.process(Records, stores=[custom_store("longest", Longest)], key=str, value=str).to(f"{name}-records")
    return app


def test_a_processor_has_the_verbs_of_its_own_store() -> None:
    """What it changes is logged; it is asked, from outside, by a function."""
    with TopologyTestDriver(records("own", broker="kafka://nowhere:9092")) as driver:
        for timestamp, text in enumerate(["ab", "a", "abc"]):
            driver.input("own-texts").send("k", text, timestamp)
        assert driver.output("own-records").read_values() == ["ab", "abc"]
        changes = driver.output("own-longest-changelog", str, str).read()
        assert changes == [Record("longest", "ab", 0), Record("longest", "abc", 2)]
        assert driver.store("longest").each(lambda store: store.text) == ["abc"]
        with pytest.raises(StreamsError, match=r"longest is a store of your own class: ask it by each\(function\)"):
            driver.store("longest").get("k")


@pytest.mark.broker
def test_it_is_restored_with_its_task(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """From the changelog, in another state directory."""
    for number, text in enumerate(["abc", "ab", "abcd"]):
        app = records("kept", broker=streams_broker.url, state_dir=str(tmp_path / str(number)))
        app.write("kept-texts", [("k", text)], timestamp=number)
        with app.running() as run:
            run.catch_up(timeout_s=30)
            longest = app.store("longest").each(lambda store: store.text)
        assert longest == ["abcd" if number == 2 else "abc"]
    assert [record.value for record in app.read("kept-records")] == ["abc", "abcd"]


@pytest.mark.broker
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_a_table_of_so_many_rows_is_restored(streams_broker: RunningBroker, tmp_path: Path, guarantee: str) -> None:
    """With those that were written last, and no more: the changelog has all of them."""
    name = f"bounded-{guarantee.replace('_', '-')}"
    app = App(name, broker=streams_broker.url, state_dir=str(tmp_path), processing_guarantee=guarantee)
    words = app.topic(f"{name}-words", key=str, value=str, partitions=1)
    counts = Materialized(name="counts", max_entries=2, cached=False)
    app.stream(words).group_by_key().count(store=counts).to_stream().to(app.topic(f"{name}-out", partitions=1))
    for words_sent, left in (("zabz", {"b": 1, "z": 1}), ("zc", {"z": 2, "c": 1})):
        app.write(words, [Record(key, "") for key in words_sent])
        with app.running() as run:
            run.catch_up(timeout_s=30)
            assert dict(app.store("counts").all()) == left


def test_a_mock_context_has_it_too() -> None:
    """By its name, with its verbs."""
    context = MockProcessorContext(stores=[custom_store("longest", Longest)])
    assert context.store("longest").offer("a")


def test_tables_and_processors_may_keep_their_bytes_elsewhere() -> None:
    """Where the program says: the engine gets what is committed."""
    opened: dict[str, MemoryEngine] = {}

    def engine(name: str, _path: Path | None) -> MemoryEngine:
        opened[name] = MemoryEngine(name)
        return opened[name]

    app = App("elsewhere", broker="kafka://nowhere:9092")
    app.table("rows", key=str, value=str, store=Materialized(name="rows", engine=engine))
    app.stream("in", key=str, value=str).process(Processor, stores=[key_value_store("own", str, str, engine=engine)])
    with TopologyTestDriver(app) as driver:
        driver.input("rows").send("a", "1", 5)
        assert opened.keys() == {"rows", "own"}
        assert opened["rows"].get(b"a") == (5).to_bytes(8, "big") + b"1"


def test_a_stream_join_keeps_its_bytes_elsewhere_too() -> None:
    """All of its stores; a retention that is that of its windows may be said. Kafka: the suppliers of StreamJoined."""
    opened: dict[str, MemoryEngine] = {}

    def engine(name: str, _path: Path | None) -> MemoryEngine:
        opened[name] = MemoryEngine(name)
        return opened[name]

    app = App("elsewhere", broker="kafka://nowhere:9092")
    left, right = (app.stream(name, key=str, value=str) for name in ("left", "right"))
    within = JoinWindows.of(5, grace=2)
    stored = Materialized(name="pairs", engine=engine, retention=12)
    left.left_join(right, lambda one, other: f"{one}{other}", within=within, value=str, store=stored).to("out", key=str)
    with TopologyTestDriver(app) as driver:
        driver.input("left").send("a", "1", 5)
        driver.input("right").send("a", "2", 6)
        assert driver.output("out", key=str, value=str).read_values() == ["12"]
        assert len(list(opened["pairs-this-join-store"].scan(None, None))) == 1
    names = {"pairs-this-join-store", "pairs-outer-other-join-store", "pairs-left-shared-join-store"}
    assert opened.keys() == names


def test_mistakes_are_told() -> None:
    """What is no function cannot make a store or an engine."""
    with pytest.raises(TopologyError, match="longest: expected a function that makes a StateStore, got 'no'"):
        custom_store("longest", "no")  # type: ignore[arg-type]  # the mistake
    app = App("wrong", broker="kafka://nowhere:9092")
    with pytest.raises(TopologyError, match="engine: expected a function"):
        app.table("rows", key=str, value=str, store=Materialized(name="rows", engine="rocks"))  # type: ignore[arg-type]


MAKERS = {
    key_value_store: KeyValueStore,
    bounded_key_value_store: KeyValueStore,
    timestamped_key_value_store: TimestampedKeyValueStore,
    versioned_store: VersionedKeyValueStore,
    window_store: WindowStore,
    session_store: SessionStore,
}
ARGUMENTS: dict[Any, dict[str, Any]] = {
    bounded_key_value_store: {"max_entries": 2},
    versioned_store: {"history": 10},
    window_store: {"size": 10, "retention": 10},
    session_store: {"retention": 10},
}


def verbs(kind: type) -> set[str]:
    """What a type of stores has for users: what is not there for the runtime."""
    return {name for name in dir(kind) if not name.startswith("_")} - set(dir(Store))


@pytest.mark.parametrize(("make", "kind"), MAKERS.items(), ids=lambda each: each.__name__)
def test_a_store_has_the_type_and_the_verbs_that_it_is_said_to_have(make: Any, kind: type) -> None:
    """Type checkers know a declared store by the type of the open one, which has all of its verbs."""
    assert get_type_hints(make)["return"] == ProcessorStore[kind]  # type: ignore[valid-type]
    spec = make("rows", str, int, **ARGUMENTS.get(make, {}))
    app = App("typed", broker="kafka://nowhere:9092")
    app.stream("in", key=str, value=int).process(Processor, stores=[spec])
    with TopologyTestDriver(app) as driver:
        missing = {verb for verb in verbs(kind) if not hasattr(driver.stores()["rows"], verb)}
    assert not missing


def test_the_page_of_the_language_names_verbs_that_are_there() -> None:
    """Each verb in the table of stores is one of its type."""
    page = (Path(__file__).parents[3] / "docs" / "language.md").read_text()
    section = page.split("### The stores of processors\n")[1].split("```")[0]
    for kind in {*MAKERS.values()}:
        (row,) = (line for line in section.splitlines() if f"| `{kind.__name__}` |" in line)
        named = set(re.findall(r"`(\w+)(?:\(|`)", row.split("|")[3])) - {"ValueAndTimestamp", "timestamped"}
        assert named, f"no verb of {kind.__name__} is on the page"
        assert named <= verbs(kind)


class Reversed:
    """A serde with what the docs ask for, and nothing else: text backwards."""

    def serialize(self, value: str) -> bytes:
        return value[::-1].encode()

    def deserialize(self, data: bytes) -> str:
        return data.decode()[::-1]


class Remember(Processor):
    """Counts in a store of its own."""

    seen = key_value_store("seen", Reversed(), Reversed())

    def process(self, record: Record) -> None:
        """How often a key came, as text."""
        count = str(int(self.seen.get(record.key) or "0") + 1)
        self.seen.put(record.key, count)
        self.context.forward(Record(record.key, count, record.timestamp))


def test_a_serde_of_ones_own_needs_two_methods() -> None:
    """Keys of stores, windows and lists too: `serialize` and `deserialize` are enough, as the docs say."""
    app = App("own-serde", broker="kafka://nowhere:9092")
    own = Reversed()
    stream = app.stream("in", key=own, value=own)
    stream.process(Remember).to("counts", key=own, value=own)
    windows = stream.group_by_key().windowed_by(TimeWindows.of(10))
    windows.count(name="windows").to_stream().to("windows", key=TimeWindowedSerde(Reversed(), 10), value=int)
    stream.group_by(lambda _key, value: value, key=Reversed()).reduce(lambda one, _: one, name="firsts")
    app.table("lists", key=own, value=ListSerde(Reversed()), name="lists")
    with TopologyTestDriver(app) as driver:
        for _ in range(2):
            driver.input("in").send("ab", "cd", 5)
        driver.input("lists").send("ab", ["ab", "cd"])
        assert driver.output("counts").read_key_values() == [("ab", "1"), ("ab", "2")]
        assert driver.output("windows").read_key_values()[-1] == (Windowed("ab", 0, 10), 2)
        assert driver.store("firsts").get("cd") == "cd"
        assert driver.store("lists").get("ab") == ["ab", "cd"]


def test_one_engine_keeps_the_bytes_of_all_tables_aggregates_and_joins() -> None:
    """Unless a store says where its own are. Kafka: dsl.store.suppliers.class, and what goes before it."""
    opened: dict[str, MemoryEngine] = {}

    def engine(name: str, _path: Path | None) -> MemoryEngine:
        opened[name] = MemoryEngine(name)
        return opened[name]

    app = App("elsewhere", broker="kafka://nowhere:9092", dsl_store_engine=engine, statestore_cache_max_bytes=0)
    grouped = app.stream("in", key=str, value=str).group_by_key()
    grouped.count(name="counts")
    windows = grouped.windowed_by(TimeWindows.of(10)).count(name="windows")
    windows.suppress(until_window_closes(name="held")).to_stream().to("final", key=TimeWindowedSerde(Reversed(), 10))
    grouped.windowed_by(SessionWindows.with_inactivity_gap(10)).count(name="sessions")
    one, other = app.stream("in", key=str, value=str), app.stream("other", key=str, value=str)
    one.join(other, lambda a, b: a + b, within=JoinWindows.of(5), store="pairs", value=str).to("out")
    app.table("rows", key=str, value=str, name="rows")
    app.table("here", key=str, value=str, store=Materialized(name="here", persistent=False))
    app.table("old", key=str, value=str, store=Materialized(name="old", history=10))
    own: dict[str, MemoryEngine] = {}
    app.table(
        "own",
        key=str,
        value=str,
        store=Materialized(name="own", engine=lambda name, _: own.setdefault(name, MemoryEngine(name))),
    )
    app.stream("in", key=str, value=str).process(Remember)  # has a store of its own
    with TopologyTestDriver(app) as driver:
        driver.input("in").send("a", "x", 5)
        assert driver.store("counts").get("a") == 1
        assert opened["counts"].get(b"a") == (5).to_bytes(8, "big") + (1).to_bytes(8, "big")
    pairs = {"pairs-this-join-store", "pairs-other-join-store"}
    assert opened.keys() == {"counts", "windows", "sessions", "rows", *pairs}
    assert own.keys() == {"own"}
