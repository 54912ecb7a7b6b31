"""Unmodified confluent-kafka (librdkafka) against the broker: producing, groups, admin."""

import time
from typing import Any

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec

pytestmark = [pytest.mark.broker, pytest.mark.clients]

PATIENCE_SECONDS = 30


def make_topic(address: str, name: str, partitions: int = 4, **config: str) -> AdminClient:
    admin = AdminClient({"bootstrap.servers": address})
    settings = {key.replace("_", "."): value for key, value in config.items()}
    admin.create_topics([NewTopic(name, partitions, 1, config=settings)])[name].result(10)
    return admin


def send(address: str, topic: str, count: int, **options: Any) -> None:
    failures: list[KafkaError] = []
    producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, **options})
    for number in range(count):
        producer.produce(
            topic, str(number), str(number % 8), on_delivery=lambda error, _: failures.append(error) if error else None
        )
    assert producer.flush(PATIENCE_SECONDS) == 0
    assert not failures


def read(consumers: list[Consumer], count: int) -> list[int]:
    seen: list[int] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(seen) < count and time.monotonic() < deadline:
        for consumer in consumers:
            seen += [int(message.value()) for message in consumer.consume(500, 0.05) if message.error() is None]
    return seen


def member(address: str, group: str, topic: str, **options: Any) -> Consumer:
    settings = {"bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest"}
    consumer = Consumer({**settings, "heartbeat.interval.ms": 200, **options})
    consumer.subscribe([topic])
    return consumer


@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_group_of_two_shares_and_hands_over(shared_broker, strategy: str) -> None:
    """Two members split the partitions; when one closes, the other reads everything that follows."""
    topic = f"rd-{strategy}"
    make_topic(shared_broker.address, topic)
    options = {"partition.assignment.strategy": strategy}
    members = [member(shared_broker.address, f"{topic}-group", topic, **options) for _ in range(2)]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while [len(m.assignment()) for m in members] != [2, 2] and time.monotonic() < deadline:
        assert not [message for m in members for message in m.consume(1, 0.05) if message.error()]
    send(shared_broker.address, topic, 500)
    assert sorted(read(members, 500)) == list(range(500))
    members[0].close()
    send(shared_broker.address, topic, 300)
    assert sorted(read(members[1:], 300)) == list(range(300))
    assert len(members[1].assignment()) == 4
    members[1].close()


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_codecs(shared_broker, codec: str) -> None:
    """Batches of every codec come back as they were sent."""
    topic = f"rd-codec-{codec}"
    make_topic(shared_broker.address, topic, partitions=1)
    send(shared_broker.address, topic, 1_000, **{"compression.type": codec, "linger.ms": 20})
    consumer = member(shared_broker.address, topic, topic)
    assert read([consumer], 1_000) == list(range(1_000))
    consumer.close()


def test_settings_described_and_altered(shared_broker) -> None:
    """A topic's settings say where they come from, and an incremental change is seen."""
    admin = make_topic(shared_broker.address, "rd-settings", retention_ms="12345")
    resource = ConfigResource(ConfigResource.Type.TOPIC, "rd-settings")
    described = admin.describe_configs([resource])[resource].result(10)
    assert described["retention.ms"].value == "12345"
    assert not described["retention.ms"].is_default
    assert described["cleanup.policy"].is_default


def test_group_offsets_in_the_admin(shared_broker) -> None:
    """Committed offsets are listed with the group, and gone with it."""
    admin = make_topic(shared_broker.address, "rd-admin", partitions=1)
    send(shared_broker.address, "rd-admin", 10)
    consumer = member(shared_broker.address, "rd-admin-group", "rd-admin")
    assert len(read([consumer], 10)) == 10
    consumer.commit(asynchronous=False)
    consumer.close()
    wanted = ConsumerGroupTopicPartitions("rd-admin-group", [TopicPartition("rd-admin", 0)])
    offsets = admin.list_consumer_group_offsets([wanted])["rd-admin-group"].result(10)
    assert [partition.offset for partition in offsets.topic_partitions] == [10]
    admin.delete_consumer_groups(["rd-admin-group"])["rd-admin-group"].result(10)
    listed = admin.list_consumer_groups().result(10).valid
    assert "rd-admin-group" not in {group.group_id for group in listed}


def test_records_deleted(shared_broker) -> None:
    """DeleteRecords moves the earliest offset."""
    admin = make_topic(shared_broker.address, "rd-purged", partitions=1)
    send(shared_broker.address, "rd-purged", 100)
    admin.delete_records([TopicPartition("rd-purged", 0, 60)])[TopicPartition("rd-purged", 0)].result(10)
    earliest = admin.list_offsets({TopicPartition("rd-purged", 0): OffsetSpec.earliest()})
    assert earliest[TopicPartition("rd-purged", 0)].result(10).offset == 60


def test_members_of_both_protocols(shared_broker) -> None:
    """A member of the new protocol joins those of the classic one, takes its share, and gives it back when it leaves."""
    make_topic(shared_broker.address, "rd-mixed")
    classic = member(shared_broker.address, "rd-mixed-group", "rd-mixed")
    send(shared_broker.address, "rd-mixed", 100)
    assert sorted(read([classic], 100)) == list(range(100))
    settings = {"bootstrap.servers": shared_broker.address, "group.id": "rd-mixed-group", "group.protocol": "consumer"}
    new = Consumer({**settings, "auto.offset.reset": "earliest"})
    new.subscribe(["rd-mixed"])
    deadline = time.monotonic() + PATIENCE_SECONDS
    while [len(m.assignment()) for m in (classic, new)] != [2, 2] and time.monotonic() < deadline:
        for each in (classic, new):
            each.consume(10, 0.05)
    assert [len(m.assignment()) for m in (classic, new)] == [2, 2]
    send(shared_broker.address, "rd-mixed", 100)
    assert set(read([classic, new], 100)) == set(range(100))
    new.close()
    send(shared_broker.address, "rd-mixed", 100)
    assert set(read([classic], 100)) == set(range(100))
    classic.close()
