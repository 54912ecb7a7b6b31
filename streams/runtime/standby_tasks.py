"""Standby tasks: copies of stores that others run, kept warm from their changelogs on a consumer of their own.

Each turn opens what is wanted and free, and applies records for as long as it is given, so that running tasks are not
held up. Rules: a standby does nothing but step 4 of a commit: what is committed goes into the engine, with its position.
Where a source topic serves as changelog, it stops at the offset that the group has committed: what is beyond was not
processed yet. A copy that is taken over hands its engines to the task, which restores what is missing.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from state.errors import StoreLocked
from state.stores import Store, StoreSpec
from streams.clients.base import Consumer, OffsetAndMetadata
from streams.clients.raw_batch import RawBatch
from streams.errors import OffsetOutOfRange
from streams.record import TopicPartition
from streams.restore_events import MIGRATED, PROMOTED, RestoreStage, StandbyEvent
from streams.runtime.changelog import with_keys
from streams.runtime.restorer import RestoreListener
from streams.runtime.task import TaskId
from streams.runtime.task_stores import TaskStores
from streams.runtime.turns import Rests
from streams.topology.topology import Topology

log = logging.getLogger(__name__)

OPEN_RETRY_S = 0.5
LIMITS_EVERY_S = 0.5
NO_LIMIT = 1 << 62

Decided = Callable[[Iterable[TopicPartition]], Mapping[TopicPartition, OffsetAndMetadata | None]]


class Logged(NamedTuple):
    """A store and its changelog; `source` says that the topic is an input of the task as well.

    It has `partitions`; None where that is not known, or not for good.
    """

    spec: StoreSpec
    topic: str
    source: bool = False
    partitions: int | None = None


def logged_stores(topology: Topology, changelogs: Mapping[str, int]) -> dict[int, list[Logged]]:
    """The stores of each sub-topology that have changelogs; `changelogs` are their partition counts."""
    return {
        part.id: [
            Logged(spec, topic, source=topic in part.source_topics, partitions=changelogs.get(topic))
            for spec in part.stores
            if (topic := part.changelogs.get(spec.name)) is not None
        ]
        for part in topology.subtopologies
    }


def changelog_ends(
    topology: Topology, consumer: Consumer
) -> Callable[[Iterable[TopicPartition]], dict[TopicPartition, int]]:
    """Asks for the ends of changelogs; that of a source topic is what the group has committed."""
    sources = set(topology.source_topics)

    def ends(partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        asked = set(partitions)
        inputs = {partition for partition in asked if partition.topic in sources}
        committed = consumer.decided(inputs) if inputs else {}
        found = consumer.high_watermarks(asked - inputs)
        return found | {partition: entry.offset for partition, entry in committed.items() if entry is not None}

    return ends


class _Copy(NamedTuple):
    """One store of a standby."""

    task: TaskId
    spec: StoreSpec
    store: Store


class StandbyTasks:
    """See the module. `logged` has the stores of each sub-topology, `decided` the offsets that the group committed."""

    def __init__(
        self,
        consumer: Callable[[], Consumer],
        stores: TaskStores,
        logged: Mapping[int, Sequence[Logged]],
        decided: Decided,
        listener: RestoreListener,
        *,
        transactional: bool = False,
    ) -> None:
        self._make_consumer = consumer
        self._markers = int(transactional)
        self._made: Consumer | None = None
        self._stores = stores
        self._logged = logged
        self._decided = decided
        self._listener = listener
        self._wanted: set[TaskId] = set()
        self._filling: set[TaskId] = set()
        self._copies: dict[TopicPartition, _Copy] = {}
        self._limits: dict[TopicPartition, int] = {}
        self._limits_due = 0.0
        self._fetched: deque[RawBatch] = deque()
        self._open_due = 0.0
        self._rests = Rests()
        self.busy = False
        """Whether the last turn found records to apply, so that more may be waiting."""

    @property
    def tasks(self) -> frozenset[TaskId]:
        """The standbys that are open."""
        return frozenset(copy.task for copy in list(self._copies.values()))

    @property
    def active(self) -> bool:
        """Whether there is anything to keep warm."""
        return bool(self._wanted)

    def want(self, tasks: Iterable[TaskId]) -> None:
        """Have exactly these; tasks without logged stores need no copy.

        Nor do those that are none of this program's: in a rolling upgrade the leader may run another one.
        """
        self._wanted = {task for task in tasks if self._has(task)}
        for task in self.tasks - self._wanted:
            self._close(task)
        self._open_due = 0.0

    def _has(self, task: TaskId) -> bool:
        logged = self._logged.get(task.subtopology, ())
        return bool(logged) and all(each.partitions is None or task.partition < each.partitions for each in logged)

    def hand_over(self, task: TaskId) -> None:
        """Let go of a standby whose task is about to run here: its engines stay open, and its directory ours."""
        self._wanted.discard(task)
        for copy in self._forget(task, PROMOTED):
            self._stores.park(task, copy.store)

    def step(
        self, timeout_s: float, slice_s: float, hurried: Callable[[], bool] = lambda: False, *, rests: bool = False
    ) -> None:
        """Apply what has arrived for `slice_s`, after waiting up to `timeout_s` for it; one batch when `hurried`.

        Before one is opened, it `rests` from the last one, for a commit that is under way.
        """
        now = time.monotonic()
        if now >= max(self._open_due, self._rests.over_at if rests else 0.0):
            self._open_due = now + (OPEN_RETRY_S if self._open_wanted() else 0.0)
        if not self._copies:
            return
        self._raise_limits(now)
        if not self._fetched:
            self._fetched.extend(self._poll(timeout_s))
        until = time.monotonic() + slice_s
        touched: set[TaskId] = set()
        while self._fetched:
            touched |= self._apply(self._fetched.popleft())
            if time.monotonic() >= until or hurried():
                break
        self.busy = bool(touched)
        for task in touched:
            self._stores.note(task, self._stores_of(task))
        for task in [task for task in self._filling if self.lag(task) == 0]:
            self._filling.discard(task)
            log.info("standby of task %s is complete", task)

    def positions(self) -> dict[TaskId, int]:
        """By task, how far its stores have come: the sum of their changelog offsets."""
        found: dict[TaskId, int] = {}
        for copy in self._copies.values():
            found[copy.task] = found.get(copy.task, 0) + (copy.store.position or 0)
        return found

    def stores(self, name: str, partition: int | None = None) -> list[Store]:
        """The open copies of a store, or that of a partition."""
        named = [copy for copy in list(self._copies.values()) if copy.spec.name == name]
        return [copy.store for copy in named if partition in {None, copy.task.partition}]

    def lag(self, task: TaskId) -> int | None:
        """Records that a standby is behind; None while that is not known."""
        mine = {partition: copy for partition, copy in self._copies.items() if copy.task == task}
        lags = [self._lag(partition, copy.store) for partition, copy in mine.items()]
        if not mine or None in lags:
            return None
        return sum(lag for lag in lags if lag is not None)

    def close(self) -> None:
        """Let go of all, and disconnect."""
        for task in self.tasks:
            self._close(task)
        self._wanted = set()
        if self._made is not None:
            self._made.close()

    # Opening and closing

    def _open_wanted(self) -> bool:
        """Open one standby that can be opened, since that takes a while; the answer is whether none was left."""
        for task in sorted(self._wanted - self.tasks):
            try:
                with self._rests:
                    opened = self._opened(task)
            except StoreLocked as error:
                log.debug("standby %s waits: %s", task, error)
                continue
            log.info("standby of task %s is open", task)
            self._copies |= opened
            self._filling.add(task)
            self._assign(opened)
            return False
        return True

    def _opened(self, task: TaskId) -> dict[TopicPartition, _Copy]:
        opened: dict[TopicPartition, _Copy] = {}
        try:
            for each in self._logged[task.subtopology]:
                store = self._stores.open_standby(each.spec, task)
                opened[TopicPartition(each.topic, task.partition)] = _Copy(task, each.spec, store)
            ids = self._consumer().topic_ids({each.topic for each in self._logged[task.subtopology]})
            for partition, copy in opened.items():
                if partition.topic in ids and not copy.store.counts_in(ids[partition.topic]):
                    why = f"{partition.topic} was deleted and made anew since it was filled"
                    opened[partition] = self._anew(copy, why)
        except Exception:
            for copy in opened.values():
                copy.store.close()
            self._stores.release(task)
            raise
        return opened

    def _stores_of(self, task: TaskId) -> list[Store]:
        return [copy.store for copy in self._copies.values() if copy.task == task]

    def _close(self, task: TaskId) -> None:
        closed = self._forget(task, MIGRATED)
        self._stores.note(task, [copy.store for copy in closed], at_least=1)
        for copy in closed:
            copy.store.close()
        self._stores.release(task)
        log.info("standby of task %s is closed", task)

    def _forget(self, task: TaskId, reason: str) -> list[_Copy]:
        """Read a task's changelogs no longer."""
        gone = {partition: copy for partition, copy in self._copies.items() if copy.task == task}
        ends = {partition: self._end(partition) for partition in gone}
        self._filling.discard(task)
        for partition in gone:
            del self._copies[partition]
            self._limits.pop(partition, None)
        self._fetched = deque(each for each in self._fetched if (each.topic, each.partition) not in gone)
        self._assign({})
        for partition, copy in gone.items():
            at = copy.store.position or 0
            self._tell(RestoreStage.SUSPENDED, partition, copy, at, ends[partition], reason=reason)
        return list(gone.values())

    def _assign(self, opened: Mapping[TopicPartition, _Copy]) -> None:
        """Read the changelogs of all copies, those just opened from their positions on."""
        if self._made is None and not opened:
            return
        consumer = self._consumer()
        consumer.assign(self._copies)
        fresh = [partition for partition, copy in opened.items() if copy.store.position is None]
        first = consumer.beginning_offsets(fresh)
        for partition, copy in opened.items():
            start = first.get(partition, copy.store.position or 0)
            consumer.seek(partition, start)
            if self._is_source(partition, copy):
                self._hold(partition, 0)
            self._tell(RestoreStage.START, partition, copy, start, None)

    def _consumer(self) -> Consumer:
        if self._made is None:
            self._made = self._make_consumer()
        return self._made

    # Source topics that serve as changelogs

    def _is_source(self, partition: TopicPartition, copy: _Copy) -> bool:
        return any(each.source and each.topic == partition.topic for each in self._logged[copy.task.subtopology])

    def _hold(self, partition: TopicPartition, limit: int) -> None:
        """Read no further than this for now."""
        self._limits[partition] = limit
        self._limits_due = 0.0
        self._consumer().pause([partition])

    def _raise_limits(self, now: float) -> None:
        """Go on where more was committed."""
        if not self._limits or now < self._limits_due:
            return
        self._limits_due = now + LIMITS_EVERY_S
        for partition, entry in self._decided(list(self._limits)).items():
            if entry is not None and entry.offset > self._limits[partition]:
                self._limits[partition] = entry.offset
                self._consumer().resume([partition])

    # Applying

    def _poll(self, timeout_s: float) -> list[RawBatch]:
        try:
            return self._consumer().poll(timeout_s)
        except OffsetOutOfRange as error:
            self._start_over(TopicPartition(error.topic, error.partition), error)
            return []

    def _apply(self, batch: RawBatch) -> set[TaskId]:
        """Apply a batch; the answer is the task it was for, if that is still wanted."""
        partition = TopicPartition(batch.topic, batch.partition)
        copy = self._copies.get(partition)
        if copy is None:
            return set()
        limit = self._limits.get(partition, NO_LIMIT)
        columns, position = batch.columns(), batch.next_offset
        if position > limit:
            assert columns.offsets is not None, "fetched records have offsets"
            columns, position = columns.slice(0, sum(offset < limit for offset in columns.offsets)), limit
            self._consumer().seek(partition, max(limit, batch.first_offset))
            self._hold(partition, limit)
            self._fetched = deque(each for each in self._fetched if (each.topic, each.partition) != partition)
        if position > (copy.store.position or 0):
            if self._is_source(partition, copy):
                columns = with_keys(columns)
            values = copy.store.as_stored(columns.values, columns.headers)
            copy.store.restore(columns.keys, values, columns.timestamps, position)
            self._tell(RestoreStage.BATCH, partition, copy, position, self._end(partition), len(columns))
        return {copy.task}

    def _start_over(self, partition: TopicPartition, error: OffsetOutOfRange) -> None:
        """The changelog has lost what comes next, or was made anew: then the copy is worth nothing."""
        copy = self._copies.get(partition)
        if copy is None:
            return
        position = copy.store.position or 0
        first = self._consumer().beginning_offsets([partition])[partition]
        if position > first and self._is_ahead_by_marker(partition, position):
            return
        if position > first:
            self._copies[partition] = self._anew(copy, error)
        self._consumer().seek(partition, first)

    def _anew(self, copy: _Copy, why: object) -> _Copy:
        """An empty copy in the place of one that is worth nothing."""
        log.warning("standby of %s in task %s starts over: %s", copy.spec.name, copy.task, why)
        copy.store.close()
        if copy.spec.persistent:
            self._stores.set_aside(copy.task, copy.spec.name)
        return copy._replace(store=self._stores.open_standby(copy.spec, copy.task))

    def _is_ahead_by_marker(self, partition: TopicPartition, position: int) -> bool:
        """Whether a copy only lacks the marker of the last transaction, which is on its way; then it is read from there on.

        The task that ran here has counted it: a transaction is committed before its markers are written.
        """
        end = self._consumer().high_watermarks([partition])[partition]
        if not end or not end <= position <= end + self._markers:
            return False
        self._consumer().seek(partition, end)
        return True

    def _lag(self, partition: TopicPartition, store: Store) -> int | None:
        if partition in self._limits:
            return max(self._limits[partition] - (store.position or 0), 0) if self._limits[partition] else None
        end = self._end(partition)
        return None if end is None else max(end - (store.position or 0), 0)

    # Who is told

    def _end(self, partition: TopicPartition) -> int | None:
        """How far the changelog goes, as far as that is known: of a source topic, what is committed."""
        if partition in self._limits:
            return self._limits[partition] or None
        behind = self._consumer().lag(partition)
        return None if behind is None else self._consumer().position(partition) + behind

    def _tell(
        self,
        stage: RestoreStage,
        partition: TopicPartition,
        copy: _Copy,
        offset: int,
        end: int | None,
        records: int = 0,
        reason: str | None = None,
    ) -> None:
        event = StandbyEvent(stage, copy.spec.name, partition, str(copy.task), offset, end, records, reason)
        self._listener.standby(event)
