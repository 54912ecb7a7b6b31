"""The order of a commit, and what a failure at each step leaves behind, under both guarantees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from streams.clients.base import NewTopic, OffsetAndMetadata
from streams.clients.memory import MemoryBroker, MemoryConsumer, MemoryProducer
from streams.errors import ProducerFenced, ProductionError, TaskMigrated
from streams.record import TopicPartition
from streams.runtime.committer import CommitStep, Committer
from streams.runtime.streams_producer import StreamsProducer
from streams.runtime.task_states import TaskState

PART = TopicPartition("t", 0)
OUT = TopicPartition("out", 0)


class Steps:
    """A task that writes a record at each flush, and writes down what the committer asks of it."""

    state = TaskState.RUNNING

    def __init__(self, log: list[str], producer: StreamsProducer) -> None:
        self.commit_needed = True
        self._log = log
        self._producer = producer

    def flush(self) -> None:
        self._log.append("flush caches")
        self._producer.send(*OUT, [b"k"], [b"v"], [1])

    def seal(self) -> Mapping[TopicPartition, OffsetAndMetadata]:
        self._log.append("seal")
        return {PART: OffsetAndMetadata(7)}

    def unseal(self) -> None:
        self._log.append("unseal")

    def commit_state(self) -> None:
        self._log.append("commit state")
        self.commit_needed = False


class FailingProducer(MemoryProducer):
    """Fails in a flush, if told."""

    error: Exception | None = None

    def flush(self) -> None:
        if self.error:
            raise self.error


class FailingConsumer(MemoryConsumer):
    """Fails in a commit, if told."""

    error: Exception | None = None

    def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        if self.error:
            raise self.error
        super().commit(offsets)


class Parts:
    """A committer with one task, on a broker of its own."""

    def __init__(self, *, exactly_once: bool = False, **errors: Exception) -> None:
        self.broker, self.log = MemoryBroker(), []
        self.broker.create(NewTopic("t", 1))
        self.broker.create(NewTopic("out", 1))
        self.consumer = FailingConsumer(self.broker, "g")
        self.consumer.error = errors.get("consumer")
        self.producer = StreamsProducer(self._producer_maker(exactly_once, errors), transactional=exactly_once)
        self.task: Any = Steps(self.log, self.producer)
        self.committer = Committer(self.consumer, self.producer, lambda step: self.log.append(step.value))

    def _producer_maker(self, exactly_once: bool, errors: Mapping[str, Exception]) -> Callable[[], MemoryProducer]:
        def make() -> MemoryProducer:
            made = FailingProducer(self.broker, "id" if exactly_once else None)
            made.error = errors.get("producer")
            return made

        return make

    @property
    def committed(self) -> Mapping[TopicPartition, OffsetAndMetadata]:
        return self.broker.groups["g"].offsets

    def visible(self) -> int:
        reader = MemoryConsumer(self.broker, None, read_committed=True)
        reader.assign([OUT])
        return sum(len(batch.columns()) for batch in reader.poll(0))


@pytest.mark.parametrize("exactly_once", [False, True])
def test_the_only_safe_order(exactly_once: bool) -> None:
    """Caches, then writes with the offsets of their transaction, then state; a second commit does nothing."""
    parts = Parts(exactly_once=exactly_once)
    parts.committer.commit([parts.task])
    steps = ["flush caches", "caches flushed", "seal", "offsets sent", "writes acknowledged", "committed"]
    expected = [step for step in steps if exactly_once or step != "offsets sent"]
    assert parts.log == [*expected, "commit state", "state written"]
    assert parts.committed == {PART: OffsetAndMetadata(7)}
    assert parts.committer.take_committed() == {PART: OffsetAndMetadata(7)}
    parts.committer.commit([parts.task])
    assert (parts.log[-1], parts.visible()) == ("state written", 1)


@pytest.mark.parametrize("exactly_once", [False, True])
def test_a_failed_write_promises_nothing(exactly_once: bool) -> None:
    """An error that surfaces in the flush leaves offsets and state alone."""
    parts = Parts(exactly_once=exactly_once, producer=ProductionError("no"))
    with pytest.raises(ProductionError):
        parts.committer.commit([parts.task])
    last = "offsets sent" if exactly_once else "seal"
    assert (parts.log[-1], parts.committed, parts.task.commit_needed) == (last, {}, True)


def test_a_group_that_moved_on_leaves_the_state_alone() -> None:
    """Without the offsets the engines must not move."""
    parts = Parts(consumer=TaskMigrated("gone"))
    with pytest.raises(TaskMigrated):
        parts.committer.commit([parts.task])
    assert (parts.log[-1], parts.task.commit_needed) == ("writes acknowledged", True)


@pytest.mark.parametrize("step", [CommitStep.CACHES_FLUSHED, CommitStep.WRITES_ACKNOWLEDGED, CommitStep.OFFSETS_SENT])
def test_what_is_aborted_was_never_there(step: CommitStep) -> None:
    """Cut before the end of its transaction, a commit shows neither records nor offsets, and the next one works."""
    parts = Parts(exactly_once=True)

    def cut(reached: CommitStep) -> None:
        if reached is step:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        Committer(parts.consumer, parts.producer, cut).commit([parts.task])
    parts.committer.abort()
    assert (parts.visible(), parts.committed, parts.task.commit_needed) == (0, {}, True)
    parts.committer.commit([parts.task])
    assert (parts.visible(), parts.task.commit_needed) == (1, False)


def test_a_fenced_producer_is_replaced() -> None:
    """When another producer has the id, a commit fails, and after an abort a new producer has it back."""
    parts = Parts(exactly_once=True)
    parts.producer.send(*OUT, [b"k"], [b"v"], [1])
    MemoryProducer(parts.broker, "id")
    with pytest.raises(ProducerFenced):
        parts.committer.commit([parts.task])
    parts.committer.abort()
    parts.committer.commit([parts.task])
    assert (parts.visible(), set(parts.committed)) == (1, {PART})
