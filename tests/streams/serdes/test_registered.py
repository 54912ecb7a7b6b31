"""Avro, JSON Schema and Protobuf values: round trips, evolution both ways, and Confluent's own serializers as judges."""

from __future__ import annotations

import enum
import threading
import warnings
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pydantic
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from streams import App, Avro, JsonSchema, Protobuf, TopologyError
from streams.cli.readable import plain
from streams.errors import ClientError, ConfigError, SchemaError
from streams.serdes.schema_registry import FileRegistry, Schema, registry_at
from streams.testing import TopologyTestDriver
from tests.streams.serdes.registry_server import serving


class Payment(enum.Enum):
    CASH = "cash"
    CARD = "card"


class Zone(msgspec.Struct):
    id: int
    name: str | None = None


class Ride(msgspec.Struct):
    id: UUID
    at: datetime
    zone: Zone
    fares: list[float]
    tips: dict[str, float]
    paid: Payment = Payment.CASH
    to: Zone | None = None
    note: str | None = "none"
    photo: bytes = b""


RIDE = Ride(
    UUID(int=7),
    datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
    Zone(1, "Astoria"),
    [1.5, 2.0],
    {"x": 0.5},
    Payment.CARD,
)


class Small(msgspec.Struct):
    fare: float


class Larger(msgspec.Struct):
    fare: float
    zone: int = 7


class Other(msgspec.Struct):
    fare: str


class Strict(msgspec.Struct):
    fare: float
    zone: int


def message(*fields: tuple[str, int, int], name: str = "Small", before: str | None = None) -> Any:
    """A generated message class: (name, number, Protobuf type) of its fields, the second of its file with `before`."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}-{before}-{fields}.proto", package="t", syntax="proto3")
    if before:
        file.message_type.add(name=before)
    proto = file.message_type.add(name=name)
    for field, number, kind in fields:
        proto.field.add(name=field, number=number, type=kind, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"t.{name}"))


DOUBLE, INT64, STRING = 1, 3, 9


@pytest.fixture
def registry(tmp_path: Path) -> FileRegistry:
    return FileRegistry(tmp_path / "schemas")


def given(serde: Any, registry: Any, subject: str = "rides-value") -> Any:
    return serde.bound(subject, lambda: registry)


@pytest.mark.parametrize("make", [Avro, JsonSchema])
def test_round_trip(registry: FileRegistry, make: Any) -> None:
    """Times, ids, enums, nested and optional fields, lists and maps come back; the head is Confluent's."""
    serde = given(make(Ride), registry)
    data = serde.serialize(RIDE)
    assert data[:5] == b"\0\0\0\0\1"
    assert serde.deserialize(data) == RIDE
    assert serde.serialize(RIDE) == data


def test_pydantic_and_dicts(registry: FileRegistry) -> None:
    """Models of pydantic, and plain dicts under a schema of their own, which checks them both ways."""

    class Model(pydantic.BaseModel):
        fare: float

    serde = given(JsonSchema(Model), registry, "model")
    assert serde.deserialize(serde.serialize(Model(fare=2.0))) == Model(fare=2.0)
    plain = {"type": "object", "properties": {"fare": {"type": "number"}}, "required": ["fare"]}
    checked = given(JsonSchema(schema=plain), registry, "plain")
    assert checked.deserialize(checked.serialize({"fare": 2})) == {"fare": 2}
    with pytest.raises(TypeError, match=r"'x' is not of type 'number' - at \$.fare"):
        checked.serialize({"fare": "x"})
    with pytest.raises(ValueError, match="'fare' is a required property"):
        checked.deserialize(b"\0\0\0\0\1{}")
    record = {"type": "record", "name": "R", "fields": [{"name": "fare", "type": "double"}]}
    avro = given(Avro(schema=record), registry, "record")
    assert avro.deserialize(avro.serialize({"fare": 2.0})) == {"fare": 2.0}


