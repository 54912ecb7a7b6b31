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
from contextlib import ExitStack
from pathlib import Path

from msgspec.structs import replace

from state import StateDirectory
from state.stores import Store
from streams.clients.base import Clients, Clock, Consumer
from streams.config import StreamsConfig
from streams.errors import (
    BrokerUnreachable,
    GroupOccupied,
    Interrupted,
    OffsetOutOfRange,
    StopApplication,
    StoreNotReady,
    StreamsError,
)
from streams.metrics import Metrics
from streams.operators.observing import Observer
from streams.record import TopicPartition
from streams.retrying import Patience
from streams.runtime.assignor import TaskInputs
from streams.runtime.commit_schedule import CommitSchedule
from streams.runtime.committer import CommitHook, Committer
from streams.runtime.error_handlers import ErrorHandlers
from streams.runtime.giving_up import GivingUp
from streams.runtime.group_view import GroupView
from streams.runtime.inquiries import Inquiries
from streams.runtime.internal_topics import (
    ReadTopics,
    changelogs_expected,
    ensure_dead_letters,
    ensure_topics,
    task_inputs,
)
from streams.runtime.process_id import ProcessId
from streams.runtime.purging import Purging
from streams.runtime.restore_progress import restore_listener
from streams.runtime.restorer import RestoreListener, Restorer
from streams.runtime.stop_all import stop_all
from streams.runtime.store_locations import StoreLocations
from streams.runtime.task import TaskEnvironment
from streams.runtime.task_manager import UNDONE, TaskManager
from streams.runtime.task_stores import TaskStores
from streams.runtime.turns import ROUND_S
from streams.runtime.worker_parts import (
    Parts,
    environment_of,
    global_state_of,
    producer_of,
    quietly,
    restorer_of,
    started,
    status_of,
    subscribe,
    task_maker,
    task_manager_of,
)
from streams.runtime.worker_states import (
    TRANSITIONS,
    Health,
    Progress,
    StateListener,
    WorkerState,
    WorkerStatus,
    monotonic_ms,
    wall_clock_ms,
)
from streams.timers import Timed, Timers
from streams.topology.read_topics import matching_topics
from streams.topology.topology import Topology

log = logging.getLogger(__name__)

