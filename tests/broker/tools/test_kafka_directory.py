"""A data directory that one Apache Kafka wrote and closed cleanly, opened by this broker."""

import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from tests.apache_kafka.libraries import KafkaMissingError
from tests.apache_kafka.node import ApacheKafka
from tests.broker.process import BrokerProcess

pytestmark = [pytest.mark.broker, pytest.mark.tools]

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
RECORDS = 50
GROUP = "readers"


def fill(address: str) -> None:
    """A topic for each codec, one of transactions, and a group that has read some."""
    admin = AdminClient({"bootstrap.servers": address})
    topics = [NewTopic(codec, 2, 1, config={"retention.ms": "123456789"}) for codec in CODECS]
    for made in admin.create_topics([*topics, NewTopic("transactions", 1, 1)]).values():
        made.result(30)
    for codec in CODECS:
        producer = Producer({"bootstrap.servers": address, "compression.type": codec, "enable.idempotence": True})
        for number in range(RECORDS):
            producer.produce(codec, f"{codec} {number}", str(number), partition=number % 2)
        assert producer.flush(30) == 0
    transactional = Producer({"bootstrap.servers": address, "transactional.id": "writer"})
    transactional.init_transactions(30)
    for number in range(6):
        transactional.begin_transaction()
        transactional.produce("transactions", str(number))
        transactional.flush(30)
        (transactional.abort_transaction if number % 2 else transactional.commit_transaction)(30)
    consumer = Consumer({"bootstrap.servers": address, "group.id": GROUP})
    consumer.commit(offsets=[TopicPartition("none", 0, 7, "a note")], asynchronous=False)
    consumer.close()


def found(address: str, topic: str, partitions: int) -> list[str]:
    """Everything committed in a topic, sorted."""
    settings = {"bootstrap.servers": address, "group.id": "nobody", "enable.partition.eof": True}
    consumer = Consumer(settings | {"isolation.level": "read_committed", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    values, ends = [], 0
    while ends < partitions:
        message = consumer.poll(20)
        assert message is not None, f"{topic} ends after {len(values)} records"
        if message.error():
            ends += 1
        else:
            values.append(message.value().decode())
    consumer.close()
    return sorted(values)


def test_directory_of_apache_kafka(tmp_path: Path) -> None:
    """Records of every codec, settings, ids, committed offsets and transactional ids are there; nothing is damaged."""
    kafka = ApacheKafka(tmp_path / "kafka")
    try:
        kafka.start()
    except KafkaMissingError as missing:
        pytest.skip(str(missing))
    try:
        fill(kafka.address)
        ids = AdminClient({"bootstrap.servers": kafka.address}).list_topics(timeout=30).cluster_id
    finally:
        kafka.stop()
    data = kafka.folder / "data"
    check = [sys.executable, "-m", "broker", "check", str(data)]
    checked = subprocess.run(check, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    broker = BrokerProcess(data, "--set=node.id=1").start()
    try:
        for codec in CODECS:
            assert found(broker.address, codec, 2) == sorted(f"{codec} {number}" for number in range(RECORDS))
        assert found(broker.address, "transactions", 1) == ["0", "2", "4"]
        admin = AdminClient({"bootstrap.servers": broker.address})
        assert admin.list_topics(timeout=10).cluster_id == ids
        resource = ConfigResource(ConfigResource.Type.TOPIC, "zstd")
        assert admin.describe_configs([resource])[resource].result(10)["retention.ms"].value == "123456789"
        consumer = Consumer({"bootstrap.servers": broker.address, "group.id": GROUP})
        (kept,) = consumer.committed([TopicPartition("none", 0)], 10)
        assert (kept.offset, kept.metadata) == (7, "a note")
        consumer.close()
        again = Producer({"bootstrap.servers": broker.address, "transactional.id": "writer"})
        again.init_transactions(20)
        again.begin_transaction()
        again.produce("transactions", "8")
        again.commit_transaction(20)
        assert found(broker.address, "transactions", 1) == ["0", "2", "4", "8"]
    finally:
        assert broker.stop() == 0
    checked = subprocess.run(check, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
