"""Commits what tasks have done, in the only safe order.

1. flush the record caches: every change reaches the changelogs, every result its topic;
2. flush the producer: every error of a write surfaces here, before anything is promised; under exactly-once the source
   offsets join the transaction of the writes meanwhile, as this member of this generation;
3. commit the source offsets: under exactly-once the transaction ends;
4. write changes and positions to the stores' engines.

A crash before 3 is done loses nothing, since the offsets still point at what was not finished; a crash between 3 and 4
leaves the engines behind their changelogs, which a restore makes up for. A commit that failed is aborted by its owner,
who then takes the tasks up anew from what is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum

from streams.clients.base import Consumer, OffsetAndMetadata
from streams.record import TopicPartition
from streams.runtime.streams_producer import StreamsProducer
from streams.runtime.task import Task


class CommitStep(Enum):
    """What a commit has just done."""

    CACHES_FLUSHED = "caches flushed"
    OFFSETS_SENT = "offsets sent"
    """In the transaction, which is still open; at-least-once has no such step."""
    WRITES_ACKNOWLEDGED = "writes acknowledged"
    COMMITTED = "committed"
    STATE_WRITTEN = "state written"
    """Of one task: it comes once per task."""


CommitHook = Callable[[CommitStep], None]
"""Called after each step, on the processing thread; what it raises ends the commit there."""


class Committer:
    """The commits of one worker: one for all of its tasks."""

    def __init__(self, consumer: Consumer, producer: StreamsProducer, after: CommitHook = lambda _step: None) -> None:
        self._consumer = consumer
        self._producer = producer
        self._after = after
        self._committed: dict[TopicPartition, OffsetAndMetadata] = {}

    @property
    def transactional(self) -> bool:
        """Whether what was not committed can be undone."""
        return self._producer.transactional

    def commit(self, tasks: Iterable[Task]) -> int:
        """Commit the tasks that did something since their last commit; the answer is how many.

        Raises: what a flush raises, ProductionError, TransactionAborted, and TaskMigrated when the group has moved on;
        then nothing is committed, or all but the engines, and the tasks are to be taken up anew.
        """
        dirty = [task for task in tasks if task.commit_needed]
        if not dirty and not self._producer.in_transaction:
            return 0
        for task in dirty:
            task.flush()
        self._after(CommitStep.CACHES_FLUSHED)
        offsets = {partition: offset for task in dirty for partition, offset in task.offsets().items()}
        if self.transactional:
            self._commit_transaction(offsets)
        else:
            self._flush()
            self._consumer.commit(offsets)
        self._after(CommitStep.COMMITTED)
        self._committed |= offsets
        for task in dirty:
            task.commit_state()
            self._after(CommitStep.STATE_WRITTEN)
        return len(dirty)

    def abort(self) -> None:
        """Undo what was written since the last commit, where that is possible."""
        self._producer.abort()

    def take_committed(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """What was committed since the last call."""
        committed, self._committed = self._committed, {}
        return committed

    def _commit_transaction(self, offsets: dict[TopicPartition, OffsetAndMetadata]) -> None:
        """The offsets travel beside the last writes: neither counts without the other."""
        if offsets:
            self._producer.send_offsets(offsets, self._consumer)
        self._after(CommitStep.OFFSETS_SENT)
        self._flush()
        self._producer.commit_transaction()

    def _flush(self) -> None:
        self._producer.flush()
        self._after(CommitStep.WRITES_ACKNOWLEDGED)
