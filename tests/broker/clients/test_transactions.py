"""Transactions of unmodified clients: committed, aborted, fenced, with offsets, and over a crash of the broker."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import ProducerFenced
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient, NewTopic

pytestmark = [pytest.mark.broker, pytest.mark.clients]


def make_topic(address: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(10)


def transactional(address: str, transactional_id: str, **options: Any) -> Producer:
    producer = Producer({"bootstrap.servers": address, "transactional.id": transactional_id, **options})
    producer.init_transactions(20)
    return producer


def send(producer: Producer, topic: str, *values: str) -> None:
    for value in values:
        producer.produce(topic, value, partition=int(value[-1]) % 2)
    assert producer.flush(20) == 0


def read(address: str, topic: str, isolation: str = "read_committed") -> list[str]:
    """Everything a reader of this isolation sees, up to the end."""
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "reader",
            "enable.partition.eof": True,
            "isolation.level": isolation,
        }
    )
    consumer.assign([Place(topic, 0, 0), Place(topic, 1, 0)])
    values, ends = [], 0
    while ends < 2:
        for message in consumer.consume(100, 0.2):
            if message.error() is None:
                values.append(message.value().decode())
            else:
                ends += 1
    consumer.close()
    return sorted(values)


def test_commit_and_abort(shared_broker) -> None:
    """Committed records are seen, aborted ones only by readers who do not care."""
    address, topic = shared_broker.address, "txn-basic"
    make_topic(address, topic)
    producer = transactional(address, "basic")
    producer.begin_transaction()
    send(producer, topic, "a0", "a1")
    assert read(address, topic) == []
    producer.commit_transaction(20)
    producer.begin_transaction()
    send(producer, topic, "b0", "b1")
    producer.abort_transaction(20)
    producer.begin_transaction()
    send(producer, topic, "c0")
    producer.commit_transaction(20)
    assert read(address, topic) == ["a0", "a1", "c0"]
    assert read(address, topic, "read_uncommitted") == ["a0", "a1", "b0", "b1", "c0"]


def test_second_producer_fences_the_first(shared_broker) -> None:
    """Whoever takes over a transactional id aborts what was open and shuts the old producer out."""
    address, topic = shared_broker.address, "txn-fence"
    make_topic(address, topic)
    old = transactional(address, "fence")
    old.begin_transaction()
    send(old, topic, "a0")
    new = transactional(address, "fence")
    with pytest.raises(KafkaException) as refused:
        old.commit_transaction(20)
    assert refused.value.args[0].fatal()
    new.begin_transaction()
    send(new, topic, "b0")
    new.commit_transaction(20)
    assert read(address, topic) == ["b0"]


def test_offsets_in_a_transaction(shared_broker) -> None:
    """Offsets sent to a transaction count when it commits, and only then."""
    address, topic = shared_broker.address, "txn-offsets"
    make_topic(address, topic)
    producer = transactional(address, "offsets")
    consumer = Consumer({"bootstrap.servers": address, "group.id": "txn-offsets-group"})
    place = Place(topic, 0)

    def commit(offset: int, *, abort: bool) -> int:
        producer.begin_transaction()
        send(producer, topic, "x0")
        metadata = consumer.consumer_group_metadata()
        producer.send_offsets_to_transaction([Place(topic, 0, offset)], metadata, 20)
        (producer.abort_transaction if abort else producer.commit_transaction)(20)
        return consumer.committed([place], 20)[0].offset

    assert commit(5, abort=False) == 5
    assert commit(9, abort=True) == 5
    assert commit(11, abort=False) == 11
    consumer.close()


def test_aiokafka(shared_broker) -> None:
    """Transactions of aiokafka commit, abort, carry offsets, and are fenced with the code it knows (47)."""

    async def scenario() -> None:
        address, topic = shared_broker.address, "txn-aio"
        make_topic(address, topic)
        producers = [AIOKafkaProducer(bootstrap_servers=address, transactional_id="aio") for _ in range(2)]
        await producers[0].start()
        async with producers[0].transaction():
            await producers[0].send_and_wait(topic, b"a0", partition=0)
            await producers[0].send_offsets_to_transaction({TopicPartition(topic, 0): 7}, "aio-txn-group")
        await producers[1].start()
        with pytest.raises(ProducerFenced):
            async with producers[0].transaction():
                await producers[0].send_and_wait(topic, b"b0", partition=0)
        async with producers[1].transaction():
            await producers[1].send_and_wait(topic, b"c1", partition=1)
        consumer = AIOKafkaConsumer(bootstrap_servers=address, group_id="aio-txn-group")
        await consumer.start()
        assert await consumer.committed(TopicPartition(topic, 0)) == 7
        await consumer.stop()
        for producer in producers:
            await producer.stop()
        assert await asyncio.to_thread(read, address, topic) == ["a0", "c1"]

    asyncio.run(scenario())


def test_hanging_transaction_times_out(make_broker) -> None:
    """A transaction whose producer is silent is aborted, and readers go on."""
    address = make_broker("--set", "transaction.abort.timed.out.transaction.cleanup.interval.ms=100").address
    make_topic(address, "txn-late")
    silent = transactional(address, "late", **{"transaction.timeout.ms": 1_000})
    silent.begin_transaction()
    send(silent, "txn-late", "a0")
    other = transactional(address, "other")
    other.begin_transaction()
    send(other, "txn-late", "b0")
    other.commit_transaction(20)
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "r",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([Place("txn-late", 0, 0)])
    message = consumer.poll(20)
    assert message is not None
    assert message.value() == b"b0"
    consumer.close()
    with pytest.raises(KafkaException):
        silent.commit_transaction(20)


@pytest.mark.crash
def test_crash_within_a_transaction(broker) -> None:
    """After a kill the open transaction goes on where it was; what was committed stays committed."""
    make_topic(broker.address, "txn-crash")
    producer = transactional(broker.address, "crash", **{"retry.backoff.ms": 50})
    producer.begin_transaction()
    send(producer, "txn-crash", "a0")
    producer.commit_transaction(20)
    producer.begin_transaction()
    send(producer, "txn-crash", "b0")
    broker.kill()
    broker.start()
    send(producer, "txn-crash", "c1")
    producer.commit_transaction(20)
    producer.begin_transaction()
    send(producer, "txn-crash", "d0")
    broker.kill()
    broker.start()
    producer.abort_transaction(20)
    assert read(broker.address, "txn-crash") == ["a0", "b0", "c1"]
