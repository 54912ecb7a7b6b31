"""Which inputs of a worker's tasks are not fetched for now: their task does not run yet, or has enough of them.

Rules: all inputs together wait in about `buffer_bytes`; what has run half empty is fetched again. It never decides which
tasks there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streams.clients.base import Consumer
from streams.record import TopicPartition
from streams.runtime.task import Task
from streams.runtime.task_states import TaskState

MIN_BUFFER_BYTES = 1 << 20


class HeldInputs:
    """See the module. `task_of` is its owner's: who has which input."""

    def __init__(self, consumer: Consumer, task_of: Mapping[TopicPartition, Task], buffer_bytes: int) -> None:
        self._consumer = consumer
        self._task_of = task_of
        self._buffer_bytes = buffer_bytes
        self._held: set[TopicPartition] = set()

    def hold(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch these no more until they are let go."""
        chosen = tuple(partitions)
        self._held.update(chosen)
        self._consumer.pause(chosen)

    def hold_full(self, partitions: Iterable[TopicPartition]) -> None:
        """Hold those of which enough waits."""
        limit = self._limit
        for partition in partitions:
            if partition not in self._held and self._task_of[partition].queue(partition).size > limit:
                self.hold((partition,))

    def let_go(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch these again."""
        chosen = tuple(partitions)
        if chosen:
            self._held.difference_update(chosen)
            self._consumer.resume(chosen)

    def let_go_empty(self) -> None:
        """Fetch again what has run half empty."""
        if self._held:
            half = self._limit // 2
            self.let_go(
                partition
                for partition in list(self._held)
                if (task := self._task_of[partition]).state is TaskState.RUNNING and task.queue(partition).size < half
            )

    def forget(self, partition: TopicPartition) -> None:
        """Nobody has this input any more."""
        self._held.discard(partition)

    @property
    def _limit(self) -> int:
        """How much of one input may wait."""
        return max(self._buffer_bytes // max(len(self._task_of), 1), MIN_BUFFER_BYTES)