def test_protobuf_round_trip_and_evolution(registry: FileRegistry) -> None:
    """Messages come back; fields that one side does not know are defaults, or kept."""
    small, larger = message(("fare", 1, DOUBLE)), message(("fare", 1, DOUBLE), ("zone", 2, INT64))
    old, new = given(Protobuf(small), registry), given(Protobuf(larger), registry)
    assert old.deserialize(old.serialize(small(fare=2.5))) == small(fare=2.5)
    assert new.deserialize(old.serialize(small(fare=2.5))) == larger(fare=2.5)
    assert old.deserialize(new.serialize(larger(fare=2.5, zone=3))).fare == 2.5
    second = given(Protobuf(message(("fare", 1, DOUBLE), before="First")), registry, "second")
    assert second.serialize(second.type(fare=1.0))[5:7] == b"\x02\x02"
    with pytest.raises(SchemaError, match=r"the field Small.fare \(number 1, was fare\) has another type"):
        given(Protobuf(message(("fare", 1, STRING))), registry).serialize(message(("fare", 1, STRING))())
    with pytest.raises(TypeError, match=r"expected t.Small, got 5"):
        old.serialize(5)


@pytest.mark.parametrize("make", [Avro, JsonSchema])
def test_evolution_both_ways(registry: FileRegistry, make: Any) -> None:
    """A new field with a default: new readers read old values, and old readers new ones."""
    old, new = given(make(Small), registry), given(make(Larger), registry)
    if make is Avro:  # Avro compares names of records
        new = given(Avro(Larger, schema={**msgspec.json.decode(new.schema.text), "name": "Small"}), registry)
    before = old.serialize(Small(2.5))
    after = new.serialize(Larger(3.5, 9))
    assert new.deserialize(before) == Larger(2.5, 7)
    assert old.deserialize(after) == Small(3.5)


EVOLUTIONS = {
    "another type": (Avro(Other), "fare was double and is string"),
    "a new field without default": (Avro(Strict), "the field zone is new and has no default"),
    "another type in JSON": (JsonSchema(Other), "fare was integer or number and is string"),
    "a new required field in JSON": (JsonSchema(Strict), "the field zone is new and required"),
}


@pytest.mark.parametrize("name", EVOLUTIONS)
def test_a_schema_that_cannot_evolve(registry: FileRegistry, name: str) -> None:
    """The error names subject, version, what does not fit and the cure; the registry is as it was."""
    serde, problem = EVOLUTIONS[name]
    given(type(serde)(Small), registry).prepare()
    with pytest.raises(SchemaError) as caught:
        given(serde, registry).prepare()
    assert "the schema of rides-value cannot evolve from version 1 (backward compatibility)" in str(caught.value)
    assert problem in str(caught.value)
    assert "give new fields a default" in str(caught.value)
    assert len(registry.versions("rides-value")) == 1


def test_compatibility_of_a_file(tmp_path: Path) -> None:
    """Forward and full ask what old readers make of new values; none asks nothing."""
    for compatibility, fails in (("none", False), ("backward", False), ("forward", True), ("full", True)):
        registry = registry_at(f"file://{tmp_path}/{compatibility}?compatibility={compatibility}")
        given(Avro(Larger, namespace="n"), registry).prepare()
        schema = {
            "type": "record",
            "name": "Larger",
            "namespace": "n",
            "fields": [{"name": "zone", "type": "long", "default": 1}],
        }
        serde = given(Avro(schema=schema), registry)
        if fails:
            with pytest.raises(SchemaError, match="the field fare is new and has no default"):
                serde.prepare()
        else:
            serde.prepare()


def test_avro_resolution() -> None:
    """Unions, enums, arrays, maps, fixed, promotions and aliases, by Avro's specification."""
    from streams.serdes.schema_evolution import problems

    def differ(reader: Any, writer: Any) -> list[str]:
        texts = [msgspec.json.encode(each).decode() for each in (reader, writer)]
        return problems("AVRO", reader=texts[0], writer=texts[1])

    enum_of = lambda *symbols, **more: {"type": "enum", "name": "E", "symbols": list(symbols), **more}  # noqa: E731
    assert differ("long", "int") == differ(["null", "long"], "long") == differ(enum_of("a", "b"), enum_of("a")) == []
    assert differ("int", "long") == ["the value was long and is int"]
    assert differ("long", ["null", "long"]) == ["the value was null and is long"]
    assert differ(["null", "string"], "long") == ["the value may be long, which null or string cannot hold"]
    assert differ(enum_of("a"), enum_of("a", "b")) == ["the value has lost the symbols b, and the enum has no default"]
    assert differ(enum_of("a", default="a"), enum_of("a", "b")) == []
    assert differ({"type": "array", "items": "int"}, {"type": "array", "items": "string"}) == [
        "[] was string and is int"
    ]
    assert differ({"type": "map", "values": "int"}, {"type": "map", "values": "string"}) == ["{} was string and is int"]
    fixed = {"type": "fixed", "name": "F", "size": 4}
    assert differ(fixed, {**fixed, "size": 8}) == ["the value was 8 bytes and is 4"]
    record = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}
    renamed = {
        "type": "record",
        "name": "S",
        "aliases": ["R"],
        "fields": [{"name": "b", "aliases": ["a"], "type": "int"}],
    }
    assert differ(renamed, record) == []
    assert differ({**renamed, "aliases": []}, record) == ["the record was called R and is called S"]


