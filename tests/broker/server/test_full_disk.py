"""A disk that fills up under a running broker: it stays up, and goes on by itself when there is room again.

The disk is full for one file size: the system refuses to let the broker's files grow beyond it, as a full disk refuses.
"""

import resource
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.broker.crash.reading import committed_offset, reader, stored
from tests.broker.process import BrokerProcess

pytestmark = pytest.mark.broker


@pytest.fixture
def limit(broker: BrokerProcess) -> Iterator[Callable[[int | None], None]]:
    """Sets how large the broker's files may grow, from outside; None for as large as they like."""
    assert broker.process is not None
    before = resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE)

    def set_limit(size: int | None) -> None:
        assert broker.process is not None
        soft = before[0] if size is None else size
        resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (soft, before[1]))

    yield set_limit
    set_limit(None)


def make_topic(broker: BrokerProcess) -> None:
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic("numbers", 1, 1)])["numbers"].result(20)


def found(broker: BrokerProcess) -> list[int]:
    return [number for _, number in sorted(stored(broker.address, "numbers", 1).items())]


def size(broker: BrokerProcess) -> int:
    return max(path.stat().st_size for path in broker.data_dir.glob("numbers-0/*.log"))


def test_producers_are_told_to_retry(broker: BrokerProcess, limit: Callable[[int | None], None]) -> None:
    """A producer gets a retriable error, readers are served meanwhile, and the next record is taken when there is room."""
    make_topic(broker)
    errors: list[KafkaError | None] = []

    def report(error: KafkaError | None, _: Message) -> None:
        errors.append(error)

    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 0, "message.send.max.retries": 0})
    for number in range(6):
        limit(size(broker) + 20 if number in {3, 4} else None)
        producer.produce("numbers", str(number), partition=0, on_delivery=report)
        assert producer.flush(30) == 0
        if number == 4:
            assert found(broker) == [0, 1, 2]
    refused = [error for error in errors if error is not None]
    assert [error is None for error in errors] == [True, True, True, False, False, True]
    assert {error.code() for error in refused} == {KafkaError.KAFKA_STORAGE_ERROR}
    assert found(broker) == [0, 1, 2, 5]


def test_producers_that_retry_lose_nothing(broker: BrokerProcess, limit: Callable[[int | None], None]) -> None:
    """An idempotent producer waits out a full disk: everything is there once and in order, and groups can commit again."""
    make_topic(broker)
    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 0, "enable.idempotence": True})
    producer.produce("numbers", "0", partition=0)
    assert producer.flush(30) == 0
    limit(size(broker) + 100)
    for number in range(1, 30):
        producer.produce("numbers", str(number), partition=0)
    assert producer.flush(1) > 0
    assert found(broker)[0] == 0
    limit(None)
    assert producer.flush(60) == 0
    assert found(broker) == list(range(30))
    consumer = reader(broker.address, "readers")
    consumer.subscribe(["numbers"])
    while not any(message.error() is None for message in consumer.consume(100, 0.5)):
        continue
    consumer.commit(asynchronous=False)
    consumer.close()
    assert committed_offset(broker.address, "readers", "numbers", 0) > 0


def test_restart_after_a_full_disk(broker: BrokerProcess, limit: Callable[[int | None], None]) -> None:
    """A broker killed while its disk was full starts with what it had acknowledged."""
    make_topic(broker)
    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 0, "message.send.max.retries": 0})
    producer.produce("numbers", "0", partition=0)
    assert producer.flush(30) == 0
    limit(size(broker) + 20)
    producer.produce("numbers", "1", partition=0)
    assert producer.flush(30) == 0
    broker.kill()
    broker.start()
    assert found(broker) == [0]
