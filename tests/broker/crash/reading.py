"""What a topic and a group hold, as an ordinary client sees them."""

import time

from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as Place

READ_SECONDS = 60


def reader(address: str, group: str = "check", **options: object) -> Consumer:
    settings = {
        "bootstrap.servers": address,
        "group.id": group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 50,
        "log_level": 0,
    }
    return Consumer(settings | options)


def stored(
    address: str, topic: str, partitions: int, *, isolation: str = "read_uncommitted"
) -> dict[tuple[int, int], int]:
    """(partition, offset) -> number, of everything in a topic up to its end."""
    consumer = reader(address, **{"isolation.level": isolation})
    consumer.assign([Place(topic, partition, 0) for partition in range(partitions)])
    found: dict[tuple[int, int], int] = {}
    ended: set[int] = set()
    deadline = time.monotonic() + READ_SECONDS
    while len(ended) < partitions:
        assert time.monotonic() < deadline, f"{topic} was not read to its end: {ended} of {partitions} partitions"
        for message in consumer.consume(10_000, 0.05):
            if message.error() is not None:
                ended.add(message.partition())
            else:
                found[message.partition(), message.offset()] = int(message.value())
    consumer.close()
    return found


def committed_offset(address: str, group: str, topic: str, partition: int) -> int:
    """Where a group stands; -1001 if nowhere."""
    consumer = reader(address, group)
    (place,) = consumer.committed([Place(topic, partition)], READ_SECONDS)
    consumer.close()
    return place.offset
