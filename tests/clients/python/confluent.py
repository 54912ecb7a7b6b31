"""confluent-kafka (librdkafka) against a broker."""

import time

from checks import ADDRESS, CODECS, expect, holds, main
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

BASE = {"bootstrap.servers": ADDRESS}


def consumer(group: str, **more: object) -> Consumer:
    settings = {
        "group.id": group,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 6_000,
        "enable.auto.commit": False,
    }
    return Consumer({**BASE, **settings, **{name.replace("_", "."): value for name, value in more.items()}})


def read(reader: Consumer, topic: str, count: int) -> list[bytes]:
    reader.subscribe([topic])
    values: list[bytes] = []
    end = time.monotonic() + 20
    while len(values) < count and time.monotonic() < end:
        message = reader.poll(0.2)
        if message is not None and message.error() is None:
            values.append(message.value())
    expect(len(values) >= count, f"read {values}")
    return values


def send(topic: str, value: bytes, **more: object) -> None:
    producer = Producer({**BASE, **{name.replace("_", "."): item for name, item in more.items()}})
    errors: list[KafkaError] = []
    producer.produce(topic, value, on_delivery=lambda error, _: errors.append(error))
    expect(producer.flush(20) == 0, "not delivered")
    expect(errors == [None], errors)


def admin() -> None:
    tools = AdminClient(BASE)
    for future in tools.create_topics([NewTopic("confluent", 2, 1), NewTopic("confluent-txn", 1, 1)]).values():
        future.result(10)
    resource = ConfigResource("topic", "confluent")
    found = next(iter(tools.describe_configs([resource]).values())).result(10)
    expect(found["retention.ms"].value == "604800000", found["retention.ms"])
    expect(len(tools.list_topics("confluent").topics["confluent"].partitions) == 2, "partitions")
    tools.describe_cluster().result(10)


def transactions() -> None:
    producer = Producer({**BASE, "transactional.id": "confluent-txn"})
    producer.init_transactions(20)
    for value in (b"aborted", b"committed"):
        producer.begin_transaction()
        producer.produce("confluent-txn", value)
        (producer.commit_transaction if value == b"committed" else producer.abort_transaction)(20)
    reader = consumer("confluent-committed", isolation_level="read_committed")
    expect(read(reader, "confluent-txn", 1) == [b"committed"], "read_committed")
    reader.close()


def group() -> None:
    reader = consumer("confluent-group")
    read(reader, "confluent", 5)
    reader.commit(asynchronous=False)
    reader.close()
    tools = AdminClient(BASE)
    tools.list_topics()  # librdkafka forgets a request that is under way when it first learns of the cluster
    listed = tools.list_consumer_groups().result(10)
    expect("confluent-group" in {item.group_id for item in listed.valid}, "the group is not listed")


def group_by_new_protocol() -> None:
    reader = Consumer(
        {**BASE, "group.id": "confluent-848", "group.protocol": "consumer", "auto.offset.reset": "earliest"}
    )
    read(reader, "confluent", 5)
    reader.close()


def by_timestamp() -> None:
    reader = consumer("confluent-time")
    places = [TopicPartition("confluent", index, 0) for index in range(2)]
    expect(all(place.offset == 0 for place in reader.offsets_for_times(places, 10)), "the first")
    reader.close()


def member(group_id: str, topic: str) -> None:
    reader = consumer(group_id, heartbeat_interval_ms=1_000)
    reader.subscribe([topic])
    while True:
        message = reader.poll(0.2)
        if message is not None and message.error() is None:
            print(message.value().decode(), flush=True)
            reader.commit(message, asynchronous=False)


def everything() -> None:
    holds("admin", admin)
    holds("idempotent", lambda: send("confluent", b"first", enable_idempotence=True))
    for codec in CODECS:
        holds(codec, lambda codec=codec: send("confluent", codec.encode() * 500, compression_type=codec))
    holds("group", group)
    holds("group (consumer protocol)", group_by_new_protocol)
    holds("offsets by timestamp", by_timestamp)
    holds("transactions", transactions)


main(everything, member)
