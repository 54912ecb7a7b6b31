"""Subjects of schemas: every topic and store of a program has its own, named as in Kafka Streams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams import (
    App,
    Avro,
    FixedKeyProcessor,
    JoinWindows,
    Materialized,
    Record,
    TimeWindowedSerde,
    TimeWindows,
    Windowed,
    key_value_store,
    until_window_closes,
)
from streams.errors import SchemaError
from streams.running import register_schemas
from streams.serdes import ListSerde
from streams.serdes.schema_registry import registry_at
from streams.testing import TopologyTestDriver
from streams.topology.nodes import SourceNode


class Name(msgspec.Struct, frozen=True):
    text: str


class Other(msgspec.Struct):
    text: float


KEY, VALUE = Avro(Name), Avro(Name)
A, B = Name("a"), Name("b")

BOTH_PARTS = [
    "app-g-repartition",
    *(f"app-{store}-changelog" for store in ("held-store", "joined", "latest", "left-store", "right-store", "ver")),
    *(f"app-pair-outer-{store}-join-store-changelog" for store in ("other", "shared", "this")),
    *("out", "pairs", "slow", "slowly", "to-a", "world"),
]
KAFKAS = {
    *(f"{topic}-{part}" for topic in BOTH_PARTS for part in ("key", "value")),
    *(f"app-fk-subscription-registration-topic-{part}" for part in ("fk-key", "pk-key", "vh-value")),
    "app-fk-subscription-response-topic-value",
}
"""What a Confluent serde registers for the same program and records, by Kafka Streams 4.3.1 and a serializer that notes
its topics. Left out: `-registration-topic-key` and `-response-topic-key`, for keys that are registered as `-fk` and `-pk`
already, and are sent here as those bytes."""


def joined(one: Name | None, other: Name | None) -> Name:
    """Both names, a dash for one that is missing."""
    return Name((one.text if one else "-") + (other.text if other else "-"))


def everything(directory: Path, **settings: Any) -> App:
    """A program whose types have Avro schemas and are bound nowhere, with every kind of topic and store."""
    registry = f"file://{directory}"
    app = App("app", schema_registry=registry, statestore_cache_max_bytes=0, **settings)
    stream = app.stream("in", key=KEY, value=VALUE)
    grouped = stream.map(lambda key, value: (key, value), key=KEY, value=VALUE).group_by_key(name="g")
    latest = grouped.windowed_by(TimeWindows.of(10)).reduce(lambda _, value: value, store=Materialized(name="latest"))
    held = latest.suppress(until_window_closes(name="held"))
    held.to_stream(lambda windowed, _: windowed.key, key=KEY).to(lambda key, _value, _record: f"to-{key.text}")
    left = app.table("left", key=KEY, value=VALUE, name="left-store")
    right = app.table("right", key=KEY, value=VALUE, name="right-store")
    both = left.join(right, joined, on=lambda value: value, value=VALUE, processor="fk", name="joined")
    both.to_stream().to("out")
    other = app.stream("other", key=KEY, value=VALUE)
    within = JoinWindows.of(5)
    stream.outer_join(other, joined, within=within, name="pair", store="pair", value=VALUE).to("pairs")
    app.global_table("world", key=KEY, value=VALUE, name="world-store")
    versioned = app.table("versioned", key=KEY, value=VALUE, store=Materialized(name="ver", history="1 hour"))
    stream.join(versioned, joined, name="slow", grace=5, value=VALUE).to("slowly")
    return app


def subjects(directory: Path) -> set[str]:
    """The subjects in a registry."""
    lines = (directory / "schemas.jsonl").read_bytes().splitlines()
    return {msgspec.json.decode(line)["subject"] for line in lines}


def run_through(app: App) -> list[tuple[Name, Name]]:
    """What the program writes to `out`, `pairs`, `slowly` and `to-a`, for the records that Kafka Streams was given."""
    records = [("world", A, 1), ("versioned", A, 1), ("left", A, 1), ("right", B, 1), ("in", A, 1), ("other", B, 2)]
    with TopologyTestDriver(app) as driver:
        for topic, key, timestamp in [*records, ("in", A, 100), ("in", A, 200)]:
            driver.input(topic).send(key, B if topic == "left" else A, timestamp=timestamp)
        topics = ("out", "pairs", "slowly")
        found = [pair for topic in topics for pair in driver.output(topic).read_key_values()]
        return found + driver.output("to-a", KEY, VALUE).read_key_values()


def test_subjects_are_those_of_kafka_streams(tmp_path: Path) -> None:
    """Types with a schema need no `app.topic`: repartition topics, stores, joins and chosen topics have subjects too."""
    written = run_through(everything(tmp_path))
    assert (A, Name("ba")) in written, "the foreign-key join found nothing"
    assert (A, Name("aa")) in written, "the join that waits found nothing"
    assert written[-1] == (A, A), "no window was final"
    sent = {f"{topic}-{part}" for topic in ("in", "left", "right", "other", "versioned") for part in ("key", "value")}
    assert subjects(tmp_path) - sent == KAFKAS


def test_a_table_that_needs_no_changelog_has_the_subjects_of_its_topic(tmp_path: Path) -> None:
    """Where a source topic serves as changelog, its bytes are the store's: so is its subject."""
    run_through(everything(tmp_path, topology_optimization="all"))
    assert not {name for name in subjects(tmp_path) if name.startswith(("app-left-store", "app-right-store"))}


