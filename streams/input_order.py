"""Which input queue comes next, and whether it waits for the others: Kafka's answer, for the TopologyTestDriver.

Kafka keeps its queues that hold records in a java.util.PriorityQueue by the time of their first record, as the source's
timestamp extractor gives it; among equals the shape of that heap decides. In production the order of equal times depends on
fetches and means nothing; in a test it is always the same, and outputs recorded from Kafka show it. With max_task_idle_ms,
records wait for empty queues: one after the other, in the order of a HashMap, and only while there are records that wait.
Source: Kafka's PartitionGroup and TopologyTestDriver, java.util.PriorityQueue.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.java_queue import JavaQueue
from streams.topology.java_order import hash_ordered

__all__ = ["InputOrder"]

FIRST_PARTITION = 31 * 31
"""What the hash code of a TopicPartition of number 0 has before that of its topic."""


class InputOrder:
    """Topics whose records wait, each with the time of its first one.

    `topics` are all that may have some, and `max_idle_ms` is how long records wait for each of them that has none.
    """

    def __init__(self, topics: Iterable[str] = (), max_idle_ms: int = 0) -> None:
        self._heads: dict[str, int] = {}
        self._queue = JavaQueue(self._heads.__getitem__)
        self._topics = hash_ordered(hash_ordered(topics), FIRST_PARTITION)  # the driver finds them by name
        self._max_idle_ms = max_idle_ms
        self._deadlines: dict[str, int] = {}

    def __contains__(self, topic: str) -> bool:
        return topic in self._heads

    def add(self, topic: str, time: int) -> None:
        """The first record of a topic has this time: the topic had none that waited, or that one was taken."""
        assert topic not in self._heads, f"{topic} has a record that waits"
        self._heads[topic] = time
        self._queue.offer(topic)

    def take(self, now_ms: int = 0) -> str | None:
        """The topic whose first record is next; that record no longer waits. None when nothing does, or has to wait on."""
        if self._queue.first is None or self._waits_for_others(now_ms):
            return None
        topic = self._queue.poll()
        del self._heads[topic]
        return topic

    def _waits_for_others(self, now_ms: int) -> bool:
        """Whether some topic without a record has not been waited for long enough."""
        for topic in self._topics if self._max_idle_ms > 0 else ():
            if topic in self._heads:
                self._deadlines.pop(topic, None)
            elif now_ms < self._deadlines.setdefault(topic, now_ms + self._max_idle_ms):
                return True
        return False
