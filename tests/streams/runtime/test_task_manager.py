"""Tasks that come and go beside tasks that run: what happens in which order.

Each opening and closing says words, which the next round of the loop finds; their clocks have a commit due whenever they are read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest

from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.processor import Processor, ProcessorContext
from streams.record import Record, TopicPartition
from streams.runtime.committer import CommitStep
from streams.runtime.member_info import MemberInfo
from streams.runtime.restorer import SilentListener
from streams.runtime.task_manager import TaskManager
from streams.runtime.worker import Worker
from streams.runtime.worker_states import WorkerState
from streams.serdes import serde_for
from streams.topology.topology import Topology
from tests.streams.runtime.workers import GROUP, WORDS, caught_up, counting_app, latest, running, say, until

PARTITIONS = 8


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create(NewTopic("words", PARTITIONS))
    broker.create(NewTopic("counts", PARTITIONS))
    return broker


def watched(
    broker: MemoryBroker,
    state_dir: Path,
    topology_of: Callable[[StreamsConfig], Topology],
    events: list[str],
    **settings: Any,
) -> Worker:
    """A worker whose commits are among the events."""

    def steps(step: CommitStep) -> None:
        if step is CommitStep.COMMITTED:
            events.append("commits")

    given = {"broker": "kafka://memory:1", "state_dir": str(state_dir), "commit_interval_ms": 1}
    config = StreamsConfig.of(GROUP, given | settings)
    return Worker(
        topology_of(config),
        config,
        MemoryClients(broker),
        monotonic=count(1_000_000, 10).__next__,
        restore_progress=SilentListener(),
        after_commit_step=steps,
    )


def alternate(events: list[str], what: str) -> bool:
    """Whether there are commits between all of these but the first two, before which nothing was said."""
    first = events.index(what, events.index(what) + 1)
    last = len(events) - events[::-1].index(what)
    return (what, what) not in pairwise(events[first:last])


def test_stores_are_opened_one_by_one_beside_commits(broker: MemoryBroker, tmp_path: Path) -> None:
    """A worker opens stores while it has tasks that run: between one and the next they have their turn, and commit."""
    events: list[str] = []

    def opens(_store: str, _options: Any) -> None:
        events.append("opens")
        say(broker, WORDS[:2])

    with running(watched(broker, tmp_path, counting_app.topology, events, rocksdb_config_setter=opens)):
        until(broker, lambda: events.count("opens") == PARTITIONS and caught_up(broker))
    assert alternate(events, "opens")
    assert latest(broker) == Counter(dict.fromkeys(WORDS[:2], PARTITIONS))


def test_tasks_that_go_are_closed_one_by_one_beside_commits(broker: MemoryBroker, tmp_path: Path) -> None:
    """Half of the tasks go to a second worker: between one that is closed and the next those that stay commit."""

    def topology_of(events: list[str]) -> Callable[[StreamsConfig], Topology]:
        class Listens(Processor):
            def init(self, context: ProcessorContext) -> None:
                super().init(context)
                events.append("begins")

            def process(self, record: Record) -> None:
                pass

            def close(self) -> None:
                events.append("closes")
                producer = MemoryClients(broker).producer()
                for partition in range(PARTITIONS):
                    producer.send("words", partition, [None], [b"word"], [1_000])

        builder = StreamsBuilder()
        builder.stream("words", key=str, value=str).process(Listens)
        return builder.build

    events: list[str] = []
    first = watched(broker, tmp_path / "1", topology_of(events), events)
    second = watched(broker, tmp_path / "2", topology_of([]), [])
    with running(first):
        until(broker, lambda: events.count("begins") == PARTITIONS)
        with running(second):
            until(broker, lambda: events.count("closes") == PARTITIONS // 2)
            assert alternate(events, "closes")
            assert len(first.tasks) == PARTITIONS // 2


def test_a_topic_that_only_a_newer_worker_saw_at_its_start(broker: MemoryBroker, tmp_path: Path) -> None:
    """A pattern matches it: the older worker reads it as well, whoever of the two leads."""
    text = serde_for(str)

    def worker(name: str) -> Worker:
        config = StreamsConfig.of(GROUP, {"broker": "kafka://memory:1", "state_dir": str(tmp_path / name)})
        builder = StreamsBuilder()
        builder.stream(re.compile("read-.*"), key=text, value=text).to("counts")
        return Worker(builder.build(config), config, MemoryClients(broker), restore_progress=SilentListener())

    broker.create(NewTopic("read-old", 1))
    older, newer = worker("older"), worker("newer")
    with running(older):
        until(broker, lambda: older.tasks == ("0_0",))
        broker.create(NewTopic("read-new", 1))
        MemoryClients(broker).producer().send("read-new", 0, [None], [b"word"], [1_000])
        with running(newer):
            until(broker, lambda: newer.state is WorkerState.RUNNING)

            def read_both() -> bool:
                older._consumer.enforce_rebalance()  # until it is the newer one that assigns
                return older.error is not None or older.processed == 1

            until(broker, read_both)
            assert older.error is None


class Asked(Worker):
    """Notes at every assignment, before anything of it is opened, which tasks it has and what it tells of their state."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.said: list[tuple[frozenset[str], MemberInfo]] = []

    def _task_manager(self, *given: Any, **named: Any) -> TaskManager:
        tasks = super()._task_manager(*given, **named)
        assigned = tasks.assigned

        def heard(partitions: frozenset[TopicPartition]) -> None:
            assigned(partitions)
            self.said.append((frozenset(map(str, tasks.tasks)), tasks.member_info()))

        tasks.assigned = heard  # type: ignore[method-assign]
        return tasks


