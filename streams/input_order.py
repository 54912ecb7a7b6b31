"""Which input queue comes next when several begin with the same time: Kafka's answer, for the TopologyTestDriver.

Kafka keeps its queues that hold records in a java.util.PriorityQueue by the time of their first record; among equals
the shape of that heap decides. In production the order of equal times depends on fetches and means nothing; in a test
it is always the same, and outputs recorded from Kafka show it. Source: Kafka's PartitionGroup, java.util.PriorityQueue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from streams.java_queue import JavaQueue

__all__ = ["InputOrder"]


class InputOrder:
    """Topics whose records wait, each with the times of those records."""

    def __init__(self) -> None:
        self._times: dict[str, deque[int]] = {}
        self._queue = JavaQueue(self._head)

    def __len__(self) -> int:
        return sum(map(len, self._times.values()))

    def add(self, topic: str, times: Iterable[int]) -> None:
        """Records of these times wait behind the topic's others."""
        waiting = self._times.setdefault(topic, deque())
        was_empty = not waiting
        waiting.extend(times)
        if was_empty and waiting:
            self._queue.offer(topic)

    def take(self) -> str | None:
        """The topic whose first record is next; that record no longer waits. None when nothing does."""
        if self._queue.first is None:
            return None
        topic = self._queue.poll()
        self._times[topic].popleft()
        if self._times[topic]:
            self._queue.offer(topic)
        return topic

    def _head(self, topic: str) -> int:
        return self._times[topic][0]
