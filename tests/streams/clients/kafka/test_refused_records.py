"""Records that the broker refuses after they were sent: the others are written, in order, and somebody is asked."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streams.clients.base import Instead, NewTopic
from streams.clients.kafka import KafkaClients, KafkaProducer
from streams.errors import ClientError, ProductionError
from streams.record import Record, TopicPartition

pytestmark = pytest.mark.broker

MakeClients = Callable[..., KafkaClients]
Values = Callable[..., list[bytes]]
LIMIT = 10_000
SMALL = [b"%0120d" % number for number in range(500)]
LARGE = b"x" * 2 * LIMIT


@pytest.fixture
def narrow(make: MakeClients, request: pytest.FixtureRequest) -> Iterator[str]:
    """A topic of one partition that takes batches of 10,000 bytes."""
    name = re.sub(r"\W+", "-", f"narrow-{request.node.name}-{os.getpid()}")
    admin = make().admin()
    admin.create([NewTopic(name, 1, config={"max.message.bytes": str(LIMIT)})])
    yield name
    admin.delete([name])


def send(producer: KafkaProducer, topic: str, values: list[bytes]) -> None:
    producer.send(topic, 0, [None] * len(values), values, range(len(values)), [(("n", b"1"),)] * len(values))


class Asked:
    """Goes on without what it is asked about, or with something else, and keeps it."""

    def __init__(self, instead: Callable[[Record], Instead | None] = lambda _record: None) -> None:
        self.records: list[tuple[str, Record, str]] = []
        self._instead = instead

    def __call__(self, topic: str, record: Record, error: Exception) -> Instead | None:
        self.records.append((topic, record, str(error)))
        return self._instead(record)


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("transactional", [False, True])
def test_a_batch_that_is_too_large_is_sent_in_parts(
    make: MakeClients, narrow: str, values: Values, compression: str, *, transactional: bool
) -> None:
    """Kafka's splitAndReenqueue: every record fits, and each arrives once, in order; what follows goes on behind."""
    data = [os.urandom(60).hex().encode() for _ in range(1_000)]
    producer = make(compression_type=compression).producer(transactional_id=narrow if transactional else None)
    for start in (0, 500):
        if transactional:
            producer.begin()
        send(producer, narrow, data[start : start + 500])
        if transactional:
            producer.commit_transaction()
        producer.flush()
    assert values(TopicPartition(narrow, 0)) == data
    assert producer.end_offset(narrow, 0) == 1_000 + 2 * transactional


def test_parts_keep_all_of_their_records(make: MakeClients, narrow: str) -> None:
    """Keys, timestamps and headers, too."""
    producer = make().producer()
    keys, headers = [b"k%d" % at if at % 2 else None for at in range(500)], [(("n", b"%d" % at),) for at in range(500)]
    producer.send(narrow, 0, keys, SMALL, range(7, 507), headers)
    producer.flush()
    consumer = make().consumer(group=None)
    consumer.assign([TopicPartition(narrow, 0)])
    found: list[tuple[Any, ...]] = []
    while len(found) < 500:
        for batch in consumer.poll(0.2):
            read = batch.columns()
            found += zip(read.keys, read.values, read.timestamps, read.headers or (), strict=True)
    assert found == list(zip(keys, SMALL, range(7, 507), headers, strict=True))


def test_batches_are_no_larger_than_what_was_taken(make: MakeClients, narrow: str, values: Values) -> None:
    """After the first refusals, and not much smaller either, whatever a single record was like."""
    producer = make().producer(refused=Asked())
    for _ in range(3):
        send(producer, narrow, [*SMALL, LARGE])
        producer.flush()
    assert LIMIT / 2 <= producer._sender.batch_bytes[narrow] <= LIMIT
    assert values(TopicPartition(narrow, 0)) == SMALL * 3


