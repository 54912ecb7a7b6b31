"""A disk that breaks under a running broker: what it does not take is refused, and what cannot be undone ends the broker."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.broker.crash.reading import stored
from tests.broker.process import BrokerProcess

pytestmark = pytest.mark.broker

Break = Callable[[str], Path]


@pytest.fixture
def breaking(broker: BrokerProcess, tmp_path: Path) -> Break:
    """Starts the broker anew with calls that fail while the file that is returned exists."""

    def start(calls: str) -> Path:
        flag = tmp_path / "broken"
        broker.stop()
        usual, broker.command = broker.command, (sys.executable, "-m", "tests.broker.broken_disk", str(flag), calls)
        broker.start()
        broker.command = usual
        admin = AdminClient({"bootstrap.servers": broker.address})
        admin.create_topics([NewTopic("numbers", 1, 1)])["numbers"].result(20)
        return flag

    return start


def send(broker: BrokerProcess, value: str, timeout_ms: int = 30_000) -> KafkaError | None:
    """Produce one record without retries; the error it got."""
    settings = {"linger.ms": 0, "message.send.max.retries": 0, "message.timeout.ms": timeout_ms}
    errors: list[KafkaError | None] = []

    def report(error: KafkaError | None, _: Message) -> None:
        errors.append(error)

    producer = Producer({"bootstrap.servers": broker.address, **settings})
    producer.produce("numbers", value, partition=0, on_delivery=report)
    assert producer.flush(60) == 0
    return errors[0]


def found(broker: BrokerProcess) -> list[int]:
    return [number for _, number in sorted(stored(broker.address, "numbers", 1).items())]


def test_a_refused_sync_is_taken_back(broker: BrokerProcess, breaking: Break) -> None:
    """A producer is told that the disk did not take its record, which nobody sees; the next one finds the disk mended."""
    flag = breaking("fdatasync")
    assert send(broker, "0") is None
    flag.touch()
    refused = send(broker, "1")
    assert refused is not None
    assert refused.code() == KafkaError.KAFKA_STORAGE_ERROR
    flag.unlink()
    assert send(broker, "2") is None
    assert found(broker) == [0, 2]


def ended(broker: BrokerProcess) -> int:
    """The exit code of a broker that stops by itself."""
    assert broker.process is not None
    broker.process.wait(30)
    return broker.stop()


@pytest.mark.parametrize("calls", ["fdatasync,ftruncate", "fdatasync,pread"])
def test_what_cannot_be_taken_back_halts(broker: BrokerProcess, breaking: Break, calls: str) -> None:
    """When the disk refuses both a sync and taking it back, the broker ends and says why; what it acknowledged is there."""
    flag = breaking(calls)
    assert send(broker, "0") is None
    flag.touch()
    assert send(broker, "1", timeout_ms=3_000) is not None
    assert ended(broker) == 1
    assert "failed to sync ([Errno 5] Input/output error), and to take back" in broker.log
    flag.unlink()
    broker.start()
    assert found(broker)[:1] == [0]
    assert send(broker, "2") is None
    assert found(broker)[-1] == 2


def test_acknowledged_records_that_are_not_synced_halt(broker: BrokerProcess, breaking: Break) -> None:
    """With log.flush=interval a sync that fails is of records that were acknowledged: the broker does not go on as if."""
    broker.arguments = (*broker.arguments, "--set=log.flush=interval", "--set=log.flush.interval.ms=1")
    flag = breaking("fdatasync")
    flag.touch()
    send(broker, "0", timeout_ms=3_000)
    assert ended(broker) == 1
    assert "acknowledged records may not be on disk" in broker.log