def test_the_file_survives_kills_and_company(tmp_path: Path) -> None:
    """A half line is not there and is written over; registrations from many threads get one id per schema."""
    registry = FileRegistry(tmp_path)
    assert registry.register("a", Schema('"int"', "AVRO")) == 1
    with (tmp_path / "schemas.jsonl").open("ab") as file:
        file.write(b'{"id":2,"subj')
    assert registry.register("b", Schema('"long"', "AVRO")) == 2
    assert registry.register("c", Schema('"int"', "AVRO")) == 1
    ids: list[int] = []
    threads = [
        threading.Thread(
            target=lambda n=n: ids.append(FileRegistry(tmp_path).register(f"s{n % 3}", Schema(f'"{n % 3}"', "JSON")))
        )
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 3
    assert [FileRegistry(tmp_path).schema(each).text for each in (1, 2)] == ['"int"', '"long"']
    with pytest.raises(SchemaError, match="has no schema 99: was the topic written with another registry"):
        registry.schema(99)
    (tmp_path / "schemas.jsonl").write_text("what\n")
    with pytest.raises(SchemaError, match="is no file of schemas"):
        FileRegistry(tmp_path).register("a", Schema('"int"', "AVRO"))


@pytest.fixture
def http(registry: FileRegistry) -> Iterator[str]:
    with serving(registry) as url:
        yield url


def test_confluents_own_serializers(registry: FileRegistry, http: str) -> None:
    """Through Confluent's client: its Avro and Protobuf serializers write our bytes, and read them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from confluent_kafka.schema_registry import SchemaRegistryClient
        from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
        from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
        from confluent_kafka.serialization import MessageField, SerializationContext

        client = SchemaRegistryClient({"url": http})
        context = SerializationContext("rides", MessageField.VALUE)
        ours = given(Avro(Larger), registry_at(http))
        theirs = AvroSerializer(client, ours.schema.text)
        data = ours.serialize(Larger(2.5, 3))
        assert theirs({"fare": 2.5, "zone": 3}, context) == data
        assert AvroDeserializer(client)(data, context) == {"fare": 2.5, "zone": 3}
        kind = message(("fare", 1, DOUBLE))
        context = SerializationContext("small", MessageField.VALUE)
        proto = given(Protobuf(kind), registry_at(http), "small-value")
        data = proto.serialize(kind(fare=2.5))
        assert ProtobufSerializer(kind, client, {"use.deprecated.format": False})(kind(fare=2.5), context) == data
        assert ProtobufDeserializer(kind, {"use.deprecated.format": False})(data, context) == kind(fare=2.5)


def test_user_and_password_of_an_address(registry: FileRegistry) -> None:
    """They may hold what an address cannot, as %40, and reach the registry as they are."""
    heard: list[str] = []
    with serving(registry, heard) as url:
        address = url.replace("//", "//me%40home:p%40ss%3A1%2F2@")
        registry_at(address).register("users", Schema('"string"', "AVRO"))
    assert {b64decode(each.removeprefix("Basic ")) for each in heard} == {b"me@home:p@ss:1/2"}


def test_a_registry_that_refuses_or_is_not_there(http: str) -> None:
    """What Confluent's API answers becomes our errors: cannot evolve, unknown, unreachable."""
    given(Avro(Small), registry_at(http)).prepare()
    with pytest.raises(SchemaError, match="the schema of rides-value cannot evolve from its latest version"):
        given(Avro(Other), registry_at(http)).prepare()
    with pytest.raises(SchemaError, match="refuses the schema 77: Schema not found"):
        registry_at(http).schema(77)
    with pytest.raises(ClientError, match="http://127.0.0.1:1 cannot be reached"):
        registry_at("http://127.0.0.1:1").schema(1)


def test_an_application_with_schemas(tmp_path: Path) -> None:
    """`app.topic` gives subject and registry; state and results have the same bytes; another schema is refused."""
    app = App("taxi", schema_registry=f"file://{tmp_path}")
    rides = app.topic("rides", key=str, value=Avro(Small))

    @app.process(rides, to=app.topic("out", key=str, value=JsonSchema(Larger)))
    def enlarge(ride: Small) -> Larger:
        return Larger(ride.fare, 1)

    app.stream(rides).group_by_key().reduce(lambda _, new: new, name="latest")
    with TopologyTestDriver(app) as driver:
        driver.input("rides").send("k", Small(2.5), 0)
        assert driver.output("out").read_values() == [Larger(2.5, 1)]
        assert driver.store("latest").get("k") == Small(2.5)
    assert [len(FileRegistry(tmp_path).versions(f"{topic}-value")) for topic in ("rides", "out")] == [1, 1]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: Avro(Small).serialize(Small(1.0)),
            TopologyError,
            "the schema of Small has no registry: declare the topic",
        ),
        (lambda: Avro(Small, registry="file://x").serialize(Small(1.0)), TopologyError, "Small has no subject"),
        (
            lambda: registry_at("ftp://x"),
            ConfigError,
            "expected http://host:port, https://host:port, file://DIR or memory://NAME",
        ),
        (lambda: registry_at("file://x?compatibility=fulll"), ConfigError, "got 'fulll'; did you mean 'full'"),
        (lambda: Avro(int), TopologyError, "expected a struct, dataclass or TypedDict, or say schema="),
        (lambda: Avro(schema='{"type": "recorde"}'), TopologyError, "this is not a schema"),
        (lambda: Avro(schema="{"), TopologyError, "is not JSON"),
        (lambda: JsonSchema(), TopologyError, "expected a type, or schema="),
        (lambda: JsonSchema(schema={"type": "objec"}), TopologyError, "this is not a schema"),
        (lambda: Protobuf(Small), TopologyError, "expected a message class that protoc generated"),
        (lambda: Avro(Small).deserialize(b'{"fare": 1}'), ValueError, "was it written without one?"),
        (
            lambda: App("a", broker="kafka://h:1").config.registry_url,
            ConfigError,
            "need a registry: say schema_registry=",
        ),
    ],
)
def test_what_cannot_be(make: Any, error: type[Exception], text: str) -> None:
    """Each mistake says what was expected and what to do."""
    with pytest.raises(error) as caught:
        make()
    assert text in str(caught.value)


