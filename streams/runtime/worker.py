"""A worker: one consumer in the application's group, its tasks, and the loop that runs them.

    poll -> decode and run the chains -> punctuate -> commit when due, again and again

Rules: everything of a task happens on the thread that called `run`; network work is the clients' own. The loop waits
only in `poll`, until something arrives or the next deadline, so an idle worker costs nothing. `stop` may come from any
thread or signal handler; then all is committed and let go. Whatever fails ends the run without a commit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from state.stores import Store
from streams.clients.base import Admin, Clients, Clock, Consumer
from streams.config import StreamsConfig
from streams.errors import ClientError, OffsetOutOfRange
from streams.operators.observing import Observer
from streams.record import TopicPartition
from streams.runtime.assignor import TaskAssignor, TaskInputs
from streams.runtime.committer import CommitHook, Committer
from streams.runtime.error_handlers import ErrorHandlers
from streams.runtime.global_state import GlobalState
from streams.runtime.group_view import GroupView
from streams.runtime.internal_topics import ensure_topics, matching_topics, task_inputs
from streams.runtime.placement import PlacementRules
from streams.runtime.process_id import ProcessId
from streams.runtime.restore_progress import restore_listener
from streams.runtime.restorer import RestoreListener, Restorer
from streams.runtime.standby_tasks import StandbyTasks, changelog_ends, logged_stores
from streams.runtime.start_offsets import StartOffsets
from streams.runtime.streams_producer import StreamsProducer
from streams.runtime.task import Task, TaskEnvironment, TaskId
from streams.runtime.task_manager import LOCK_RETRY_S, UNDONE, TaskManager
from streams.runtime.task_stores import TaskStores
from streams.timers import Timed, Timers
from streams.topology.compile import compile_task
from streams.topology.topology import Topology

log = logging.getLogger(__name__)

LONGEST_POLL_S = 5.0
ROUND_S = 0.05
STANDBY_S = ROUND_S / 10
"""How long standbys may apply records in a turn while tasks have work."""
RESTORE_POLL_S = 0.05
CLEAN_EVERY_MS = 1_000


class WorkerState(Enum):
    """Where a worker is in its life; Kafka's names."""

    CREATED = "created"
    REBALANCING = "rebalancing"
    RUNNING = "running"
    PENDING_SHUTDOWN = "pending shutdown"
    NOT_RUNNING = "not running"
    ERROR = "error"


TRANSITIONS: Mapping[WorkerState, frozenset[WorkerState]] = {
    WorkerState.CREATED: frozenset({WorkerState.REBALANCING, WorkerState.PENDING_SHUTDOWN, WorkerState.ERROR}),
    WorkerState.REBALANCING: frozenset({WorkerState.RUNNING, WorkerState.PENDING_SHUTDOWN, WorkerState.ERROR}),
    WorkerState.RUNNING: frozenset({WorkerState.REBALANCING, WorkerState.PENDING_SHUTDOWN, WorkerState.ERROR}),
    WorkerState.PENDING_SHUTDOWN: frozenset({WorkerState.NOT_RUNNING, WorkerState.ERROR}),
    WorkerState.NOT_RUNNING: frozenset(),
    WorkerState.ERROR: frozenset(),
}

StateListener = Callable[[WorkerState, WorkerState], None]
"""Told of (new, old), on the processing thread."""


class WorkerStatus(NamedTuple):
    """What a worker shows of itself; `lag` counts records that the broker has and no task was given yet."""

    state: WorkerState
    tasks: tuple[str, ...]
    restoring: bool
    processed: int
    lag: int
    skipped: int
    dropped: int