LONGEST_POLL_S = 5.0
STANDBY_S = ROUND_S / 10
"""How long standbys may apply records in a turn while tasks have work."""
RESTORE_POLL_S, RUNNING_POLL_S = 0.05, 0.005
"""How long to wait for records to restore: those of tasks that run arrive elsewhere, and their commits are due."""
OCCUPIED_PAUSE_S, OCCUPIED_MARGIN_S = 2.0, 15.0  # Java's members do not leave when they end: the group has to notice
STOPPED_BY_ANOTHER = "another worker of the application ended with an error and has all stop: its log says which"
CLEAN_EVERY_MS = 1_000


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
        monotonic: Clock = monotonic_ms,
        prepare: Callable[[], None] = lambda: None,
        on_state: StateListener | None = None,
        restore_progress: RestoreListener | None = None,
        after_commit_step: CommitHook = lambda _step: None,
        stops_all: Callable[[Exception], bool] = lambda _error: False,
        metrics: Metrics | None = None,
    ) -> None:
        self.state = WorkerState.CREATED
        self.error: BaseException | None = None
        self._topology = topology
        self._config = config
        self._clients = clients
        self._observer = observer
        self._clock = clock
        self._prepare = prepare
        self._on_state = on_state
        self._told = restore_progress or restore_listener()
        self._after_commit_step = after_commit_step
        self._stops_all = stops_all
        self._metrics = metrics or Metrics()
        self._handlers = ErrorHandlers.of(topology, config)
        now = clock()
        self._timers = Timers(timers, now)
        self._stopping = self._paused = self._closing = self._subscribed = False
        self._patience = Patience(lambda: self._stopping)
        self._giving_up = GivingUp(clients.give_up)
        self.inquiries = Inquiries(self._wake)
        self._progress = Progress()
        self._processed_before = 0
        self._abandoning = True
        self._consumer: Consumer | None = None
        self._process_id: ProcessId | None = None
        self._parts: Parts | None = None
        self._commits = CommitSchedule(config, monotonic)
        self._purging = Purging(topology, config, clock)
        self._clean_due_ms = now + max(config.state_cleanup_delay_ms, CLEAN_EVERY_MS)

    def run(self) -> None:
        """Work until `stop`, or until something fails.

        Raises: StreamsError, StateError, or what user code raised; StopApplication when all are to stop, because of
        that (it is the cause then) or because another worker asked for it.
        """
        try:
            self._serve()
        except Interrupted as interruption:
            log.warning("%s", interruption)
            self._move_to(WorkerState.PENDING_SHUTDOWN)
            self._close(abandon=isinstance(interruption.__cause__, BrokerUnreachable))
        except BaseException as error:
            self.error = error
            try:
                everywhere = isinstance(error, Exception) and self._stopped_all(error)
            finally:
                self._close(abandon=isinstance(error, BrokerUnreachable))
                self._move_to(WorkerState.ERROR)
            if everywhere:
                raise StopApplication(f"all workers stop, because this one ended: {error}") from error
            raise
        self._close()
        self._move_to(WorkerState.NOT_RUNNING)

    def _serve(self) -> None:
        """Start, turn and turn, and commit in the end; after an outage everything is taken up anew."""
        if (old_ms := self._config.state_cleanup_dir_max_age_ms) >= 0:
            TaskStores(self._config).clean(old_ms)
        patience_ms = self._config.connect_timeout_ms
        occupied_until = time.monotonic() + self._config.session_timeout_ms / 1000 + OCCUPIED_MARGIN_S
        while True:
            parts = self._parts = started(self._start, patience_ms / 1000, self._patience, lambda: self._stopping)
            try:
                self.inquiries.open()
                while not self._stopping and not parts.tasks.group.all_stop:
                    self._turn(parts)
                self._move_to(WorkerState.PENDING_SHUTDOWN)
                parts.tasks.commit()
                if parts.tasks.group.all_stop:
                    raise StopApplication(STOPPED_BY_ANOTHER)
            except GroupOccupied as error:
                if time.monotonic() > occupied_until:
                    raise
                log.warning("waiting for the group's members of another kind to be gone: %s", error)
                self._close(abandon=True)
                self._patience.wait(OCCUPIED_PAUSE_S, "the worker stops before it had joined")
            except BrokerUnreachable as error:
                if self._stopping:
                    raise Interrupted(f"what was not committed is done again at the next start: {error}") from error
                if parts.tasks.group.all_stop:
                    log.warning("stopping without a last commit, since the broker is away: %s", error)
                    self._close(abandon=True)
                    raise StopApplication(STOPPED_BY_ANOTHER) from None
                log.warning("starting anew from what is committed, since the broker is away: %s", error)
                self._close(abandon=True)
                self._move_to(WorkerState.REBALANCING)
                patience_ms = self._config.task_timeout_ms
            else:
                return

    def _stopped_all(self, error: Exception) -> bool:
        """Whether this error is the end of all workers; then they have been told, as far as the group can be reached."""
        if isinstance(error, StopApplication) or not self._stops_all(error):
            return False
        parts, patience_s = self._parts, self._config.session_timeout_ms / 1000
        if parts is not None and self._subscribed and not isinstance(error, BrokerUnreachable):
            quietly(lambda: stop_all(parts, patience_s, lambda: self._stopping))
        return True

    def commit_soon(self) -> None:
        """Commit with the next turn instead of when the interval is over; from any thread."""
        self._commits.soon()
        self._wake()

    def pause(self, *, paused: bool = True) -> None:
        """Process and punctuate nothing, or go on; from any thread. The worker stays in its group, and restores."""
        self._paused = paused
        self._wake()

    def stop(self) -> None:
        """End the run: commit, leave the group, let go. From any thread, and from signal handlers.

        A broker that does not answer is not waited for longer than `close_timeout_ms`, before the start not at all.
        """
        first, self._stopping = not self._stopping, True
        if first and self.state is not WorkerState.NOT_RUNNING:
            serves = self._parts is not None or self._closing
            self._giving_up.after(self._config.close_timeout_ms / 1000 if serves else 0.0)
        self._wake()  # last: who is woken may be at its end at once

    def _wake(self) -> None:
        if self._consumer is not None:
            self._consumer.wake()

    def status(self) -> WorkerStatus:
        """What this worker does, from any thread."""
        return status_of(self.state, self.processed, self._parts, self._handlers, self._metrics)

    def health(self) -> Health:
        """Whether this worker is well, from any thread: lagging but not progressing is unhealthy."""
        return self._progress.health(self.status())

    @property
    def processed(self) -> int:
        """Records processed so far; from any thread."""
        parts = self._parts
        return self._processed_before + (parts.tasks.processed if parts else 0)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks of this worker; from any thread."""
        return self.status().tasks

    def stores(self, name: str, *, stale: bool = False, partition: int | None = None) -> list[Store]:
        """The open stores of that name, as `TaskManager.stores`, or the global one. On the processing thread only.

        Raises: StoreNotReady while one of these tasks does not run, or the group is between two assignments; StoreMoved.
        """
        if self._parts is None:
            raise StoreNotReady(f"store {name} can be read when the worker has started")
        if self._parts.globals and name in self._parts.globals.stores:
            return [self._parts.globals.stores[name]]
        return self._parts.tasks.stores(name, stale=stale, partition=partition)

    @property
    def locations(self) -> StoreLocations:
        """Which worker holds what; from any thread. Raises: StreamsError before the start."""
        parts = self._parts  # which may be gone with the next look: this is any thread
        if parts is None:
            raise StreamsError(
                "which worker has what is known when this one has joined its group: ask again in a moment"
            )
        return parts.locations

    # Start and end

    def _start(self, made: ExitStack) -> Parts:
        """Make clients, topics and global tables, and join the group.

        What was made is closed with `made` if this fails; else it is the parts' to close.
        """
        self._process_id = ProcessId(Path(self._config.state_dir), self._config.application_id)
        made.callback(self._close_process_id)
        self._prepare()
        producer = producer_of(self._topology, self._config, self._clients, self._process_id, self._handlers)
        made.callback(quietly, lambda: producer.close(abandon=self._abandoning))
        admin = self._clients.admin()
        made.callback(quietly, admin.close)
        on_disk = StateDirectory(Path(self._config.state_dir), self._config.application_id).holds
        found = matching_topics(self._topology, admin)
        counts = ensure_topics(self._topology, self._config, admin, producer, on_disk, found)
        read_topics = ReadTopics(self._topology, self._config, admin, counts, found, on_disk)
        ensure_dead_letters(self._handlers.dead_letter_topics, self._config, admin)
        consumer = self._consumer = self._clients.consumer(
            group=self._config.application_id,
            read_committed=self._config.read_committed,
            returns_as=self._process_id.name,
        )
        made.callback(quietly, consumer.close)
        stores = TaskStores(self._config)
        environment = environment_of(
            self._config, producer, consumer, stores, self._handlers, self._clock, self._patience, self._metrics
        )
        global_state = global_state_of(
            self._topology, self._config, self._reader, counts, environment, made, self._told, lambda: self._stopping
        )
        if global_state is not None:
            environment = replace(environment, global_stores=global_state.stores)
        made.callback(quietly, stores.close)
        inputs = task_inputs(self._topology)
        restorer = restorer_of(self._config, self._reader, self._told)
        committer = Committer(consumer, producer, self._after_commit_step)
        made.callback(quietly, restorer.close)
        tasks = self._task_manager(consumer, committer, restorer, stores, environment, inputs, counts)
        self._move_to(WorkerState.REBALANCING)
        made.callback(quietly, tasks.standbys.close)
        made.callback(quietly, tasks.close_all)
        self._subscribed = subscribe(
            self._topology, self._config, self._clients, admin, consumer, tasks, inputs, read_topics
        )
        closings = made.pop_all()
        self._abandoning = False
        return Parts(
            consumer=consumer,
            producer=producer,
            admin=admin,
            tasks=tasks,
            restorer=restorer,
            committer=committer,
            stores=stores,
            locations=StoreLocations(self._topology, counts, tasks.group, lambda: self.tasks),
            globals=global_state,
            closings=closings,
        )

    def _task_manager(
        self,
        consumer: Consumer,
        committer: Committer,
        restorer: Restorer,
        stores: TaskStores,
        environment: TaskEnvironment,
        inputs: Sequence[TaskInputs],
        counts: Mapping[str, int],
    ) -> TaskManager:
        assert self._process_id is not None, "made at the start"
        changelogs = changelogs_expected(self._topology, counts)
        return task_manager_of(
            self._topology,
            self._config,
            consumer=consumer,
            committer=committer,
            restorer=restorer,
            stores=stores,
            reader=self._reader,
            group=GroupView.of(self._topology, self._config, self._process_id),
            clock=self._clock,
            make_task=task_maker(self._topology, environment, changelogs, self._observer),
            inputs=inputs,
            changelogs=changelogs,
            listener=self._told,
        )

    def _reader(self) -> Consumer:
        """A consumer without a group, of what counts."""
        return self._clients.consumer(group=None, read_committed=self._config.read_committed)

    def _close(self, *, abandon: bool = False) -> None:
        """Let go of everything that was made; what fails on the way is logged, for the run already has its end."""
        self._giving_up.cancel()
        self.inquiries.close()
        self._closing = not abandon
        parts, self._parts = self._parts, None
        if parts is not None:
            self._processed_before += parts.tasks.processed
            self._abandoning = abandon
            parts.closings.close()
        self._close_process_id()
        if self._closing:
            self._giving_up.cancel()
        self._closing = False

    def _close_process_id(self) -> None:
        if self._process_id is not None:
            self._process_id.close()
            self._process_id = None

    def _move_to(self, state: WorkerState) -> None:
        if state is self.state:
            return
        assert state in TRANSITIONS[self.state], f"worker: {self.state.value} -> {state.value}"
        old, self.state = self.state, state
        log.info("worker is %s", state.value)
        if self._on_state is not None:
            self._on_state(state, old)

    # The loop

    def _turn(self, parts: Parts) -> None:
        """Poll once, and do all that can be done with what has come."""
        tasks = parts.tasks
        tasks.paused = self._paused
        try:
            tasks.add(parts.consumer.poll(self._poll_s(parts)))
        except OffsetOutOfRange as error:
            tasks.reset(TopicPartition(error.topic, error.partition), error.offset)
        try:
            self._work(parts)
        except UNDONE as error:
            tasks.recover(error)
        self._commit(parts)
        self._keep_up(parts)
        self._move_to(self._phase(tasks))
        self._progress.note(self.processed, idle=tasks.paused or not (tasks.unfetched or tasks.ready(self._clock())))

    def _work(self, parts: Parts) -> None:
        """Restore, process, and fire what is due."""
        tasks = parts.tasks
        if tasks.leaving:
            tasks.close_leaving(lambda: self._is_wanted(parts))
        if tasks.restoring:
            longest_s = RUNNING_POLL_S if tasks.running else RESTORE_POLL_S
            tasks.restore(0 if tasks.ready(self._clock()) else longest_s, lambda: self._is_wanted(parts))
        if parts.globals is not None:
            parts.globals.step(0)
        self._process(parts)
        self.inquiries.answer()
        tasks.punctuate(self._clock())
        if self.state is WorkerState.RUNNING:  # what a timer looks at is complete then
            self._timers.fire(self._clock())
        if tasks.standbys.active:
            ready = tasks.ready(self._clock())
            slice_s, rests = STANDBY_S if ready else ROUND_S, parts.committer.under_way
            tasks.standbys.step(0, slice_s, lambda: self._is_wanted(parts), rests=rests)
        parts.producer.release()
        parts.consumer.attend()

    def _process(self, parts: Parts) -> None:
        """Rounds over the tasks, until nothing is left or the group wants to hear from us."""
        until = time.monotonic() + ROUND_S
        while parts.tasks.process(self._clock(), self._config.max_poll_records, lambda: self._is_wanted(parts)):
            parts.producer.release()
            if self.inquiries.waiting:
                self.inquiries.answer()
            if time.monotonic() >= until or self._stopping:
                return
            if self._commits.calls(parts.tasks, parts.committer):
                return

    def _is_wanted(self, parts: Parts) -> bool:
        """Whether somebody asks, or a commit can be attended to."""
        return self.inquiries.waiting or self._stopping or self._commits.calls(parts.tasks, parts.committer)

    def _poll_s(self, parts: Parts) -> float:
        """How long to wait for records: not at all while there is work, else until the next deadline."""
        tasks, now = parts.tasks, self._clock()
        if parts.restorer.active or tasks.leaving or tasks.standbys.busy or tasks.ready(now):
            return 0
        deadlines = [tasks.next_punctuation_ms, self._timers.next_ms() if self.state is WorkerState.RUNNING else None]
        waits = [(due - now) / 1000 for due in deadlines if due is not None]
        if (commit_s := self._commits.wait_s(tasks, parts.committer)) is not None:
            waits.append(commit_s)
        if tasks.restoring:
            waits.append(tasks.opening_due_s)
        looks = parts.globals is not None or tasks.waiting or tasks.standbys.active
        longest = self._config.poll_ms / 1000 if looks else LONGEST_POLL_S
        return max(0.0, min([longest, *waits]))

    def _commit(self, parts: Parts) -> None:
        """Begin to commit when it is due, go on with a commit when that is possible, and purge after it."""
        if self._commits.calls(parts.tasks, parts.committer):
            self._commits.attend(parts.tasks, parts.committer)
            if not parts.committer.under_way:
                self._purging.purge_if_due(parts.committer, parts.admin)

    def _keep_up(self, parts: Parts) -> None:
        """What is due once in a while: the group looks again at warm-ups, state that moved away is removed."""
        parts.tasks.probe_if_due()
        delay_ms = self._config.state_cleanup_delay_ms
        if self._clock() >= self._clean_due_ms:
            self._clean_due_ms = self._clock() + max(delay_ms, CLEAN_EVERY_MS)
            parts.stores.clean(delay_ms)

    def _phase(self, tasks: TaskManager) -> WorkerState:
        settled = tasks.rebalances and not tasks.restoring and not tasks.between_assignments
        return WorkerState.RUNNING if settled or not self._subscribed else WorkerState.REBALANCING
