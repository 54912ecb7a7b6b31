"""The input of one task: a queue per partition, taken from in the order of timestamps.

Rules: the queue whose head record has the smallest timestamp is next, ties go to the queue named first; a batch ends
where another queue's head is due first, and where a punctuator on stream time falls due, so that the cut of batches
never shows in a result. Record batches wait undecoded and are decoded when they come to the front. While a queue is
empty, `max_task_idle_ms` says how long the others wait for it. Nothing here knows operators, stores or clients.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

from streams.clients.raw_batch import Part, RawBatch
from streams.record import NO_TIMESTAMP, Batch, Record, TopicPartition, joined

Deserialize = Callable[[Batch, int], Batch]
"""Raw columns and the partition time before them; the answer may hold fewer records."""

Lag = Callable[[TopicPartition], int | None]
"""Records the broker has beyond those handed over, None while unknown."""

PART_BYTES = 192 * 1024
"""Batches are decoded in parts of about this size: one that a processor's own cache holds, from the bytes up to what has
become of them, costs a quarter less than one of 1,000 KB. A core of today has 512 KB to 2 MB. Smaller ones meet the same keys
more often: an operator looks each up, and puts it, once per batch."""

DECODE_AT_LEAST = 256
"""Small record batches are joined up to this many records, so that a batch is worth its overhead."""

ALL = 1 << 62


def no_lag(_partition: TopicPartition) -> int | None:
    """For inputs that are complete whenever they are asked (the TopologyTestDriver)."""
    return 0


class PartitionQueue:
    """The records of one partition that wait: undecoded batches, and the decoded ones in front.

    `skipped` says that the position has passed offsets without a record (ends of transactions, aborted ones) since it
    was last set to False.
    """

    def __init__(self, partition: TopicPartition, deserialize: Deserialize) -> None:
        self.partition = partition
        self.partition_time = NO_TIMESTAMP
        self.position: int | None = None
        self.size = 0
        self.skipped = False
        self._deserialize = deserialize
        self._raw: deque[RawBatch] = deque()
        self._parts: Iterator[Part] = iter(())
        """What is left of the batch that is being decoded."""
        self._front: Batch | None = None
        self._origin: Batch | None = None
        """What was decoded last, as it was read: where dead letters come from."""
        self._cursor = 0
        self._latest = NO_TIMESTAMP
        self._after_front = 0
        self._fetched_to = 0
        self._front_size = 0
        self._at_passing: list[tuple[int, Callable[[], None]]] = []

    def add(self, raw: RawBatch) -> None:
        """Append a record batch as it was fetched."""
        if self.position is None:
            self.position = raw.first_offset
        self._raw.append(raw)
        self._fetched_to = raw.next_offset
        self.size += raw.size

    @property
    def empty(self) -> bool:
        """Whether no record waits; decodes until that is certain."""
        return self.head_timestamp() is None

    def head_timestamp(self) -> int | None:
        """The timestamp of the next record, None when there is none."""
        while self._front is None:
            if not self._decode():
                return None
        return self._front.timestamps[self._cursor]

    @property
    def decoded(self) -> int:
        """How many of the records that wait are decoded."""
        return 0 if self._front is None else len(self._front) - self._cursor

    @property
    def lag(self) -> int:
        """How many offsets the position is behind what was fetched; from any thread."""
        position = self.position
        return 0 if position is None else max(self._fetched_to - position, 0)

    def take(self, limit: int, bound: int, due: int) -> Batch:
        """The next records: at most `limit`, none later than `bound`, and none after the first at or past `due`.

        The head record is always taken; the caller has checked that there is one.
        """
        front, stop = self._cut_front(limit, bound, due)
        whole = self._cursor == 0 and stop == len(front)
        batch = front if whole else front.slice(self._cursor, stop)
        self.partition_time = max(self.partition_time, self._latest if whole else max(batch.timestamps))
        self._advance(front, stop)
        return batch

    def take_all(self, count: int) -> Batch:
        """The next `count` records, which were peeked: whatever has arrived since."""
        return self.take(count, ALL, ALL)

    def peek(self, limit: int, bound: int, due: int) -> Batch:
        """What `take` would give; it stays."""
        front, stop = self._cut_front(limit, bound, due)
        return front.slice(self._cursor, stop)

    def _cut_front(self, limit: int, bound: int, due: int) -> tuple[Batch, int]:
        front = self._front
        assert front is not None, "take from an empty queue"
        start, stop = self._cursor, min(len(front), self._cursor + limit)
        if self._latest > bound or self._latest >= due:
            stop = _cut(front.timestamps, start, stop, bound, due)
        return front, stop

    def waiting_timestamps(self, limit: int) -> list[int]:
        """Those of the next records that are decoded and not taken yet, at most `limit`."""
        assert self._front is not None, "asked of an empty queue"
        return self._front.timestamps[self._cursor : self._cursor + limit]

    def as_read(self, offset: int) -> Record | None:
        """A record in hand as it was fetched, in bytes; None when it is not among those decoded last."""
        origin = self._origin
        if origin is None or not origin.offsets:
            return None
        at = bisect_left(origin.offsets, offset)
        return origin.record(at) if at < len(origin) and origin.offsets[at] == offset else None

    def at_passing(self, offset: int, call: Callable[[], None]) -> None:
        """Call something when the position has passed a record that is left out; never, if it does not come to that."""
        self._at_passing.append((offset, call))

    def pass_on(self, before: int = ALL) -> None:
        """Call, in the order of offsets, what was to be called once the position has come to where it is, or to `before`."""
        if not self._at_passing:
            return
        assert self.position is not None, "what was read has a position"
        end = min(self.position, before)
        due = sorted((entry for entry in self._at_passing if entry[0] < end), key=itemgetter(0))
        self._at_passing = [entry for entry in self._at_passing if entry[0] >= end]
        for _, call in due:
            call()

    def clear(self) -> None:
        """Forget all that waits (the consumer goes back to another offset)."""
        self._at_passing.clear()
        self._raw.clear()
        self._parts = iter(())
        self._front = None
        self._cursor = self.size = 0
        self.position = None

    def _advance(self, front: Batch, stop: int) -> None:
        self._cursor = stop
        if stop < len(front):
            assert front.offsets is not None, "fetched records have offsets"
            self.position = front.offsets[stop]
            return
        self._drop_front()

    def _drop_front(self) -> None:
        self.position = self._after_front
        self.size -= self._front_size
        self._front, self._cursor = None, 0

    def _decode(self) -> bool:
        """Decode some records, if there are any; those whose every record was dropped only move the position."""
        parts = self._next_parts()
        if not parts:
            return False
        self._origin = joined([part.columns for part in parts])
        self._after_front, self._front_size = parts[-1].next_offset, sum(part.size for part in parts)
        front = self._deserialize(self._origin, self.partition_time)
        self._front, self._cursor = front, 0
        if not len(front):
            self.skipped = True
            self._drop_front()
            return True
        assert front.offsets is not None, "fetched records have offsets"
        self._latest = max(front.timestamps)
        self.position = front.offsets[0]
        return True

    def _next_parts(self) -> list[Part]:
        """The next parts of batches, enough to be worth the overhead of a batch; empty when nothing waits."""
        parts: list[Part] = []
        records = 0
        while records < DECODE_AT_LEAST:
            part = next(self._parts, None)
            if part is not None:
                parts.append(part)
                records += len(part.columns)
            elif self._raw:
                self._parts = self._raw.popleft().parts(PART_BYTES)
            else:
                break
        return parts


class Interleaved(NamedTuple):
    """The next records of two queues together: a batch of each, and whose record is next, turn by turn (0 or 1)."""

    queues: tuple[PartitionQueue, PartitionQueue]
    batches: tuple[Batch, Batch]
    turns: Sequence[int]


class PartitionGroup:
    """All input queues of a task, and its stream time."""

    def __init__(
        self,
        queues: Iterable[PartitionQueue],
        *,
        max_task_idle_ms: int = 0,
        lag: Lag = no_lag,
        choose: Callable[[], TopicPartition | None] | None = None,
    ) -> None:
        self.queues = {queue.partition: queue for queue in queues}
        self.stream_time = NO_TIMESTAMP
        self._ordered = list(self.queues.values())
        self._max_task_idle_ms = max_task_idle_ms
        self._lag = lag
        self._choose = choose
        self._idle_deadlines: dict[TopicPartition, int] = {}
        self.idle_deadline: int | None = None
        """When, in wall-clock ms, waiting for an empty queue ends; None when `ready` did not wait by the clock."""

    def add(self, raw: RawBatch) -> None:
        """Append fetched records to their partition's queue."""
        self.queues[TopicPartition(raw.topic, raw.partition)].add(raw)

    def ready(self, now_ms: int) -> bool:
        """Whether the next record may be taken: no empty queue could still deliver an earlier one.

        Source: Kafka's PartitionGroup.readyToProcess; -1 never waits, 0 waits while the broker is known, or not known
        not, to have more, and a positive setting waits that long beyond.
        """
        if len(self._ordered) == 1 or self._max_task_idle_ms < 0:
            return any(not queue.empty for queue in self._ordered)
        self.idle_deadline = None
        ready = False
        for queue in self._ordered:
            if not queue.empty:
                self._idle_deadlines.pop(queue.partition, None)
                ready = True
            elif self._waits_for(queue.partition, now_ms):
                return False
        return ready

    def take(self, limit: int, due: int | None = None) -> tuple[PartitionQueue, Batch] | None:
        """The next batch and its queue, None when all queues are empty. `due` is the next stream-time punctuation."""
        queue, bound = self._earliest()
        if queue is None:
            return None
        return queue, queue.take(limit, bound, ALL if due is None else due)

    def peek(self, limit: int, due: int | None = None) -> tuple[PartitionQueue, Batch] | None:
        """What `take` would give; it stays."""
        queue, bound = self._earliest()
        return None if queue is None else (queue, queue.peek(limit, bound, ALL if due is None else due))

    def take_interleaved(self, limit: int, due: int | None = None) -> Interleaved | None:
        """The next batches of a group of two queues in one; None unless both have records and take turns.

        What it takes, and in which order, is what calls of `take` would.
        """
        first, second = self._ordered
        if first.head_timestamp() is None or second.head_timestamp() is None:
            return None
        waiting = first.waiting_timestamps(limit), second.waiting_timestamps(limit)
        turns = _turns(*waiting, limit, ALL if due is None else due)
        counts = turns.count(False), turns.count(True)
        if not all(counts):
            return None
        return Interleaved((first, second), (first.take(counts[0], ALL, ALL), second.take(counts[1], ALL, ALL)), turns)

    @property
    def decoded(self) -> int:
        """How many of the records that wait are decoded."""
        return sum(queue.decoded for queue in self._ordered)

    def pass_on(self) -> None:
        """Call what waits for records to be passed, queue by queue."""
        for queue in self._ordered:
            queue.pass_on()

    def observe(self, timestamp: int) -> None:
        """Stream time moves up to `timestamp`; it never goes back."""
        self.stream_time = max(self.stream_time, timestamp)

    def _waits_for(self, partition: TopicPartition, now_ms: int) -> bool:
        lag = self._lag(partition)
        if lag is None or lag > 0:
            self._idle_deadlines.pop(partition, None)
            return True
        if self._max_task_idle_ms == 0:
            return False
        deadline = self._idle_deadlines.setdefault(partition, now_ms + self._max_task_idle_ms)
        if now_ms >= deadline:
            return False
        self.idle_deadline = deadline
        return True

    def _earliest(self) -> tuple[PartitionQueue | None, int]:
        """The queue to take from, and the latest timestamp that is not due elsewhere first."""
        if self._choose is not None:
            chosen = self._choose()
            return None if chosen is None or self.queues[chosen].empty else self.queues[chosen], ALL
        if len(self._ordered) == 1:
            only = self._ordered[0]
            return (None if only.empty else only), ALL
        heads = [(head, at) for at, queue in enumerate(self._ordered) if (head := queue.head_timestamp()) is not None]
        if not heads:
            return None, ALL
        heads.sort()
        first = heads[0][1]
        bound = ALL if len(heads) == 1 else _bound(first, heads[1:])
        return self._ordered[first], bound


