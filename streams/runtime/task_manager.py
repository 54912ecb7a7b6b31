"""The tasks of one worker: made and let go as partitions come and go, opened, restored and run.

It is the group's rebalance listener, so all of it happens on the processing thread, inside `poll` or between polls.
Rules: only what goes elsewhere is revoked; then everything is committed, the tasks that go are suspended, and by the
assignment that follows they are gone; tasks that stay never notice. A new task is taken up in steps, none of which waits:
its input is placed once the last owner's transaction is decided, its stores are opened once their directory is free, then
restored bit by bit; what was a standby here goes on with its engines, and so does what becomes one. Closing, opening and
restoring stop when a commit of those that run is due. Under exactly-once a commit that fails is undone, and the tasks that
took part are taken up anew from what is committed. Input of a task that is not running is not fetched.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from state.errors import StoreLocked
from state.stores import Store
from streams.clients.base import Consumer, OffsetAndMetadata, Pending
from streams.clients.raw_batch import RawBatch
from streams.errors import (
    ClientError,
    NameTaken,
    ProducerFenced,
    RebalanceInProgress,
    StreamsError,
    TaskMigrated,
    TransactionAbortable,
)
from streams.record import TopicPartition
from streams.runtime.committer import Committer
from streams.runtime.group_view import GroupView
from streams.runtime.held_inputs import HeldInputs
from streams.runtime.member_info import MemberInfo
from streams.runtime.open_stores import open_stores
from streams.runtime.restorer import Corruption, Restorer
from streams.runtime.standby_tasks import StandbyTasks
from streams.runtime.start_offsets import StartOffsets
from streams.runtime.task import Task, TaskId
from streams.runtime.task_states import TaskState
from streams.runtime.task_stores import TaskStores
from streams.runtime.turns import Rests, Turns

log = logging.getLogger(__name__)

MakeTask = Callable[[TaskId, Sequence[TopicPartition]], Task]

UNDONE = (TaskMigrated, TransactionAbortable)
"""Errors after which nothing since the last commit counts, and the worker goes on."""
LOCK_RETRY_S = 0.1
OPEN_SLICE_S = 0.05
"""How long one turn may open stores."""


class _Waiting(NamedTuple):
    """A task on its way to be opened; `retry_at` 0.0: it was not tried yet."""

    since: float
    retry_at: float = 0.0
    placed: bool = False
    """Its input stands where it has to begin."""


class _Undecided(ClientError):  # noqa: N818  it is no error yet
    """The input of a task cannot be placed yet."""


class TaskManager:
    """See the module. Satisfies `RebalanceListener`."""

    def __init__(
        self,
        *,
        consumer: Consumer,
        committer: Committer,
        restorer: Restorer,
        stores: TaskStores,
        standbys: StandbyTasks,
        group: GroupView,
        start_offsets: StartOffsets,
        make_task: MakeTask,
        subtopology_of: Callable[[str], int],
        turns: Turns,
        buffer_bytes: int,
        lock_timeout_s: float,
    ) -> None:
        self.tasks: dict[TaskId, Task] = {}
        self.rebalances = 0
        self.processed = 0
        self.paused = False
        """Whether running tasks process and punctuate nothing for now; they are committed and read all the same."""
        self._consumer = consumer
        self._committer = committer
        self._restorer = restorer
        self._stores = stores
        self.standbys = standbys
        self.group = group
        self._start_offsets = start_offsets
        self._make_task = make_task
        self._subtopology_of = subtopology_of
        self._turns = turns
        self._lock_timeout_s = lock_timeout_s
        self._task_of: dict[TopicPartition, Task] = {}
        self._committed: dict[TopicPartition, OffsetAndMetadata | None] = {}
        self._held = HeldInputs(consumer, self._task_of, buffer_bytes)
        self._unopened: dict[TaskId, _Waiting] = {}
        self._leaving: deque[Task] = deque()
        """What the assignment took away, and is still to be closed."""
        self._left_behind: Pending[None] | None = None
        """What tasks that were lost have written, on its way until this is over. Stores have to be restored beyond it."""
        self._rests = Rests()
        self.between_assignments = False
        """Partitions were given back, and none assigned since."""
        self.commit_postponed = False
        """The last commit met a group between two generations: nothing was committed, and it is to be tried again soon."""

    # The group

    def member_info(self) -> MemberInfo:
        """What the leader is told of this worker: also of tasks between two owners, or it takes their state for lost."""
        running = [str(task.id) for task in self._running()]
        positions = self._stores.positions() | {str(task): at for task, at in self.standbys.positions().items()}
        opened = [task for task in self.tasks.values() if task.state in {TaskState.RESTORING, TaskState.SUSPENDED}]
        for task in [*self._leaving, *opened]:
            positions[str(task.id)] = sum(store.position or 0 for store, _ in task.changelogs())
        positions = {task: position for task, position in positions.items() if task not in running}
        log.info("joining a new generation with %d task(s) running and state of %d more", len(running), len(positions))
        return self.group.introduced(sorted(running), positions)

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Commit everything, and suspend the tasks that go; whatever goes wrong in a commit here, they go."""
        log.info("giving back %d partition(s)", len(partitions))
        self.between_assignments = True
        self.commit()
        for task in list(self.tasks.values()):
            if partitions.isdisjoint(task.inputs):
                continue
            if task.state is TaskState.RUNNING and not task.commit_needed:
                self._forget_input(task)
                task.suspend()
            elif task.state is not TaskState.SUSPENDED:
                self._close(task)

    def lost(self, partitions: frozenset[TopicPartition]) -> None:
        """Another worker may run the tasks already: drop them without a trace."""
        log.warning("lost %d partition(s): this worker was out of its group for too long", len(partitions))
        self.between_assignments = True
        self._committer.abort()
        self.close_all()
        self._left_behind = self._committer.leave_behind()

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """Have exactly the tasks of these partitions; at the end of the application those that are there already."""
        if self.group.stops or self.group.all_stop:
            return
        self.rebalances += 1
        self.between_assignments = False
        inputs: dict[TaskId, list[TopicPartition]] = {}
        for partition in sorted(partitions):
            inputs.setdefault(TaskId(self._subtopology_of(partition.topic), partition.partition), []).append(partition)
        self._commit_changing(inputs)
        if self.between_assignments:
            return  # the group has gone on without this worker, which joins anew
        wanted = inputs.keys() | self.group.copies
        for task in [*self._leaving, *self.tasks.values()]:
            suspended = task.state is TaskState.SUSPENDED
            if not suspended and set(task.inputs) == set(inputs.get(task.id, ())):
                continue
            if suspended and task.id not in wanted:
                self._remove(task)
                self._leaving.append(task)
            else:
                self._close(task, keep=task.id in self.group.copies and task.id not in inputs)
        log.info("running tasks: %s", ", ".join(str(task) for task in inputs) or "none")
        for task_id in self.standbys.tasks & inputs.keys():
            self.standbys.hand_over(task_id)
        self.standbys.want(self.group.copies - inputs.keys())
        for task_id, task_inputs in inputs.items():
            if task_id not in self.tasks:
                self._take_up(task_id, task_inputs)
        if self.group.misunderstood:
            self._consumer.enforce_rebalance()

    def _commit_changing(self, inputs: Mapping[TaskId, Sequence[TopicPartition]]) -> None:
        """Commit before tasks are closed in the middle of their work, since they get other inputs: a topic has grown.

        Under exactly-once what they wrote is in the transaction of all, so what cannot be committed now is undone.
        """
        changing = [task for task in self._running() if set(task.inputs) != set(inputs.get(task.id, ()))]
        if any(task.commit_needed or task.committing for task in changing):
            self.commit()
        if self._committer.transactional and any(task.commit_needed for task in changing):
            self.recover(TransactionAbortable("tasks get other inputs before what they did could be committed"))

    def probe_if_due(self) -> None:
        """Have the group assign anew, when the leader asked for it and copies have had time, or are warm already."""
        if self.group.probe_due(self.standbys.lag):
            self._consumer.enforce_rebalance()

    def _take_up(self, task_id: TaskId, inputs: Sequence[TopicPartition]) -> None:
        """Have a new task, which is to be placed and opened."""
        task = self.tasks[task_id] = self._make_task(task_id, inputs)
        self._task_of.update(dict.fromkeys(task.inputs, task))
        self._held.hold(task.inputs)
        self._unopened[task_id] = _Waiting(time.monotonic())

    # Opening and restoring

    @property
    def opening_due_s(self) -> float:
        """In how many seconds to look again at what waits to be opened, LOCK_RETRY_S at most."""
        now = time.monotonic()
        if self._writes_left_behind:
            return LOCK_RETRY_S
        due = min((waiting.retry_at for waiting in self._unopened.values()), default=now + LOCK_RETRY_S)
        return min(max(due, self._rested_at) - now, LOCK_RETRY_S)

    @property
    def _rested_at(self) -> float:
        return self._rests.over_at if self._committer.under_way else 0.0

    @property
    def _writes_left_behind(self) -> bool:
        return self._left_behind is not None and not self._left_behind.done()

    def _open_waiting(self, hurried: Callable[[], bool]) -> None:
        """Place and open the tasks that wait for it, as far as that is possible now, and begin to restore them."""
        now = time.monotonic()
        if now < self._rested_at or self._writes_left_behind:
            return
        due = {task_id: waiting for task_id, waiting in self._unopened.items() if now >= waiting.retry_at}
        self._place([self.tasks[task_id] for task_id, waiting in due.items() if not waiting.placed])
        for number, task_id in enumerate(due):
            if number and (time.monotonic() > now + OPEN_SLICE_S or self._committer.under_way or hurried()):
                break  # tasks that run have waited enough for RocksDB
            waiting, task = self._unopened[task_id], self.tasks[task_id]
            try:
                if not waiting.placed:
                    raise _Undecided(f"a transaction that holds the offsets of task {task_id} is not decided")
                with self._rests:
                    task.open()
            except (StoreLocked, _Undecided) as error:
                if now - waiting.since > self._lock_timeout_s:
                    raise
                if not waiting.retry_at:
                    log.info("waiting for task %s: %s", task_id, error)
                self._unopened[task_id] = waiting._replace(retry_at=now + LOCK_RETRY_S)
            else:
                del self._unopened[task_id]
                self._restore(task)

    def _place(self, tasks: Sequence[Task]) -> None:
        """Have the input of these begin where it must, except where the last owner's transaction is still open."""
        placed = self._start_offsets.place(self._consumer, [part for task in tasks for part in task.inputs])
        self._committed |= placed
        for task in tasks:
            if placed.keys() >= set(task.inputs):
                self._unopened[task.id] = self._unopened[task.id]._replace(placed=True)

    def _restore(self, task: Task) -> None:
        ends = {
            changelog.partition: (self._committed[changelog.partition] or OffsetAndMetadata(0)).offset
            for changelog in task.changelogs()
            if changelog.partition in task.inputs
        }
        if corrupt := self._restorer.add(task, ends):
            self._rebuild(task, corrupt)

    def _rebuild(self, task: Task, corrupt: Iterable[Corruption]) -> None:
        """Set the stores that cannot be trusted aside, and restore them from the beginning."""
        self._restorer.remove(task.id)
        task.close()  # its directory stays ours
        for corruption in corrupt:
            path = self._stores.set_aside(task.id, corruption.store)
            log.warning(
                "store %s of task %s is set aside as %s and restored from the beginning: %s",
                corruption.store,
                task.id,
                path or "nothing, for it is in memory",
                corruption.reason,
            )
        self._take_up(task.id, task.inputs)

    @property
    def restoring(self) -> bool:
        """Whether some task does not run yet."""
        return any(task.state is not TaskState.RUNNING for task in list(self._task_of.values()))

    @property
    def running(self) -> bool:
        """Whether some task runs."""
        return any(True for _ in self._running())

    def restore(self, timeout_s: float, hurried: Callable[[], bool]) -> None:
        """One turn of restoring, a short one when `hurried`; tasks that are complete start."""
        if self._unopened:
            self._open_waiting(hurried)
        complete = self._restorer.step(timeout_s, hurried)
        for corruption in self._restorer.corrupt():
            self._rebuild(self.tasks[corruption.task], [corruption])
        if complete:
            log.info("started tasks: %s", ", ".join(map(str, complete)))
        for task_id in complete:
            task = self.tasks[task_id]
            for partition in task.inputs:
                if entry := self._committed[partition]:
                    task.restore_time(partition, entry.metadata)
            task.start()
            self._stores.note(task.id, task.stores.values(), at_least=1)
            self._held.let_go(task.inputs)

    # Running

    def add(self, batches: Iterable[RawBatch]) -> None:
        """Give fetched records to their tasks, and hold back partitions that have enough."""
        added: dict[TopicPartition, None] = {}
        for batch in batches:
            partition = TopicPartition(batch.topic, batch.partition)
            task = self._task_of.get(partition)
            if task is None:
                continue  # let go after a failed commit; the next assignment reads it again
            if (waiting := self._unopened.get(task.id)) and not waiting.placed:
                continue  # fetched for the task before it, from where that one stood: its own input is read once it is placed
            task.add(batch)
            added[partition] = None
        self._held.hold_full(added)

    def process(self, now_ms: int, max_records: int, hurried: Callable[[], bool]) -> int:
        """One round over all running tasks, a short one when `hurried`; the answer is how many records were processed."""
        done = self._turns.round(list(self._working()), now_ms, max_records, hurried)
        self.processed += done
        self._held.let_go_empty()
        return done

    def punctuate(self, now_ms: int) -> int:
        """Fire wall-clock punctuators that are due."""
        return sum(task.punctuate(now_ms) for task in self._working())

    def ready(self, now_ms: int) -> bool:
        """Whether some task has a record to process."""
        return any(task.ready(now_ms) for task in self._working())

    @property
    def waiting(self) -> bool:
        """Whether some task has records and waits for others (`max_task_idle_ms`)."""
        return any(task.queue(partition).size for task in self._running() for partition in task.inputs)

    @property
    def lag(self) -> int:
        """Records that the broker has and this worker has not processed yet, as far as known; from any thread."""
        return self.unfetched + sum(task.queue(each).lag for each, task in list(self._task_of.items()))

    @property
    def unfetched(self) -> int:
        """Those of them that this worker was not given yet."""
        return sum(self._consumer.lag(partition) or 0 for partition in list(self._task_of))

    @property
    def next_punctuation_ms(self) -> int | None:
        """When the next wall-clock punctuation falls due."""
        times = (task.next_punctuation_ms for task in self._working())
        return min((time for time in times if time is not None), default=None)

    @property
    def commit_needed(self) -> bool:
        """Whether something happened since the last commit."""
        return any(task.commit_needed for task in self.tasks.values())

    @property
    def commit_requested(self) -> bool:
        """Whether user code asked for a commit."""
        return any(task.commit_requested for task in self.tasks.values())

    @property
    def uncommitted_bytes(self) -> int:
        """Roughly the memory a commit would free."""
        return sum(task.uncommitted_bytes for task in self.tasks.values())

    def commit(self) -> None:
        """Commit all running tasks, and wait for it. A failure is recovered from."""
        with self._commit_recovered():
            self._committer.commit(self._running())

    def begin_commit(self) -> None:
        """Begin to commit all running tasks. A failure is recovered from."""
        with self._commit_recovered():
            self._committer.begin(self._running())

    def go_on_with_commit(self, *, wait: bool) -> None:
        """Take the steps of a commit that can be taken, or all of them. A failure is recovered from."""
        with self._commit_recovered():
            self._committer.go_on(wait=wait)

    @contextmanager
    def _commit_recovered(self) -> Iterator[None]:
        self.commit_postponed = False
        try:
            yield
        except RebalanceInProgress as error:
            log.debug("commit later: %s", error)
            self.commit_postponed = True
        except UNDONE as error:
            self.recover(error)
        if not self._committer.under_way:
            for task in self._running():
                self._stores.note(task.id, task.stores.values())

    def recover(self, error: StreamsError) -> None:
        """Go on after an error that undid what was done since the last commit, here or in processing.

        When the group has moved on without this worker, others may run the tasks already: they are dropped, and the
        worker joins anew. Raises: ClientError when the broker cannot be reached.
        """
        if isinstance(error, TaskMigrated) and not isinstance(error, ProducerFenced):
            log.warning("not committed: %s", error)
            self.lost(frozenset(self._task_of))
            self._consumer.rejoin(error.member_id if isinstance(error, NameTaken) else None)
            return
        log.warning("taking up anew what was not committed: %s", error)
        self._committer.abort()
        undone = [task for task in self._running() if task.commit_needed or task.committing]
        for task in undone:
            task.discard()
            task.close()
            self._take_up(task.id, task.inputs)

    def reset(self, partition: TopicPartition, offset: int) -> None:
        """The next record of a partition is gone: go on where its source says."""
        self._start_offsets.reset(self._consumer, partition, offset)

    def stores(self, name: str, *, stale: bool = False, partition: int | None = None) -> list[Store]:
        """The open stores of that name, see `open_stores`. Raises: StoreNotReady, StoreMoved."""
        copies = self.standbys.stores(name, partition) if stale else []
        settled = bool(self.rebalances) and not self.between_assignments
        return open_stores(name, self.tasks.values(), copies, partition, stale=stale, settled=settled)

    def close_all(self) -> None:
        """Let go of all tasks without a commit; the first error is raised when all are closed."""
        first: Exception | None = None
        for task in [*self._leaving, *self.tasks.values()]:
            try:
                self._close(task)
            except Exception as error:
                log.exception("task %s could not be closed", task.id)
                first = first or error
        if first is not None and not isinstance(first, StreamsError):
            raise first

    def _running(self) -> Iterator[Task]:
        return (task for task in self.tasks.values() if task.state is TaskState.RUNNING)

    def _working(self) -> Iterator[Task]:
        return iter(()) if self.paused else self._running()

    @property
    def leaving(self) -> bool:
        """Whether some task that went is still to be closed."""
        return bool(self._leaving)

    def close_leaving(self, hurried: Callable[[], bool]) -> None:
        """Close the tasks that went, which takes RocksDB a few syncs each; one of them when `hurried`."""
        while self._leaving:
            self._close(self._leaving.popleft())
            if hurried():
                break

    def _close(self, task: Task, *, keep: bool = False) -> None:
        """Let go of a task; `keep` its engines and directory, for it becomes a standby."""
        self._remove(task)
        self._stores.note(task.id, task.stores.values(), at_least=1)
        try:
            task.close(self._stores.park if keep else None)
        finally:
            if not keep:
                self._stores.release(task.id)

    def _remove(self, task: Task) -> None:
        """Have a task no longer, which is to be closed."""
        if task in self._leaving:
            self._leaving.remove(task)
        if self.tasks.get(task.id) is task:
            del self.tasks[task.id]
            self._unopened.pop(task.id, None)
            self._restorer.remove(task.id)
        self._forget_input(task)

    def _forget_input(self, task: Task) -> None:
        for partition in task.inputs:
            if self._task_of.get(partition) is task:
                del self._task_of[partition]
                self._held.forget(partition)
