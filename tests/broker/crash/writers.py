"""Those who write while the broker is killed, each with a ledger of what it was promised, and a check of it.

A writer runs in a thread of its own until told to stop, then waits until the broker has answered for everything it sent.
Numbers count up, so that order and repetition show in the values alone.
"""

import random
import threading
from typing import Any, ClassVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka import TopicPartition as Place

from tests.broker.crash.reading import committed_offset, stored

PARTITIONS = 2
SETTLE_SECONDS = 60
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


class Writer:
    """What writers have in common: a topic, a thread's body, and places that were acknowledged."""

    settings: ClassVar[dict[str, str]] = {"segment.bytes": "20000", "index.interval.bytes": "200"}
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, topic: str, seed: int) -> None:
        self.topic = topic
        self.random = random.Random(seed)
        self.number = 0
        self.acknowledged: dict[tuple[int, int], int] = {}

    def producer(self, address: str, **options: Any) -> Producer:
        settings = {
            "bootstrap.servers": address,
            "linger.ms": 1,
            "compression.type": self.random.choice(CODECS),
            "reconnect.backoff.max.ms": 200,
            "log_level": 0,
            # Seen with librdkafka 2.16, on this broker and on Apache Kafka 4.3.1: after `rebootstrap`, which one broker
            # that goes down causes, a transactional producer waited for ever for a group coordinator it had dropped.
            "metadata.recovery.strategy": "none",
        }
        return Producer(settings | self.options | options)

    def report(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            place = (message.partition(), message.offset())
            assert place not in self.acknowledged, f"{self.topic}: offset {place} was given twice"
            self.acknowledged[place] = int(message.value())

    def send(self, producer: Producer, key: str | None = None) -> None:
        partition = self.number % PARTITIONS
        producer.produce(self.topic, str(self.number), key, partition, on_delivery=self.report)
        self.number += 1

    def run(self, address: str, stop: threading.Event) -> None:
        producer = self.producer(address)
        while not stop.is_set():
            self.send(producer)
            while len(producer) > 100:
                producer.poll(0.01)
        assert producer.flush(SETTLE_SECONDS) == 0, f"{self.topic}: {len(producer)} records were never answered"

    def check(self, address: str) -> int:
        """Compare the topic with the ledger; the number of records it holds."""
        found = stored(address, self.topic, PARTITIONS)
        for place, number in self.acknowledged.items():
            assert found.get(place) == number, f"{self.topic}: {number} was acknowledged at {place}: {found.get(place)}"
        for partition in range(PARTITIONS):
            numbers = [number for (where, _), number in sorted(found.items()) if where == partition]
            assert numbers == sorted(set(numbers)), f"{self.topic}-{partition}: repeated or out of order"
        return len(found)


class PlainWriter(Writer):
    """Sends everything once: what was not acknowledged may be there or not."""

    options: ClassVar[dict[str, Any]] = {
        "acks": "all",
        "message.send.max.retries": 0,
        "max.in.flight.requests.per.connection": 1,
    }


class IdempotentWriter(Writer):
    """Sends again until it is acknowledged: everything is there, once, in order."""

    options: ClassVar[dict[str, Any]] = {"enable.idempotence": True, "retry.backoff.ms": 20}

    def check(self, address: str) -> int:
        count = super().check(address)
        assert len(self.acknowledged) == self.number == count, f"{self.topic}: {count} of {self.number} records"
        return count


class KeyedWriter(IdempotentWriter):
    """Writes few keys to a compacted topic: the last value of each is what it wrote last."""

    settings: ClassVar[dict[str, str]] = {
        "cleanup.policy": "compact",
        "segment.bytes": "8000",
        "min.cleanable.dirty.ratio": "0.01",
        "delete.retention.ms": "100",
    }

    def __init__(self, topic: str, seed: int) -> None:
        super().__init__(topic, seed)
        self.latest: dict[tuple[int, str], int] = {}

    def send(self, producer: Producer, key: str | None = None) -> None:
        key = str(self.random.randrange(40))
        self.latest[self.number % PARTITIONS, key] = self.number
        super().send(producer, key)

    def check(self, address: str) -> int:
        found = stored(address, self.topic, PARTITIONS)
        assert len(self.acknowledged) == self.number
        for place, number in found.items():
            assert self.acknowledged.get(place) == number, f"{self.topic}: {number} at {place} was put elsewhere"
        present = {(partition, number) for (partition, _), number in found.items()}
        for (partition, key), number in self.latest.items():
            assert (partition, number) in present, f"{self.topic}-{partition}: key {key} lost its last value {number}"
        return len(found)


class TransactionalWriter(Writer):
    """Writes transactions of a few records and an offset, some committed, some aborted, some cut off by a crash."""

    def __init__(self, topic: str, seed: int) -> None:
        super().__init__(topic, seed)
        self.outcomes: dict[int, str] = {}
        self.sizes: dict[int, int] = {}
        consumer = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": group_of(topic), "log_level": 0})
        self.group = consumer.consumer_group_metadata()  # of no member: its offsets need no generation
        consumer.close()

    def run(self, address: str, stop: threading.Event) -> None:
        while not stop.is_set():
            producer = self.producer(
                address, **{"transactional.id": self.topic, "retry.backoff.ms": 20, "transaction.timeout.ms": 30_000}
            )
            try:
                producer.init_transactions(SETTLE_SECONDS)
                while not stop.is_set():
                    self.transaction(producer)
            except KafkaException as failed:
                error = failed.args[0]
                assert error.fatal() or error.retriable() or error.txn_requires_abort(), error
        self.producer(address, **{"transactional.id": self.topic}).init_transactions(SETTLE_SECONDS)

    def transaction(self, producer: Producer) -> None:
        """One transaction; what is not known to be committed or aborted stays `open`."""
        self.number += 1
        self.outcomes[self.number] = "open"
        self.sizes[self.number] = self.random.randrange(1, 6)
        producer.begin_transaction()
        for index in range(self.sizes[self.number]):
            producer.produce(self.topic, str(self.number), partition=index % PARTITIONS)
        offsets = [Place(self.topic, 0, self.number)]
        producer.send_offsets_to_transaction(offsets, self.group, SETTLE_SECONDS)
        if self.random.random() < 0.3:
            producer.flush(SETTLE_SECONDS)
            self.outcomes[self.number] = "aborting"
            producer.abort_transaction(SETTLE_SECONDS)
            self.outcomes[self.number] = "aborted"
        else:
            producer.commit_transaction(SETTLE_SECONDS)
            self.outcomes[self.number] = "committed"

    def check(self, address: str) -> int:
        found = stored(address, self.topic, PARTITIONS, isolation="read_committed")
        counts: dict[int, int] = {}
        for number in found.values():
            counts[number] = counts.get(number, 0) + 1
        for number, outcome in self.outcomes.items():
            expected = {"committed": {self.sizes[number]}, "open": {0, self.sizes[number]}}.get(outcome, {0})
            count = counts.get(number, 0)
            assert count in expected, f"{self.topic}: transaction {number}, {outcome}: {count} of {self.sizes[number]}"
        last = max(counts, default=-1001)
        offset = committed_offset(address, group_of(self.topic), self.topic, 0)
        assert offset == last, f"{self.topic}: the last transaction is {last}, its group stands at {offset}"
        return len(found)


def group_of(topic: str) -> str:
    return f"{topic}-group"
