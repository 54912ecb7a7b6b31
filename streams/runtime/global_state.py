"""The global stores of a worker: each has all partitions of its topic, read to the end before any task starts.

Its program runs as a task of its own, outside of the group. The stores are in memory and read anew at each start; the
topic is their changelog.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from state import ChangelogWriter, open_store
from state.stores import Store, StoreSpec
from streams.clients.base import Consumer
from streams.errors import ClientError
from streams.record import TopicPartition
from streams.runtime.restorer import RestoreListener
from streams.runtime.task import Task, TaskEnvironment, TaskId
from streams.topology.compile import compile_global
from streams.topology.topology import Topology

log = logging.getLogger(__name__)

GLOBAL_TASK = TaskId(-1, 0)
POLL_S = 0.1
ALL = 1 << 62


class GlobalState:
    """See the module."""

    def __init__(
        self, topology: Topology, consumer: Consumer, counts: Mapping[str, int], environment: TaskEnvironment
    ) -> None:
        self._consumer = consumer
        self._global_stores = topology.global_stores
        self._inputs = [
            TopicPartition(topic, number)
            for topic in dict.fromkeys(each.topic for each in topology.global_stores)
            for number in range(counts[topic])
        ]
        self._task = Task(
            GLOBAL_TASK,
            lambda context: compile_global(topology, context),
            self._inputs,
            replace(
                environment,
                open_store=_in_memory,
                max_task_idle_ms=-1,
                handlers=environment.handlers.for_global_stores(),
            ),
        )

    @property
    def stores(self) -> Mapping[str, Store]:
        """The open stores by name."""
        return self._task.stores

    @property
    def dropped_records(self) -> Mapping[str, int]:
        """How many rows each node dropped, for want of a key."""
        return self._task.dropped_records

    def start(self, *, stall_s: float, stopping: Callable[[], bool], listener: RestoreListener) -> None:
        """Read everything there is, unless `stopping`, and tell `listener`.

        Raises: ClientError when nothing moves for `stall_s`.
        """
        self._task.open()
        self._task.start()
        self._consumer.assign(self._inputs)
        ends = self._consumer.end_offsets(self._inputs)
        reads = [
            _Read(each.store.name, part, self._consumer.position(part), end, listener)
            for each in self._global_stores
            for part, end in ends.items()
            if part.topic == each.topic and self._consumer.position(part) < end
        ]
        moved_at = time.monotonic()
        while not stopping() and any(self._consumer.position(part) < end for part, end in ends.items()):
            if self.step(POLL_S):
                moved_at = time.monotonic()
                for read in reads:
                    read.moved_to(self._consumer.position(read.partition))
            elif time.monotonic() - moved_at > stall_s:
                raise ClientError(f"reading the global tables stands still for {stall_s:g} s: is the broker well?")
        for read in reads:
            read.over(self._consumer.position(read.partition))
        log.info("global tables are complete: %s", ", ".join(self.stores))

    def step(self, timeout_s: float) -> int:
        """Take in what has arrived; the answer is how many records."""
        batches = self._consumer.poll(timeout_s)
        for batch in batches:
            self._task.add(batch)
        done = self._task.process(self._task.now_ms(), ALL)
        if done:
            self._task.commit_state()
        return done

    def close(self) -> None:
        """Let go of stores and consumer."""
        try:
            self._task.close()
        finally:
            self._consumer.close()


class _Read:
    """One store on its way through a partition, and who is told of it; its records are counted by their offsets."""

    def __init__(self, store: str, partition: TopicPartition, start: int, end: int, listener: RestoreListener) -> None:
        self.partition = partition
        self._store = store
        self._start = self._position = start
        self._end = end
        self._listener = listener
        listener.started(store, partition, start, end)

    def moved_to(self, position: int) -> None:
        """Something may have been read."""
        position = min(position, self._end)
        if position > self._position:
            moved, self._position = position - self._position, position
            self._listener.progressed(self._store, self.partition, position, moved)

    def over(self, position: int) -> None:
        """All was read, or the worker stops."""
        self.moved_to(position)
        end = self._listener.ended if self._position >= self._end else self._listener.suspended
        end(self._store, self.partition, self._position - self._start)


def _in_memory(spec: StoreSpec, _task: TaskId, _changelog: ChangelogWriter | None) -> Store:
    store: Store = open_store(replace(spec, persistent=False, logged=False), directory=None)
    return store
