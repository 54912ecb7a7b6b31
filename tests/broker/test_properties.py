"""A server.properties of Apache Kafka as settings of this broker, and what is said of the rest."""

from pathlib import Path

import pytest

from broker.errors import ConfigError
from broker.properties import from_kafka, read_properties

STOCK = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL
num.network.threads=3
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
offsets.topic.replication.factor=1
log.retention.hours=168
log.segment.bytes=1073741824
"""
"""As Kafka 4 comes with, in short."""


def test_properties(tmp_path: Path) -> None:
    """Comments, blanks, continued lines and spaces are Java's."""
    file = tmp_path / "server.properties"
    file.write_text("# c\n! c\n\n num.partitions = 3 \nlisteners=PLAINTEXT://:9092\nlog.dirs=/a\\\n  ,/b\n")
    assert read_properties(file) == {"num.partitions": "3", "listeners": "PLAINTEXT://:9092", "log.dirs": "/a,/b"}


@pytest.mark.parametrize("text", ["just words\n", "=x"])
def test_properties_that_are_none(tmp_path: Path, text: str) -> None:
    """A line without a name and a value is named by its number."""
    file = tmp_path / "server.properties"
    file.write_text(text)
    with pytest.raises(ConfigError, match="line 1"):
        read_properties(file)
    with pytest.raises(ConfigError, match="cannot read"):
        read_properties(tmp_path / "missing")


def test_the_file_kafka_comes_with(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The clients' listener is taken and the controller's is not, hours become ms, and the rest is named."""
    file = tmp_path / "server.properties"
    file.write_text(STOCK)
    assert from_kafka(read_properties(file)) == {
        "node.id": "1",
        "listeners": "PLAINTEXT://:9092",
        "advertised.listeners": "PLAINTEXT://localhost:9092",
        "log.dirs": "/tmp/kraft-combined-logs",
        "num.partitions": "1",
        "log.retention.ms": "604800000",
        "log.segment.bytes": "1073741824",
    }
    (said,) = caplog.messages
    assert said.endswith(
        "controller.quorum.bootstrap.servers, inter.broker.listener.name, num.network.threads, "
        "offsets.topic.replication.factor"
    )


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"log.retention.hours": "1", "log.retention.minutes": "2"}, "log.retention.ms", "120000"),
        ({"log.retention.hours": "1", "log.retention.ms": "7"}, "log.retention.ms", "7"),
        ({"log.retention.hours": "-1"}, "log.retention.ms", "-1"),
        ({"log.roll.hours": "2"}, "log.roll.ms", "7200000"),
        ({"broker.id": "4"}, "node.id", "4"),
        ({"log.dir": "/data"}, "log.dirs", "/data"),
        ({"listeners": "SSL://:9093,PLAINTEXT://:9092"}, "listeners", "PLAINTEXT://:9092"),
        (
            {"listeners": "IN://:1,OUT://:2", "listener.security.protocol.map": "IN:SSL,OUT:PLAINTEXT"},
            "listeners",
            "PLAINTEXT://:2",
        ),
        (
            {"listeners": "IN://:1,OUT://:2", "listener.security.protocol.map": "IN:SASL_SSL,OUT:SSL"},
            "listeners",
            "SASL_SSL://:1",
        ),
    ],
)
def test_other_names_and_units(given: dict[str, str], name: str, value: str) -> None:
    """The finer unit wins, older names count, and of several listeners the plain one is served, else the first."""
    assert from_kafka(given) == {name: value}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"listeners": "CONTROLLER://:9093", "controller.listener.names": "CONTROLLER"}, "none for clients"),
        ({"log.dirs": "/a,/b"}, "several folders"),
        ({"log.retention.hours": "week"}, "must be a number"),
    ],
)
def test_what_cannot_be_obeyed(given: dict[str, str], sentence: str) -> None:
    """A file that asks for what is not here is refused with a sentence."""
    with pytest.raises(ConfigError, match=sentence):
        from_kafka(given)


def test_typing_errors(caplog: pytest.LogCaptureFixture) -> None:
    """An ignored name that is nearly one of ours is told with it."""
    assert from_kafka({"log.retention.byte": "1", "num.io.threads": "8"}) == {}
    assert caplog.messages[0].endswith("log.retention.byte (did you mean log.retention.bytes?), num.io.threads")


def test_settings_of_one_listener() -> None:
    """Those of the listener that is served go before those for all; what is for another one is left out."""
    given = {
        "listeners": "IN://:1,OUT://:2",
        "advertised.listeners": "OUT://out:2,IN://in:1",
        "listener.security.protocol.map": "IN:SASL_SSL,OUT:SSL",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.in.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.in.ssl.keystore.location": "in.pem",
        "listener.name.out.ssl.keystore.location": "out.pem",
    }
    assert from_kafka(given) == {
        "listeners": "SASL_SSL://:1",
        "advertised.listeners": "SASL_SSL://in:1",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "ssl.keystore.location": "in.pem",
    }
