"""Commits what tasks have done, in the only safe order.

1. flush the record caches: every change reaches the changelogs, every result its topic;
2. flush the producer: every error of a write surfaces here, before anything is promised;
3. commit the source offsets;
4. write changes and positions to the stores' engines.

A crash before 3 is done loses nothing, since the offsets still point at what was not finished; a crash between 3 and 4
leaves the engines behind their changelogs, which a restore makes up for. This is the at-least-once order; exactly-once
puts 3 into the transaction that the writes belong to, and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.clients.base import Consumer, OffsetAndMetadata, Producer
from streams.record import TopicPartition
from streams.runtime.task import Task


class Committer:
    """The commits of one worker: one for all of its tasks."""

    def __init__(self, consumer: Consumer, producer: Producer) -> None:
        self._consumer = consumer
        self._producer = producer
        self._committed: dict[TopicPartition, OffsetAndMetadata] = {}

    def commit(self, tasks: Iterable[Task]) -> int:
        """Commit the tasks that did something since their last commit; the answer is how many.

        Raises: what a flush raises, ProductionError, and TaskMigrated when the group has moved on; then the tasks are
        to be dropped, or their changes discarded.
        """
        dirty = [task for task in tasks if task.commit_needed]
        if not dirty:
            return 0
        for task in dirty:
            task.flush()
        self._producer.flush()
        offsets = {partition: offset for task in dirty for partition, offset in task.offsets().items()}
        self._consumer.commit(offsets)
        self._committed |= offsets
        for task in dirty:
            task.commit_state()
        return len(dirty)

    def take_committed(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """What was committed since the last call."""
        committed, self._committed = self._committed, {}
        return committed
