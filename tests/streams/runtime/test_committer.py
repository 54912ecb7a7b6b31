"""The order of a commit, and what a failure at each step leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from streams.clients.base import NewTopic, OffsetAndMetadata
from streams.clients.memory import MemoryBroker, MemoryConsumer, MemoryProducer
from streams.errors import ProductionError, TaskMigrated
from streams.record import TopicPartition
from streams.runtime.committer import Committer

PART = TopicPartition("t", 0)


class Steps:
    """A task that writes down what the committer asks of it."""

    def __init__(self, log: list[str]) -> None:
        self.commit_needed = True
        self._log = log

    def flush(self) -> None:
        self._log.append("flush caches")

    def offsets(self) -> Mapping[TopicPartition, OffsetAndMetadata]:
        return {PART: OffsetAndMetadata(7)}

    def commit_state(self) -> None:
        self._log.append("commit state")
        self.commit_needed = False


class LoggingProducer(MemoryProducer):
    """Says when it is flushed, and fails if told."""

    def __init__(self, broker: MemoryBroker, log: list[str], error: Exception | None = None) -> None:
        super().__init__(broker)
        self._log, self._error = log, error

    def flush(self) -> None:
        self._log.append("flush producer")
        if self._error:
            raise self._error


class LoggingConsumer(MemoryConsumer):
    """Says when it commits, and fails if told."""

    def __init__(self, broker: MemoryBroker, log: list[str], error: Exception | None = None) -> None:
        super().__init__(broker, "g")
        self._log, self._error = log, error

    def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        self._log.append("commit offsets")
        if self._error:
            raise self._error
        super().commit(offsets)


def parts(**errors: Exception) -> tuple[list[str], Any, Committer, MemoryBroker]:
    broker, log = MemoryBroker(), []
    broker.create(NewTopic("t", 1))
    committer = Committer(
        LoggingConsumer(broker, log, errors.get("consumer")), LoggingProducer(broker, log, errors.get("producer"))
    )
    return log, Steps(log), committer, broker


def test_the_only_safe_order() -> None:
    """Caches, producer, offsets, state; then nothing is left, and a second commit does nothing."""
    log, task, committer, broker = parts()
    assert committer.commit([task]) == 1
    assert log == ["flush caches", "flush producer", "commit offsets", "commit state"]
    assert broker.groups["g"].offsets == {PART: OffsetAndMetadata(7)}
    assert committer.take_committed() == {PART: OffsetAndMetadata(7)}
    assert committer.commit([task]) == 0


def test_a_failed_write_promises_nothing() -> None:
    """An error that surfaces in the flush leaves offsets and state alone."""
    log, task, committer, broker = parts(producer=ProductionError("no"))
    with pytest.raises(ProductionError):
        committer.commit([task])
    assert (log[-1], broker.groups["g"].offsets, task.commit_needed) == ("flush producer", {}, True)


def test_a_group_that_moved_on_leaves_the_state_alone() -> None:
    """Without the offsets the engines must not move."""
    log, task, committer, _ = parts(consumer=TaskMigrated("gone"))
    with pytest.raises(TaskMigrated):
        committer.commit([task])
    assert (log[-1], task.commit_needed) == ("commit offsets", True)
