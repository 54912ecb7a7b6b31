"""Stores brought up to the end of their changelogs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import RocksDBResources, StoreKind, StoreSpec, open_store
from state.filling import FILLED_RECORDS
from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryConsumer
from streams.errors import ChangelogLost, ClientError, OffsetOutOfRange
from streams.record import Batch, TopicPartition
from streams.runtime.changelog import Changelog
from streams.runtime.restorer import FILLED_AT_ONCE, STANDSTILL_S, Restorer, SilentListener
from streams.runtime.task import TaskId
from streams.serdes import serde_for

LOG = TopicPartition("app-s-changelog", 0)
TASK = TaskId(0, 0)


class OneStore:
    """What the restorer needs of a task: its id and its changelogs. A store on disk is filled from `fills_from` records on."""

    def __init__(
        self,
        directory: Path | None = None,
        partition: int = 0,
        *,
        fills_from: int = FILLED_RECORDS,
        kind: StoreKind = StoreKind.KEY_VALUE,
    ) -> None:
        self.id = TaskId(0, partition)
        self.log = TopicPartition(LOG.topic, partition)
        self.directory = directory
        self.fills_from = fills_from
        spec = StoreSpec(
            name="s",
            kind=kind,
            key_serde=serde_for(str),
            value_serde=serde_for(int),
            logged=True,
            retention_ms=1_000 if kind is StoreKind.VERSIONED_KEY_VALUE else 0,
        )
        self.take(open_store(spec, directory=directory, resources=directory and RocksDBResources()))

    def take(self, store: Any) -> None:
        self.store = store
        begin = store.begin_restore
        store.begin_restore = lambda records: begin(records * FILLED_RECORDS // self.fills_from)

    def come_back(self) -> None:
        """Another store goes on with the engine of the one that is let go."""
        self.take(open_store(self.store.spec, directory=self.directory, engine=self.store.hand_over()))

    def changelogs(self) -> list[Changelog]:
        return [Changelog(self.store, self.log)]


class Told(SilentListener):
    """Writes down what it is told of restores."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def started(self, store: str, partition: TopicPartition, position: int, end: int) -> None:
        self.said.append(("started", store, position, end))

    def ended(self, store: str, partition: TopicPartition, records: int) -> None:
        self.said.append(("ended", store, records))


def logged(*entries: tuple[str, int | None]) -> MemoryBroker:
    return all_logged([entries])


def all_logged(logs: Sequence[Sequence[tuple[str, int | None]]]) -> MemoryBroker:
    broker = MemoryBroker()
    broker.create(NewTopic(LOG.topic, len(logs)))
    value = serde_for(int).serialize
    for partition, entries in enumerate(logs):
        broker.append(
            TopicPartition(LOG.topic, partition),
            Batch(
                [key.encode() for key, _ in entries],
                [None if number is None else value(number) for _, number in entries],
                [0] * len(entries),
            ),
        )
    return broker


def restorer(broker: MemoryBroker, told: SilentListener, *, max_records: int = 2, **settings: Any) -> Restorer:
    return Restorer(
        lambda: MemoryConsumer(broker, None, max_records=max_records),
        told,
        stall_s=settings.pop("stall_s", 60),
        **settings,
    )


def test_restores_everything_into_a_new_store() -> None:
    """Several fetches, a delete among them; the listener hears of it, and the position is the end."""
    broker, task, told = logged(("a", 1), ("b", 2), ("a", None), ("c", 3)), OneStore(), Told()
    work = restorer(broker, told)
    assert work.add(task, {}) == []
    while not (done := work.step(0)):
        pass
    assert done == [TASK]
    assert list(task.store.all()) == [("b", 2), ("c", 3)]
    assert (task.store.position, told.said) == (4, [("started", "s", 0, 4), ("ended", "s", 4)])


@pytest.mark.parametrize("hurried", [True, False])
def test_who_is_hurried_takes_one_piece_a_turn(*, hurried: bool) -> None:
    """Records of two stores have come: a turn applies all of them, or only what is of one if something else waits."""
    broker, tasks = MemoryBroker(), (OneStore(), OneStore(partition=1))
    broker.create(NewTopic(LOG.topic, 2))
    for task in tasks:
        broker.append(task.log, Batch([b"a"], [serde_for(int).serialize(1)], [0]))
    work = restorer(broker, SilentListener())
    for task in tasks:
        work.add(task, {})
    turns = [work.step(0, lambda: hurried) for _ in tasks]
    assert list(map(len, turns)) == ([1, 1] if hurried else [2, 0])
    assert sorted(chain(*turns)) == [task.id for task in tasks]