@pytest.mark.parametrize("store", ["rocksDB", "in_memory"])
def test_what_is_taken_up_is_told_of_while_it_is_not_open(broker: MemoryBroker, tmp_path: Path, store: str) -> None:
    """A worker that joins again between an assignment and the opening of its stores says what state it has.

    Else the leader takes it for gone, and gives the tasks back to where they came from: round and round, with two workers.
    """
    say(broker, WORDS)
    settings = {"num_standby_replicas": 1, "default_dsl_store": store, "commit_interval_ms": 20}
    configs = [
        StreamsConfig.of(GROUP, settings | {"broker": "kafka://memory:1", "state_dir": str(tmp_path / name)})
        for name in ("first", "second")
    ]
    first, second = (
        Asked(counting_app.topology(config), config, MemoryClients(broker), restore_progress=SilentListener())
        for config in configs
    )

    def warm(*workers: Worker) -> bool:
        """Whether each has half of the copies, complete; seen from beside the workers, which open them meanwhile."""
        shares = [each._parts.tasks.standbys.stores("counts") for each in workers if each._parts]
        changelogs = [TopicPartition(f"{GROUP}-counts-changelog", number) for number in range(PARTITIONS)]
        copied = sum(copy.position or 0 for share in shares for copy in share)
        halved = [len(share) for share in shares] == [PARTITIONS // 2] * 2
        return halved and copied == sum(broker.partition(changelog).end for changelog in changelogs)

    def stateful(tasks: Iterable[str]) -> set[str]:
        return {task for task in tasks if task.startswith("1_")}

    with running(second):
        with running(first):
            until(broker, lambda: caught_up(broker) and warm(first, second))
            before = len(second.said)
        until(broker, lambda: len(stateful(second.tasks)) == PARTITIONS)
    tasks, said = next((tasks, said) for tasks, said in second.said[before:] if len(stateful(tasks)) == PARTITIONS)
    assert stateful(tasks) == stateful(said.running) | stateful(said.positions)
    assert len(stateful(said.running)) < PARTITIONS
    assert sum(said.positions[task] for task in stateful(said.positions)) > 0