def test_what_was_bound_stays_bound(tmp_path: Path) -> None:
    """A subject that the program says itself wins everywhere."""
    app = App("app", schema_registry=f"file://{tmp_path}")
    own = Avro(Name, subject="mine")
    app.stream("in", key=own, value=own).group_by_key().reduce(lambda _, value: value, name="latest").to_stream().to(
        "out"
    )
    with TopologyTestDriver(app) as driver:
        driver.input("in").send(A, B)
        assert driver.output("out").read_key_values() == [(A, B)]
    assert subjects(tmp_path) == {"mine"}


def test_schemas_inside_of_other_serdes_are_bound(tmp_path: Path) -> None:
    """Windowed keys and lists write what is in them by its own schema, also where `app.topic` declares them."""
    app = App("app", schema_registry=f"file://{tmp_path}")
    topic = app.topic("in", key=TimeWindowedSerde(Avro(Name), 10), value=ListSerde(Avro(Name)))
    app.stream(topic).to("out")
    with TopologyTestDriver(app) as driver:
        driver.input("in").send(Windowed(A, 0, 10), [A, B])
        assert driver.output("out").read_key_values() == [(Windowed(A, 0, 10), [A, B])]
    assert subjects(tmp_path) == {"in-key", "in-value"}


def test_several_topics_are_read_by_one_serde_and_written_by_their_own(tmp_path: Path) -> None:
    """Who reads needs no subject; a test that writes to one of the topics uses that topic's."""
    app = App("app", schema_registry=f"file://{tmp_path}")
    app.stream(["one", "two"], key=KEY, value=VALUE).to("out")
    with TopologyTestDriver(app) as driver:
        driver.input("two").send(A, B)
        assert driver.output("out").read_key_values() == [(A, B)]
    assert subjects(tmp_path) == {"two-key", "two-value", "out-key", "out-value"}


def test_stores_of_processors_have_their_changelogs_subjects(tmp_path: Path) -> None:
    """A processor's own store takes a type with a schema as it is."""

    class Remember(FixedKeyProcessor):
        seen = key_value_store("seen", Avro(Name), Avro(Name))

        def process(self, record: Record) -> None:
            self.seen.put(record.key, record.value)
            self.context.forward(record)

    app = App("app", schema_registry=f"file://{tmp_path}")
    app.stream("in", key=KEY, value=VALUE).process_values(Remember, value=VALUE).to("out")
    with TopologyTestDriver(app) as driver:
        driver.input("in").send(A, B)
        assert driver.store("seen").get(A) == B
    assert {name for name in subjects(tmp_path) if "seen" in name} == {
        "app-seen-changelog-key",
        "app-seen-changelog-value",
    }


def test_a_start_registers_what_it_can_name(tmp_path: Path) -> None:
    """Topics that a function chooses have no subject yet; all others are registered before anything is written."""
    app = App("app", schema_registry=f"file://{tmp_path}")
    stream = app.stream("in", key=KEY, value=VALUE)
    stream.to(lambda key, _value, _record: key.text)
    stream.to(lambda key, _value, _record: key.text, value=Avro(Name, subject="mine"))
    stream.to("out")
    register_schemas(app.build())
    assert subjects(tmp_path) == {"out-key", "out-value", "mine"}


