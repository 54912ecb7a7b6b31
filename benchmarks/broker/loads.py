"""What is measured: each function drives a broker with confluent-kafka and returns figures by name.

Rules: the client is the same for both brokers and stays out of the figures where it can: CPU and memory are the broker's
alone. Every load checks that everything it sent was acknowledged, and that it read what was sent. What loads before it left
to the system to write is written before its clock starts.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle, islice

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.broker.sides import Served
from benchmarks.processes import BenchmarkError

Figures = dict[str, float]

WAIT_SECONDS = 120
PRODUCERS = 4
PACE_PER_SECOND = 1_000
STAMP = struct.Struct(">d")
API_VERSIONS = bytes.fromhex("0000000a00120000000000070000")
BATCHED = {"batch.size": 65_536, "linger.ms": 5, "queue.buffering.max.messages": 1_000_000}
SINGLE = {"batch.num.messages": 1, "linger.ms": 0}
SEVERAL = 500
AHEAD, SINGLE_AHEAD = 150_000, 4_000


def make_topic(served: Served, topic: str, partitions: int = 1, **config: str) -> None:
    """A topic, there when this returns."""
    admin = AdminClient({"bootstrap.servers": served.address})
    settings = {name.replace("_", "."): value for name, value in config.items()}
    admin.create_topics([NewTopic(topic, partitions, 1, config=settings)], request_timeout=WAIT_SECONDS)[topic].result()


class Sender:
    """A producer that hears of failures alone: what it does for a record is the same for both brokers, and little.

    At most `ahead` records wait for their answers, handed over by the hundred.
    """

    def __init__(self, served: Served, options: dict[str, int], ahead: int = AHEAD) -> None:
        settings = {"bootstrap.servers": served.address, "acks": "all", "compression.type": "none", "log_level": 2}
        self.producer = Producer(settings | {"delivery.report.only.error": True} | options)
        self.failed = 0
        self._ahead = ahead

    def failure(self, _error: KafkaError | None, _: Message) -> None:
        """The broker has refused a record."""
        self.failed += 1

    def send(self, topic: str, value: bytes, count: int, partition: int = 0) -> None:
        """Returns when everything is acknowledged. Raises: BenchmarkError."""
        producer = self.producer
        several = [{"value": value, "partition": partition, "callback": self.failure} for _ in range(SEVERAL)]
        for begin in range(0, count, SEVERAL):
            while len(producer) > self._ahead:
                producer.poll(0.001)
            part = several[: count - begin]
            if producer.produce_batch(topic, part) != len(part):
                raise BenchmarkError(f"{topic}: the client took fewer than {len(part)} records")
            producer.poll(0)
        self.finish(topic)

    def finish(self, topic: str) -> None:
        """Wait for all answers. Raises: BenchmarkError."""
        left = self.producer.flush(WAIT_SECONDS)
        if left or self.failed:
            raise BenchmarkError(f"{topic}: {left} records were not acknowledged, {self.failed} refused")


def _rates(served: Served, records: int, size: int, seconds: float, cpu: float) -> Figures:
    return {
        "records/s": records / seconds,
        "MB/s": records * size / 1e6 / seconds,
        "CPU s/GB": cpu / (records * size / 1e9),
        "CPU s/M records": cpu / (records / 1e6),
        "MB resident": served.watched.usage().resident_mb,
    }


def produce(served: Served, topic: str, size: int, records: int) -> Figures:
    """One producer, batches of 64 KB, after a warm-up of half as many."""
    sender, value = Sender(served, BATCHED), bytes(size)
    sender.send(topic, value, max(records // 2, 1))
    os.sync()
    begun, cpu = time.monotonic(), served.watched.usage().cpu_seconds
    sender.send(topic, value, records)
    return _rates(served, records, size, time.monotonic() - begun, served.watched.usage().cpu_seconds - cpu)


def single_records(served: Served, topic: str, records: int) -> Figures:
    """Four producers, one record of 100 B in each batch, each to a partition of its own."""
    senders = [Sender(served, SINGLE, SINGLE_AHEAD) for _ in range(PRODUCERS)]
    value, each = bytes(100), max(records // PRODUCERS, 1)

    def all_send(count: int) -> None:
        with ThreadPoolExecutor(PRODUCERS) as pool:
            for running in [pool.submit(s.send, topic, value, count, at) for at, s in enumerate(senders)]:
                running.result()

    all_send(max(each // 2, 1))
    os.sync()
    begun, cpu = time.monotonic(), served.watched.usage().cpu_seconds
    all_send(each)
    seconds = time.monotonic() - begun
    return _rates(served, each * PRODUCERS, 100, seconds, served.watched.usage().cpu_seconds - cpu)


def _consumer(served: Served, topic: str, offset: int) -> Consumer:
    settings = {
        "bootstrap.servers": served.address,
        "group.id": "bench",
        "enable.auto.commit": False,
        "fetch.queue.backoff.ms": 1,
        "queued.min.messages": 1_000_000,
        "log_level": 3,
    }
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(topic, 0, offset)])
    return consumer


def consume(served: Served, topic: str, size: int, records: int) -> Figures:
    """One consumer from the beginning of a partition, once to warm up and once to measure, from its first record on."""
    figures: Figures = {}
    os.sync()
    for _ in range(2):
        consumer, left, since, begun = _consumer(served, topic, 0), records, 0, time.monotonic()
        cpu, deadline = served.watched.usage().cpu_seconds, time.monotonic() + WAIT_SECONDS
        while left > 0:
            found = consumer.consume(min(10_000, left), 0.2)
            if any(message.error() is not None or len(message.value()) != size for message in found):
                raise BenchmarkError(f"{topic}: something else was read than was sent")
            if left == records and len(found) < left:  # the clock starts behind the first records
                since, begun = len(found), time.monotonic()
            left -= len(found)
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{topic}: {left} records were not read within {WAIT_SECONDS} s")
        seconds = (time.monotonic() - begun) * records / (records - since)
        figures = _rates(served, records, size, seconds, served.watched.usage().cpu_seconds - cpu)
        consumer.close()
    return figures


def latency(served: Served, topic: str, seconds: float) -> Figures:
    """From the moment a record was due to the moment a consumer has it, a thousand records a second.

    The clock starts when the schedule says so, whether the producer was ready or not: no coordinated omission.
    """
    sender = Sender(served, {"linger.ms": 0})
    sender.send(topic, STAMP.pack(0.0), 1)
    consumer = _consumer(served, topic, 0)
    count = max(int(seconds * PACE_PER_SECOND), 10)
    waits: list[float] = []
    ready = threading.Event()

    def receive() -> None:
        deadline = time.monotonic() + seconds + WAIT_SECONDS
        while len(waits) < count and time.monotonic() < deadline:
            message = consumer.poll(0.1)
            if message is None or message.error() is not None:
                continue
            due = STAMP.unpack(message.value())[0]
            if due:
                waits.append(time.monotonic() - due)
            else:
                ready.set()

    receiver = threading.Thread(target=receive)
    receiver.start()
    if not ready.wait(WAIT_SECONDS):
        raise BenchmarkError(f"{topic}: the first record was not received")
    os.sync()
    begun = time.monotonic() + 0.05
    for number in range(count):
        due = begun + number / PACE_PER_SECOND
        while (early := due - time.monotonic()) > 0:
            sender.producer.poll(early)
        sender.producer.produce(topic, STAMP.pack(due), partition=0)
    sender.finish(topic)
    receiver.join()
    consumer.close()
    if len(waits) != count:
        raise BenchmarkError(f"{topic}: {len(waits)} of {count} records arrived")
    waits = sorted(waits[count // 10 :])  # without the first tenth
    return {"p50 ms": waits[len(waits) // 2] * 1e3, "p99 ms": waits[len(waits) * 99 // 100] * 1e3}


def latency_beside_compaction(served: Served, topic: str, seconds: float) -> Figures:
    """The same while a topic of few keys is written to and compacted all the time, in segments of 1 MB."""
    config = {"cleanup_policy": "compact", "segment_bytes": "1048576", "min_cleanable_dirty_ratio": "0.01"}
    make_topic(served, f"{topic}-keyed", 1, **config)
    make_topic(served, topic)
    stop = threading.Event()

    def write() -> None:
        producer = Sender(served, BATCHED).producer
        keys = cycle(map(str, range(500)))
        while not stop.wait(0.05):
            for key in islice(keys, 100):
                producer.produce(f"{topic}-keyed", bytes(1_000), key)
            producer.poll(0)
        producer.flush(WAIT_SECONDS)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        return latency(served, topic, seconds)
    finally:
        stop.set()
        writer.join()


def loaded_memory(served: Served, partitions: int, connections: int) -> Figures:
    """Resident memory with partitions that hold a record each, and with connections that have asked and stay."""
    make_topic(served, "many", partitions)
    sender = Sender(served, BATCHED)
    for partition in range(partitions):
        sender.producer.produce("many", bytes(100), partition=partition, on_delivery=sender.failure)
    sender.finish("many")
    host, _, port = served.address.rpartition(":")
    with ExitStack() as stack:
        for _ in range(connections):
            link = stack.enter_context(socket.create_connection((host, int(port)), timeout=WAIT_SECONDS))
            link.sendall(API_VERSIONS)
            if len(link.recv(8)) < 8:
                raise BenchmarkError("a connection was closed")
        return {"MB resident": served.watched.usage().resident_mb}
