"""A schema registry of others, whose storage is our broker: our serdes, Confluent's serializer, refusals, a restart.

Protobuf schemas go out as Confluent's client sends them, in base64. This version takes the first one of a subject; where it
has a rule it takes base64 for their source, and fails (its issue 6831).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from streams import App, Avro, JsonSchema, Protobuf
from streams.errors import SchemaError
from streams.serdes.schema_registry import registry_at
from tests.broker.process import BrokerProcess
from tests.streams.serdes.apicurio import Apicurio, ApicurioMissingError, home
from tests.streams.serdes.test_registered import DOUBLE, INT64, Larger, Other, Small, given, message

pytestmark = [
    pytest.mark.tools,
    pytest.mark.timeout(400),
    # Confluent's client leaves its connections open.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    process = BrokerProcess(tmp_path_factory.mktemp("broker")).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def apicurio(broker: BrokerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apicurio]:
    """A registry that asks for backward compatibility, as Confluent's does."""
    try:
        home()
    except ApicurioMissingError as missing:
        pytest.skip(str(missing))
    registry = Apicurio(broker.address, tmp_path_factory.mktemp("apicurio") / "log")
    try:
        registry.start()
        registry.ask("PUT", "/config", {"compatibility": "BACKWARD"})
        yield registry
    finally:
        registry.kill()


def test_avro_round_trip_and_evolution(apicurio: Apicurio) -> None:
    """Old readers and new ones read each other; what cannot evolve is refused before anything is written."""

    def named_small(kind: Any) -> Avro:  # Avro compares names of records
        text = Avro(kind).schema.text.replace(kind.__name__, "Small")
        return given(Avro(kind, schema=text), registry_at(apicurio.url), "avro-value")

    old, new = named_small(Small), named_small(Larger)
    assert new.deserialize(old.serialize(Small(2.5))) == Larger(2.5, 7)
    assert old.deserialize(new.serialize(Larger(3.5, 9))) == Small(3.5)
    with pytest.raises(SchemaError, match="the schema of avro-value cannot evolve from its latest version"):
        named_small(Other).prepare()


def test_json_schemas(apicurio: Apicurio) -> None:
    """Values come back; a new field is refused, since objects of the old schema may hold anything under its name."""
    old = given(JsonSchema(Small), registry_at(apicurio.url), "json-value")
    assert old.deserialize(old.serialize(Small(1.5))) == Small(1.5)
    with pytest.raises(SchemaError, match="the schema of json-value cannot evolve from its latest version"):
        given(JsonSchema(Larger), registry_at(apicurio.url), "json-value").prepare()


def test_protobuf_without_a_rule(apicurio: Apicurio) -> None:
    """Where the registry does not judge, messages come back, also to readers that know one more field, or one fewer."""
    small, larger = message(("fare", 1, DOUBLE)), message(("fare", 1, DOUBLE), ("zone", 2, INT64))
    apicurio.ask("PUT", "/config", {"compatibility": "NONE"})
    try:
        old, new = (given(Protobuf(kind), registry_at(apicurio.url), "proto-value") for kind in (small, larger))
        assert new.deserialize(old.serialize(small(fare=2.5))) == larger(fare=2.5)
        assert old.deserialize(new.serialize(larger(fare=3.5, zone=9))).fare == 3.5
    finally:
        apicurio.ask("PUT", "/config", {"compatibility": "BACKWARD"})


def test_confluents_own_serializers(apicurio: Apicurio) -> None:
    """Confluent's Avro serializer writes our bytes and reads them, through the same registry."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from confluent_kafka.schema_registry import SchemaRegistryClient
        from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
        from confluent_kafka.serialization import MessageField, SerializationContext

        client = SchemaRegistryClient({"url": apicurio.url})
        context = SerializationContext("theirs", MessageField.VALUE)
        ours = given(Avro(Larger), registry_at(apicurio.url), "theirs-value")
        data = ours.serialize(Larger(2.5, 3))
        assert AvroSerializer(client, ours.schema.text)({"fare": 2.5, "zone": 3}, context) == data
        assert AvroDeserializer(client)(data, context) == {"fare": 2.5, "zone": 3}


def test_an_unknown_schema(apicurio: Apicurio) -> None:
    """An id that the registry does not know is an error that names both."""
    with pytest.raises(SchemaError, match="the schema registry http.* refuses the schema 4711"):
        registry_at(apicurio.url).schema(4711)


def test_schemas_outlive_the_registry(apicurio: Apicurio, broker: BrokerProcess) -> None:
    """An application writes with schemas; the registry is killed, and a new one has them from our broker's topic."""
    app = App("taxi", broker=f"kafka://{broker.address}", schema_registry=apicurio.url, commit_interval_ms=100)
    fares = app.topic("fares", key=str, value=Avro(Small), partitions=1)
    out = app.topic("doubled", key=str, value=JsonSchema(Small), partitions=1)

    @app.process(fares, to=out)
    def double(fare: Small) -> Small:
        return Small(fare.fare * 2)

    app.write(fares, [("a", Small(2.5)), ("b", Small(4.0))])
    with app.running() as run:
        run.catch_up(60)
    apicurio.kill()
    apicurio.start()
    again = App("reader", broker=f"kafka://{broker.address}", schema_registry=apicurio.url)
    read = again.read(again.topic("doubled", key=str, value=JsonSchema(Small)))
    assert [record.value for record in read] == [Small(5.0), Small(8.0)]
    assert {"fares-value", "doubled-value"} <= {*apicurio.ask("GET", "/subjects")}  # type: ignore[misc]