def with_a_declared_topic(**settings: Any) -> App:
    """A table of a topic that `app.topic` declares with a schema."""
    app = App("app", **settings)
    topic = app.topic("rows", key=KEY, value=VALUE)
    app.table(topic, name="store").to_stream().to("out")
    return app


def test_a_test_leaves_no_schemas_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where real runs have them in the default place, a driver has its own: two drafts of a type do not meet."""
    monkeypatch.chdir(tmp_path)

    class Draft(msgspec.Struct, frozen=True):
        number: int

    for kind, value in ((Name, A), (Draft, Draft(1))):
        app = App("app")
        app.stream(app.topic("in", key=str, value=Avro(kind))).to("out")
        for _ in range(2):
            with TopologyTestDriver(app) as driver:
                driver.input("in").send("a", value)
                assert driver.output("out").read_values() == [value]
    topology = app.build()
    for _ in range(2):
        with TopologyTestDriver(topology) as driver:
            driver.input("in").send("a", Draft(2))
            assert driver.output("out").read_values() == [Draft(2)]
    assert list(tmp_path.iterdir()) == []


def test_a_driver_may_have_another_registry(tmp_path: Path) -> None:
    """Its setting counts for declared topics too."""
    app = with_a_declared_topic(schema_registry=f"file://{tmp_path}/one")
    with TopologyTestDriver(app, schema_registry=f"file://{tmp_path}/two") as driver:
        driver.input("rows").send(A, B)
        assert driver.output("out").read_key_values() == [(A, B)]
    assert subjects(tmp_path / "two") == {"rows-key", "rows-value"}
    assert not (tmp_path / "one").exists()


def test_a_declared_serde_stays_one_in_all_places(tmp_path: Path) -> None:
    """A table keeps the bytes it reads, since its store has the very serde of its topic."""
    topology = with_a_declared_topic(schema_registry=f"file://{tmp_path}").build()
    source = next(node for node in topology.nodes.values() if isinstance(node, SourceNode))
    assert topology.stores["store"].value_serde is source.serdes.value


def test_a_registry_in_memory_judges_as_the_file_does() -> None:
    """Ids are one per schema, versions have to fit, and what nobody registered is not there."""
    registry = registry_at("memory://test-a-registry-in-memory?compatibility=full")
    one, other = Avro(Name).schema, Avro(Other).schema
    assert registry.register("a", one) == registry.register("b", one) == registry.register("a", one) == 1
    assert registry.schema(1) == one
    with pytest.raises(SchemaError, match=r"the schema of a cannot evolve from version 1 \(full compatibility\)"):
        registry.register("a", other)
    assert registry.register("c", other) == 2
    with pytest.raises(SchemaError, match="has no schema 3"):
        registry.schema(3)
    assert registry_at("memory://another").register("a", other) == 1


class Pair:
    """A serde of one's own around another one, for two values of equal length in bytes."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def bound(self, subject: str | None, registry: Any) -> Pair:
        return Pair(self.inner.bound(subject, registry))

    def serialize(self, value: tuple[Name, Name]) -> bytes:
        return b"".join(map(self.inner.serialize, value))

    def deserialize(self, data: bytes) -> tuple[Name, Name]:
        half = len(data) // 2
        return self.inner.deserialize(data[:half]), self.inner.deserialize(data[half:])


def test_a_serde_of_ones_own_passes_its_schema_on(tmp_path: Path) -> None:
    """By `bound`, as the page of values says: in a declared topic, a store and a repartition topic."""
    app = App("app", schema_registry=f"file://{tmp_path}")
    stream = app.stream(app.topic("in", key=str, value=Pair(Avro(Name))))
    stream.group_by(lambda key, _: key, key=str, name="by").reduce(lambda _, value: value, name="latest")
    stream.group_by(lambda key, _: key, key=str, value=Pair(Avro(Name)), name="anew").reduce(
        lambda _, value: value, store=Materialized(name="anew", value=Pair(Avro(Name)))
    )
    with TopologyTestDriver(app) as driver:
        driver.input("in").send("k", (A, B))
        assert driver.store("latest").get("k") == driver.store("anew").get("k") == (A, B)
    assert subjects(tmp_path) == {"in-value", "app-anew-repartition-value", "app-anew-changelog-value"}
