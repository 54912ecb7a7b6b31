"""A task by itself: input in, program run, output and state out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from state import RecordCacheBudget, StoreKind, StoreSpec, open_store
from state.stores import ChangelogWriter
from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBatch, MemoryBroker, MemoryProducer
from streams.errors import TopologyError
from streams.operators.base import OperatorContext, PunctuationType
from streams.record import Batch, TopicPartition
from streams.runtime.error_handlers import ErrorHandlers
from streams.runtime.offset_metadata import decode
from streams.runtime.task import Task, TaskEnvironment, TaskId
from streams.runtime.task_states import TaskState
from streams.serdes import serde_for
from streams.topology.compile import SourceProgram, TaskProgram

IN = TopicPartition("in", 0)
COUNTS = StoreSpec(
    name="counts", kind=StoreKind.TIMESTAMPED_KEY_VALUE, key_serde=serde_for(bytes), value_serde=serde_for(int)
)


class Counting:
    """Counts keys into a store, and writes every count to `out`."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.closed = False

    def init(self, context: OperatorContext) -> None:
        self.context, self.store = context, context.store("counts")

    def process(self, batch: Batch) -> None:
        self.sizes.append(len(batch))
        results = []
        for key, timestamp in zip(batch.keys, batch.timestamps, strict=True):
            found = self.store.get(key)
            results.append((found.value if found else 0) + 1)
            self.store.put(key, results[-1], timestamp)
        self.context.send("out", batch.keys, [b"%d" % count for count in results], batch.timestamps, None)

    def close(self) -> None:
        self.closed = True


class Rig:
    """A counting task with everything around it in memory."""

    def __init__(self, *, one_by_one: bool = False, broker: MemoryBroker | None = None) -> None:
        self.broker = broker or MemoryBroker()
        for name in ("in", "out", "app-counts-changelog"):
            self.broker.create(NewTopic(name, 1))
        self.counting = Counting()
        self.now = 1_000
        environment = TaskEnvironment(
            application_id="app",
            producer=MemoryProducer(self.broker),
            clock=lambda: self.now,
            open_store=self._open,
            handlers=ErrorHandlers(),
        )
        self.task = Task(TaskId(0, 0), self._compile(one_by_one), [IN], environment)
        self.task.open()
        self.task.start()

    def _compile(self, one_by_one: bool) -> Callable[[OperatorContext], TaskProgram]:
        def compiled(context: OperatorContext) -> TaskProgram:
            source = SourceProgram(
                node="SOURCE",
                topics=("in",),
                one_by_one=one_by_one,
                deserialize=lambda batch, _time: batch,
                process=self.counting.process,
            )
            topics = {"counts": "app-counts-changelog"}
            return TaskProgram((source,), (self.counting,), (COUNTS,), topics, context)

        return compiled

    @staticmethod
    def _open(spec: StoreSpec, _task: TaskId, changelog: ChangelogWriter | None) -> Any:
        return open_store(spec, directory=None, changelog=changelog, cache=RecordCacheBudget(0))

    def feed(self, keys: list[bytes], timestamps: list[int]) -> None:
        self.broker.append(IN, Batch(keys, list(keys), timestamps))
        batch = self.broker.read(IN, self.broker.partition(IN).end - len(keys), 1 << 30)
        assert batch is not None
        self.task.add(batch)

    def out(self, topic: str = "out") -> list[tuple[bytes, bytes, int]]:
        return [(record.key, record.value, record.timestamp) for record in self.broker.records(topic)]


def test_records_become_results_and_state() -> None:
    """Two keys counted; results and changelog carry the records' timestamps."""
    rig = Rig()
    rig.feed([b"a", b"b", b"a"], [1, 2, 3])
    assert rig.task.process(rig.now, 100) == 3
    assert rig.out() == [(b"a", b"1", 1), (b"b", b"1", 2), (b"a", b"2", 3)]
    assert [timestamp for _, _, timestamp in rig.out("app-counts-changelog")] == [1, 2, 3]
    assert rig.task.stream_time == 3


def test_one_by_one_sources_get_batches_of_one() -> None:
    """What compile asked for: the same results, a record at a time."""
    rig = Rig(one_by_one=True)
    rig.feed([b"a", b"a"], [1, 2])
    rig.task.process(rig.now, 100)
    assert rig.counting.sizes == [1, 1]
    assert rig.out()[-1] == (b"a", b"2", 2)


def test_a_turn_ends_before_it_would_cut_what_was_decoded_together() -> None:
    """Three batches of 300 go in a turn of 1,000, for the fourth is left whole; one that is larger than a turn is cut."""
    rig = Rig()
    for _ in range(4):
        rig.feed([b"a"] * 300, [1] * 300)
    assert rig.task.process(rig.now, 1_000) == 900
    assert rig.task.process(rig.now, 200) == 200
    assert rig.task.process(rig.now, 1_000) == 100
    assert rig.counting.sizes == [300, 300, 300, 200, 100]


