"""The driver tells the truth: recorded cases give the same output topics through the real broker and a real worker.

Every topic has one partition, and a commit is forced after each record, as the driver does; a step begins when all that
the one before set off is committed.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from streams.clients.base import NewTopic
from streams.clients.kafka import KafkaClients
from streams.embedded import lease
from streams.errors import StoreNotReady
from streams.record import Record, TopicPartition
from streams.runtime.restorer import SilentListener
from streams.runtime.worker import Worker
from streams.serdes import serde_for
from streams.topology.nodes import SinkNode, SourceNode
from streams.topology.topology import Topology
from tests.oracle.cases import Case, config_of, entry, python_types, topology_of
from tests.oracle.test_cases import FILES, case_of

SAMPLE = 50
PATIENCE_S = 30
MEMORY = Path("/dev/shm")
pytestmark = [pytest.mark.broker, pytest.mark.skipif(not FILES, reason="no recorded cases beside this repository")]


def sample() -> list[Path]:
    """Cases of all kinds, evenly spread, two with global tables among them."""
    fit = [path for path in FILES if in_the_format(case := case_of(path)) and order_is_defined(topology_of(case))]
    with_globals = [path for path in fit if '"globalTable"' in path.read_text()][:2]
    spread = [path for path in fit[:: max(1, len(fit) // SAMPLE)] if path not in with_globals]
    return with_globals + spread[: SAMPLE - len(with_globals)]


def in_the_format(case: Case) -> bool:
    """Whether a case has no more than the format: ours may have headers, and a clock that moves.

    And whether a commit after each step is what the driver does: it also commits between two records that a step writes
    to a topic which is read again, and between the two that a change becomes in a repartition topic while an upgrade from
    before 3.4 is under way.
    """
    read = {operation["topic"] for operation in case["topology"] if operation["op"] != "to" and "topic" in operation}
    written = [[each[0] for each in step["out"] if each[0] in read] for step in case["steps"]]
    if any(len(topics) > len(set(topics)) for topics in written):
        return False
    return all(len(step.get("in", ())) == 4 for step in case["steps"]) and "upgrade_from" not in case.get("config", {})


def order_is_defined(topology: Topology) -> bool:
    """Whether Kafka says in which order the records of one step are taken.

    It does not where two internal topics that carry what one input record became are read by one task: both lie there
    with the same time, and whichever was fetched first is taken first. Nor where two sub-topologies that one input
    feeds write to one topic. Where one of the two is made from what the other carries, it comes second.
    """
    leads_to = {topic: reached(topology, topic) for topic in (*topology.user_topics, *topology.repartition_topics)}
    inputs = [leads_to[topic] for topic in topology.user_topics]

    def by_one_input(one: str, other: str) -> bool:
        apart = other not in leads_to.get(one, ()) and one not in leads_to.get(other, ())
        return apart and any(one in reach and other in reach for reach in inputs)

    tied = (
        by_one_input(one, other)
        for part in topology.subtopologies
        for one, other in itertools.combinations(part.source_topics, 2)
    )
    return not any(tied) and not any(
        shared & set(topology.sink_topics) - set(topology.repartition_topics)
        for reach in inputs
        for shared in written_twice(topology, reach)
    )


def reached(topology: Topology, topic: str) -> set[str]:
    """The topics that records of a topic are written to, on this way or that, itself left out unless it is one."""
    found: set[str] = set()
    waiting = [topic]
    while waiting:
        for name in written_from(topology, waiting.pop()) - found:
            found.add(name)
            waiting.append(name)
    return found


def written_from(topology: Topology, topic: str) -> set[str]:
    """The topics that the sub-topology reading a topic writes to behind its source."""
    waiting = [
        node.name
        for node in topology.nodes.values()
        if isinstance(node, SourceNode) and topic in map(topology.full_name, node.topics)
    ]
    found = set()
    while waiting:
        node = topology.nodes[waiting.pop()]
        if isinstance(node, SinkNode):
            found |= set() if node.topic is None else {topology.full_name(node.topic)}
        else:
            waiting += node.children
    return found


def written_twice(topology: Topology, reach: set[str]) -> Iterator[set[str]]:
    """What pairs of sub-topologies that an input feeds both write to."""
    fed = [set(part.sink_topics) for part in topology.subtopologies if reach & set(part.source_topics)]
    yield from (one & other for one, other in itertools.combinations(fed, 2))


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """One broker for all cases, each with a group of its own; in memory where that is possible, for disks are not tested."""
    with (
        TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, ignore_cleanup_errors=True) as directory,
        lease(directory, idle_seconds=1) as held,
    ):
        yield f"kafka://{held.address}"


class Real:
    """A worker on the real broker, and clients that write, watch and read."""

    def __init__(self, case: Case, broker: str, state_dir: Path, application_id: str) -> None:
        settings = {"broker": broker, "state_dir": str(state_dir), "linger_ms": 0, "max_poll_records": 1}
        self.config = replace(config_of(case), application_id=application_id, commit_interval_ms=1, **settings)
        self.topology = topology_of(case, config=self.config)
        self.clients = KafkaClients(self.config)
        topics = {*self.topology.user_topics, *self.topology.sink_topics} - set(self.topology.repartition_topics)
        self.topics = sorted(topics)
        self.admin = self.clients.admin()
        self.admin.create([NewTopic(topic, 1) for topic in self.topics])
        self.inputs = [TopicPartition(topic, 0) for topic in self.topology.source_topics]
        self.globals = {each.topic: each.store for each in self.topology.global_stores}
        self.producer = self.clients.producer()
        self.watcher = self.clients.consumer(group=application_id)
        self.reader = self.clients.consumer(group=None)
        self.own: set[tuple[str, int]] = set()
        """Where the records are that the test wrote itself."""
        ticks = itertools.count(0, 2_000)
        self.worker = Worker(
            self.topology, self.config, self.clients, clock=lambda: next(ticks), restore_progress=SilentListener()
        )
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.worker.run()
        except Exception:
            assert self.worker.error is not None

    def send(self, topic: str, key: bytes | None, value: bytes | None, timestamp: int) -> None:
        """Write a record, and wait until it and all it set off is committed, or taken into a global table."""
        partition = TopicPartition(topic, 0)
        self.own.add((topic, self.watcher.end_offsets([partition])[partition]))
        self.producer.send(topic, 0, [key], [value], [timestamp])
        self.producer.flush()
        if topic in self.globals and key is not None:
            self.until(lambda: self.in_global_table(topic, key, value))
        self.until(self.settled)

    def in_global_table(self, topic: str, key: bytes, value: bytes | None) -> bool:
        """Whether a global table shows a record. It is read on its own time: nothing else says that it was.

        The worker may not even have started.
        """
        spec = self.globals[topic]
        expected = None if value is None else spec.value_serde.deserialize(value)
        try:
            (store,) = self.worker.stores(spec.name)
        except StoreNotReady:
            return False
        found = store.get(spec.key_serde.deserialize(key))  # type: ignore[attr-defined]  # by key
        return (found and found[0]) == expected

    def settled(self) -> bool:
        """Committed first, ends second: what a committed record wrote downstream is in the ends."""
        committed = self.watcher.committed(self.inputs)
        ends = self.watcher.end_offsets(self.inputs)
        return all(committed[each].offset == end if each in committed else end == 0 for each, end in ends.items())

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert self.thread.is_alive(), f"the worker ended: {self.worker.error}"
            assert time.monotonic() < deadline, "the worker is not done in time"
            time.sleep(0.002)

    def read(self, topic: str) -> list[Record]:
        """All records of a topic that are not the test's own, as bytes."""
        partition = TopicPartition(topic, 0)
        end = self.reader.end_offsets([partition])[partition]
        self.reader.assign([partition])
        self.reader.seek(partition, 0)
        records: list[Record] = []
        while len(records) < end:
            for batch in self.reader.poll(1):
                columns = batch.columns()
                records += [columns.record(row) for row in range(len(columns))]
        return [record for record in records if (topic, record.offset) not in self.own]

    def close(self) -> None:
        """The next case has topics of the same names: their names count in record caches."""
        self.worker.stop()
        self.thread.join()
        self.admin.delete(self.topics)
        for client in (self.producer, self.watcher, self.reader, self.admin, self.clients):
            client.close()


