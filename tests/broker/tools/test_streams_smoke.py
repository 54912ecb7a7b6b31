"""Kafka Streams' own smoke test against the broker, under exactly_once_v2: two instances, and a driver that verifies them."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from tests.apache_kafka.libraries import KafkaMissingError, java, libraries
from tests.broker.process import BrokerProcess

pytestmark = [pytest.mark.broker, pytest.mark.kafka, pytest.mark.tools, pytest.mark.timeout(900)]

SMOKE = "org.apache.kafka.streams.tests.StreamsSmokeTest"
TOPICS = (
    *("data", "echo", "fk", "max", "min", "min-suppressed", "min-raw", "dif", "sum", "sws-raw", "sws-suppressed"),
    *("cnt", "avg", "tagg"),
)
RUN_SECONDS = 560


@contextmanager
def instance(properties: Path, log: Path) -> Iterator[None]:
    """One process of the application, for the time of the block."""
    with log.open("w") as output:
        process = subprocess.Popen(java(SMOKE, str(properties), "process"), stdout=output, stderr=output)
        try:
            yield
        finally:
            process.kill()
            process.wait()


def test_streams_smoke(broker: BrokerProcess, tmp_path: Path) -> None:
    """Every operator's result is what the driver works out from what it sent: SUCCESS."""
    try:
        jars = libraries()
    except KafkaMissingError as missing:
        pytest.skip(str(missing))
    if not list(jars.glob("kafka-streams-*-test.jar")):
        pytest.skip(f"{jars} has no kafka-streams test jar")
    admin = AdminClient({"bootstrap.servers": broker.address})
    for made in admin.create_topics([NewTopic(name, 2, 1) for name in TOPICS]).values():
        made.result(20)
    properties = tmp_path / "streams.properties"
    settings = {
        "bootstrap.servers": broker.address,
        "processing.guarantee": "exactly_once_v2",
        "num.stream.threads": "2",
        "replication.factor": "1",
    }
    properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    logs = [tmp_path / f"instance-{number}.log" for number in range(2)]
    with instance(properties, logs[0]), instance(properties, logs[1]):
        command = java(SMOKE, str(properties), "run")
        driver = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    assert "SUCCESS" in driver.stdout, driver.stdout[-3000:] + driver.stderr[-2000:]
    for log in logs:
        assert "SMOKE-TEST-CLIENT-STARTED" in log.read_text()
        assert "EXCEPTION" not in log.read_text()