def test_many_records_fill_the_store(tmp_path: Path) -> None:
    """A store with much to restore is filled meanwhile; a task that is let go hands over what is there, to go on with."""
    records, keys = 2 * FILLED_RECORDS, 1_000
    broker, task = logged(*((f"{number % keys:04}", number) for number in range(records))), OneStore(tmp_path)
    now = iter(range(1_000))
    work = restorer(broker, SilentListener(), clock=lambda: float(next(now)), max_records=20_000)
    work.add(task, {})
    assert task.store.fills
    work.step(0)
    assert task.store.position == 20_000
    work.remove(TASK)
    task.come_back()
    assert (task.store.fills, task.store.get("0000")) == (False, 20_000 - keys)
    work.add(task, {})
    while not work.step(0):
        assert task.store.fills
    assert not task.store.fills
    assert list(task.store.all()) == [(f"{number:04}", records - keys + number) for number in range(keys)]
    assert task.store.position == records
    task.store.close()


def test_a_store_that_still_writes_holds_up_nobody(tmp_path: Path) -> None:
    """It has all records, is not complete before they are in files, and may be let go in between, to go on elsewhere."""
    broker, task = logged(*((f"{number:06}", number) for number in range(FILLED_RECORDS))), OneStore(tmp_path)
    work = restorer(broker, SilentListener(), max_records=FILLED_RECORDS)
    work.add(task, {})
    writes = task.store.restore_is_over
    task.store.restore_is_over = lambda: bool(writes() and False)
    for _ in range(3):
        assert work.step(0.001) == []
    assert (work.active, task.store.fills, task.store.position) == (True, True, FILLED_RECORDS)
    work.remove(TASK)
    assert not work.active
    task.come_back()
    work.add(task, {})
    assert work.step(0) == [TASK]
    assert (task.store.get("000000"), task.store.position) == (0, FILLED_RECORDS)
    task.store.close()


ENTRIES = st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | st.integers(0, 9)), min_size=1, max_size=14)


@settings(max_examples=15, deadline=None)
@given(logs=st.lists(ENTRIES, min_size=1, max_size=4), let_go=st.sets(st.tuples(st.integers(0, 12), st.integers(0, 3))))
def test_stores_are_filled_one_after_the_other(
    logs: list[list[tuple[str, int | None]]], let_go: set[tuple[int, int]]
) -> None:
    """Those with little to restore go on beside them; tasks are let go and come back in between, and all are as logged."""
    with TemporaryDirectory() as directory:
        tasks = [OneStore(Path(directory) / str(number), number, fills_from=6) for number in range(len(logs))]
        work = restorer(all_logged(logs), SilentListener(), clock=lambda: 0.0)
        for task in tasks:
            work.add(task, {})
        done: set[TaskId] = set()
        for turn in count():
            done.update(work.step(0.001))
            for task in [task for task in tasks if (turn, task.log.partition) in let_go and task.id not in done]:
                work.remove(task.id)
                task.come_back()
                work.add(task, {})
            ends = dict(zip(tasks, map(len, logs), strict=True))
            begun = [task for task in tasks if task.store.fills and 0 < (task.store.position or 0) < ends[task]]
            assert let_go or len(begun) <= FILLED_AT_ONCE
            if len(done) == len(tasks):
                break
        for task, entries in zip(tasks, logs, strict=True):
            assert dict(task.store.all()) == {key: value for key, value in dict(entries).items() if value is not None}
            assert (task.store.position, task.store.fills) == (len(entries), False)
            task.store.close()


def test_a_broker_that_is_away_holds_up_only_its_own(tmp_path: Path) -> None:
    """Nothing arrives of the store that is filled first: the others are read beside it, and are through."""
    logs, now = [[("a", number), ("b", number)] for number in range(3)], [0.0]
    tasks = [OneStore(tmp_path / str(number), number, fills_from=2) for number in range(3)]
    work = restorer(all_logged(logs), SilentListener(), clock=lambda: now[0])
    for task in tasks:
        work.add(task, {})
    work._made.pause([tasks[0].log])
    assert [work.step(0) for _ in range(3)] == [[], [], []]
    now[0] = STANDSTILL_S + 0.1
    done: set[TaskId] = set()
    while len(done) < 2:
        done.update(work.step(0))
    assert done == {tasks[1].id, tasks[2].id}
    work._made.resume([tasks[0].log])
    while not (last := work.step(0)):
        pass
    assert last == [tasks[0].id]
    for task in tasks:
        assert task.store.get("a") == task.log.partition
        task.store.close()


