"""A task: one sub-topology on one partition number, with its input queues, its stores and its clocks.

It is the context its operators see (`operators.base.OperatorContext`). A worker drives it, and so does the
TopologyTestDriver, in this order: `open` (stores), restore, `start`; then `add` record batches, `process`, `punctuate`
as often as it likes; and at a commit `flush`, `seal`, and, once the offsets are safe, `commit_state`.

Rules: a task is used by one thread. It never polls, commits or waits. State changes follow TRANSITIONS. Whatever
leaves it goes through its collector, whatever fails through its error handlers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from logging import WARNING
from typing import Any

from state.stores import ChangelogWriter, Store, StoreSpec
from streams.clients.base import OffsetAndMetadata
from streams.clients.raw_batch import RawBatch
from streams.errors import TopologyError
from streams.operators.base import Operator, OperatorContext, PunctuationType
from streams.operators.interleaved_join import InterleavedJoin
from streams.record import Batch, Headers, Record, TopicPartition
from streams.retrying import Retrying
from streams.runtime import offset_metadata
from streams.runtime.changelog import Changelog
from streams.runtime.collector import Collector
from streams.runtime.dead_letters import letter
from streams.runtime.error_handlers import DeadLetter
from streams.runtime.offset_metadata import PartitionMetadata
from streams.runtime.partition_group import Interleaved, PartitionGroup, PartitionQueue
from streams.runtime.punctuation import PunctuationQueue, Punctuator
from streams.runtime.running_ahead import RunningAhead
from streams.runtime.task_environment import KeepStore, TaskEnvironment, TaskId
from streams.runtime.task_states import TRANSITIONS, TaskState
from streams.topology.compile import SourceProgram, TaskProgram

log = logging.getLogger(__name__)

__all__ = ["Compile", "Task", "TaskEnvironment", "TaskId"]

Compile = Callable[[OperatorContext], TaskProgram]

EXPIRED = "it is older than what the store keeps; a longer retention= or grace= keeps such records"


class Task:
    """See the module. Implements `OperatorContext`."""

    def __init__(
        self, task_id: TaskId, compile_program: Compile, inputs: Iterable[TopicPartition], environment: TaskEnvironment
    ) -> None:
        self.id = task_id
        self.task_id = str(task_id)
        self.partition = task_id.partition
        self.application_id = environment.application_id
        self.metrics = environment.metrics
        self.inputs = tuple(inputs)
        self._record_cache = environment.record_cache
        self.state = TaskState.CREATED
        self.commit_requested = False
        self.stores: dict[str, Store] = {}
        self.dropped_records: dict[str, int] = {}
        self._environment = environment
        self._collector = Collector(environment.producer)
        self._handlers = environment.handlers
        self._stream_punctuators = PunctuationQueue()
        self._wall_punctuators = PunctuationQueue()
        self._remembered: dict[str, int] = {}
        self._positions: dict[str, int | None] = {}
        self._at_commit: list[Callable[[], None]] = []
        self._dirty = False
        self._sealed: dict[TopicPartition, OffsetAndMetadata] | None = None
        """The offsets of a commit that is under way."""
        self._program = compile_program(self)
        self._ready: list[Operator] = []
        """The operators that were inited, which are those to close."""
        self._sources = {topic: source for source in self._program.sources for topic in source.topics}
        ahead = environment.wake is not None and any(source.ahead for source in self._program.sources)
        self._ahead = RunningAhead(environment.wake, self.stores) if ahead and environment.wake else None
        self._interleaved = self._program.interleaved if len(self.inputs) == 2 else None
        self._group = PartitionGroup(
            [PartitionQueue(partition, self._sources[partition.topic].deserialize) for partition in self.inputs],
            max_task_idle_ms=environment.max_task_idle_ms,
            lag=environment.lag,
            choose=environment.next_input,
        )

    def __repr__(self) -> str:
        return f"<Task {self.task_id} {self.state.value}>"

    # Life

    def open(self) -> None:
        """Open the stores. Raises: StoreLocked; then nothing is open, and it may be tried again."""
        assert self.state is TaskState.CREATED, f"task {self.task_id} is {self.state.value}: it cannot be opened again"
        try:
            for spec in self._program.stores:
                self.stores[spec.name] = self._environment.open_store(spec, self.id, self._changelog_writer(spec))
        except Exception:
            self._close_stores()
            raise
        self._move_to(TaskState.RESTORING)

    def has_store(self, name: str) -> bool:
        """Whether the task has a store of that name, open or not."""
        return any(spec.name == name for spec in self._program.stores)

    def changelogs(self) -> list[Changelog]:
        """The stores that can be restored, and from where; a reused source topic counts."""
        topics = self._program.changelog_topics
        return [
            Changelog(store, TopicPartition(topics[name], self.partition))
            for name, store in self.stores.items()
            if name in topics
        ]

    def start(self) -> None:
        """Begin to process: the stores are restored."""
        self._move_to(TaskState.RUNNING)
        self._positions = {name: store.position for name, store in self.stores.items()}
        self._program.init(self._ready)

    def suspend(self) -> None:
        """Stop, committed, because the task goes to another worker; the assignment that follows says what becomes of it."""
        self._move_to(TaskState.SUSPENDED)
        self._forget_input()

    def close(self, keep: KeepStore | None = None) -> None:
        """Let go of operators and stores without a commit; safe to call twice. `keep` gets the stores instead."""
        if self.state is TaskState.CLOSED:
            return
        started = self.state in {TaskState.RUNNING, TaskState.SUSPENDED}
        self._move_to(TaskState.CLOSED)
        try:
            if started:
                self._forget_input()
                self._program.close(self._ready)
        finally:
            self._close_stores(keep)

    # Input

    def add(self, raw: RawBatch) -> None:
        """Append fetched records to their partition's queue."""
        self._group.add(raw)

    def restore_time(self, partition: TopicPartition, metadata: str) -> None:
        """Take up the stream time that was committed with a partition's offset."""
        time, numbers = offset_metadata.decode(metadata)
        queue = self._group.queues[partition]
        queue.partition_time = max(queue.partition_time, time)
        self._group.observe(time)
        for key, number in numbers.items():
            self._remembered[key] = max(number, self._remembered.get(key, number))

    def queue(self, partition: TopicPartition) -> PartitionQueue:
        """What waits of one input."""
        return self._group.queues[partition]

    def ready(self, now_ms: int) -> bool:
        """Whether `process` would handle a record now."""
        if self._ahead is not None and self._ahead.flying:
            return not self._ahead.busy
        return self._group.ready(now_ms)

    def process(self, now_ms: int, max_records: int) -> int:
        """Process up to `max_records` by their timestamps, less rather than cut what was decoded together; returns how many."""
        done = 0
        punctuators = self._stream_punctuators
        max_records = self._program.records_at_once(max_records)
        while done < max_records and self.ready(now_ms):
            if done and self._group.decoded > max_records - done:
                break
            count = self._process_next(max_records - done, punctuators.due)
            if not count:
                break
            done += count
            self._group.pass_on()
            self._punctuate_stream_time()
            self._drain()
        self._group.pass_on()
        return done

    def _process_next(self, limit: int, due: int | None) -> int:
        """Process what can be processed at once; the answer is how many records that were."""
        group, ahead = self._group, self._ahead
        if self._interleaved is not None and (both := group.take_interleaved(limit, due)):
            self._dirty = True
            self._run_interleaved(self._interleaved, both)
            return len(both.turns)
        taken = ahead.take(group, self._sources, limit, due) if ahead else group.take(limit, due)
        if taken is None:
            return 0
        queue, batch = taken
        self._dirty = True
        self._record_cache.cause_bytes = len(queue.partition.topic)
        self._run(self._sources[queue.partition.topic], batch)
        group.observe(queue.partition_time)
        return len(batch)

    def punctuate(self, now_ms: int) -> int:
        """Fire the wall-clock punctuators that are due; the answer is how many. They wait while agents hold the stores."""
        due = self._wall_due
        if due is None or due > now_ms:
            return 0
        self._dirty = True
        self._record_cache.cause_bytes = 0
        fired = self._wall_punctuators.fire(now_ms)
        self._drain()
        return fired

    @property
    def next_punctuation_ms(self) -> int | None:
        """The wall-clock time of the next punctuation, or of the end of waiting for an empty input."""
        times = (self._wall_due, self._group.idle_deadline)
        return min((time for time in times if time is not None), default=None)

    @property
    def _wall_due(self) -> int | None:
        return None if self._ahead is not None and self._ahead.writing else self._wall_punctuators.due

    # Commit

    @property
    def commit_needed(self) -> bool:
        """Whether anything happened since the last commit, if only that offsets without a record were passed.

        Source: Kafka's StreamTask.commitNeeded, so that a topic that ends with markers of transactions has no lag.
        """
        return self._dirty or any(queue.skipped for queue in self._group.queues.values())

    @property
    def uncommitted_bytes(self) -> int:
        """Roughly the memory a commit would free."""
        return sum(store.uncommitted_bytes for store in self.stores.values())

    def flush(self) -> None:
        """Let the record caches go, in store order, until they are clean; all changes reach the producer."""
        self._group.pass_on()
        for _ in self.stores:
            for store in self.stores.values():
                store.flush()
            if not any(store.dirty for store in self.stores.values()):
                break
        for callback in self._at_commit:
            callback()
        self._drain()
        for name, store in self.stores.items():
            if store.expired_writes:
                self.dropped(name, store.expired_writes, EXPIRED)
                store.expired_writes = 0

    def offsets(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """What to commit: per input, the next record's offset and the partition's time."""
        return {
            partition: OffsetAndMetadata(
                queue.position,
                offset_metadata.encode(PartitionMetadata(queue.partition_time, self._remembered)),
            )
            for partition, queue in self._group.queues.items()
            if queue.position is not None
        }

    @property
    def committing(self) -> bool:
        """Whether it is sealed for a commit that is not over."""
        return self._sealed is not None

    def seal(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """What was done so far is what a commit covers; the answer is its offsets. What follows is for the next one."""
        for store in self.stores.values():
            store.seal()
        self._sealed = self.offsets()
        self._clean()
        return self._sealed

    def unseal(self) -> None:
        """The commit is put off: what it was to cover is for the next one."""
        for store in self.stores.values():
            store.unseal()
        self._sealed = None
        self._dirty = True

    def commit_state(self) -> None:
        """Write the sealed changes and positions of stores to their engines; the offsets are already committed."""
        offsets = self.seal() if self._sealed is None else self._sealed
        for changelog in self.changelogs():
            self._commit_store(changelog, offsets)
        for name, store in self.stores.items():
            if name not in self._program.changelog_topics:
                store.commit(None)
        self._sealed = None

    def discard(self) -> None:
        """Forget what changed since the last commit that succeeded, waiting input included: the transaction was aborted."""
        for store in self.stores.values():
            store.discard()
        self._forget_input()
        self._sealed = None
        self._clean()

    def _clean(self) -> None:
        self.commit_requested = self._dirty = False
        for queue in self._group.queues.values():
            queue.skipped = False

    # OperatorContext

    @property
    def stream_time(self) -> int:
        """The highest timestamp this task took for processing, -1 before the first."""
        return self._group.stream_time

    def now_ms(self) -> int:
        """Wall-clock time in ms since 1970."""
        return self._environment.clock()

    def store(self, name: str) -> Any:
        """The open store of that name, a global one included."""
        found = self.stores.get(name) or self._environment.global_stores.get(name)
        if found is None:
            names = ", ".join(sorted([*self.stores, *self._environment.global_stores])) or "none"
            raise TopologyError(f"task {self.task_id} has no store {name!r} (stores: {names}): connect it to the node")
        return found

    def schedule(
        self, interval_ms: int, kind: PunctuationType, callback: Callable[[int], None], start_ms: int | None = None
    ) -> Punctuator:
        """Call `callback(time)` whenever `interval_ms` have passed on that clock, on a grid through `start_ms`."""
        if kind is PunctuationType.STREAM_TIME:
            return self._stream_punctuators.schedule(0, interval_ms, callback, start_ms, self.stream_time)
        now = self.now_ms()
        return self._wall_punctuators.schedule(now + interval_ms, interval_ms, callback, start_ms, now)

    def at_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback()` at every commit, after the record caches let go."""
        self._at_commit.append(callback)

    def request_commit(self) -> None:
        """Commit soon, without waiting for the interval."""
        self.commit_requested = True

    def send(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None,
        partitions: Sequence[int] | None = None,
    ) -> Sequence[int]:
        """Write records to a topic; the answer is the rows of those that are too large and were left out."""
        return self._collector.send(topic, keys, values, timestamps, headers, partitions)

    def partition_count(self, topic: str) -> int:
        """How many partitions a topic has."""
        return self._environment.producer.partition_count(topic)

    def remember(self, key: str, number: int) -> None:
        """Keep a number with the next committed offsets (how far emit-on-close has read)."""
        self._remembered[key] = number

    def remembered(self, key: str) -> int | None:
        """The number kept under `key`, also from before a restart."""
        return self._remembered.get(key)

    def dropped(self, node: str, count: int, reason: str, *, counted: bool = True, level: int = WARNING) -> None:
        """Count records that Kafka's rules drop; the first of a node and reason is logged."""
        if counted:
            self.dropped_records[node] = self.dropped_records.get(node, 0) + count
        self._handlers.dropped(self.task_id, node, count, reason, level)

    def failed(self, node: str, record: Record, error: Exception) -> None:
        """User code raised; returns to go on without the record. Raises: ProcessingError."""
        self._bury(self._handlers.processing(node, record, error), record)

    def production_failed(self, node: str, topic: str, record: Record, error: Exception) -> None:
        """A result cannot be written; returns to go on without it. Raises: ProductionError."""
        self._bury(self._handlers.production(node, topic, record, error), record)

    def deserialization_failed(self, node: str, record: Record, error: Exception) -> None:
        """A record's bytes are not what the serde expects; returns to go on without it. Raises: DeserializationError.

        It was read ahead: its letter is written when the input has passed it, and so in the commit that has its offset.
        """
        dead = self._handlers.deserialization(node, record, error)
        queue = self._group.queues.get(TopicPartition(record.topic or "", record.partition))
        if dead is None or queue is None or dead.fails:
            self._bury(dead, record)
            return
        self._dirty = True
        queue.at_passing(
            record.offset, partial(self._write_letter, dead, letter(queue.as_read(record.offset), record, dead.error))
        )

    def attempted(self, node: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with the retries that its node's policy asks for."""
        retrying = self.retrying(node)
        return function if retrying is None else retrying.wrapped(function)

    def retrying(self, node: str) -> Retrying | None:
        """How what a node's function raises is tried again; None where it is not."""
        return self._handlers.retrying(node, self._environment.patience)

    def emit_throttle_ms(self) -> int:
        """How long stream joins and emit-on-close wait between two scans."""
        return self._environment.emit_throttle_ms

    # Within

    def _bury(self, dead: DeadLetter | None, record: Record) -> None:
        """Write a dead letter, if one was decided on, like any other output: it is part of the commit, if there is one.

        Raises: its error, where the task is to fail: what was sent is written when its producer is closed.
        """
        if dead is None:
            return
        queue = self._group.queues.get(TopicPartition(record.topic or "", record.partition))
        read = None if queue is None else queue.as_read(record.offset)
        if queue is not None:
            queue.pass_on(record.offset)  # letters come in the order of their records
        self._dirty = True
        self._write_letter(dead, letter(read, record, dead.error))
        if dead.fails:
            raise dead.error

    def _write_letter(self, dead: DeadLetter, buried: Record) -> None:
        if self.send(dead.topic, [buried.key], [buried.value], [buried.timestamp], [buried.headers]):
            raise dead.error  # too large to be set aside: the letter is the record, and some headers

    def _run_interleaved(self, join: InterleavedJoin, both: Interleaved) -> None:
        """Run both inputs of a join, left and right as the join has them."""
        self._group.observe(min(batch.timestamps[0] for batch in both.batches))
        if both.queues[0].partition.topic == join.sides[0].topic:
            join.process(both.batches, both.turns)
        else:
            join.process(both.batches[::-1], [1 - turn for turn in both.turns])
        for queue in both.queues:
            self._group.observe(queue.partition_time)

    def _run(self, source: SourceProgram, batch: Batch) -> None:
        alone = source.one_by_one and len(batch) > 1
        self._group.observe(batch.timestamps[0])
        source.process(batch.slice(0, 1) if alone else batch)
        for index in range(1, len(batch) if alone else 1):
            self._punctuate_stream_time()  # what a record has scheduled is due after it
            self._group.observe(batch.timestamps[index])
            source.process(batch.slice(index, index + 1))

    def _punctuate_stream_time(self) -> None:
        due = self._stream_punctuators.due
        if due is not None and due <= self._group.stream_time:
            self._stream_punctuators.fire(self._group.stream_time)

    def _changelog_writer(self, store: StoreSpec) -> ChangelogWriter | None:
        """Where a store logs its changes; nowhere when its source topic is its changelog, unless it names that itself."""
        topic = self._program.changelog_topics.get(store.name)
        named = store.logged and topic == store.changelog_topic
        if not topic or (topic in self._sources and not named):
            return None
        return self._collector.changelog(topic, self.partition)

    def _close_stores(self, keep: KeepStore | None = None) -> None:
        """All of them, also after one that could not be closed well. Raises: the first StateError."""
        with ExitStack() as closings:
            for store in self.stores.values():
                closings.callback(*((store.close,) if keep is None else (keep, self.id, store)))
        self.stores.clear()

    def _forget_input(self) -> None:
        if self._ahead is not None:
            self._ahead.abandon()
        for queue in self._group.queues.values():
            queue.clear()

    def _drain(self) -> None:
        for store in self.stores.values():
            store.drain()

    def _commit_store(self, changelog: Changelog, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        store, (topic, partition) = changelog
        if topic in self._sources:
            read = offsets.get(changelog.partition)
            written = None if read is None else read.offset
        else:
            written = self._environment.producer.end_offset(topic, partition)
        known = self._positions.get(store.name)
        if written is not None:
            known = max(written, known or 0)
        self._positions[store.name] = known
        store.commit(known)

    def _move_to(self, state: TaskState) -> None:
        assert state in TRANSITIONS[self.state], f"task {self.task_id}: {self.state.value} -> {state.value}"
        self.state = state
