"""Which input queue comes next when several begin with the same time: Kafka's answer, for the TopologyTestDriver.

Kafka keeps its queues that hold records in a java.util.PriorityQueue by the time of their first record; among equals
the shape of that heap decides. In production the order of equal times depends on fetches and means nothing; in a test
it is always the same, and outputs recorded from Kafka show it. Source: Kafka's PartitionGroup, java.util.PriorityQueue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

__all__ = ["InputOrder"]


class InputOrder:
    """Topics whose records wait, each with the times of those records."""

    def __init__(self) -> None:
        self._times: dict[str, deque[int]] = {}
        self._heap: list[str] = []

    def __len__(self) -> int:
        return sum(map(len, self._times.values()))

    def add(self, topic: str, times: Iterable[int]) -> None:
        """Records of these times wait behind the topic's others."""
        waiting = self._times.setdefault(topic, deque())
        was_empty = not waiting
        waiting.extend(times)
        if was_empty and waiting:
            self._offer(topic)

    def take(self) -> str | None:
        """The topic whose first record is next; that record no longer waits. None when nothing does."""
        if not self._heap:
            return None
        topic = self._poll()
        self._times[topic].popleft()
        if self._times[topic]:
            self._offer(topic)
        return topic

    def _head(self, topic: str) -> int:
        return self._times[topic][0]

    def _offer(self, topic: str) -> None:
        """Append, and move up past later ones."""
        heap = self._heap
        heap.append(topic)
        at = len(heap) - 1
        while at > 0:
            parent = (at - 1) // 2
            if self._head(topic) >= self._head(heap[parent]):
                break
            heap[at] = heap[parent]
            at = parent
        heap[at] = topic

    def _poll(self) -> str:
        """Take the first; the last takes its place, and moves down past earlier ones."""
        heap = self._heap
        first, last = heap[0], heap.pop()
        if not heap:
            return first
        at = 0
        while (child := 2 * at + 1) < len(heap):
            if child + 1 < len(heap) and self._head(heap[child]) > self._head(heap[child + 1]):
                child += 1
            if self._head(last) <= self._head(heap[child]):
                break
            heap[at] = heap[child]
            at = child
        heap[at] = last
        return first