def wall_clock_ms() -> int:
    """Wall-clock time in ms since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(kw_only=True)
class _Parts:
    """What a worker has from its start to its end."""

    consumer: Consumer
    producer: StreamsProducer
    admin: Admin
    tasks: TaskManager
    restorer: Restorer
    committer: Committer
    stores: TaskStores
    globals: GlobalState | None = None


class Worker:
    """See the module."""

    def __init__(
        self,
        topology: Topology,
        config: StreamsConfig,
        clients: Clients,
        *,
        timers: Sequence[Timed] = (),
        observer: Observer | None = None,
        clock: Clock = wall_clock_ms,
        on_state: StateListener | None = None,
        restore_progress: RestoreListener | None = None,
        after_commit_step: CommitHook = lambda _step: None,
    ) -> None:
        self.state = WorkerState.CREATED
        self.error: BaseException | None = None
        self._topology = topology
        self._config = config
        self._clients = clients
        self._observer = observer
        self._clock = clock
        self._on_state = on_state
        self._restore_progress = restore_progress or restore_listener()
        self._after_commit_step = after_commit_step
        self._handlers = ErrorHandlers(
            deserialization=config.deserialization_on_error,
            processing=config.processing_on_error,
            production=config.production_on_error,
        )
        now = clock()
        self._timers = Timers(timers, now)
        self._stopping = False
        self._consumer: Consumer | None = None
        self._process_id: ProcessId | None = None
        self._parts: _Parts | None = None
        self._commit_due_ms = now + config.commit_interval_ms
        self._purge_due_ms = now + config.repartition_purge_interval_ms
        self._clean_due_ms = now + max(config.state_cleanup_delay_ms, CLEAN_EVERY_MS)

    def run(self) -> None:
        """Work until `stop`, or until something fails. Raises: StreamsError, StateError, or what user code raised."""
        try:
            self._parts = self._start()
            while not self._stopping:
                self._turn(self._parts)
            self._move_to(WorkerState.PENDING_SHUTDOWN)
            self._parts.tasks.commit()
        except BaseException as error:
            self.error = error
            self._close()
            self._move_to(WorkerState.ERROR)
            raise
        self._close()
        self._move_to(WorkerState.NOT_RUNNING)

    def stop(self) -> None:
        """End the run: commit, leave the group, let go. From any thread, and from signal handlers."""
        self._stopping = True
        if self._consumer is not None:
            self._consumer.wake()

    def status(self) -> WorkerStatus:
        """What this worker does, from any thread."""
        tasks = self._parts.tasks if self._parts else None
        running = list(tasks.tasks.values()) if tasks else []
        return WorkerStatus(
            self.state,
            tuple(task.task_id for task in running),
            bool(tasks and tasks.restoring),
            self.processed,
            tasks.lag if tasks else 0,
            sum(self._handlers.skipped.values()),
            sum(sum(task.dropped_records.values()) for task in running),
        )

    @property
    def processed(self) -> int:
        """Records processed so far; from any thread."""
        return self._parts.tasks.processed if self._parts else 0

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks of this worker; from any thread."""
        return self.status().tasks

    def stores(self, name: str) -> list[Store]:
        """The open stores of that name: one per running task that has it, or the global one."""
        if self._parts is None:
            return []
        if self._parts.globals and name in self._parts.globals.stores:
            return [self._parts.globals.stores[name]]
        return self._parts.tasks.stores(name)

    # Start and end

    def _start(self) -> _Parts:
        """Make clients, topics and global tables, and join the group."""
        self._process_id = ProcessId(Path(self._config.state_dir), self._config.application_id)
        producer, admin = self._producer(), self._clients.admin()
        counts = ensure_topics(self._topology, self._config, admin, producer)
        consumer = self._consumer = self._clients.consumer(
            group=self._config.application_id, read_committed=self._config.exactly_once
        )
        stores = TaskStores(self._config)
        matched = matching_topics(self._topology, admin)
        counts |= matched
        environment = self._environment(producer, consumer, stores)
        global_state = self._global_state(counts, environment)
        if global_state is not None:
            environment = replace(environment, global_stores=global_state.stores)
        restorer = Restorer(
            self._reader,
            self._restore_progress,
            stall_s=self._config.task_timeout_ms / 1000,
            transactional=self._config.exactly_once,
        )
        committer = Committer(consumer, producer, self._after_commit_step)
        inputs = task_inputs(self._topology, matched)
        tasks = self._task_manager(consumer, committer, restorer, stores, environment, inputs)
        self._move_to(WorkerState.REBALANCING)
        topics = sorted({topic for part in inputs for topic in part.topics})
        if topics:
            consumer.subscribe(topics, self._assignor(consumer, tasks, inputs), tasks)
        return _Parts(
            consumer=consumer,
            producer=producer,
            admin=admin,
            tasks=tasks,
            restorer=restorer,
            committer=committer,
            stores=stores,
            globals=global_state,
        )

    def _assignor(self, consumer: Consumer, tasks: TaskManager, inputs: Sequence[TaskInputs]) -> TaskAssignor:
        return TaskAssignor(
            inputs,
            tasks.member_info,
            told=tasks.group.told,
            ends=changelog_ends(self._topology, consumer),
            rules=PlacementRules.of(self._config),
        )

    def _producer(self) -> StreamsProducer:
        config = self._config
        if not config.exactly_once:
            return StreamsProducer(self._clients.producer, transactional=False)
        assert self._process_id is not None, "made at the start"
        name = self._process_id.transactional_id(config.application_id)
        return StreamsProducer(lambda: self._clients.producer(transactional_id=name), transactional=True)

    def _reader(self) -> Consumer:
        """A consumer without a group, of what counts."""
        return self._clients.consumer(group=None, read_committed=self._config.exactly_once)

    def _environment(self, producer: StreamsProducer, consumer: Consumer, stores: TaskStores) -> TaskEnvironment:
        return TaskEnvironment(
            application_id=self._config.application_id,
            producer=producer,
            clock=self._clock,
            open_store=stores.open,
            handlers=self._handlers,
            lag=consumer.lag,
            max_task_idle_ms=self._config.max_task_idle_ms,
            record_cache=stores.record_cache,
        )

    def _global_state(self, counts: Mapping[str, int], environment: TaskEnvironment) -> GlobalState | None:
        if not self._topology.global_stores:
            return None
        state = GlobalState(self._topology, self._reader(), counts, environment)
        state.start(stall_s=self._config.task_timeout_ms / 1000, stopping=lambda: self._stopping)
        return state

    def _task_manager(
        self,
        consumer: Consumer,
        committer: Committer,
        restorer: Restorer,
        stores: TaskStores,
        environment: TaskEnvironment,
        inputs: Sequence[TaskInputs],
    ) -> TaskManager:
        assert self._process_id is not None, "made at the start"
        topology, observer = self._topology, self._observer
        parts = {part.id: part for part in topology.subtopologies}
        resets = {
            topology.full_name(topic): source.offset_reset
            for part in topology.subtopologies
            for source in part.sources
            for topic in source.topics
            if source.offset_reset is not None
        }

        def make_task(task_id: TaskId, read: Sequence[TopicPartition]) -> Task:
            part = parts[task_id.subtopology]
            return Task(
                task_id,
                lambda context: compile_task(topology, [part], context, [each.topic for each in read], observer),
                read,
                environment,
            )

        return TaskManager(
            consumer=consumer,
            committer=committer,
            restorer=restorer,
            stores=stores,
            standbys=StandbyTasks(self._reader, stores, logged_stores(topology), consumer.decided),
            group=GroupView.of(topology, self._config, self._process_id),
            start_offsets=StartOffsets(resets, self._config.auto_offset_reset, self._clock),
            make_task=make_task,
            subtopology_of={topic: part.subtopology for part in inputs for topic in part.topics},
            buffer_bytes=self._config.buffered_max_bytes,
            lock_timeout_s=self._config.task_timeout_ms / 1000,
        )

    def _close(self) -> None:
        """Let go of everything that was made; what fails on the way is logged, for the run already has its end."""
        if self._parts is not None:
            self._close_parts(self._parts)
        if self._process_id is not None:
            self._process_id.close()

    def _close_parts(self, parts: _Parts) -> None:
        tasks = parts.tasks
        closings: list[Callable[[], None]] = [
            tasks.close_all,
            tasks.standbys.close,
            parts.stores.close,
            parts.restorer.close,
        ]
        if parts.globals is not None:
            closings.append(parts.globals.close)
        closings += [parts.consumer.close, parts.producer.close, parts.admin.close]
        for closing in closings:
            try:
                closing()
            except Exception as error:
                log.warning("while closing: %s", error)

    def _move_to(self, state: WorkerState) -> None:
        if state is self.state:
            return
        assert state in TRANSITIONS[self.state], f"worker: {self.state.value} -> {state.value}"
        old, self.state = self.state, state
        log.info("worker is %s", state.value)
        if self._on_state is not None:
            self._on_state(state, old)

    # The loop

    def _turn(self, parts: _Parts) -> None:
        """Poll once, and do all that can be done with what has come."""
        tasks = parts.tasks
        try:
            tasks.add(parts.consumer.poll(self._poll_s(parts)))
        except OffsetOutOfRange as error:
            tasks.reset(TopicPartition(error.topic, error.partition), error.offset)
        try:
            self._work(parts)
        except UNDONE as error:
            tasks.recover(error)
        self._commit_if_due(parts)
        self._keep_up(parts)
        self._move_to(self._phase(tasks))

    def _work(self, parts: _Parts) -> None:
        """Restore, process, and fire what is due."""
        tasks = parts.tasks
        if tasks.restoring:
            tasks.restore(0 if tasks.ready(self._clock()) else RESTORE_POLL_S)
        if parts.globals is not None:
            parts.globals.step(0)
        self._process(parts)
        tasks.punctuate(self._clock())
        self._timers.fire(self._clock())
        if tasks.standbys.active:
            ready = tasks.ready(self._clock())
            tasks.standbys.step(0, STANDBY_S if ready else ROUND_S)

    def _process(self, parts: _Parts) -> None:
        """Rounds over the tasks, until nothing is left or the group wants to hear from us."""
        until = time.monotonic() + ROUND_S
        while parts.tasks.process(self._clock(), self._config.max_poll_records):
            if time.monotonic() >= until or self._stopping or self._must_commit(parts):
                return

    def _poll_s(self, parts: _Parts) -> float:
        """How long to wait for records: not at all while there is work, else until the next deadline."""
        tasks, now = parts.tasks, self._clock()
        if parts.restorer.active or tasks.standbys.busy or tasks.ready(now):
            return 0
        if tasks.restoring:
            return LOCK_RETRY_S
        deadlines = [tasks.next_punctuation_ms, self._timers.next_ms()]
        if tasks.commit_needed:
            deadlines.append(self._commit_due_ms)
        waits = [(due - now) / 1000 for due in deadlines if due is not None]
        looks = parts.globals is not None or tasks.waiting or tasks.standbys.active
        longest = self._config.poll_ms / 1000 if looks else LONGEST_POLL_S
        return max(0.0, min([longest, *waits]))

    def _must_commit(self, parts: _Parts) -> bool:
        tasks = parts.tasks
        return (
            self._clock() >= self._commit_due_ms
            or tasks.commit_requested
            or tasks.uncommitted_bytes > self._config.statestore_uncommitted_max_bytes
        )

    def _commit_if_due(self, parts: _Parts) -> None:
        if self._must_commit(parts):
            parts.tasks.commit()
            self._commit_due_ms = self._clock() + self._config.commit_interval_ms
            self._purge_if_due(parts)

    def _keep_up(self, parts: _Parts) -> None:
        """What is due once in a while: the group looks again at warm-ups, state that moved away is removed."""
        parts.tasks.probe_if_due()
        delay_ms = self._config.state_cleanup_delay_ms
        if self._clock() >= self._clean_due_ms:
            self._clean_due_ms = self._clock() + max(delay_ms, CLEAN_EVERY_MS)
            parts.stores.clean(delay_ms)

    def _purge_if_due(self, parts: _Parts) -> None:
        """Delete what was processed and committed from repartition topics."""
        if self._clock() < self._purge_due_ms or not self._topology.repartition_topics:
            return
        self._purge_due_ms = self._clock() + self._config.repartition_purge_interval_ms
        before = {
            partition: entry.offset
            for partition, entry in parts.committer.take_committed().items()
            if partition.topic in self._topology.repartition_topics
        }
        try:
            parts.admin.delete_records(before)
        except ClientError as error:
            log.warning("repartition topics are not purged: %s", error)

    def _phase(self, tasks: TaskManager) -> WorkerState:
        settled = tasks.rebalances and not tasks.restoring and not tasks.between_assignments
        return WorkerState.RUNNING if settled or not self._topology.source_topics else WorkerState.REBALANCING
