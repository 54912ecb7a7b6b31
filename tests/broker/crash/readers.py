"""Those who read while the broker is killed: a group that commits, and a follower who trusts what he once saw."""

import threading

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as Place

from tests.broker.crash.reading import committed_offset, reader, stored
from tests.broker.crash.writers import PARTITIONS


class Group:
    """Two members that read a topic together and commit what they read."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.name = f"{topic}-readers"
        self.promised = dict.fromkeys(range(PARTITIONS), -1001)
        self.attempted = dict.fromkeys(range(PARTITIONS), -1001)
        self.lock = threading.Lock()

    def run(self, address: str, stop: threading.Event) -> None:
        other = threading.Thread(target=self.member, args=(address, stop))
        other.start()
        self.member(address, stop)
        other.join()

    def member(self, address: str, stop: threading.Event) -> None:
        consumer = reader(address, self.name, **{"session.timeout.ms": 6_000, "heartbeat.interval.ms": 200})
        consumer.subscribe([self.topic])
        while not stop.is_set():
            messages = consumer.consume(200, 0.05)
            if any(message.error() is None for message in messages):
                self.commit(consumer)
        consumer.close()

    def commit(self, consumer: Consumer) -> None:
        """What the broker confirms is promised; what fails was attempted, and may have succeeded."""
        places = [place for place in consumer.position(consumer.assignment()) if place.offset >= 0]
        if not places:
            return
        self.note(self.attempted, places)
        try:
            done = consumer.commit(offsets=places, asynchronous=False)
        except KafkaException:
            return
        self.note(self.promised, [place for place in done or [] if place.error is None])

    def note(self, book: dict[int, int], places: list[Place]) -> None:
        with self.lock:
            for place in places:
                book[place.partition] = max(book[place.partition], place.offset)

    def check(self, address: str) -> int:
        for partition in range(PARTITIONS):
            offset = committed_offset(address, self.name, self.topic, partition)
            low, high = self.promised[partition], self.attempted[partition]
            assert low <= offset <= high, f"{self.name}: stands at {offset}, was promised {low}, tried {high}"
        return 0


class Follower:
    """Reads committed records as they come: what was visible once stays visible."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.seen: dict[tuple[int, int], int] = {}

    def run(self, address: str, stop: threading.Event) -> None:
        consumer = reader(address, **{"isolation.level": "read_committed"})
        consumer.assign([Place(self.topic, partition, 0) for partition in range(PARTITIONS)])
        while not stop.is_set():
            for message in consumer.consume(1_000, 0.05):
                if message.error() is None:
                    self.seen[message.partition(), message.offset()] = int(message.value())
        consumer.close()

    def check(self, address: str) -> int:
        found = stored(address, self.topic, PARTITIONS, isolation="read_committed")
        gone = {place: number for place, number in self.seen.items() if found.get(place) != number}
        assert not gone, f"{self.topic}: seen, and gone: {gone}"
        return 0