def test_restores_only_what_is_missing() -> None:
    """A store that was complete up to offset 2 reads two records."""
    broker, task, told = logged(("a", 1), ("b", 2), ("c", 3), ("d", 4)), OneStore(), Told()
    task.store.restore([], [], [], 2)
    work = restorer(broker, told)
    work.add(task, {})
    assert work.step(0) == [TASK]
    assert told.said == [("started", "s", 2, 4), ("ended", "s", 2)]
    assert list(task.store.all()) == [("c", 3), ("d", 4)]


def test_a_turn_ends_when_its_time_is_over() -> None:
    """What has arrived waits for the next turn, so that tasks that run get theirs; what was let go is not applied."""
    broker, task = logged(("a", 1)), OneStore()
    now = iter(range(1_000))
    work = restorer(broker, SilentListener(), clock=lambda: float(next(now)))
    work.add(task, {})
    for number in range(2, 6):
        broker.append(LOG, Batch([b"a"], [serde_for(int).serialize(number)], [0]))
    work.remove(TASK)
    work.add(task, {})
    turns = 1
    while not work.step(0):
        turns += 1
    assert (turns, task.store.get("a"), task.store.position) == (3, 5, 5)


def test_nothing_to_restore_is_done_at_once() -> None:
    """A complete store needs no consumer turn."""
    task = OneStore()
    task.store.restore([], [], [], 1)
    work = restorer(logged(("a", 1)), SilentListener())
    work.add(task, {})
    assert work.step(0) == [TASK]
    assert not work.active


def test_a_source_topic_is_restored_up_to_the_committed_offset() -> None:
    """What was not processed yet stays for the task."""
    task = OneStore()
    work = restorer(logged(("a", 1), ("b", 2), ("c", 3)), SilentListener())
    work.add(task, {LOG: 2})
    assert work.step(0) == [TASK]
    assert (list(task.store.all()), task.store.position) == ([("a", 1), ("b", 2)], 2)


@pytest.mark.parametrize("kind", [StoreKind.KEY_VALUE, StoreKind.TIMESTAMPED_KEY_VALUE, StoreKind.VERSIONED_KEY_VALUE])
@pytest.mark.parametrize("fills_from", [1, FILLED_RECORDS])
def test_records_of_a_source_topic_without_a_key_are_not_restored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: StoreKind, fills_from: int
) -> None:
    """Processing drops them, so the store on disk goes without them too, whole or filled, as Kafka Streams' does."""
    task, told = OneStore(tmp_path, fills_from=fills_from, kind=kind), Told()
    broker = logged(("a", 1))
    value = serde_for(int).serialize(7)
    broker.append(LOG, Batch([None, b"b", None], [value, value, value], [0] * 3))
    work = restorer(broker, told, max_records=10)
    work.add(task, {LOG: 4})
    while not (done := work.step(0)):
        pass
    assert (done, task.store.position, told.said[-1]) == ([TASK], 4, ("ended", "s", 2))
    assert [key for key, _ in task.store.all()] == ["a", "b"]
    assert "2 record(s) without a key" in caplog.text
    task.store.close()


def test_retention_takes_what_a_store_waits_to_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While another is filled, the next one's first records are deleted: it goes on where its log begins now."""
    logs = [[(f"{key}", number) for number, key in enumerate("abcdef")] for _ in range(3)]
    broker, told = all_logged(logs), Told()
    tasks = [OneStore(tmp_path / str(number), number, fills_from=2) for number in range(3)]
    work = restorer(broker, told, clock=lambda: 0.0)
    for task in tasks:
        work.add(task, {})
    broker.partition(tasks[1].log).delete_before(4)
    broker.partition(tasks[2].log).delete_before(6)
    done: set[TaskId] = set()
    while len(done) < 3:
        done.update(work.step(0))
    kept = [dict(logs[0]), {"e": 4, "f": 5}, {}]
    assert [dict(task.store.all()) for task in tasks] == kept
    assert [task.store.position for task in tasks] == [6] * 3
    assert "has no offset 0: retention deleted it" in caplog.text
    assert "restoring s goes on at 4" in caplog.text
    for task in tasks:
        task.store.close()


def test_a_task_that_has_left_needs_nothing_that_is_gone() -> None:
    """The answer that its changelog has lost something comes late: nobody is told."""
    task = OneStore()
    work = restorer(logged(("a", 1)), SilentListener())
    work.add(task, {})
    work.remove(TASK)
    work._go_on_after(OffsetOutOfRange(LOG.topic, 0, 9))
    assert (work.corrupt(), work.active) == ([], False)


