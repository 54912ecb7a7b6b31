"""What a worker has from its start to its end, and how it is let go of.

Rules: parts are closed in the reverse of the order in which they were made; what fails on the way is told, and the rest
is closed all the same, for the run already has its end.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from streams.clients.base import Admin, Clients, Clock, Consumer
from streams.config import StreamsConfig
from streams.errors import BrokerUnreachable, Interrupted
from streams.metrics import Metrics
from streams.operators.observing import Observer
from streams.record import TopicPartition
from streams.retrying import Patience
from streams.runtime.assignor import TaskAssignor, TaskInputs
from streams.runtime.committer import Committer
from streams.runtime.error_handlers import ErrorHandlers
from streams.runtime.global_state import GlobalState
from streams.runtime.group_view import GroupView
from streams.runtime.internal_topics import ReadTopics, expect_changelogs, subtopology_finder
from streams.runtime.orphans import Orphans
from streams.runtime.placement import PlacementRules
from streams.runtime.process_id import ProcessId
from streams.runtime.refused_output import RefusedOutput
from streams.runtime.restorer import RestoreListener, Restorer
from streams.runtime.standby_tasks import StandbyTasks, changelog_ends, logged_stores
from streams.runtime.start_offsets import StartOffsets, pattern_rules, reset_rules
from streams.runtime.store_locations import StoreLocations
from streams.runtime.streams_producer import StreamsProducer
from streams.runtime.task import Task, TaskEnvironment, TaskId
from streams.runtime.task_manager import TaskManager
from streams.runtime.task_stores import TaskStores
from streams.runtime.turns import Turns, in_step
from streams.runtime.worker_states import WorkerState, WorkerStatus
from streams.topology.compile import compile_task
from streams.topology.read_topics import matcher
from streams.topology.topology import Topology

log = logging.getLogger(__name__)

RESTART_PAUSE_S = 0.5
NOT_STARTED = "the worker stops before it had started"


@dataclass(kw_only=True)
class Parts:
    """See the module; `closings` closes them all."""

    consumer: Consumer
    producer: StreamsProducer
    admin: Admin
    tasks: TaskManager
    restorer: Restorer
    committer: Committer
    stores: TaskStores
    locations: StoreLocations
    closings: ExitStack
    globals: GlobalState | None = None

    def dropped(self) -> int:
        """How many records the tasks that there are, and the global state, have left out; from any thread."""
        counted: list[Mapping[str, int]] = [task.dropped_records for task in list(self.tasks.tasks.values())]
        if self.globals is not None:
            counted.append(self.globals.dropped_records)
        return sum(sum(counts.values()) for counts in counted)


def started(
    start: Callable[[ExitStack], Parts], patience_s: float, patience: Patience, stopping: Callable[[], bool]
) -> Parts:
    """Start, as often as the broker goes away meanwhile. Raises: BrokerUnreachable when time is over, Interrupted."""
    until = time.monotonic() + patience_s
    while True:
        with ExitStack() as made:
            try:
                return start(made)
            except BrokerUnreachable as error:
                if stopping():
                    raise Interrupted(NOT_STARTED) from error
                if time.monotonic() >= until:
                    raise
                log.warning("cannot start yet: %s", error)
        patience.wait(RESTART_PAUSE_S, NOT_STARTED)


def producer_of(
    topology: Topology, config: StreamsConfig, clients: Clients, process: ProcessId, handlers: ErrorHandlers
) -> StreamsProducer:
    """The one producer of a worker; under exactly-once its id is that of the worker's place in its state directory."""
    name = process.transactional_id(config.application_id) if config.exactly_once else None
    refused = RefusedOutput(topology, handlers)
    changelogs = topology.changelog_topics.keys() - {*topology.source_topics, *topology.sink_topics}
    # A transaction is fenced as a whole, so nothing of it needs to be held back.
    exclusive = frozenset[str]() if config.exactly_once else frozenset(changelogs)
    return StreamsProducer(
        lambda: clients.producer(transactional_id=name, refused=refused, exclusive=exclusive),
        transactional=config.exactly_once,
    )


def restorer_of(config: StreamsConfig, reader: Callable[[], Consumer], listener: RestoreListener) -> Restorer:
    """What brings stores up to date; it stands still for `task_timeout_ms` at most."""
    stall_s = config.task_timeout_ms / 1000
    return Restorer(reader, listener, stall_s=stall_s, transactional=config.exactly_once)


def environment_of(
    config: StreamsConfig,
    producer: StreamsProducer,
    consumer: Consumer,
    stores: TaskStores,
    handlers: ErrorHandlers,
    clock: Clock,
    patience: Patience,
    metrics: Metrics,
) -> TaskEnvironment:
    """What a worker lends to its tasks."""
    return TaskEnvironment(
        application_id=config.application_id,
        producer=producer,
        clock=clock,
        open_store=stores.open,
        handlers=handlers,
        lag=consumer.lag,
        patience=patience,
        max_task_idle_ms=config.max_task_idle_ms,
        record_cache=stores.record_cache,
        wake=consumer.wake,
        metrics=metrics,
    )


