"""kafka-python against a broker."""

from checks import ADDRESS, expect, holds, main
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic

BASE = {"bootstrap_servers": ADDRESS}


def read(topic: str, count: int, **more: object) -> list[bytes]:
    reader = KafkaConsumer(topic, **BASE, auto_offset_reset="earliest", consumer_timeout_ms=15_000, **more)
    values: list[bytes] = []
    for message in reader:
        values.append(message.value)
        if len(values) == count:
            break
    reader.close()
    expect(len(values) == count, f"read {values}")
    return values


def admin() -> None:
    tools = KafkaAdminClient(**BASE)
    topics = [
        NewTopic(name="kafka-python", num_partitions=2, replication_factor=1),
        NewTopic(name="kafka-python-txn", num_partitions=1, replication_factor=1),
    ]
    tools.create_topics(topics)
    expect("kafka-python" in tools.list_topics(), "the topic is not listed")
    tools.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "kafka-python")])
    tools.close()


def send(topic: str, value: bytes, **more: object) -> None:
    producer = KafkaProducer(**BASE, **more)
    producer.send(topic, value).get(20)
    producer.close()


def transactions() -> None:
    producer = KafkaProducer(**BASE, transactional_id="kafka-python-txn")
    producer.init_transactions()
    for value in (b"aborted", b"committed"):
        producer.begin_transaction()
        producer.send("kafka-python-txn", value).get(20)
        (producer.commit_transaction if value == b"committed" else producer.abort_transaction)()
    producer.close()
    expect(read("kafka-python-txn", 1, isolation_level="read_committed") == [b"committed"], "read_committed")


def by_timestamp() -> None:
    reader = KafkaConsumer(**BASE)
    place = TopicPartition("kafka-python", 0)
    other = TopicPartition("kafka-python", 1)
    found = reader.offsets_for_times({place: 0, other: 0})
    expect(any(item is not None and item.offset == 0 for item in found.values()), found)
    reader.close()


def member(group_id: str, topic: str) -> None:
    reader = KafkaConsumer(
        topic,
        **BASE,
        group_id=group_id,
        auto_offset_reset="earliest",
        session_timeout_ms=6_000,
        heartbeat_interval_ms=1_000,
        enable_auto_commit=False,
    )
    while True:
        for messages in reader.poll(timeout_ms=200).values():
            for message in messages:
                print(message.value.decode(), flush=True)
            reader.commit()


def everything() -> None:
    holds("admin", admin)
    holds("idempotent", lambda: send("kafka-python", b"first", enable_idempotence=True))
    holds(
        "gzip", lambda: send("kafka-python", b"gzip" * 500, compression_type="gzip")
    )  # others need packages of their own
    holds("group", lambda: read("kafka-python", 2, group_id="kafka-python-group"))
    holds("offsets by timestamp", by_timestamp)
    holds("transactions", transactions)


main(everything, member)