def made_anew(*entries: tuple[str, int | None]) -> Restorer:
    """A restore that has come as far as offset 2 of 4 when the topic is made anew, with these records."""
    broker, task = logged(("a", 1), ("b", 2), ("c", 3), ("d", 4)), OneStore()
    work = restorer(broker, SilentListener(), clock=lambda: 0.0)
    work.add(task, {})
    work.step(0)
    assert task.store.position == 2
    broker.delete(LOG.topic)
    broker.create(NewTopic(LOG.topic, 1))
    for key, number in entries:
        broker.append(LOG, Batch([key.encode()], [serde_for(int).serialize(number)], [0]))
    return work


def test_a_changelog_made_anew_during_a_restore_is_told() -> None:
    """The store is ahead of it then: whoever owns it sets it aside, and restores another from the beginning."""
    work = made_anew(("z", 1))
    assert work.step(0) == []
    ((at, store, reason),) = work.corrupt()
    assert (at, store) == (TASK, "s")
    assert "up to offset 2" in reason
    assert work.corrupt() == []
    work.remove(TASK)
    fresh = OneStore()
    work.add(fresh, {})
    assert work.step(0) == [TASK]
    assert list(fresh.store.all()) == [("z", 1)]


def test_a_changelog_made_anew_and_empty_during_a_restore_is_an_error() -> None:
    """As at the start: to go on would lose the state silently."""
    work = made_anew()
    with pytest.raises(ChangelogLost, match="is empty, and the store has taken in its records up to offset 2"):
        work.step(0)


def test_a_store_ahead_of_its_changelog_is_corrupt() -> None:
    """The topic was made anew: said with both offsets, and not begun."""
    task = OneStore()
    task.store.restore([], [], [], 9)
    (corruption,) = restorer(logged(("a", 1)), SilentListener()).add(task, {})
    assert (corruption.store, corruption.task) == ("s", TASK)
    assert "up to offset 9" in corruption.reason


@pytest.mark.parametrize("is_source", [False, True])
def test_a_store_of_a_changelog_that_was_made_anew_is_corrupt(is_source: bool) -> None:
    """Its position is one of the topic before, also where the new one has grown past it, or is the task's input."""
    broker, task = logged(("a", 1), ("b", 2)), OneStore()
    work = restorer(broker, SilentListener())
    assert work.add(task, {LOG: 2} if is_source else {}) == []
    assert work.step(0) == [TASK]
    broker.delete(LOG.topic)
    broker.create(NewTopic(LOG.topic, 1))
    for number in range(5):
        broker.append(LOG, Batch([b"z"], [serde_for(int).serialize(number)], [0]))
    (corruption,) = work.add(task, {LOG: 5} if is_source else {})
    assert (corruption.store, corruption.task) == ("s", TASK)
    assert f"another topic of the name {LOG.topic}" in corruption.reason
    assert not work.active


def test_a_store_that_knows_no_changelog_takes_this_one_for_its_own() -> None:
    """An earlier release has noted none: what is there counts, and from now on it is held against the topic."""
    broker, task = logged(("a", 1), ("b", 2)), OneStore()
    task.store.restore([b"a"], [serde_for(int).serialize(1)], [0], 1)
    work = restorer(broker, SilentListener())
    assert work.add(task, {}) == []
    assert work.step(0) == [TASK]
    assert list(task.store.all()) == [("a", 1), ("b", 2)]
    broker.delete(LOG.topic)
    broker.create(NewTopic(LOG.topic, 1))
    for _ in range(3):
        broker.append(LOG, Batch([b"z"], [None], [0]))
    assert work.add(task, {})


def test_standing_still_is_an_error() -> None:
    """When nothing arrives for too long it says where it stands."""
    broker, task, now = logged(("a", 1)), OneStore(), [0.0]
    work = restorer(broker, SilentListener(), stall_s=10, clock=lambda: now[0])
    work.add(task, {})
    work._made.pause([LOG])
    now[0] = 11.0
    with pytest.raises(ClientError, match="restoring s stands still at offset 0"):
        work.step(0)


def test_a_removed_task_is_forgotten() -> None:
    """A task that moved away is never reported."""
    task = OneStore()
    work = restorer(logged(("a", 1)), SilentListener())
    work.add(task, {})
    work.remove(TASK)
    assert work.step(0) == []
