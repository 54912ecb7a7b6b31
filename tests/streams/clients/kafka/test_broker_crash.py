"""Transactions and members while the broker is killed and comes back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest

from streams.clients.base import NewTopic, OffsetAndMetadata
from streams.clients.kafka import KafkaClients, KafkaConsumer
from streams.config import StreamsConfig
from streams.errors import ClientError, ProducerFenced, TransactionAbortable
from streams.record import TopicPartition
from tests.streams.clients.members import Log, RoundRobin

pytestmark = [pytest.mark.broker, pytest.mark.crash]

PART = TopicPartition("t", 0)
GROUP = "g"


class MortalBroker:
    """The bundled broker, killed and started again on the same port."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._listen = "127.0.0.1:0"
        self.start()

    def start(self) -> None:
        """Returns when it serves."""
        settings = ["--listen", self._listen, "--set", "auto.create.topics.enable=false"]
        command = [sys.executable, "-P", "-m", "broker", "--data-dir", str(self._data_dir), *settings]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._listen = self._process.stdout.readline().removeprefix("ready on ").strip()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.communicate()

    def stop(self) -> None:
        """SIGSTOP: connected, and silent."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def clients(self, **settings: object) -> KafkaClients:
        """Clients of its address."""
        merged = {"broker": f"kafka://{self._listen}", "heartbeat_interval_ms": 100, **settings}
        return KafkaClients(StreamsConfig.of("test", merged))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[MortalBroker]:
    made = MortalBroker(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def clients(broker: MortalBroker) -> Iterator[KafkaClients]:
    made = broker.clients()
    made.admin().create([NewTopic("t", 1)])
    yield made
    made.close()


def test_what_comes_while_others_are_under_way_leaves_together(
    broker: MortalBroker, clients: KafkaClients, tmp_path: Path
) -> None:
    """A slow broker makes batches grow, without a linger too: ten sends are no ten batches, and stay in order.

    They were, each waiting for the one before it, and a producer of small sends fell behind for ever.
    """
    producer = broker.clients(linger_ms=0).producer()
    producer.send("t", 0, [None], [b"first"], [0])
    producer.flush()
    broker.stop()
    for number in range(10):
        producer.send("t", 0, [None], [b"%d" % number], [0])
        time.sleep(0.02)  # a linger of nothing is over long before
    broker.go_on()
    producer.flush()
    consumer = clients.consumer(group=None)
    consumer.assign([PART])
    values: list[bytes | None] = []
    while len(values) < 11:
        values += [value for batch in consumer.poll(0.2) for value in batch.columns().values]
    assert values == [b"first", *(b"%d" % number for number in range(10))]
    assert batches_in(tmp_path / "t-0" / "00000000000000000000.log") <= 3  # the first, the one under way, the rest
    producer.close()


def batches_in(segment: Path) -> int:
    """Record batches in a segment: 8 bytes of offset, 4 of length, and as many as that."""
    data, at, found = segment.read_bytes(), 0, 0
    while at < len(data):
        at += 12 + int.from_bytes(data[at + 8 : at + 12], "big")
        found += 1
    return found


def test_a_broker_that_is_away_says_nothing_about_topics(broker: MortalBroker, clients: KafkaClients) -> None:
    """A new producer asks for a topic while nobody answers, for longer than a missing topic is waited for.

    Found by chaos, seed 4001: a worker ended, saying that an output topic did not exist.
    """
    producer = clients.producer()
    producer._settings = producer._settings._replace(sending=producer._settings.sending._replace(topic_wait_s=0.01))
    broker.kill()
    asked, found = Event(), []

    def ask() -> None:
        asked.set()
        found.append(producer.partition_count("t"))

    thread = Thread(target=ask)
    thread.start()
    asked.wait()
    thread.join(1.0)
    broker.start()
    thread.join(30)
    assert found == [1]
    with pytest.raises(ClientError, match="'none' does not exist"):
        producer.partition_count("none")


@pytest.mark.parametrize("killed", ["begun", "sent", "flushed", "offsets sent", "committed"])
def test_a_transaction_outlives_its_broker(broker: MortalBroker, clients: KafkaClients, killed: str) -> None:
    """Wherever in a transaction the broker dies and comes back, records and offsets are there once, together."""
    producer, consumer = clients.producer(transactional_id="x"), clients.consumer(group=GROUP)

    def step(name: str) -> None:
        if name == killed and number == 1:
            broker.kill()
            broker.start()

    for number in range(3):
        producer.begin()
        step("begun")
        producer.send(*PART, [None], [b"%d" % number], [7])
        step("sent")
        producer.flush()
        step("flushed")
        producer.send_offsets({PART: OffsetAndMetadata(number)}, consumer.group_metadata())
        step("offsets sent")
        producer.commit_transaction()
        step("committed")
    assert consumer.committed([PART]) == {PART: OffsetAndMetadata(2)}
    reader = clients.consumer(group=None, read_committed=True)
    reader.assign([PART])
    seen: list[bytes] = []
    while reader.position(PART) < 6:
        seen += [value for batch in reader.poll(0.1) for value in batch.columns().values]
    assert seen == [b"0", b"1", b"2"]


def test_a_member_outlives_its_broker(broker: MortalBroker, clients: KafkaClients) -> None:
    """After the broker is back the member owns its partition and commits, dropped in between or not."""
    consumer, log = clients.consumer(group=GROUP), Log()
    consumer.subscribe(["t"], RoundRobin(), log)
    while not log.owned:
        consumer.poll(0.05)
    assert consumer.position(PART) == 0
    broker.kill()
    consumer.poll(0.3)
    broker.start()
    consumer.enforce_rebalance()
    generation = consumer.group_metadata().generation
    while consumer.group_metadata().generation == generation or not log.owned:
        consumer.poll(0.05)
    consumer.commit({PART: OffsetAndMetadata(1)})
    assert consumer.committed([PART]) == {PART: OffsetAndMetadata(1)}


def test_a_coordinator_that_says_nothing_is_looked_up_again(broker: MortalBroker, clients: KafkaClients) -> None:
    """When a session would be over, though a request might wait for longer: the group may be elsewhere by then."""
    with closing(broker.clients(session_timeout_ms=6_000, request_timeout_ms=600_000)) as patient:
        consumer, log = patient.consumer(group=GROUP), Log()
        consumer.subscribe(["t"], RoundRobin(), log)
        while not log.owned:
            consumer.poll(0.05)
        assert consumer.position(PART) == 0
        member = consumer._member
        assert member is not None
        assert member._coordinator._node is not None
        broker.stop()
        while member._coordinator._node is not None:
            consumer.poll(0.05)
        broker.go_on()
        while member._coordinator._node is None or not log.owned:
            consumer.poll(0.05)


def test_a_transactional_id_that_the_broker_has_forgotten(
    broker: MortalBroker, clients: KafkaClients, tmp_path: Path
) -> None:
    """Idle for a week it expires: its producer is of no more use, and a new one of that id goes on.

    Its transactions were aborted, one after the other, for ever.
    """
    producer = clients.producer(transactional_id="id")
    producer.begin()
    producer.send("t", 0, [None], [b"before"], [0])
    producer.commit_transaction()
    broker.kill()
    for kept in tmp_path.glob("__transaction_state-*"):
        shutil.rmtree(kept)
    broker.start()
    producer.begin()
    producer.send("t", 0, [None], [b"lost"], [0])
    with pytest.raises(ProducerFenced, match="INVALID_PRODUCER_ID_MAPPING"):
        producer.commit_transaction()
    with pytest.raises(ProducerFenced):
        producer.abort_transaction()
    producer.close()
    another = clients.producer(transactional_id="id")
    another.begin()
    another.send("t", 0, [None], [b"after"], [0])
    another.commit_transaction()
    consumer, values = clients.consumer(group=None, read_committed=True), []
    consumer.assign([PART])
    while len(values) < 2:
        values += [value for batch in consumer.poll(0.2) for value in batch.columns().values]
    assert values == [b"before", b"after"]


def test_a_transaction_that_finds_no_leader_is_undone_and_the_next_is_sent(broker: MortalBroker) -> None:
    """A topic is deleted under a batch, which waits in vain for a broker that leads its partition; others go on.

    The sender had ended, and the commit of the next transaction waited for ever.
    """
    quick = broker.clients(delivery_timeout_ms=1_500, request_timeout_ms=1_000, linger_ms=0)
    admin = quick.admin()
    admin.create([NewTopic("t", 1), NewTopic("gone", 1)])
    producer = quick.producer(transactional_id="id")
    producer.begin()
    producer.send("gone", 0, [None], [b"a"], [0])
    producer.flush()
    admin.delete(["gone"])
    producer.send("gone", 0, [None], [b"b"], [0])
    with pytest.raises(TransactionAbortable, match="no broker leads the partition"):
        producer.commit_transaction()
    producer.abort_transaction()
    producer.begin()
    producer.send("t", 0, [None], [b"kept"], [0])
    producer.seal()
    commit = producer.begin_commit()
    for _ in range(200):
        if commit.done():
            break
        time.sleep(0.05)
    assert commit.done()
    commit.result()
    quick.close()


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_who_writes_at_least_once_goes_on_after_the_broker_lost_some(
    broker: MortalBroker, clients: KafkaClients, tmp_path: Path, compression: str
) -> None:
    """The machine went down before the disk had all of it: OUT_OF_ORDER_SEQUENCE_NUMBER, and the partition begins anew."""
    log = tmp_path / "t-0" / f"{0:020d}.log"
    with closing(broker.clients(compression_type=compression)) as writing:
        producer = writing.producer()
        for value in (b"kept", b"lost", b"anew", b"and on"):
            if value == b"lost":
                kept_bytes = log.stat().st_size
            elif value == b"anew":
                broker.kill()
                os.truncate(log, kept_bytes)
                broker.start()
            producer.send("t", 0, [None, None], [value, value], [7, 7])
            producer.flush()
    consumer = clients.consumer(group=None)
    consumer.assign([PART])
    assert read(consumer, 6) == [b"kept", b"kept", b"anew", b"anew", b"and on", b"and on"]


def read(consumer: KafkaConsumer, count: int) -> list[bytes | None]:
    """The values of the first records."""
    found: list[bytes | None] = []
    until = time.monotonic() + 30
    while len(found) < count and time.monotonic() < until:
        found += [value for batch in consumer.poll(0.1) for value in batch.columns().values]
    return found