def _bound(first: int, others: list[tuple[int, int]]) -> int:
    """Up to where queue `first` comes first: it wins ties against queues named later, and loses the other ones."""
    return min(head if first < at else head - 1 for head, at in others)


def _cut(timestamps: list[int], start: int, stop: int, bound: int, due: int) -> int:
    """The end of the batch that begins at `start`: before the first past `bound`, after the first at or past `due`."""
    for index in range(start, stop):
        timestamp = timestamps[index]
        if timestamp > bound and index > start:
            return index
        if timestamp >= due:
            return index + 1
    return stop


def _turns(first: list[int], second: list[int], limit: int, due: int) -> list[bool]:
    """Whether the next record is the second's, until one has no more, the first at or past `due` was taken, or `limit` were.

    Taking the earlier head again and again gives the order of the running maxima, ties to the first queue: a late record
    is taken right after the one it stands behind.
    """
    ahead = _maxima(first), _maxima(second)
    both = ahead[0] + ahead[1]
    order = sorted(range(len(both)), key=both.__getitem__)
    last = ahead[0][-1], ahead[1][-1]
    if last[0] <= last[1]:
        stop = len(first) + bisect_left(ahead[1], last[0])
    else:
        stop = len(second) + bisect_right(ahead[0], last[1])
    before_due = sum(bisect_left(maxima, due) for maxima in ahead)
    return list(map(len(first).__le__, order[: min(limit, stop, before_due + 1)]))


def _maxima(timestamps: list[int]) -> list[int]:
    """The highest timestamp up to each record: mostly its own."""
    return timestamps if timestamps == sorted(timestamps) else list(accumulate(timestamps, max))
