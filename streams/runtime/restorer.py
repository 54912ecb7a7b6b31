"""Brings stores up to the end of their changelogs, over a consumer of its own.

Each turn applies some of what has arrived and returns, so that the worker goes on polling its group and tasks that run
are not held up. Rules: a store is done
when the *position* has reached the end offset that was asked for at the start, not when the last record was seen, for
transaction markers and compacted gaps count; under exactly-once that end is the high watermark, beyond transactions
whose outcome is still to be written. A store that is ahead of its changelog cannot be trusted
(but for the marker of a transaction just committed, which may still be on its way), nor one whose position counts in a
topic that has been deleted since, and made anew; no progress for `stall_s` is an error, never a hang.
Stores that `fill` are read a few at a time, in the order they came: so their buffers take little memory, and the first
tasks run while the last ones wait. Where nothing arrives, all are read, for one broker that is away must not hold up the others.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from streams.clients.base import Consumer
from streams.clients.raw_batch import RawBatch
from streams.errors import ChangelogLost, ClientError, OffsetOutOfRange
from streams.record import TopicPartition, joined
from streams.restore_events import StandbyEvent
from streams.runtime.changelog import Changelog, with_keys
from streams.runtime.task import Task, TaskId

log = logging.getLogger(__name__)

SLICE_S = 0.05
"""How long one turn may apply records."""
WRITTEN_BYTES = 1 << 20
"""How much of what was fetched goes into a store at once."""
FILLED_AT_ONCE = 1
"""How many stores are filled at a time."""
STANDSTILL_S = 1.0
"""How long nothing may arrive before all are read."""
LOOK_S = 0.005
"""How long to wait for a store that is complete to be on disk, before the next look."""


class RestoreListener(Protocol):
    """Told how restores go, and standbys; `partition` is the changelog's."""

    def started(self, store: str, partition: TopicPartition, position: int, end: int) -> None:
        """A store will be restored from `position` up to, not including, `end`."""
        ...

    def progressed(self, store: str, partition: TopicPartition, position: int, records: int) -> None:
        """Records up to `position` were applied, so many."""
        ...

    def ended(self, store: str, partition: TopicPartition, records: int) -> None:
        """The store is complete; `records` were applied."""
        ...

    def suspended(self, store: str, partition: TopicPartition, records: int) -> None:
        """The store's task leaves before it is complete; `records` were applied."""
        ...

    def standby(self, event: StandbyEvent) -> None:
        """What is said of a standby's store."""
        ...


class _Restore:
    """One store on its way."""

    __slots__ = ("changelog", "end", "is_source", "position", "records", "task")

    def __init__(self, task: TaskId, changelog: Changelog, position: int, end: int, *, is_source: bool) -> None:
        self.task = task
        self.changelog = changelog
        self.position = position
        self.end = end
        self.is_source = is_source
        self.records = 0


class Corruption(NamedTuple):
    """A store that disagrees with its changelog."""

    task: TaskId
    store: str
    reason: str


