"""Which stores answer a query: those of tasks that run, those of one partition, or all that are open."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from state import StateDirectory
from state.stores import Store
from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker
from streams.clients.partitioner import partitions_for
from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.errors import StoreMoved, StoreNotReady, StreamsError
from streams.queries import StoreView
from streams.record import TopicPartition
from streams.runtime.restorer import SilentListener
from streams.runtime.worker import Worker, WorkerState
from streams.topology.topology import Topology
from tests.streams.runtime.workers import GROUP, WORDS, caught_up, running, until, with_words, worker

T = TypeVar("T")
COUNTS = dict(Counter(WORDS))


class Of:
    """The stores of a worker, as a view asks for them."""

    store_names = ("counts",)

    def __init__(self, each: Worker) -> None:
        self._worker = each

    def stores(self, name: str, **wanted: Any) -> list[Store]:
        return self._worker.stores(name, **wanted)

    def ask(self, question: Callable[[], T]) -> T:
        return self._worker.inquiries.ask(question)


def counts(each: Worker, **wanted: Any) -> dict[str, int]:
    return dict(StoreView("counts", Of(each), **wanted).all())


def within_30_s(holds: Callable[[], bool]) -> None:
    """Wait until something holds; the broker is not held meanwhile, since workers that use it are asked."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def partition_of(word: str) -> int:
    (partition,) = partitions_for([word.encode()], 2)
    return partition


def those_of(partition: int) -> dict[str, int]:
    return {word: count for word, count in COUNTS.items() if partition_of(word) == partition}


@pytest.fixture
def broker() -> MemoryBroker:
    return with_words()


@pytest.mark.parametrize("isolation", ["live", "committed"])
def test_standbys_answer_who_takes_stale_answers(broker: MemoryBroker, tmp_path: Path, isolation: str) -> None:
    """Each of two workers has one task and a copy of the other: the copy is read by `stale` alone."""
    both = [worker(broker, tmp_path / name, num_standby_replicas=1, poll_ms=5) for name in "12"]
    with running(*both):
        until(broker, lambda: all(len(each.tasks) == 2 for each in both) and caught_up(broker))
        within_30_s(lambda: all(counts(each, stale=True, isolation=isolation) == COUNTS for each in both))
        for each in both:
            here = int(next(task for task in each.tasks if task.startswith("1_"))[2:])
            assert (
                counts(each, isolation=isolation) == counts(each, partition=here, isolation=isolation) == those_of(here)
            )
            with pytest.raises(
                StoreMoved, match=rf"no partition {1 - here} on this worker: metadata_for_store\('counts'\)"
            ):
                counts(each, partition=1 - here, isolation=isolation)
            assert counts(each, partition=1 - here, stale=True, isolation=isolation) == those_of(1 - here)
            word = next(iter(those_of(1 - here)))
            assert StoreView("counts", Of(each), isolation).get(word) is None
            assert StoreView("counts", Of(each), isolation, stale=True).get(word) == COUNTS[word]


class Asking(SilentListener):
    """Asks, in the middle of a restore, with and without `stale`."""

    def __init__(self) -> None:
        self.worker: Worker | None = None
        self.found: list[dict[str, int]] = []

    def progressed(self, _store: str, partition: TopicPartition, _position: int, _records: int) -> None:
        assert self.worker is not None
        for wanted in ({}, {"partition": partition.partition}):
            with pytest.raises(StoreNotReady, match="is being restored"):
                counts(self.worker, **wanted)
        self.found.append(counts(self.worker, stale=True, partition=partition.partition))


def test_a_task_answers_while_it_is_restored(broker: MemoryBroker, tmp_path: Path) -> None:
    """A worker with an empty disk: with what it has by then, to who takes stale answers, and nobody else."""
    with running(worker(broker, tmp_path / "1")):
        until(broker, lambda: caught_up(broker))
    asking = Asking()
    asking.worker = worker(broker, tmp_path / "2", asking)
    with running(asking.worker):
        until(broker, lambda: len(asking.found) >= 2 and not asking.worker.status().restoring)
        assert asking.worker.error is None
        assert counts(asking.worker) == COUNTS
    assert {} not in asking.found
    assert all(found.items() <= COUNTS.items() for found in asking.found)


def test_a_partition_waits_for_its_own_task_alone(broker: MemoryBroker, tmp_path: Path) -> None:
    """Task 1_0 cannot be opened, since another process has its directory; partition 1 answers all the same."""
    taken = StateDirectory(tmp_path, GROUP).open_task("1_0", owner="another")
    with taken, running(worker(broker, tmp_path)) as (alone,):
        within_30_s(lambda: is_running(alone) and counts(alone, partition=1) == those_of(1))
        for wanted in ({}, {"partition": 0}, {"partition": 0, "stale": True}):
            with pytest.raises(StoreNotReady, match="task 1_0 is being restored"):
                counts(alone, **wanted)
        assert counts(alone, stale=True) == those_of(1)


def is_running(each: Worker) -> bool:
    """Whether partition 1 can be read."""
    try:
        counts(each, partition=1)
    except StoreNotReady:
        return False
    return True


def test_a_worker_without_a_task_says_that_the_store_is_elsewhere(tmp_path: Path) -> None:
    """It is not empty, as Kafka Streams has it: "may have migrated to another instance"."""

    def counting(config: StreamsConfig) -> Topology:
        builder = StreamsBuilder()
        builder.stream("solo", key=str, value=str).group_by_key().count(name="counts")
        return builder.build(config)

    broker = MemoryBroker()
    broker.create(NewTopic("solo", 1))
    both = [worker(broker, tmp_path / name, topology=counting, poll_ms=5) for name in "12"]
    with running(*both):
        until(broker, lambda: [len(each.tasks) for each in both] in ([0, 1], [1, 0]) and not settling(both))
        (idle,) = [each for each in both if not each.tasks]
        for wanted in ({}, {"stale": True}):
            with pytest.raises(StoreMoved, match="counts has no partition on this worker: metadata_for_store"):
                counts(idle, **wanted)
        (busy,) = [each for each in both if each.tasks]
        assert counts(busy) == {}


def settling(workers: Iterable[Worker]) -> bool:
    """Whether some of them do not run yet."""
    return any(each.state is not WorkerState.RUNNING for each in workers)


def test_a_partition_is_a_number() -> None:
    """What is none is refused where it is given."""
    with pytest.raises(StreamsError, match="counts: partition: expected a whole number of at least 0, got '1'"):
        StoreView("counts", Of(None), partition="1")  # type: ignore[arg-type]
