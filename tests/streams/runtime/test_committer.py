"""The order of a commit, and what a failure at each step leaves behind, under both guarantees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from streams.clients.base import Before, NewTopic, OffsetAndMetadata
from streams.clients.memory import MemoryBroker, MemoryConsumer, MemoryProducer
from streams.clients.memory.done import Done
from streams.errors import ProducerFenced, ProductionError, RebalanceInProgress, TaskMigrated
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
        self.commit_needed = False
        return {PART: OffsetAndMetadata(7)}

    def unseal(self) -> None:
        self._log.append("unseal")
        self.commit_needed = True

    def commit_state(self) -> None:
        self._log.append("commit state")


class FailingProducer(MemoryProducer):
    """Fails in a flush, if told."""

    error: Exception | None = None

    def flush(self) -> None:
        if self.error:
            raise self.error


class Slow(Done):
    """Over when the test says so."""

    over = False

    def done(self) -> bool:
        return self.over


class FailingConsumer(MemoryConsumer):
    """Fails in a commit, if told, and takes its time, if told."""

    error: Exception | None = None
    slow = False

    def begin_commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], after: Sequence[Before] = ()) -> Done:
        begun = super().begin_commit(offsets, after)
        if self.slow:
            begun = Slow(begun.result)
        self.begun = begun
        return begun

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
    assert (parts.log[-1], parts.committed) == (last, {})


def test_a_group_that_moved_on_leaves_the_state_alone() -> None:
    """Without the offsets the engines must not move."""
    parts = Parts(consumer=TaskMigrated("gone"))
    with pytest.raises(TaskMigrated):
        parts.committer.commit([parts.task])
    assert parts.log[-1] == "writes acknowledged"


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
    assert (parts.visible(), parts.committed) == (0, {})
    parts.task.commit_needed = True  # it was taken up anew
    parts.committer.commit([parts.task])
    assert parts.visible() == 1


def test_a_fenced_producer_is_replaced() -> None:
    """When another producer has the id, a commit fails, and after an abort a new producer has it back."""
    parts = Parts(exactly_once=True)
    parts.producer.send(*OUT, [b"k"], [b"v"], [1])
    MemoryProducer(parts.broker, "id")
    with pytest.raises(ProducerFenced):
        parts.committer.commit([parts.task])
    parts.committer.abort()
    parts.task.commit_needed = True
    parts.committer.commit([parts.task])
    assert (parts.visible(), set(parts.committed)) == (1, {PART})


def test_nobody_waits_for_a_commit() -> None:
    """Steps are taken when answers are there, and the state is written after the last of them."""
    parts = Parts()
    parts.consumer.slow = True
    parts.committer.begin([parts.task])
    parts.committer.go_on()
    assert (parts.committer.under_way, parts.committer.can_go_on, parts.log[-1]) == (True, False, "writes acknowledged")
    parts.consumer.begun.over = True
    assert parts.committer.can_go_on
    parts.committer.go_on()
    assert (parts.committer.under_way, parts.log[-1]) == (False, "state written")


def test_whoever_must_have_a_commit_waits_for_the_one_before() -> None:
    """A commit that is under way is brought to its end, and then everything else is committed."""
    parts = Parts()
    parts.consumer.slow = True
    parts.committer.begin([parts.task])
    parts.task.commit_needed = True  # it went on
    parts.committer.commit([parts.task])
    assert (parts.committer.under_way, parts.log.count("state written"), parts.visible()) == (False, 2, 2)


def test_a_commit_that_is_put_off_leaves_all_to_the_next() -> None:
    """Between two generations of the group nothing is committed, and the tasks take back what they had sealed."""
    parts = Parts(consumer=RebalanceInProgress("later"))
    with pytest.raises(RebalanceInProgress):
        parts.committer.commit([parts.task])
    assert (parts.log[-1], parts.committed, parts.committer.under_way) == ("unseal", {}, False)
    parts.consumer.error = None
    parts.committer.commit([parts.task])
    assert (parts.log[-1], parts.committed) == ("state written", {PART: OffsetAndMetadata(7)})


def test_an_abort_lets_a_commit_under_way_end_first() -> None:
    """It may have succeeded already, as far as the group knows; then the state is written as well."""
    parts = Parts()
    parts.consumer.slow = True
    parts.committer.begin([parts.task])
    parts.committer.abort()
    assert (parts.log[-1], parts.committed) == ("state written", {PART: OffsetAndMetadata(7)})
