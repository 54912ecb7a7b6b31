"""Which worker holds a key: told by the leader, found by the key's partition."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.clients.memory.partition import MemoryPartition
from streams.clients.partitioner import partitions_for
from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.dsl.options import Materialized
from streams.errors import StoreNotReady, StreamsError
from streams.metadata import StreamsMetadata
from streams.queries import StoreView
from streams.record import Windowed
from streams.runtime.restorer import SilentListener
from streams.runtime.worker import Worker, WorkerState
from streams.topology.topology import Topology
from tests.streams.runtime.workers import running, until, worker

ONE, TWO = "one:7001", "two:7002"


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create(NewTopic("words", 2))
    broker.create(NewTopic("counts", 2))
    return broker


def test_every_worker_knows_who_has_a_key(broker: MemoryBroker, tmp_path: Path) -> None:
    """Two workers answer alike, whichever is asked: who runs the key's task, and who has the standby."""
    settings = {"num_standby_replicas": 1, "poll_ms": 5}
    first = worker(broker, tmp_path / "1", application_server=ONE, **settings)
    second = worker(broker, tmp_path / "2", application_server=TWO, **settings)
    with running(first, second):
        until(broker, lambda: len(first.tasks) == len(second.tasks) == 2)
        for word in ("to", "be", "or", "not"):
            (partition,) = partitions_for([word.encode()], 2)
            found = [each.locations.of_key("counts", word) for each in (first, second)]
            assert found[0][:3] == found[1][:3]
            assert found[0].partition == partition
            assert [each.local for each in found] == [f"1_{partition}" in each.tasks for each in (first, second)]
            here = ONE if found[0].local else TWO
            assert found[0].active == here
            assert set(found[0].standbys) == {ONE, TWO} - {here}
        held = first.locations.of_store("counts")
        assert [each.address for each in held] == [ONE, TWO]
        assert sorted(number for each in held for number in each.partitions) == [0, 1]
        assert [each.standby_partitions for each in held] == [each.partitions for each in held[::-1]]


def test_a_worker_without_an_address_is_not_shown(broker: MemoryBroker, tmp_path: Path) -> None:
    """It still knows what it has itself; unknown stores are named."""
    alone = worker(broker, tmp_path)
    with pytest.raises(StreamsError, match="ask again in a moment"):
        _ = alone.locations
    with running(alone):
        until(broker, lambda: len(alone.tasks) == 4)
        found = alone.locations.of_key("counts", "to")
        assert (found.active, found.standbys, found.local) == (None, (), True)
        assert alone.locations.of_store("counts") == []
        with pytest.raises(StreamsError, match="no store 'count'; did you mean 'counts'"):
            alone.locations.of_key("count", "to")


@pytest.mark.parametrize("address", ["", ONE])
def test_where_topics_come_keys_follow_the_tasks(broker: MemoryBroker, tmp_path: Path, address: str) -> None:
    """How many partitions there are is not known at the start of a worker that reads by pattern."""

    def counting(config: StreamsConfig) -> Topology:
        builder = StreamsBuilder()
        builder.stream(re.compile("in-.*"), key=str, value=str).group_by_key().count(name="counts")
        return builder.build(config)

    alone = worker(broker, tmp_path, topology=counting, application_server=address)
    with running(alone):
        until(broker, lambda: alone.state is WorkerState.RUNNING)
        broker.create(NewTopic("in-a", 5))
        until(broker, lambda: len(alone.tasks) == 5)
        words = ("to", "be", "or", "not")
        partitions = [alone.locations.of_key("counts", word).partition for word in words]
        assert partitions == partitions_for([word.encode() for word in words], 5)


def test_where_a_topic_grows_keys_follow_the_tasks(broker: MemoryBroker, tmp_path: Path) -> None:
    """A worker that has run for longer answers as one that has come since: producers divide keys among all partitions."""

    def counting(config: StreamsConfig) -> Topology:
        builder = StreamsBuilder()
        kept = Materialized(name="counts", logged=False)
        builder.stream("words", key=str, value=str).group_by_key().count(store=kept)
        return builder.build(config)

    both = [
        worker(broker, tmp_path / name, topology=counting, application_server=address, poll_ms=5)
        for name, address in (("1", ONE), ("2", TWO))
    ]
    with running(both[0]) as (first,):
        until(broker, lambda: len(first.tasks) == 2)
        with broker.changed:
            broker.partitions("words").extend(MemoryPartition() for _ in range(3))
        with running(both[1]) as (second,):
            until(broker, lambda: len(first.tasks) + len(second.tasks) == 5 and bool(second.tasks))
            words = [f"word{number}" for number in range(20)]
            found = [[each.locations.of_key("counts", word) for word in words] for each in (first, second)]
            assert [at.partition for at in found[0]] == partitions_for([word.encode() for word in words], 5)
            assert [at[:3] for at in found[0]] == [at[:3] for at in found[1]]


