"""Standbys: warm copies that follow changelogs, become tasks, and are what tasks become."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from state import StateDirectory, StoreKind, StoreSpec
from streams.clients.base import NewTopic, OffsetAndMetadata
from streams.clients.memory import MemoryBroker, MemoryConsumer
from streams.config import StreamsConfig
from streams.record import Batch, TopicPartition
from streams.restore_events import StandbyEvent
from streams.runtime.restorer import SilentListener
from streams.runtime.standby_tasks import Logged, StandbyTasks
from streams.runtime.task import TaskId
from streams.runtime.task_stores import TaskStores
from streams.runtime.worker import Worker
from streams.serdes import serde_for
from tests.streams.runtime.workers import WORDS, Restores, caught_up, latest, running, say, until, worker

TASK = TaskId(0, 0)
LOG = TopicPartition("log", 0)
SPEC = StoreSpec(name="s", kind=StoreKind.KEY_VALUE, key_serde=serde_for(str), value_serde=serde_for(int))


class Told(SilentListener):
    """Writes down what it is told of standbys."""

    def __init__(self) -> None:
        self.said: list[StandbyEvent] = []

    def standby(self, event: StandbyEvent) -> None:
        self.said.append(event)


class Rig:
    """Standbys of one store, over a changelog in memory."""

    def __init__(self, tmp_path: Path, *, source: bool = False, transactional: bool = False) -> None:
        self.broker = MemoryBroker()
        self.broker.create(NewTopic(LOG.topic, 1))
        self.config = StreamsConfig.of(
            "app", {"broker": "kafka://memory:1", "state_dir": str(tmp_path)}, environment={}
        )
        self.stores = TaskStores(self.config)
        self.committed: dict[TopicPartition, OffsetAndMetadata | None] = {}
        self.told = Told()
        self.standbys = StandbyTasks(
            lambda: MemoryConsumer(self.broker, None, max_records=2),
            self.stores,
            {0: [Logged(SPEC, LOG.topic, source, partitions=1)]},
            lambda asked: {partition: self.committed.get(partition) for partition in asked},
            self.told,
            transactional=transactional,
        )

    def log(self, *entries: tuple[str, int]) -> None:
        keys, numbers = zip(*entries, strict=True)
        values = [serde_for(int).serialize(number) for number in numbers]
        self.broker.append(LOG, Batch([key.encode() for key in keys], values, [0] * len(keys)))

    def step(self, times: int = 8) -> None:
        for _ in range(times):
            self.standbys._open_due = self.standbys._limits_due = 0.0
            self.standbys.step(0, 1.0)

    @property
    def content(self) -> list[tuple[str, int]]:
        (store,) = self.standbys.stores("s")
        return list(store.all())

    def close(self) -> None:
        self.standbys.close()
        self.stores.close()


@pytest.fixture
def rig(tmp_path: Path) -> Any:
    made = Rig(tmp_path)
    yield made
    made.close()


def test_a_standby_follows_its_changelog(rig: Rig) -> None:
    """It takes in what comes, knows how far behind it is, and goes on from its position after a restart."""
    rig.log(("a", 1), ("b", 2), ("c", 3))
    rig.standbys.want([TASK])
    rig.step()
    assert (rig.content, rig.standbys.lag(TASK), rig.standbys.positions()) == (
        [("a", 1), ("b", 2), ("c", 3)],
        0,
        {TASK: 3},
    )
    rig.standbys.want([])
    assert not rig.standbys.active
    assert rig.stores.positions() == {"0_0": 3}
    rig.log(("a", 9))
    rig.standbys.want([TASK])
    rig.step()
    assert rig.content[0] == ("a", 9)


def test_a_task_that_this_program_does_not_have_gets_no_copy(rig: Rig) -> None:
    """In a rolling upgrade a leader of the other program names tasks by its own numbers; what is known is kept warm."""
    rig.log(("a", 1))
    rig.standbys.want([TASK, TaskId(0, 1), TaskId(7, 0)])
    rig.step()
    assert rig.standbys.tasks == {TASK}
    assert rig.content == [("a", 1)]


def test_a_standby_of_a_source_topic_stops_at_what_is_committed(tmp_path: Path) -> None:
    """What the group has not processed yet is no state yet."""
    rig = Rig(tmp_path, source=True)
    rig.log(("a", 1), ("b", 2), ("c", 3))
    rig.standbys.want([TASK])
    rig.step()
    assert (rig.content, rig.standbys.lag(TASK)) == ([], None)
    rig.committed[LOG] = OffsetAndMetadata(1)
    rig.step()
    assert (rig.content, rig.standbys.lag(TASK)) == ([("a", 1)], 0)
    rig.committed[LOG] = OffsetAndMetadata(3)
    rig.step()
    assert rig.content == [("a", 1), ("b", 2), ("c", 3)]
    rig.close()


def test_a_standby_of_a_source_topic_takes_no_records_without_a_key(tmp_path: Path) -> None:
    """Processing drops them: the copy goes on behind them."""
    rig = Rig(tmp_path, source=True)
    rig.log(("a", 1))
    rig.broker.append(LOG, Batch([None], [serde_for(int).serialize(2)], [0]))
    rig.log(("b", 3))
    rig.committed[LOG] = OffsetAndMetadata(3)
    rig.standbys.want([TASK])
    rig.step()
    assert (rig.content, rig.standbys.positions()) == ([("a", 1), ("b", 3)], {TASK: 3})
    rig.close()


def test_a_changelog_made_anew_is_followed_from_its_beginning(
    rig: Rig, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """A copy that is ahead of its changelog is set aside, and said so."""

    def out_of_range(partition: TopicPartition) -> None:
        from streams.errors import OffsetOutOfRange

        rig.standbys._start_over(partition, OffsetOutOfRange(LOG.topic, 0, 3))

    rig.log(("a", 1), ("b", 2), ("c", 3))
    rig.standbys.want([TASK])
    rig.step()
    rig.broker.delete(LOG.topic)
    rig.broker.create(NewTopic(LOG.topic, 1))
    rig.log(("z", 1))
    with caplog.at_level(logging.WARNING):
        out_of_range(LOG)
    rig.step()
    assert rig.content == [("z", 1)]
    assert "standby of s in task 0_0 starts over" in caplog.text
    assert list(tmp_path.glob("app/0_0/rocksdb/s.corrupt-1"))


def test_a_changelog_that_was_made_anew_and_has_grown_past_a_copy_is_followed_from_its_beginning(
    rig: Rig, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """A copy that is opened again tells the topics apart by their ids, and is set aside."""
    rig.log(("a", 1), ("b", 2))
    rig.standbys.want([TASK])
    rig.step()
    rig.standbys.want([])
    rig.broker.delete(LOG.topic)
    rig.broker.create(NewTopic(LOG.topic, 1))
    rig.log(("w", 1), ("x", 1), ("y", 1), ("z", 1))
    with caplog.at_level(logging.WARNING):
        rig.standbys.want([TASK])
        rig.step()
    assert rig.content == [("w", 1), ("x", 1), ("y", 1), ("z", 1)]
    assert "standby of s in task 0_0 starts over: log was deleted and made anew" in caplog.text
    assert list(tmp_path.glob("app/0_0/rocksdb/s.corrupt-1"))


@pytest.mark.parametrize("transactional", [True, False])
def test_a_copy_that_is_ahead_by_a_marker_is_kept(tmp_path: Path, transactional: bool) -> None:
    """The task that ran here counted the marker of its last transaction, which is written when the copy is open already.

    Without transactions there are no markers, and it cannot be trusted.
    """
    rig = Rig(tmp_path, transactional=transactional)
    rig.log(("a", 1), ("b", 2))
    rig.standbys.want([TASK])
    rig.step()
    (store,) = rig.standbys.stores("s")
    store.restore([], [], [], 3)
    rig.standbys.want([])
    rig.standbys.want([TASK])
    rig.step()
    assert not transactional or rig.standbys.positions() == {TASK: 3}
    for entry in (("marker", 3), ("c", 4)):
        rig.log(entry)
        rig.step()
    assert rig.content == [("a", 1), ("b", 2), ("c", 4), *([] if transactional else [("marker", 3)])]
    assert bool(list(tmp_path.glob("app/0_0/rocksdb/s.corrupt-1"))) is not transactional
    rig.close()


def test_a_directory_of_another_is_waited_for(rig: Rig, tmp_path: Path) -> None:
    """A standby opens when whoever has its directory lets go."""
    with StateDirectory(tmp_path, "app").open_task("0_0", owner="another"):
        rig.standbys.want([TASK])
        rig.step()
        assert rig.standbys.tasks == frozenset()
    rig.step()
    assert rig.standbys.tasks == {TASK}


def standing_by(broker: MemoryBroker, state_dir: Path, progress: Any = None, **settings: Any) -> Worker:
    return worker(broker, state_dir, progress, num_standby_replicas=1, poll_ms=5, **settings)


def warm(*workers: Worker) -> bool:
    """Whether each of two has a complete copy of what the other runs."""
    tasks = [each._parts.tasks for each in workers if each._parts]
    return len(tasks) == 2 and all(
        len(each.tasks) == 2 and len(each.standbys.tasks) == 1 and each.standbys.lag(min(each.standbys.tasks)) == 0
        for each in tasks
    )


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create(NewTopic("words", 2))
    broker.create(NewTopic("counts", 2))
    return broker


@pytest.mark.parametrize("store", ["rocksDB", "in_memory"])
def test_a_standby_takes_over_without_a_restore(broker: MemoryBroker, tmp_path: Path, store: str) -> None:
    """Wherever stores are: engines pass from standby to task, and when the other comes back, from task to standby."""
    restores = Restores()
    say(broker, WORDS)
    with running(standing_by(broker, tmp_path / "1", restores, default_dsl_store=store)) as (first,):
        for round_ in (1, 2):
            second = standing_by(broker, tmp_path / "2", default_dsl_store=store)
            with running(second):
                until(broker, lambda second=second: warm(first, second) and caught_up(broker))
                before = restores.records
            until(broker, lambda: len(first.tasks) == 4)
            say(broker, WORDS)
            until(broker, lambda: caught_up(broker))
            assert restores.records == before
            assert latest(broker) == Counter(WORDS * (round_ + 1))


def test_state_that_moved_away_is_removed_after_the_delay(broker: MemoryBroker, tmp_path: Path) -> None:
    """A worker without standbys keeps what it gave away for as long as it was told, and no longer."""
    say(broker, WORDS)
    with running(worker(broker, tmp_path / "1", state_cleanup_delay_ms=10)) as (first,):
        until(broker, lambda: caught_up(broker) and len(first.tasks) == 4)
        assert len(list(tmp_path.glob("1/words-app/1_*"))) == 2
        with running(worker(broker, tmp_path / "2")):
            until(broker, lambda: len(first.tasks) == 2)
            while len(list(tmp_path.glob("1/words-app/1_*"))) == 2:
                first._consumer.wake()