def test_offsets_point_at_the_next_record_and_carry_stream_time() -> None:
    """After two of three records: offset 2, time of the second."""
    rig = Rig()
    rig.feed([b"a", b"b", b"c"], [5, 9, 7])
    rig.task.process(rig.now, 2)
    (entry,) = rig.task.offsets().values()
    assert (entry.offset, decode(entry.metadata).partition_time) == (2, 9)
    assert rig.task.commit_needed


def test_a_commit_moves_the_stores_position_to_the_changelogs_end() -> None:
    """Three changes logged, so the engine is complete up to offset 3, and nothing is left to commit."""
    rig = Rig()
    rig.feed([b"a", b"b", b"a"], [1, 2, 3])
    rig.task.process(rig.now, 100)
    rig.task.flush()
    rig.task.commit_state()
    assert rig.task.stores["counts"].position == 3
    assert not rig.task.commit_needed


def test_stream_time_survives_in_the_metadata() -> None:
    """A new task that is told what was committed knows the time of its partition."""
    first, second = Rig(), Rig()
    first.feed([b"a"], [77])
    first.task.process(first.now, 1)
    second.task.restore_time(IN, first.task.offsets()[IN].metadata)
    assert second.task.stream_time == 77


def test_a_stream_time_punctuator_fires_between_records() -> None:
    """Due at 10 and 20: it sees exactly the records up to the one that made it due."""
    rig = Rig()
    seen: list[tuple[int, int]] = []
    rig.task.schedule(10, PunctuationType.STREAM_TIME, lambda time: seen.append((time, len(rig.out()))), start_ms=10)
    rig.feed([b"a", b"b", b"c", b"d"], [1, 12, 13, 25])
    rig.task.process(rig.now, 100)
    assert seen == [(12, 2), (25, 4)]


def test_punctuators_on_a_given_grid_begin_after_now() -> None:
    """On either clock; without one, by records, the first record ever seen fires it."""
    rig = Rig()
    rig.feed([b"a"], [57])
    rig.task.process(rig.now, 100)
    dues = [
        rig.task.schedule(10, kind, lambda _time: None, start_ms=start).due
        for kind in (PunctuationType.STREAM_TIME, PunctuationType.WALL_CLOCK_TIME)
        for start in (None, 0, 3, 5_000)
    ]
    assert dues == [0, 60, 63, 5_000, 1_010, 1_010, 1_003, 5_000]


def test_a_wall_clock_punctuator_fires_on_demand() -> None:
    """First one interval after it was scheduled."""
    rig = Rig()
    fired: list[int] = []
    rig.task.schedule(100, PunctuationType.WALL_CLOCK_TIME, fired.append)
    assert rig.task.next_punctuation_ms == 1_100
    assert rig.task.punctuate(1_099) == 0
    assert rig.task.punctuate(1_105) == 1
    assert fired == [1_105]


def test_discard_forgets_state_and_waiting_input() -> None:
    """After an abort the store is as it was committed, and input comes again."""
    rig = Rig()
    rig.feed([b"a"], [1])
    rig.task.process(rig.now, 1)
    rig.feed([b"b"], [2])
    rig.task.discard()
    assert rig.task.stores["counts"].get(b"a") is None
    assert rig.task.process(rig.now, 10) == 0


def test_suspended_tasks_keep_their_state_until_they_are_closed() -> None:
    """Input is forgotten, the store is not; a suspended task never runs again."""
    rig = Rig()
    rig.feed([b"a"], [1])
    rig.task.process(rig.now, 1)
    rig.task.suspend()
    assert rig.task.stores["counts"].get(b"a") is not None
    with pytest.raises(AssertionError, match="task 0_0: suspended -> running"):
        rig.task.start()
    rig.task.close()
    assert rig.counting.closed


def test_unknown_stores_are_named() -> None:
    """Asking for a store that is not there lists those that are."""
    with pytest.raises(TopologyError, match=r"no store 'nope' \(stores: counts\)"):
        Rig().task.store("nope")


def test_close_closes_operators_once() -> None:
    """Closing twice is no harm."""
    rig = Rig()
    rig.task.close()
    rig.task.close()
    assert rig.counting.closed
    assert rig.task.state is TaskState.CLOSED


def test_offsets_without_a_record_are_committed_too() -> None:
    """A batch that carries nothing but a position (the end of a transaction) asks for a commit of that position."""
    rig = Rig()
    rig.task.add(recordless(IN, first_offset=7, next_offset=9))
    assert not rig.task.commit_needed
    assert not rig.task.ready(rig.now)
    assert rig.task.commit_needed
    assert rig.task.offsets()[IN].offset == 9
    rig.task.commit_state()
    assert not rig.task.commit_needed


def recordless(partition: TopicPartition, *, first_offset: int, next_offset: int) -> MemoryBatch:
    """What is fetched where only markers of transactions stand."""
    return MemoryBatch(partition, first_offset, Batch([], [], [], offsets=[]), next_offset)