def status_of(
    state: WorkerState, processed: int, parts: Parts | None, handlers: ErrorHandlers, metrics: Metrics
) -> WorkerStatus:
    """What a worker shows of itself, from any thread."""
    tasks = parts.tasks if parts else None
    running = list(tasks.tasks.values()) if tasks else []
    return WorkerStatus(
        state,
        tuple(task.task_id for task in running),
        bool(tasks and tasks.restoring),
        processed,
        tasks.lag if tasks else 0,
        handlers.skipped.total(),
        parts.dropped() if parts else 0,
        handlers.dead_letters.total(),
        metrics.values(),
    )


def subscribe(
    topology: Topology,
    config: StreamsConfig,
    clients: Clients,
    admin: Admin,
    consumer: Consumer,
    tasks: TaskManager,
    inputs: Sequence[TaskInputs],
    read_topics: ReadTopics,
) -> bool:
    """Have a worker join its group for the topics that it reads; whether there are any."""
    topics, matches = sorted(topology.source_topics), matcher(topology)
    if not topics and not matches:
        return False
    assignor = TaskAssignor(
        inputs,
        tasks.member_info,
        told=tasks.group.told,
        ends=changelog_ends(topology, consumer),
        rules=PlacementRules.of(config),
        orphans=Orphans.of(config.application_id, clients, admin) if config.exactly_once else None,
        required=topology.source_topics,
        prepare=read_topics.prepare,
    )
    consumer.subscribe(topics, assignor, tasks, matches)
    return True


def global_state_of(
    topology: Topology,
    config: StreamsConfig,
    reader: Callable[[], Consumer],
    counts: Mapping[str, int],
    environment: TaskEnvironment,
    made: ExitStack,
    listener: RestoreListener,
    stopping: Callable[[], bool],
) -> GlobalState | None:
    """The global stores of a worker, read to their end, if it has any; `made` closes them, also when that fails."""
    if not topology.global_stores:
        return None
    state = GlobalState(topology, reader(), counts, environment)
    made.callback(quietly, state.close)
    state.start(stall_s=config.task_timeout_ms / 1000, stopping=stopping, listener=listener)
    return state


def task_maker(
    topology: Topology, environment: TaskEnvironment, changelogs: Mapping[str, int], observer: Observer | None
) -> Callable[[TaskId, Sequence[TopicPartition]], Task]:
    """What makes a worker's tasks, each from its id and the partitions it reads; `changelogs` are partition counts."""
    parts = {part.id: part for part in topology.subtopologies}

    def make_task(task_id: TaskId, read: Sequence[TopicPartition]) -> Task:
        part = parts[task_id.subtopology]
        expect_changelogs(part, task_id.partition, changelogs)
        topics = [each.topic for each in read]
        return Task(
            task_id, lambda context: compile_task(topology, [part], context, topics, observer), read, environment
        )

    return make_task


def task_manager_of(
    topology: Topology,
    config: StreamsConfig,
    *,
    consumer: Consumer,
    committer: Committer,
    restorer: Restorer,
    stores: TaskStores,
    reader: Callable[[], Consumer],
    group: GroupView,
    clock: Clock,
    make_task: Callable[[TaskId, Sequence[TopicPartition]], Task],
    inputs: Sequence[TaskInputs],
    changelogs: Mapping[str, int],
    listener: RestoreListener,
) -> TaskManager:
    """What has the tasks of a worker, and copies of those of others that `reader`'s consumers keep up to date.

    `changelogs` are partition counts, as far as they are known for good.
    """
    return TaskManager(
        consumer=consumer,
        committer=committer,
        restorer=restorer,
        stores=stores,
        standbys=StandbyTasks(
            reader,
            stores,
            logged_stores(topology, changelogs),
            consumer.decided,
            listener,
            transactional=config.exactly_once,
        ),
        group=group,
        start_offsets=StartOffsets(
            reset_rules(topology), config.auto_offset_reset, clock, patterns=pattern_rules(topology)
        ),
        make_task=make_task,
        subtopology_of=subtopology_finder(topology, inputs),
        turns=Turns(in_step(topology), consumer.attend),
        buffer_bytes=config.buffered_max_bytes,
        lock_timeout_s=config.task_timeout_ms / 1000,
    )


def quietly(closing: Callable[[], object]) -> None:
    """Close something at the end of a run: what fails on the way is told, and the rest is closed all the same."""
    try:
        closing()
    except Exception as error:
        log.warning("while closing: %s", error)