def test_a_worker_alone_holds_everything(broker: MemoryBroker, tmp_path: Path) -> None:
    """One address for all partitions."""
    alone = worker(broker, tmp_path, application_server=ONE)
    with running(alone):
        until(broker, lambda: len(alone.tasks) == 4)
        assert alone.locations.of_store("counts") == [StreamsMetadata(ONE, (0, 1), ())]


def by_last(_topic: str, word: str, _value: object, count: int) -> int:
    """A partitioner of the program's own, unlike Kafka's for some words."""
    return ord(word[-1]) % count


WORDS = ("to", "be", "or", "not", "that", "is")


def counting(builder_of: Callable[[StreamsBuilder], Any], broker: MemoryBroker, state_dir: Path) -> Worker:
    builder = StreamsBuilder()
    builder_of(builder).group_by_key().count(name="counts")
    config = StreamsConfig.of("own", {"broker": "kafka://memory:1", "state_dir": str(state_dir), "poll_ms": 5})
    return Worker(builder.build(config), config, MemoryClients(broker), restore_progress=SilentListener())


def until_counted(work: Worker, words: Iterable[str]) -> dict[str, int]:
    """The partitions of the words, as the tasks' own stores tell."""
    found: dict[str, int] = {}
    deadline = time.monotonic() + 30
    while found.keys() != set(words):
        assert time.monotonic() < deadline
        time.sleep(0.01)
        if work._parts is not None and len(work.tasks) >= 2:
            view = [(number, StoreView("counts", Asked(work), stale=True, partition=number)) for number in (0, 1)]
            try:
                found = {word: number for number, part in view for word, _ in part.all()}
            except StoreNotReady:
                continue
    return found


class Asked:
    """The stores of a worker, as a view asks for them."""

    store_names = ("counts",)

    def __init__(self, work: Worker) -> None:
        self.stores = work.stores
        self.ask = work.inquiries.ask


@pytest.mark.parametrize("verb", ["repartition", "to"])
def test_a_partitioner_of_the_program_tells_where_its_keys_are(broker: MemoryBroker, tmp_path: Path, verb: str) -> None:
    """Whether records come by way of a repartition topic, or of one that the same program writes."""
    broker.create(NewTopic("sorted", 2))

    def build(builder: StreamsBuilder) -> Any:
        words = builder.stream("words", key=str, value=str)
        if verb == "repartition":
            return words.repartition(partitioner=by_last, name="by-last")
        words.to("sorted", partitioner=by_last)
        return builder.stream("sorted", key=str, value=str)

    producer = MemoryClients(broker).producer()
    data = [word.encode() for word in WORDS]
    producer.send("words", 0, data, data, [0] * len(data))
    with running(counting(build, broker, tmp_path)) as (work,):
        there = until_counted(work, WORDS)
        assert there == {word: by_last("", word, None, 2) for word in WORDS}
        assert there != {word: partitions_for([word.encode()], 2)[0] for word in WORDS}
        assert {word: work.locations.of_key("counts", word).partition for word in WORDS} == there
        assert work.locations.of_key("counts", Windowed("be", 0, 1)).partition == there["be"]
        one = work.locations.of_key("counts", "be", lambda *_: 1 - there["be"])
        assert one.partition == 1 - there["be"], "the one that is asked with comes first"


def test_a_partitioner_may_be_asked_with(broker: MemoryBroker, tmp_path: Path) -> None:
    """Of a topic that others write by theirs; its answer is one partition that there is, or None for Kafka's."""
    with running(counting(lambda builder: builder.stream("words", key=str, value=str), broker, tmp_path)) as (work,):
        until(broker, lambda: len(work.tasks) == 2)
        of_key = work.locations.of_key
        assert [of_key("counts", word, by_last).partition for word in WORDS] == [ord(word[-1]) % 2 for word in WORDS]
        assert of_key("counts", "be", lambda *_: {1}).partition == 1
        kafkas = [partitions_for([word.encode()], 2)[0] for word in WORDS]
        assert [of_key("counts", word).partition for word in WORDS] == kafkas
        assert [of_key("counts", word, lambda *_: None).partition for word in WORDS] == kafkas
        for several in ([0, 1], []):
            with pytest.raises(StreamsError, match="expected one partition of 'be', the partitioner gave"):
                of_key("counts", "be", lambda *_, several=several: several)
        with pytest.raises(StreamsError, match="words has partitions 0 to 1"):
            of_key("counts", "be", lambda *_: 2)


def test_a_partitioner_that_needs_the_value_says_so(broker: MemoryBroker, tmp_path: Path) -> None:
    """Where a key is, it cannot tell: whoever asks has to."""

    def by_value(_topic: str, _key: str, value: str, count: int) -> int:
        return len(value) % count

    def build(builder: StreamsBuilder) -> Any:
        return builder.stream("words", key=str, value=str).repartition(partitioner=by_value, name="by-value")

    with running(counting(build, broker, tmp_path)) as (work,):
        until(broker, lambda: len(work.tasks) == 4)
        with pytest.raises(StreamsError, match=r"partitioner of own-by-value-repartition does not tell .*partitioner="):
            work.locations.of_key("counts", "be")
        assert work.locations.of_key("counts", "be", by_last).partition == by_last("", "be", None, 2)
