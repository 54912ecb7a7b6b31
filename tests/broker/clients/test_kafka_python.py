"""Unmodified kafka-python against the broker: the ride tutorial as four scripts, groups, and what its admin asks."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from tests.broker.secured import knowing_ann

pytestmark = [pytest.mark.broker, pytest.mark.clients]

RIDES = """
import itertools, json, sys, time
from kafka import KafkaProducer

producer = KafkaProducer(bootstrap_servers=sys.argv[1])
for number in itertools.count():
    ride = {"id": number, "customer_id": f"c{number % 7}", "fare": number % 50}
    producer.send("ride_details", json.dumps(ride).encode("utf-8"))
    time.sleep(0.01)
"""
TRANSACTION = """
import json, sys
from kafka import KafkaConsumer, KafkaProducer

consumer = KafkaConsumer("ride_details", bootstrap_servers=sys.argv[1])
producer = KafkaProducer(bootstrap_servers=sys.argv[1])
for message in consumer:
    ride = json.loads(message.value.decode())
    confirmed = {"id": ride["id"], "customer_id": ride["customer_id"], "fare": ride["fare"], "driver": "d1"}
    producer.send("ride_confirmed", json.dumps(confirmed).encode("utf-8"))
"""
READER = """
import json, sys
from kafka import KafkaConsumer

for message in KafkaConsumer("ride_confirmed", bootstrap_servers=sys.argv[1]):
    print(json.loads(message.value.decode())["id"], flush=True)
"""

Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start(broker, tmp_path: Path) -> Iterator[Start]:
    """Starts a script given as text, with the broker's address as its argument."""
    running: list[subprocess.Popen[str]] = []

    def run(text: str) -> subprocess.Popen[str]:
        script = tmp_path / f"script{len(running)}.py"
        script.write_text(text)
        command = [sys.executable, str(script), f"localhost:{broker.port}"]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
        return running[-1]

    yield run
    for process in running:
        process.kill()
        process.communicate()


def test_tutorial_of_four_scripts(start: Start) -> None:
    """A ride goes through two topics to two independent readers, each of which sees every ride once and in order."""
    readers = [start(READER), start(READER)]
    start(TRANSACTION)
    start(RIDES)
    for reader in readers:
        assert reader.stdout is not None
        seen = [int(reader.stdout.readline()) for _ in range(50)]
        assert seen == list(range(seen[0], seen[0] + 50))


def test_group_continues_where_it_committed(shared_broker) -> None:
    """A second consumer of a group reads on from the first one's commit."""
    producer = KafkaProducer(bootstrap_servers=shared_broker.address)
    for number in range(100):
        producer.send("continued", str(number).encode())
    producer.close()
    options = {
        "bootstrap_servers": shared_broker.address,
        "group_id": "readers",
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
    }
    first = KafkaConsumer("continued", max_poll_records=40, **options)
    seen = [int(next(first).value) for _ in range(40)]
    first.commit()
    first.close()
    second = KafkaConsumer("continued", **options)
    seen += [int(next(second).value) for _ in range(60)]
    second.close()
    assert seen == list(range(100))


def test_compressed_batches(shared_broker) -> None:
    """Compressed batches come back as they were sent."""
    producer = KafkaProducer(bootstrap_servers=shared_broker.address, compression_type="gzip", linger_ms=20)
    sent = [json.dumps({"number": number, "text": "x" * 50}).encode() for number in range(200)]
    for value in sent:
        producer.send("zipped", value)
    producer.close()
    consumer = KafkaConsumer("zipped", bootstrap_servers=shared_broker.address, auto_offset_reset="earliest")
    received = [next(consumer).value for _ in sent]
    consumer.close()
    assert received == sent


def test_offsets_by_time(shared_broker) -> None:
    """offsets_for_times finds the first record that is not older, and nothing beyond the newest."""
    partition = TopicPartition("timed", 0)
    producer = KafkaProducer(bootstrap_servers=shared_broker.address)
    for number in range(10):
        producer.send("timed", b"x", partition=0, timestamp_ms=1_000 + 100 * number)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=shared_broker.address)
    assert consumer.offsets_for_times({partition: 1_250})[partition].offset == 3
    assert consumer.offsets_for_times({partition: 5_000})[partition] is None
    assert consumer.end_offsets([partition]) == {partition: 10}
    consumer.close()


def test_admin(shared_broker) -> None:
    """Topics are created with settings, described, and deleted."""
    admin = KafkaAdminClient(bootstrap_servers=shared_broker.address)
    admin.create_topics([NewTopic(name="made", num_partitions=3, replication_factor=1)])
    (described,) = admin.describe_topics(["made"])
    assert len(described["partitions"]) == 3
    admin.delete_topics(["made"])
    assert "made" not in admin.list_topics()
    admin.close()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_logins_over_tls(tmp_path: Path, mechanism: str) -> None:
    """Records are written and read by somebody who logged in."""
    with knowing_ann(tmp_path, "SASL_SSL") as broker:
        settings = {
            "bootstrap_servers": broker.address,
            "security_protocol": "SASL_SSL",
            "ssl_cafile": broker.files.ca,
            "sasl_mechanism": mechanism,
            "sasl_plain_username": "ann",
            "sasl_plain_password": "secret",
        }
        producer = KafkaProducer(**settings)
        for number in range(10):
            producer.send("numbers", str(number).encode())
        producer.flush()
        producer.close()
        consumer = KafkaConsumer("numbers", auto_offset_reset="earliest", consumer_timeout_ms=20_000, **settings)
        read = [next(consumer).value for _ in range(10)]
        consumer.close()
    assert read == [str(number).encode() for number in range(10)]
