"""The source topics of a TopologyTestDriver: what was written to them, and which record is processed next.

Rules: of each topic the task has one record in hand, for only its source can say at what time it is; those that are left
out as they are read are passed over until there is one that is not. Where there is none, the last of them waits like a
record, at a time before all others, and its turn only commits that it was passed. What a record writes waits until it is
processed. Source: Kafka's TopologyTestDriver, RecordQueue and its CorruptedRecord.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.clients.memory import MemoryBroker
from streams.input_order import InputOrder
from streams.record import NO_TIMESTAMP, TopicPartition
from streams.runtime.task import Task

__all__ = ["ALL", "DriverInputs"]

ALL = 1 << 40


class DriverInputs:
    """See the module. `topics` are those of the task, `global_topics` those that fill global stores."""

    def __init__(
        self, broker: MemoryBroker, topics: Iterable[str], global_topics: Iterable[str], max_idle_ms: int
    ) -> None:
        self.next: TopicPartition | None = None
        """Which input the task takes its next record from."""
        self._broker = broker
        self._global_topics = frozenset(global_topics)
        self._topics = frozenset(topics) - self._global_topics
        self._waiting = InputOrder((topic for topic in topics if topic in self._topics), max_idle_ms)
        self._written: list[str] = []
        self._ends: dict[str, int] = {}
        self._handed_over: dict[str, int] = {}
        self._left_out: set[str] = set()
        """Topics whose turn is that of a record that was left out as it was read."""

    def wrote(self, topic: str) -> None:
        """Something was written to a topic."""
        self._written.append(topic)

    def process_next(self, task: Task, global_task: Task | None, now_ms: int) -> bool:
        """Process the record that is next; False when none could be. What was written before waits from now on."""
        self._enqueue(task, global_task)
        if global_task and global_task.process(now_ms, ALL):
            return True
        topic = self._waiting.take(now_ms)
        if topic is None:
            return False
        if topic in self._left_out:
            self._left_out.discard(topic)
        else:
            self.next = TopicPartition(topic, 0)
            task.process(now_ms, 1)
        self._bring_forward(topic, task)
        return True

    def _enqueue(self, task: Task, global_task: Task | None) -> None:
        """Have records wait that were written to source topics, in the order in which they were first written to."""
        written, self._written = dict.fromkeys(self._written), []
        for topic in written:
            if global_task and topic in self._global_topics:
                self._hand_over(topic, ALL, global_task)
            elif topic in self._topics:
                self._ends[topic] = self._broker.partition(TopicPartition(topic, 0)).end
                if topic not in self._waiting:
                    self._bring_forward(topic, task)

    def _bring_forward(self, topic: str, task: Task) -> None:
        """Have the first record of a topic wait by the time that its source finds in it, past those that are left out."""
        queue, begun = task.queue(TopicPartition(topic, 0)), self._handed_over.get(topic, 0)
        while self._handed_over.get(topic, 0) < self._ends[topic]:
            self._hand_over(topic, 1, task)
            time = queue.head_timestamp()
            if time is not None:
                self._waiting.add(topic, time)
                return
        if self._handed_over.get(topic, 0) > begun:
            self._left_out.add(topic)
            self._waiting.add(topic, NO_TIMESTAMP)

    def _hand_over(self, topic: str, limit: int, task: Task) -> None:
        """Give the next records of a topic to the task that reads it."""
        batch = self._broker.read(TopicPartition(topic, 0), self._handed_over.get(topic, 0), limit)
        if batch is not None:
            self._handed_over[topic] = batch.next_offset
            task.add(batch)
