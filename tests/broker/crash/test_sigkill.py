"""The broker killed under producing clients: what was acknowledged is there, once, in order."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka import Consumer, Message, Producer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient, NewTopic

pytestmark = [pytest.mark.broker, pytest.mark.crash]

PARTITIONS = 2
KILLS = 3


class Acknowledged:
    """Numbers the broker confirmed, per partition, and the moments at which a test may kill."""

    def __init__(self) -> None:
        self.numbers: dict[int, list[int]] = {partition: [] for partition in range(PARTITIONS)}
        self.reached = threading.Condition()

    def add(self, partition: int, number: int) -> None:
        with self.reached:
            self.numbers[partition].append(number)
            self.reached.notify_all()

    @property
    def count(self) -> int:
        return sum(map(len, self.numbers.values()))

    def wait_for(self, count: int) -> None:
        with self.reached:
            assert self.reached.wait_for(lambda: self.count >= count, 30)


def make_topic(address: str) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic("numbers", PARTITIONS, 1)])["numbers"].result(10)


def stored(address: str) -> dict[int, list[int]]:
    """Everything in the topic, by partition, in order of offset."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "check", "enable.partition.eof": True})
    consumer.assign([Place("numbers", partition, 0) for partition in range(PARTITIONS)])
    found: dict[int, list[int]] = {partition: [] for partition in range(PARTITIONS)}
    ended = 0
    while ended < PARTITIONS:
        for message in consumer.consume(1_000, 0.2):
            if message.error() is None:
                found[message.partition()].append(int(message.value()))
            else:
                ended += 1
    consumer.close()
    return found


def check(address: str, acknowledged: Acknowledged) -> None:
    """Every acknowledged number is there; nothing is there twice or out of order."""
    for partition, numbers in stored(address).items():
        assert numbers == sorted(set(numbers))
        assert set(acknowledged.numbers[partition]) <= set(numbers)


def test_confluent_producer(broker) -> None:
    """An idempotent librdkafka producer goes on across kills; nothing is lost, doubled or swapped."""
    make_topic(broker.address)
    acknowledged, stop = Acknowledged(), threading.Event()

    def produce() -> None:
        producer = Producer({"bootstrap.servers": broker.address, "enable.idempotence": True, "linger.ms": 1})

        def report(error: object, message: Message) -> None:
            if error is None:
                acknowledged.add(message.partition(), int(message.value()))

        number = 0
        while not stop.is_set():
            producer.produce("numbers", str(number), partition=number % PARTITIONS, on_delivery=report)
            number += 1
            while len(producer) > 200:
                producer.poll(0.01)
        assert producer.flush(60) == 0

    thread = threading.Thread(target=produce)
    thread.start()
    for _ in range(KILLS):
        acknowledged.wait_for(acknowledged.count + 300)
        broker.kill()
        broker.start()
    acknowledged.wait_for(acknowledged.count + 300)
    stop.set()
    thread.join()
    check(broker.address, acknowledged)


def test_aiokafka_producer(broker) -> None:
    """An idempotent aiokafka producer goes on across kills; nothing is lost, doubled or swapped."""
    make_topic(broker.address)
    acknowledged = Acknowledged()

    async def produce(stop: asyncio.Event) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=broker.address, enable_idempotence=True, retry_backoff_ms=50)
        await producer.start()
        number = 0
        while not stop.is_set():
            sent = [
                await producer.send("numbers", b"%d" % n, partition=n % PARTITIONS) for n in range(number, number + 20)
            ]
            for offset, future in enumerate(sent):
                placed = await future
                acknowledged.add(placed.partition, number + offset)
            number += 20
        await producer.stop()

    async def scenario() -> None:
        stop = asyncio.Event()
        producing = asyncio.create_task(produce(stop))
        for _ in range(KILLS):
            await asyncio.to_thread(acknowledged.wait_for, acknowledged.count + 300)
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
        await asyncio.to_thread(acknowledged.wait_for, acknowledged.count + 300)
        stop.set()
        await producing

    asyncio.run(scenario())
    check(broker.address, acknowledged)