class Restorer:
    """See the module. `consumer` makes the consumer when there is something to restore for the first time."""

    def __init__(
        self,
        consumer: Callable[[], Consumer],
        listener: RestoreListener,
        *,
        stall_s: float,
        transactional: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_consumer = consumer
        self._made: Consumer | None = None
        self._listener = listener
        self._stall_s = stall_s
        self._markers = int(transactional)
        self._clock = clock
        self._restores: dict[TopicPartition, _Restore] = {}
        self._read: set[TopicPartition] = set()
        """What the consumer reads: of these, and until they are through."""
        self._complete: list[_Restore] = []
        """What has come to its end, while its store still writes: the next ones go on meanwhile."""
        self._fetched: deque[RawBatch] = deque()
        self._corrupt: list[Corruption] = []
        self._open: dict[TaskId, set[TopicPartition]] = {}
        self._moved_at = 0.0

    @property
    def active(self) -> bool:
        """Whether anything is being restored."""
        return bool(self._restores or self._complete)

    def add(self, task: Task, ends: Mapping[TopicPartition, int]) -> list[Corruption]:
        """Begin with a task's stores; those that disagree with their changelogs come back, and are not begun.

        Shape: `ends` has the end of changelogs that are source topics too: the committed offset, beyond which records
        were not processed yet.
        """
        changelogs = {changelog.partition: changelog for changelog in task.changelogs()}
        self._open[task.id] = set()
        if not changelogs:
            return []
        found = self._consumer().high_watermarks(changelogs.keys() - ends.keys())
        first = self._consumer().beginning_offsets(changelogs)
        ids = self._consumer().topic_ids({partition.topic for partition in changelogs})
        corrupt: list[Corruption] = []
        for partition, changelog in changelogs.items():
            end = ends.get(partition, found.get(partition, 0))
            position = changelog.store.position
            if position and partition in found and not found[partition]:
                raise _lost(changelog, position)
            topic_id = ids.get(partition.topic)
            if position is not None and position > found.get(partition, position) + self._markers:
                corrupt.append(_ahead(task.id, changelog, position, end))
            elif topic_id is not None and not changelog.store.counts_in(topic_id):
                corrupt.append(_of_another(task.id, changelog))
            elif (start := max(position or 0, first[partition])) < end:
                self._begin(_Restore(task.id, changelog, start, end, is_source=partition in ends))
            elif position is None:
                changelog.store.restore([], [], [], end)
        self._moved_at = self._clock()
        self._assign()
        return corrupt

    def remove(self, task: TaskId) -> None:
        """Let go of a task's stores, wherever they are."""
        gone = self._open.pop(task, set())
        left = [each for each in [*self._restores.values(), *self._complete] if each.task == task]
        for partition in gone:
            self._restores.pop(partition, None)
        self._complete = [each for each in self._complete if each.task != task]
        self._fetched = deque(each for each in self._fetched if (each.topic, each.partition) not in gone)
        self._corrupt = [each for each in self._corrupt if each.task != task]
        self._assign()
        for restore in left:
            self._listener.suspended(restore.changelog.store.name, restore.changelog.partition, restore.records)

    def corrupt(self) -> list[Corruption]:
        """What `step` found to disagree with its changelog since this was asked last: to be removed, and begun anew."""
        found, self._corrupt = self._corrupt, []
        return found

    def step(self, timeout_s: float, hurried: Callable[[], bool] = lambda: False) -> list[TaskId]:
        """Apply what has arrived for SLICE_S, waiting up to `timeout_s` for it; the answer is the tasks that are complete.

        Once the worker is `hurried`, no more than one piece is applied.

        Raises: ClientError when nothing moves for too long, ChangelogLost when there is nothing left to restore from.
        """
        if self._restores:
            self._fetch(timeout_s)
            until = self._clock() + SLICE_S
            while self._fetched:
                self._apply(self._next_batches())
                if self._clock() >= until or hurried():
                    break
            self._check_stall()
        elif self._complete:
            time.sleep(min(timeout_s, LOOK_S))
        self._advance()
        done = [task for task, partitions in self._open.items() if not partitions]
        for task in done:
            del self._open[task]
        return done

    def close(self) -> None:
        """Disconnect."""
        if self._made is not None:
            self._made.close()

    def _consumer(self) -> Consumer:
        if self._made is None:
            self._made = self._make_consumer()
        return self._made

    def _begin(self, restore: _Restore) -> None:
        partition = restore.changelog.partition
        self._restores[partition] = restore
        self._read.discard(partition)
        self._open[restore.task].add(partition)
        restore.changelog.store.begin_restore(restore.end - restore.position)
        self._listener.started(restore.changelog.store.name, partition, restore.position, restore.end)

    def _assign(self, filled_at_once: int = FILLED_AT_ONCE) -> None:
        """Read what is being read, all stores that do not fill, and as many of the others as there is room for."""
        if self._made is None:
            return
        filled = {partition for partition, restore in self._restores.items() if restore.changelog.store.fills}
        before = self._read & self._restores.keys()
        room = max(filled_at_once - len(before & filled), 0)
        waiting = [partition for partition in self._restores if partition in filled and partition not in before]
        self._read = self._restores.keys() - waiting[room:]
        self._made.assign(self._read)
        for partition in self._read - before:
            self._made.seek(partition, self._restores[partition].position)

    def _fetch(self, timeout_s: float) -> None:
        if self._fetched:
            return
        try:
            self._fetched.extend(self._consumer().poll(timeout_s))
        except OffsetOutOfRange as error:
            self._go_on_after(error)

    def _go_on_after(self, error: OffsetOutOfRange) -> None:
        """The next record of a changelog is gone.

        What retention took while the restore was under way would not have been read by one that begins now either. A log
        that ends before the store's position was made anew.
        """
        partition = TopicPartition(error.topic, error.partition)
        restore = self._restores.get(partition)
        if restore is None or partition not in self._read:
            return  # its task has left meanwhile
        first = self._consumer().beginning_offsets([partition])[partition]
        if error.offset >= first:
            end = self._consumer().high_watermarks([partition])[partition]
            if not end:
                raise _lost(restore.changelog, restore.position) from error
            self._corrupt.append(_ahead(restore.task, restore.changelog, restore.position, end))
            return
        log.warning("%s: restoring %s goes on at %d", error, restore.changelog.store.name, first)
        restore.position = min(max(restore.position, first), restore.end)
        restore.changelog.store.restore([], [], [], restore.position)
        self._moved_at = self._clock()
        self._consumer().seek(partition, restore.position)

    def _next_batches(self) -> list[RawBatch]:
        """The next batches of one partition, written at once: keys that come again are written once, and sorted ones fast.

        One at a time where the store `fills`, and takes them as they come: memory that is used at once stays in the cache.
        """
        first = self._fetched.popleft()
        batches, size = [first], first.size
        restore = self._restores.get(TopicPartition(first.topic, first.partition))
        most = 0 if restore is not None and restore.changelog.store.fills else WRITTEN_BYTES
        while self._fetched and size < most:
            following = self._fetched[0]
            if (following.topic, following.partition) != (first.topic, first.partition):
                break
            batches.append(self._fetched.popleft())
            size += following.size
        return batches

    def _apply(self, batches: list[RawBatch]) -> None:
        last = batches[-1]
        partition = TopicPartition(last.topic, last.partition)
        restore = self._restores.get(partition)
        if restore is None:
            return
        columns = joined([batch.columns() for batch in batches])
        assert columns.offsets is not None, "fetched records have offsets"
        if last.next_offset > restore.end:
            columns = columns.slice(0, sum(offset < restore.end for offset in columns.offsets))
        if restore.is_source:
            columns = with_keys(columns)
        restore.position = min(last.next_offset, restore.end)
        restore.records += len(columns)
        store = restore.changelog.store
        values = store.as_stored(columns.values, columns.headers)
        store.restore(columns.keys, values, columns.timestamps, restore.position)
        self._moved_at = self._clock()
        self._listener.progressed(store.name, partition, restore.position, len(columns))

    def _advance(self) -> None:
        """Take leave of the stores whose position has reached the end, once they are written."""
        done = [restore for restore in self._restores.values() if restore.position >= restore.end]
        for restore in done:
            del self._restores[restore.changelog.partition]
        if done:
            self._assign()
        self._complete += done
        for restore in [each for each in self._complete if each.changelog.store.restore_is_over()]:
            self._complete.remove(restore)
            restore.changelog.store.end_restore()
            self._open[restore.task].discard(restore.changelog.partition)
            self._listener.ended(restore.changelog.store.name, restore.changelog.partition, restore.records)

    def _check_stall(self) -> None:
        still_s = self._clock() - self._moved_at
        if still_s > STANDSTILL_S and self._read != self._restores.keys():
            self._assign(len(self._restores))
        if self._restores and still_s > self._stall_s:
            partition, restore = next(iter(self._restores.items()))
            raise ClientError(
                f"restoring {restore.changelog.store.name} stands still at offset {restore.position:,} of {partition} "
                f"(end {restore.end:,}) for {self._stall_s:g} s: is the broker well?"
            )


class SilentListener:
    """Tells nobody."""

    def started(self, store: str, partition: TopicPartition, position: int, end: int) -> None:
        """Nothing."""

    def progressed(self, store: str, partition: TopicPartition, position: int, records: int) -> None:
        """Nothing."""

    def ended(self, store: str, partition: TopicPartition, records: int) -> None:
        """Nothing."""

    def suspended(self, store: str, partition: TopicPartition, records: int) -> None:
        """Nothing."""

    def standby(self, event: StandbyEvent) -> None:
        """Nothing."""


def _lost(changelog: Changelog, position: int) -> ChangelogLost:
    reason = f"is empty, and the store has taken in its records up to offset {position:,}"
    return ChangelogLost(changelog.partition.topic, changelog.store.name, reason)


def _ahead(task: TaskId, changelog: Changelog, position: int, end: int) -> Corruption:
    return Corruption(
        task,
        changelog.store.name,
        f"it has taken in {changelog.partition} up to offset {position:,}, but that topic ends at {end:,}: "
        "the topic was made anew, or the broker lost records",
    )


def _of_another(task: TaskId, changelog: Changelog) -> Corruption:
    return Corruption(
        task,
        changelog.store.name,
        f"it was filled from another topic of the name {changelog.partition.topic}, which was deleted and made anew since",
    )