@contextmanager
def running(*arguments: Any) -> Iterator[Real]:
    real = Real(*arguments)
    try:
        yield real
    finally:
        real.close()


def decoded(topology: Topology, topic: str, record: Record) -> Record:
    """A record of an output topic, by the serdes of its sink."""
    sinks = (node for node in topology.nodes.values() if isinstance(node, SinkNode) and node.topic == topic)
    serdes = next(sinks).serdes
    assert serdes.key is not None
    assert serdes.value is not None
    return Record(
        None if record.key is None else serdes.key.deserialize(record.key),
        None if record.value is None else serdes.value.deserialize(record.value),
        record.timestamp,
    )


def bytes_of(kind: Any, value: Any) -> bytes | None:
    return None if value is None else serde_for(kind).serialize(value)


@pytest.mark.parametrize("path", sample(), ids=lambda path: path.stem)
def test_output_topics_are_those_of_the_driver(path: Path, broker: str, tmp_path: Path) -> None:
    """Key, value, time and order in every topic that the program writes to."""
    case = case_of(path)
    with running(case, broker, tmp_path, path.stem) as real:
        for step in case["steps"]:
            topic, key, value, timestamp = step["in"]
            key_type, value_type = python_types(case, topic)
            real.send(topic, bytes_of(key_type, key), bytes_of(value_type, value), timestamp)
        expected = [each for step in case["steps"] for each in step["out"]]
        for name in dict.fromkeys(operation["topic"] for operation in case["topology"] if operation["op"] == "to"):
            found = [entry(name, decoded(real.topology, name, record)) for record in real.read(name)]
            assert found == [each for each in expected if each[0] == name]