def test_groups_survive(broker) -> None:
    """Committed offsets are there after a kill, and the group reads on from them."""
    make_topic(broker.address)

    async def read(count: int) -> list[int]:
        consumer = AIOKafkaConsumer(
            "numbers",
            bootstrap_servers=broker.address,
            group_id="survivors",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=6_000,
        )
        await consumer.start()
        seen = []
        while len(seen) < count:
            record = await consumer.getone(TopicPartition("numbers", 0))
            seen.append(int(record.value))
        await consumer.commit()
        await consumer.stop()
        return seen

    producer = Producer({"bootstrap.servers": broker.address})
    for number in range(100):
        producer.produce("numbers", str(number), partition=0)
    assert producer.flush(10) == 0
    first = asyncio.run(read(40))
    broker.kill()
    broker.start()
    assert first + asyncio.run(read(60)) == list(range(100))


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_torn_tail(broker, damage: str) -> None:
    """With a torn last batch the broker starts, says what it truncated, and serves the rest."""
    make_topic(broker.address)
    producer = Producer({"bootstrap.servers": broker.address})
    for number in range(50):
        producer.produce("numbers", str(number), partition=0)
        assert producer.flush(10) == 0
    broker.kill()
    log = max((broker.data_dir / "numbers-0").glob("*.log"))
    with log.open("r+b") as file:
        if damage == "cut":
            file.truncate(log.stat().st_size - 7)
        else:
            file.seek(-3, 2)
            byte = file.read(1)[0]
            file.seek(-3, 2)
            file.write(bytes([byte ^ 0x40]))
    broker.start()
    assert stored(broker.address)[0] == list(range(49))
    assert "numbers-0" in broker.log
    assert "truncat" in broker.log or "cut" in broker.log


MEMBER = """
import sys
from kafka import KafkaConsumer, KafkaProducer

consumer = KafkaConsumer(
    "numbers", bootstrap_servers=sys.argv[1], group_id="pair", auto_offset_reset="earliest", enable_auto_commit=False,
    session_timeout_ms=6000, heartbeat_interval_ms=200,
)
for message in consumer:
    print(message.partition, int(message.value), flush=True)
    consumer.commit()
"""


class Processed:
    """What the members of a group say they processed, read by a thread for each."""

    def __init__(self, address: str, count: int) -> None:
        command = [sys.executable, "-c", MEMBER, address]
        self.members = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            for _ in range(count)
        ]
        self.numbers: list[set[int]] = [set() for _ in range(count)]
        self.changed = threading.Condition()
        self.threads = [threading.Thread(target=self._read, args=(index,)) for index in range(count)]
        for thread in self.threads:
            thread.start()

    def _read(self, index: int) -> None:
        stream = self.members[index].stdout
        assert stream is not None
        for line in stream:
            with self.changed:
                self.numbers[index].add(int(line.split()[1]))
                self.changed.notify_all()

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        with self.changed:
            return self.changed.wait_for(condition, seconds)

    def stop(self) -> None:
        for member in self.members:
            member.kill()
        for thread in self.threads:
            thread.join()
        for member in self.members:
            member.communicate()


def test_killed_member_hands_over(broker) -> None:
    """A group member killed with SIGKILL loses its partition within its session; every number is processed."""
    make_topic(broker.address)
    producer = Producer({"bootstrap.servers": broker.address})
    processed = Processed(broker.address, 2)
    first, second = processed.numbers
    sent = 0

    def send(count: int) -> None:
        nonlocal sent
        for number in range(sent, sent + count):
            producer.produce("numbers", str(number), partition=number % PARTITIONS)
        sent += count
        assert producer.flush(10) == 0

    try:
        while not processed.wait_for(lambda: bool(first and second), 0.2):
            send(4)
        processed.members[0].kill()
        send(40)
        assert processed.wait_for(lambda: first | second == set(range(sent)), 30)
        assert {number % PARTITIONS for number in second} == set(range(PARTITIONS))
    finally:
        processed.stop()
