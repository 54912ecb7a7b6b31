"""Transactions that are undone on the real broker: what counts afterwards is every input, and each once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from streams.clients.base import NewTopic
from streams.clients.kafka import KafkaClients
from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.errors import ProducerFenced
from streams.record import TopicPartition
from streams.runtime.worker import Worker
from streams.serdes import serde_for
from streams.topology.topology import Topology

pytestmark = pytest.mark.broker

LOOKS = 600


class Gate:
    """A function of values that stops at one of them until it is told to go on."""

    def __init__(self, at: str) -> None:
        self._at = at
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, value: str) -> str:
        if value == self._at and not self.reached.is_set():
            self.reached.set()
            self.opened.wait(60)
        return value


class Trial:
    """A worker of its own under exactly-once, and the test's own clients beside it."""

    def __init__(
        self, broker_url: str, name: str, state_dir: Path, build: Callable[[Trial], StreamsBuilder], **settings: Any
    ) -> None:
        self.name = name
        self.own = KafkaClients(StreamsConfig.of(f"{name}-test", {"broker": broker_url}))
        given = {"broker": broker_url, "state_dir": str(state_dir), "processing_guarantee": "exactly_once_v2"}
        config = StreamsConfig.of(name, given | settings)
        self.clients = KafkaClients(config)
        topology: Topology = build(self).build(config)
        self.worker = Worker(topology, config, self.clients)
        self._producer = self.own.producer()
        self.consumer = self.own.consumer(group=None, read_committed=True)
        self.read: list[str] = []

    def topic(self, name: str) -> str:
        """The full name of a topic."""
        return f"{self.name}-{name}"

    def create(self, name: str, partitions: int) -> None:
        self.own.admin().create([NewTopic(self.topic(name), partitions)])

    def grow(self, name: str, partitions: int) -> None:
        """Give a topic more partitions, as an administrator does; the test's own producer is made anew, to see them."""
        admin = AdminClient({"bootstrap.servers": self.worker._config.broker.removeprefix("kafka://")})
        topic = self.topic(name)
        admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(10)
        self._producer = self.own.producer()
        until(lambda: self._producer.partition_count(topic) == partitions)

    def write(self, name: str, *values: str, partition: int = 0) -> None:
        rows = len(values)
        self._producer.send(
            self.topic(name), partition, [b"k"] * rows, [value.encode() for value in values], [7] * rows
        )
        self._producer.flush()

    def until_read(self, holds: Callable[[], bool]) -> None:
        """Read what is committed of topic `out` until something holds."""
        self.consumer.assign([TopicPartition(self.topic("out"), 0)])
        for _ in range(LOOKS):
            if holds():
                return
            self.worker.commit_soon()
            for batch in self.consumer.poll(0.1):
                self.read += [value.decode() for value in batch.columns().values]
        pytest.fail(f"read {self.read}")

    def fetched(self, partition: int) -> int:
        """Up to where the worker has fetched of topic `in`, whatever it has processed."""
        return self.worker._consumer._fetcher._states[TopicPartition(self.topic("in"), partition)].offset

    @property
    def fenced(self) -> bool:
        """Whether the worker's producer knows that it is."""
        return isinstance(self.worker._parts.producer._producer._error, ProducerFenced)

    def fence(self) -> None:
        """Take over the worker's transactional id."""
        self.own.producer(transactional_id=self.worker._process_id.transactional_id(self.name))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the worker on a thread of its own."""
        thread = threading.Thread(target=self.worker.run)
        thread.start()
        try:
            yield
        finally:
            self.worker.stop()
            thread.join()
            self.clients.close()
            self.own.close()


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    never = threading.Event()
    for _ in range(LOOKS):
        if holds():
            return
        never.wait(0.05)
    pytest.fail("it never came about")


def test_what_lay_fetched_is_read_once_more_and_counts_once(broker_url: str, tmp_path: Path) -> None:
    """A producer is fenced while records beyond the committed offset lie fetched: the new task begins where it must."""
    first, second, third = Gate("first"), Gate("second"), Gate("third")

    def build(trial: Trial) -> StreamsBuilder:
        builder, text = StreamsBuilder(), serde_for(str)
        stream = builder.stream(trial.topic("in"), key=text, value=text)
        stream.map_values(first).map_values(second).map_values(third).to(trial.topic("out"))
        return builder

    trial = Trial(broker_url, "fetched", tmp_path, build, commit_interval_ms=120_000, transaction_timeout_ms=120_000)
    trial.create("in", 2)
    trial.create("out", 1)
    with trial.running():
        trial.write("in", "first")
        assert first.reached.wait(60)
        trial.write("in", "second")
        trial.write("in", "third", partition=1)
        until(lambda: (trial.fetched(0), trial.fetched(1)) == (2, 1))
        first.opened.set()
        assert second.reached.wait(60)  # it is of the first of two tasks that both have something to do
        trial.fence()
        second.opened.set()
        assert third.reached.wait(60)
        trial.write("in", "beyond")
        until(lambda: trial.fetched(0) == 3 and trial.fenced)
        third.opened.set()
        trial.until_read(lambda: len(trial.read) >= 4)
        trial.write("in", "end")
        trial.until_read(lambda: "end" in trial.read)
    assert sorted(trial.read) == ["beyond", "end", "first", "second", "third"]


def test_a_task_that_gets_another_input_is_committed_first(broker_url: str, tmp_path: Path) -> None:
    """One of two source topics grows: the task that reads it from now on neither loses nor repeats what it had done."""

    def build(trial: Trial) -> StreamsBuilder:
        builder, text = StreamsBuilder(), serde_for(str)
        counts = (
            builder.stream([trial.topic("long"), trial.topic("short")], key=text, value=text).group_by_key().count()
        )
        counts.to_stream().map_values(str).to(trial.topic("out"), key=text, value=text)
        return builder

    seldom = {"commit_interval_ms": 120_000, "transaction_timeout_ms": 120_000, "statestore_cache_max_bytes": 0}
    trial = Trial(broker_url, "growing", tmp_path, build, metadata_max_age_ms=200, **seldom)
    for name, partitions in (("long", 2), ("short", 1), ("out", 1)):
        trial.create(name, partitions)
    with trial.running():
        trial.write("long", "first", "second", partition=1)
        until(lambda: trial.worker.processed == 2)
        trial.grow("short", 2)
        trial.write("short", "third", partition=1)
        until(lambda: all(len(task.inputs) == 2 for task in list(trial.worker._parts.tasks.tasks.values())))
        trial.until_read(lambda: "3" in trial.read)
    assert trial.read == ["1", "2", "3"]
