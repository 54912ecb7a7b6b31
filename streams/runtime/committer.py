"""Commits what tasks have done, in the only safe order, while they go on.

1. flush the record caches: every change reaches the changelogs, every result its topic; then seal tasks and producer,
   so that what happens from now on belongs to the next commit;
2. flush the producer: every error of a write surfaces here, before anything is promised; under exactly-once the source
   offsets join the transaction of the writes meanwhile, as this member of this generation;
3. commit the source offsets: under exactly-once the transaction ends, and what the tasks wrote since may follow;
4. write changes and positions to the stores' engines.

A crash before 3 is done loses nothing, since the offsets still point at what was not finished; a crash between 3 and 4
leaves the engines behind their changelogs, which a restore makes up for. A commit that failed is aborted by its owner,
who then takes the tasks up anew from what is committed.

Rules: 1 and 4 are taken on the processing thread; 2 and 3 by the clients, each as soon as the answer before is there,
for a thread that is busy would have it wait; one commit at a time. Nobody is woken for 4, which no result waits for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable
from enum import Enum
from functools import partial

from streams.clients.base import Before, Consumer, OffsetAndMetadata, Pending
from streams.errors import RebalanceInProgress, StreamsError
from streams.record import TopicPartition
from streams.runtime.streams_producer import StreamsProducer
from streams.runtime.task import Task
from streams.runtime.task_states import TaskState


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
"""Called after each step, on the thread that takes it; what it raises ends the commit there."""

Steps = Generator[Pending[None], None, None]
"""A commit, step by step: what it yields has to be over before its next step."""


class Committer:
    """The commits of one worker: one for all of its tasks."""

    def __init__(
        self,
        consumer: Consumer,
        producer: StreamsProducer,
        after: CommitHook = lambda _step: None,
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._after = after
        self._committed: dict[TopicPartition, OffsetAndMetadata] = {}
        self._steps: Steps | None = None
        self._awaited: Pending[None] | None = None

    @property
    def transactional(self) -> bool:
        """Whether what was not committed can be undone."""
        return self._producer.transactional

    @property
    def under_way(self) -> bool:
        """Whether a commit has begun that is not over."""
        return self._steps is not None

    @property
    def can_go_on(self) -> bool:
        """Whether a commit is under way that waits for nothing, or that must be waited for: the buffers are full."""
        return self._awaited is not None and (self._awaited.done() or self._producer.held_back)

    def begin(self, tasks: Iterable[Task]) -> None:
        """Begin to commit the tasks that did something since their last commit, if there are any.

        Raises: what a flush raises, and what `go_on` raises.
        """
        assert self._steps is None, "one commit at a time"
        dirty = [task for task in tasks if task.commit_needed]
        if not dirty and not self._producer.in_transaction:
            return
        for task in dirty:
            task.flush()
        self._after(CommitStep.CACHES_FLUSHED)
        self._steps = self._commit(dirty)
        self.go_on()

    def go_on(self, *, wait: bool = False) -> None:
        """Take the steps whose time has come; with `wait`, or once the producer holds back too much, all there are.

        Raises: ProductionError, TransactionAbortable, and TaskMigrated when the group has moved on; then nothing is
        committed, or all but the engines, and the tasks are to be taken up anew. RebalanceInProgress: all is as if it had
        not begun.
        """
        steps, awaited = self._steps, self._awaited
        if steps is None:
            return
        self._steps = self._awaited = None  # until it is known that there are more
        while awaited is None or wait or awaited.done() or self._producer.held_back:
            try:
                awaited = _next(steps, awaited)
            except StopIteration:
                return
        self._steps, self._awaited = steps, awaited

    def commit(self, tasks: Iterable[Task]) -> None:
        """Commit, and wait for it. Raises: what `begin` and `go_on` raise."""
        with contextlib.suppress(RebalanceInProgress):  # of the commit before
            self.go_on(wait=True)
        self.begin(tasks)
        self.go_on(wait=True)

    def abort(self) -> None:
        """Undo what was written since the last commit, where that is possible; one that is under way may still succeed."""
        with contextlib.suppress(StreamsError):
            self.go_on(wait=True)
        self._producer.abort()

    def leave_behind(self) -> Pending[None] | None:
        """Tasks were lost, and closed: wait until what no abort undoes, since there is no transaction around it, is over.

        Changes that had not left for a changelog do not leave any more; the rest is written, or has failed. None: nothing is.
        """
        if self.transactional:
            return None
        self._producer.withdraw()
        self._producer.seal()
        return self._producer.begin_flush()

    def take_committed(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """What was committed since the last call."""
        committed, self._committed = self._committed, {}
        return committed

    def _commit(self, dirty: list[Task]) -> Steps:
        """The steps of one commit; whoever takes them raises at a step what went wrong with what it waits for."""
        offsets = {partition: offset for task in dirty for partition, offset in task.seal().items()}
        self._producer.seal()
        written = Before(self._producer.begin_flush(), partial(self._after, CommitStep.WRITES_ACKNOWLEDGED))
        try:
            if self.transactional:
                sent = partial(self._after, CommitStep.OFFSETS_SENT)
                yield from self._producer.commit(offsets, self._consumer, sent=sent, written=written)
            else:
                yield self._consumer.begin_commit(offsets, (written,))
        except RebalanceInProgress:
            for task in dirty:
                task.unseal()
            raise
        self._after(CommitStep.COMMITTED)
        self._committed |= offsets
        for task in dirty:
            if task.state is not TaskState.CLOSED:
                task.commit_state()
                self._after(CommitStep.STATE_WRITTEN)


def _next(steps: Steps, awaited: Pending[None] | None) -> Pending[None]:
    """The next step of a generator, which is told what went wrong with the one before."""
    if awaited is not None:
        try:
            awaited.result()
        except StreamsError as error:
            return steps.throw(error)
    return next(steps)