@pytest.mark.parametrize("transactional", [False, True])
def test_only_the_record_that_is_too_large_is_asked_about(
    make: MakeClients, narrow: str, values: Values, *, transactional: bool
) -> None:
    """It is left out, its number in the sequence is the next one's, and the transaction can be committed."""
    asked = Asked()
    producer = make().producer(transactional_id=narrow if transactional else None, refused=asked)
    if transactional:
        producer.begin()
    send(producer, narrow, [*SMALL[:12], LARGE, *SMALL[12:19]])
    send(producer, narrow, [LARGE])
    producer.flush()
    send(producer, narrow, SMALL[19:30])
    if transactional:
        producer.commit_transaction()
    producer.flush()
    assert values(TopicPartition(narrow, 0)) == SMALL[:30]
    assert [(topic, record.value) for topic, record, _ in asked.records] == [(narrow, LARGE)] * 2
    assert asked.records[0][1] == Record(None, LARGE, 12, (("n", b"1"),))
    assert re.search(r"MESSAGE_TOO_LARGE.*max\.message\.bytes", asked.records[0][2])


@pytest.mark.parametrize("commits", [False, True])
def test_what_is_written_instead_is_in_the_same_transaction(
    make: MakeClients, narrow: str, topic: str, values: Values, *, commits: bool
) -> None:
    """Also when that is sealed and another has begun: it is there with the commit, and gone with the abort."""
    producer = make().producer(
        transactional_id=narrow, refused=Asked(lambda record: Instead(topic, Record(b"key", record.value)))
    )
    producer.begin()
    send(producer, narrow, [b"a", LARGE, b"b"])
    producer.seal()
    producer.begin()
    send(producer, narrow, [b"later"])
    producer.begin_flush().result()
    if commits:
        producer.begin_commit().result()
    producer.abort_transaction()
    assert values(TopicPartition(narrow, 0)) == ([b"a", b"b"] if commits else [])
    letters = [value for number in range(3) for value in values(TopicPartition(topic, number))]
    assert letters == [LARGE] * commits


def test_a_refused_record_and_what_is_written_instead_is_refused(make: MakeClients, narrow: str) -> None:
    """Nobody is asked a second time: the producer ends, with the first reason."""
    asked = Asked(lambda record: Instead(narrow, record))
    producer = make().producer(refused=asked)
    send(producer, narrow, [LARGE])
    with pytest.raises(ProductionError, match="MESSAGE_TOO_LARGE"):
        producer.flush()
    assert len(asked.records) == 1


def test_who_is_asked_may_fail(make: MakeClients, narrow: str, values: Values) -> None:
    """Without anybody to ask it is the same, and what came before is written; an error of its code names it."""

    def fails(_topic: str, _record: Record, _error: Exception) -> Instead | None:
        raise ZeroDivisionError

    for refused, error, match in [
        (None, ProductionError, r"max\.message\.bytes"),
        (fails, ClientError, "ZeroDivision"),
    ]:
        producer = make().producer(refused=refused)
        send(producer, narrow, [b"a", LARGE, b"b"])
        with pytest.raises(error, match=match):
            producer.flush()
    assert values(TopicPartition(narrow, 0))[0] == b"a"


@pytest.mark.parametrize(
    ("config", "bad"),
    [
        ({"cleanup.policy": "compact"}, (None, b"no key", 5)),
        ({"message.timestamp.before.max.ms": "1000"}, (b"k", b"long ago", 5)),
    ],
)
def test_records_that_the_topic_cannot_have(
    make: MakeClients, request: pytest.FixtureRequest, values: Values, config: dict[str, str], bad: tuple[Any, ...]
) -> None:
    """INVALID_RECORD and INVALID_TIMESTAMP are about single records: the others of the batch are written."""
    name, now = f"picky-{os.getpid()}-{next(iter(config))}", int(time.time() * 1000)
    admin, asked = make().admin(), Asked()
    admin.create([NewTopic(name, 1, config=config)])
    producer = make().producer(refused=asked)
    good = [(b"k%d" % number, b"v%d" % number, now) for number in range(9)]
    producer.send(name, 0, *zip(*good[:4], bad, *good[4:], strict=True))
    producer.flush()
    assert values(TopicPartition(name, 0)) == [value for _, value, _ in good]
    assert [record.value for _, record, _ in asked.records] == [bad[1]]
    admin.delete([name])
