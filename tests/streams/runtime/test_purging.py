"""Purging over a broker that does not answer."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from streams import StreamsBuilder
from streams.clients.base import NewTopic, OffsetAndMetadata
from streams.clients.kafka import KafkaClients
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.config import StreamsConfig
from streams.record import TopicPartition
from streams.runtime.committer import Committer
from streams.runtime.purging import Purging
from streams.runtime.streams_producer import StreamsProducer
from streams.topology.topology import Topology
from tests.broker.process import BrokerProcess


def counting(config: StreamsConfig) -> Topology:
    """A program with a repartition topic."""
    builder = StreamsBuilder()
    builder.stream("words", key=str, value=str).group_by(lambda _, word: word, key=str, value=str).count(name="counts")
    return builder.build(config)


def committer_of(offsets: dict[TopicPartition, OffsetAndMetadata]) -> Committer:
    """One that has committed these."""
    clients = MemoryClients(MemoryBroker())
    made = Committer(clients.consumer(group=None), StreamsProducer(clients.producer, transactional=False))
    made._committed = offsets
    return made


def now_and_then() -> Callable[[], int]:
    """A clock by which everything is due whenever it is looked at."""
    times = iter(range(0, 1 << 40, 1 << 20))
    return lambda: next(times)


@pytest.mark.broker
def test_nobody_waits_for_what_is_purged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A node is frozen: the worker goes on, asks for nothing more meanwhile, and what was asked for is done in the end."""
    broker = BrokerProcess(tmp_path / "data").start()
    config = StreamsConfig.of("app", {"broker": f"kafka://{broker.address}"}, environment={})
    topology = counting(config)
    (name,) = topology.repartition_topics
    part = TopicPartition(name, 0)
    with closing(KafkaClients(config)) as clients:
        admin, producer, reader = clients.admin(), clients.producer(), clients.consumer(group=None)
        admin.create([NewTopic(name, 1)])
        producer.send(name, 0, [b"k"] * 3, [b"v"] * 3, [0] * 3)
        producer.flush()
        purging = Purging(topology, config, now_and_then())
        assert broker.process is not None
        broker.process.send_signal(signal.SIGSTOP)
        try:
            purging.purge_if_due(committer_of({part: OffsetAndMetadata(2)}), admin)
            later = committer_of({part: OffsetAndMetadata(3)})
            purging.purge_if_due(later, admin)
        finally:
            broker.process.send_signal(signal.SIGCONT)
        while (first := reader.beginning_offsets([part])[part]) < 2:
            pass
        assert (first, caplog.text) == (2, "")
        while reader.beginning_offsets([part])[part] < 3:
            purging.purge_if_due(later, admin)
        assert later.take_committed() == {}
    broker.stop()
