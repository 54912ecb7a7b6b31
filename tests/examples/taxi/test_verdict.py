"""Reading the topics from outside, and judging what lies in them against pandas' totals."""

from struct import pack

import msgspec
import pytest

from examples.taxi import rides
from examples.taxi.check import Totals
from examples.taxi.ledger import Ledger
from examples.taxi.messages import Confirmed, Refused, Takings
from examples.taxi.verdict import Verdict, judge, summary
from streams.clients.memory import MemoryBroker, MemoryClients, MemoryProducer

TOTALS = Totals(
    rides=3, turned_away={}, refused={"no zone": 1}, confirmed=2, takings={(7, 600_000): (1, 1000), (8, 0): (1, 250)}
)


@pytest.fixture
def producer() -> MemoryProducer:
    broker = MemoryBroker()
    rides.create_topics(MemoryClients(broker))
    return MemoryClients(broker).producer()


def send(producer: MemoryProducer, topic: str, key: bytes, value: msgspec.Struct | None = None) -> None:
    producer.send(topic, 1, [key], [msgspec.json.encode(value)], [0])


def number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def produce(producer: MemoryProducer, *, takings: tuple[Takings, Takings], confirmed: tuple[int, ...] = (1, 2)) -> None:
    for ride in (1, 2, 3):
        send(producer, "ride_details", number(ride))
    for ride in confirmed:
        send(producer, "ride_confirmed", number(7), Confirmed(ride, "Astoria", "Queens", "driver_001", 10.0))
    send(producer, "ride_refused", number(3), Refused(3, "no zone"))
    for window, value in zip(((7, 600_000), (8, 0)), takings, strict=True):
        send(producer, "zone_takings", pack(">qq", *window), Takings(0, 0.0))
        send(producer, "zone_takings", pack(">qq", *window), value)


def read(producer: MemoryProducer) -> Ledger:
    consumer = MemoryClients(producer._broker).consumer(group=None)
    ledger = Ledger(consumer, {topic.name: topic.partitions for topic in rides.TOPICS})
    ledger.catch_up()
    return ledger


def test_equal(producer: MemoryProducer) -> None:
    """The latest takings of each window count, and everything is there once."""
    produce(producer, takings=(Takings(1, 10.0), Takings(1, 2.5)))
    ledger = read(producer)
    assert judge(ledger, TOTALS).equal
    assert ledger.zones == {7: Takings(1, 10.0), 8: Takings(1, 2.5)}
    assert summary(ledger, TOTALS) == (
        "3 rides in, 2 confirmed, 1 refused (1 no zone)\n12.50 $ of fares in 2 windows of 2 zones"
    )


def test_a_lost_ride_is_told_wherever_it_is_missing(producer: MemoryProducer) -> None:
    """Each number that is too low has its line."""
    produce(producer, takings=(Takings(1, 10.0), Takings(0, 0.0)), confirmed=(1,))
    verdict = judge(read(producer), TOTALS)
    assert verdict == Verdict(("confirmed: 1 instead of 2", "takings: 1 of 2 windows are missing, or too low"), ())


def test_rides_handled_twice_are_not_lost(producer: MemoryProducer) -> None:
    """At least once: what came again is told apart from what is missing."""
    produce(producer, takings=(Takings(2, 20.0), Takings(1, 2.5)), confirmed=(1, 2, 2))
    verdict = judge(read(producer), TOTALS)
    assert verdict == Verdict((), ("1 rides confirmed again", "1 rides counted again in takings"))


def test_wrong_fares_are_not_equal(producer: MemoryProducer) -> None:
    """The number of rides alone does not make a window equal."""
    produce(producer, takings=(Takings(1, 10.01), Takings(1, 2.5)))
    assert judge(read(producer), TOTALS).lost == ("takings: 1 of 2 windows are missing, or too low",)
