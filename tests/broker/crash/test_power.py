"""The power fails: what was not synced is gone or torn, what was acknowledged under group commit is there.

`make crash-broker POWER=1` runs as many rounds under load as one likes.
"""

import random
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.broker.crash.campaign import Campaign
from tests.broker.crash.reading import stored
from tests.broker.power import PoweredBroker, mixed

pytestmark = [pytest.mark.broker, pytest.mark.crash]


@pytest.fixture
def make_powered(tmp_path: Path):
    """Starts watched brokers, with arguments of their own."""
    started: list[PoweredBroker] = []

    def start(*arguments: str, seed: int = 0) -> PoweredBroker:
        folder = tmp_path / f"broker{len(started)}"
        folder.mkdir()
        started.append(PoweredBroker(folder / "data", *arguments, seed=seed))
        started[-1].start()
        return started[-1]

    yield start
    for broker in started:
        broker.stop()


def make_topic(broker: PoweredBroker) -> None:
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic("numbers", 1, 1)])["numbers"].result(20)


def send(broker: PoweredBroker, numbers: range) -> None:
    """One batch a number, each acknowledged."""
    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 0})
    for number in numbers:
        producer.produce("numbers", str(number), partition=0)
        assert producer.flush(20) == 0


def found(broker: PoweredBroker) -> list[int]:
    return [number for _, number in sorted(stored(broker.address, "numbers", 1).items())]


@pytest.mark.parametrize("stop", ["kill", "stop"])
def test_acknowledged_records_stay(make_powered, stop: str) -> None:
    """With everything lost that was not synced, twice, every acknowledged record is there."""
    broker = make_powered()
    broker.worst = True
    make_topic(broker)
    for start in (0, 20):
        send(broker, range(start, start + 20))
        getattr(broker, stop)()
        broker.start()
        assert found(broker) == list(range(start + 20))


def test_flush_by_the_system_loses(make_powered) -> None:
    """With flush=os the same failure takes acknowledged records: the power failures of these tests are failures."""
    broker = make_powered("--set=log.flush=os")
    broker.worst = True
    make_topic(broker)
    send(broker, range(20))
    broker.kill()
    broker.start()
    assert found(broker) == []


@pytest.mark.parametrize("seed", range(2))
def test_torn_batches_are_cut_off(make_powered, seed: int) -> None:
    """Of records that were never synced a beginning is served, in order, and the log says what was cut off."""
    broker = make_powered("--set=log.flush=os", seed=seed)
    make_topic(broker)
    send(broker, range(40))
    log = broker.data_dir / "numbers-0" / f"{0:020d}.log"
    broker.stop()  # from here on the names are safe
    broker.start()
    send(broker, range(40, 200))
    broker.worst = False
    broker.kill()
    whole = (broker.data_dir.with_name("data.before") / "numbers-0" / log.name).read_bytes()
    torn = log.read_bytes() != whole[: log.stat().st_size]
    broker.start()
    numbers = found(broker)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 40
    assert ("truncated at byte" in broker.log) >= torn


def test_sectors_are_old_new_or_zero() -> None:
    """What is left of a file is made of sectors of what was synced, of what was written last, and of zeros."""
    safe, last = b"a" * 2_000, b"a" * 2_000 + b"b" * 5_000
    seen = set()
    for seed in range(50):
        left = mixed(safe, last, random.Random(seed))
        assert len(safe) <= len(left) <= len(last)
        assert left.startswith(safe)
        seen |= set(left)
    assert seen == set(b"ab\0")


def test_rounds_with_power_failures(tmp_path: Path) -> None:
    """Every promise of the broker is kept over power failures under load, and the data directory is sound after each."""
    campaign = Campaign(tmp_path, seed=3, power=True)
    try:
        assert len(list(campaign.run(1))) == 1
    finally:
        campaign.broker.stop()