def test_what_json_says_as_values() -> None:
    """What the command line reads from JSON becomes values of the type, and messages are printed as JSON."""
    kind = message(("fare", 1, DOUBLE))
    assert Avro(Small).from_plain({"fare": 2.5}) == Small(2.5)
    assert Protobuf(kind).from_plain({"fare": 2.5}) == kind(fare=2.5)
    assert plain(kind(fare=2.5)) == {"fare": 2.5}
    with pytest.raises(ValueError, match="expected t.Small as Protobuf's JSON"):
        Protobuf(kind).from_plain({"far": 2.5})


def test_values_that_do_not_fit(registry: FileRegistry) -> None:
    """A value of another type names both; what another kind of schema wrote is refused."""
    avro = given(Avro(Small), registry)
    with pytest.raises(TypeError, match="expected Small, got 5"):
        avro.serialize(5)
    with pytest.raises(TypeError, match="expected Small as its Avro schema says"):
        avro.serialize(Small("x"))  # type: ignore[arg-type]
    other = given(JsonSchema(Small), registry, "other").serialize(Small(1.0))
    with pytest.raises(ValueError, match="expected Avro, but schema 2 is JSON"):
        avro.deserialize(other)
    written = given(Avro(Other), registry, "others").serialize(Other("x"))
    with pytest.raises(ValueError, match="what schema 3 wrote cannot be read as Small"):
        avro.deserialize(written)
