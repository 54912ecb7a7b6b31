"""TopologyTestDriver: runs a program in this thread, record by record, with neither broker nor network.

It runs the same task as production, over clients in memory: all sub-topologies as one task `0_0`, one partition per
topic, a wall clock that stands still until it is advanced, and a commit after every processed record. What a record
sets off on internal topics is processed before `send` returns. Source: Kafka's TopologyTestDriver.

    with TopologyTestDriver(app) as driver:
        rides = driver.input("rides")
        fares = driver.output("fares")
        rides.send(key="1", value=Ride(...), timestamp=1_000)
        assert fares.read() == [Record("1", 12.5, 1_000)]
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from msgspec.structs import replace

from state import RecordCacheBudget, RocksDBResources, open_store
from state.serde import Serde
from state.stores import ChangelogWriter, Store, StoreSpec
from streams.clients.memory import MemoryBroker, MemoryProducer
from streams.config import StreamsConfig
from streams.driven_program import (
    HeadersLike,
    Program,
    application_of,
    expect_written,
    headers_of,
    time_of,
    written_topics,
)
from streams.driver_inputs import ALL, DriverInputs
from streams.durations import Duration, milliseconds
from streams.errors import TopologyError
from streams.mock_processor_context import MockProcessorContext
from streams.queries import StoreView, no_store
from streams.record import NO_TIMESTAMP, Batch, Headers, Record, TopicPartition
from streams.runtime.error_handlers import ErrorHandlers
from streams.runtime.task import Task, TaskEnvironment, TaskId
from streams.runtime.task_states import TaskState
from streams.serdes import DYNAMIC, serde_for
from streams.timers import Timers, call, then_call
from streams.topology.compile import compile_global, compile_task
from streams.topology.topology import SinkNode, SourceNode, Topology

__all__ = ["MockProcessorContext", "TestInputTopic", "TestOutputTopic", "TopologyTestDriver"]


T = TypeVar("T")


class TestInputTopic:
    """Writes to one topic, and has everything that follows from it processed."""

    __test__ = False

    def __init__(self, driver: TopologyTestDriver, topic: str, key: Serde[Any], value: Serde[Any]) -> None:
        self.topic = topic
        self._driver = driver
        self._key = key
        self._value = value

    def send(
        self,
        key: Any = None,
        value: Any = None,
        timestamp: datetime | str | int | None = None,
        headers: HeadersLike = (),
    ) -> None:
        """Write one record and process it.

        `timestamp` is ms since 1970, a datetime or ISO 8601 text (without a zone: UTC); without it, the record gets the
        driver's wall-clock time. `headers` are a mapping, or pairs of a name and bytes or None. Raises: ConfigError.
        """
        self._driver.pipe(
            self.topic,
            None if key is None else self._key.serialize(key),
            None if value is None else self._value.serialize(value),
            self._driver.now_ms if timestamp is None else time_of(timestamp),
            headers_of(headers),
        )

    def send_values(self, values: Iterable[Any], timestamp: datetime | str | int | None = None) -> None:
        """Write records without keys, one after the other."""
        for value in values:
            self.send(value=value, timestamp=timestamp)

    def send_records(self, records: Iterable[Record]) -> None:
        """Write records, one after the other; only key, value, timestamp and headers count."""
        for record in records:
            timestamp = None if record.timestamp == NO_TIMESTAMP else record.timestamp
            self.send(record.key, record.value, timestamp, record.headers)


class TestOutputTopic:
    """Reads what the program wrote to one topic; what the test itself sent there is left out.

    A record is read once: all readers of a topic share what is left of it, as in Kafka. All that reads raises TopologyError
    for a topic that the program never writes to.
    """

    __test__ = False

    def __init__(self, driver: TopologyTestDriver, topic: str, key: Serde[Any], value: Serde[Any]) -> None:
        self.topic = topic
        self._driver = driver
        self._key = key
        self._value = value

    def read(self) -> list[Record]:
        """All records since the last read, oldest first; where they lie (topic, offset) is left out."""
        return [self._decoded(record) for record in self._driver.read(self.topic)]

    def read_record(self) -> Record:
        """The next record. Raises: LookupError when there is none."""
        raw = self._driver.read(self.topic, 1)
        if not raw:
            count = self._driver.read_count(self.topic)
            raise LookupError(f"topic {self.topic} has no more records: {count} were read")
        return self._decoded(raw[0])

    def read_values(self) -> list[Any]:
        """The values of all records since the last read."""
        return [record.value for record in self.read()]

    def read_key_values(self) -> list[tuple[Any, Any]]:
        """The keys and values of all records since the last read."""
        return [(record.key, record.value) for record in self.read()]

    def read_to_dict(self) -> dict[Any, Any]:
        """The last value of each key since the last read."""
        return dict(self.read_key_values())

    @property
    def empty(self) -> bool:
        """Whether everything was read."""
        return not self._driver.unread(self.topic)

    def _decoded(self, raw: Record) -> Record:
        return Record(
            None if raw.key is None else self._key.deserialize(raw.key),
            None if raw.value is None else self._value.deserialize(raw.value),
            raw.timestamp,
            raw.headers,
        )


class TopologyTestDriver:
    """Runs a program in this thread, record by record, with neither broker nor network; see the module.

    `program` is an App or a Topology. `start_ms` is where the wall clock stands (default: now). With a `directory`,
    stores are in RocksDB there, otherwise in memory. `topics` names those that sources with a pattern are to match.
    `config` is for a Topology alone (default: the defaults); `settings` are single settings over those of the App.
    """

    __test__ = False

    def __init__(
        self,
        program: Program | Topology,
        *,
        config: StreamsConfig | None = None,
        start_ms: int | None = None,
        directory: Path | None = None,
        topics: Iterable[str] = (),
        **settings: Any,
    ) -> None:
        self._application = application_of(program, config, settings)
        self.topology = self._application.topology
        self.config = self._application.config
        self.metrics = self._application.metrics
        self.metrics.reset()
        if not self.config.schema_registry:
            self._application.topology.subjects.keep_in_memory()  # the file is that of real runs
        self.now_ms = time.time_ns() // 1_000_000 if start_ms is None else start_ms
        self._timers = Timers(self._application.timers, self.now_ms)
        self._broker = MemoryBroker(create_topics=True)
        self._directory = directory
        self._resources = RocksDBResources(configure=self.config.rocksdb_config_setter) if directory else None
        self._cache = RecordCacheBudget(self.config.statestore_cache_max_bytes)
        self._topics = tuple(topics)
        self._global_topics = frozenset(each.topic for each in self.topology.global_stores)
        self._sources = self._source_topics()
        self._writes = written_topics(self.topology, self.config)
        self._inputs = DriverInputs(self._broker, self._sources, self._global_topics, self.config.max_task_idle_ms)
        self._read_up_to: dict[str, int] = {}
        self._read_counts: Counter[str] = Counter()
        self._sent: set[tuple[str | None, int]] = set()
        with ExitStack() as undone:
            self._global = self._global_task(undone)
            self._task = self._main_task(self._global.stores if self._global else {}, undone)
            self._views = _Stores(self)
            self._serves_no_more = self._application.serve_stores(self._views)
            undone.callback(self._serves_no_more)
            for function in self._application.start_functions:
                call(function)
            undone.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What tests use

    def input(self, topic: str, key: Any = None, value: Any = None) -> TestInputTopic:
        """A topic to write to. `key` and `value` are types or serdes; by default those of the source that reads it.

        Raises: TopologyError when no source reads it.
        """
        source = self._source(topic)
        if source is None:
            known = ", ".join(self._sources) or "none"
            raise TopologyError(f"no source of the topology reads topic {topic!r} (it reads: {known})")
        serdes = source.serdes
        return TestInputTopic(self, topic, *self._serdes(topic, key, serdes.key, value, serdes.value))

    def output(self, topic: str, key: Any = None, value: Any = None) -> TestOutputTopic:
        """A topic to read, from the first record on that was not read yet. By default with the serdes of its sink."""
        known_key, known_value = self._written_with(topic)
        return TestOutputTopic(self, topic, *self._serdes(topic, key, known_key, value, known_value))

    def advance_wall_clock(self, duration: Duration) -> None:
        """Move the wall clock on, fire the punctuators and timers that are due, and process what they set off."""
        self.now_ms += milliseconds(duration, "the time to advance the wall clock by")
        self._task.punctuate(self.now_ms)
        self._timers.fire(self.now_ms)
        self._commit()
        self._process_all()

    def store(self, name: str, *, timestamps: bool = False) -> StoreView:
        """What is in the store of that name, global ones included, as `app.store` shows it.

        Raises: TopologyError when there is none.
        """
        if name not in self.stores():
            raise TopologyError(no_store(self.topology.application_id, name, self.stores()))
        return StoreView(name, self._views, timestamps=timestamps)

    def stores(self) -> Mapping[str, Store]:
        """The stores themselves by name, with the verbs of their kind."""
        return {**(self._global.stores if self._global else {}), **self._task.stores}

    def produced_topics(self) -> list[str]:
        """The topics that hold records, changelogs and internal ones included."""
        return [topic for topic in self._broker.topics() if self.written(topic, 0)]

    def describe(self) -> str:
        """Kafka's text for the topology."""
        return self.topology.describe()

    @property
    def dropped_records(self) -> Mapping[str, int]:
        """How many records each node, or store, dropped by Kafka's rules (null keys, late records)."""
        of_globals = self._global.dropped_records if self._global else {}
        return {**of_globals, **self._task.dropped_records}

    def close(self) -> None:
        """Call the App's stop functions, and close processors and stores, also when one raises; safe to call twice."""
        if self._task.state is TaskState.CLOSED:
            return
        with ExitStack() as closing:
            if self._global:
                closing.callback(self._global.close)
            closing.callback(self._task.close)
            closing.callback(self._serves_no_more)
            closing.enter_context(then_call(self._application.stop_functions))

    # What the topics above use

    def pipe(self, topic: str, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers = ()) -> None:
        """Write a record as bytes, and process it and all that it sets off."""
        end = self._broker.append(TopicPartition(topic, 0), Batch([key], [value], [timestamp], [headers]))
        self._sent.add((topic, end - 1))
        self._inputs.wrote(topic)
        self._process_all()

    def read(self, topic: str, limit: int | None = None) -> list[Record]:
        """The next records of a topic that were not read yet, as bytes; they count as read."""
        records = self.unread(topic)[:limit]
        if records:
            self._read_up_to[topic] = records[-1].offset + 1
            self._read_counts[topic] += len(records)
        return records

    def unread(self, topic: str) -> list[Record]:
        """The records of a topic that the program wrote and nobody read yet, as bytes.

        Raises: TopologyError for a topic that the program never writes to.
        """
        if topic not in self._broker.topics():
            expect_written(topic, self._writes)
        written = self.written(topic, self._read_up_to.get(topic, 0))
        return [record for record in written if (record.topic, record.offset) not in self._sent]

    def read_count(self, topic: str) -> int:
        """How many records of a topic were read."""
        return self._read_counts[topic]

    def written(self, topic: str, position: int) -> list[Record]:
        """The records of a topic from `position` on, as bytes."""
        batch = self._broker.read(TopicPartition(topic, 0), position, ALL) if topic in self._broker.topics() else None
        if batch is None:
            return []
        columns = batch.columns()
        return [columns.record(row) for row in range(len(columns))]

    # Within

    def _global_task(self, undone: ExitStack) -> Task | None:
        topology = self.topology
        if not topology.global_stores:
            return None
        inputs = [TopicPartition(each.topic, 0) for each in topology.global_stores]
        environment = self._environment({})
        environment = replace(environment, handlers=environment.handlers.for_global_stores())
        task = Task(TaskId(-1, 0), lambda context: compile_global(topology, context), inputs, environment)
        undone.callback(task.close)
        task.open()
        task.start()
        return task

    def _main_task(self, global_stores: Mapping[str, Store], undone: ExitStack) -> Task:
        topology, topics = self.topology, self._topics
        inputs = [TopicPartition(topic, 0) for topic in self._sources if topic not in self._global_topics]
        task = Task(
            TaskId(0, 0),
            lambda context: compile_task(topology, topology.subtopologies, context, topics=topics),
            inputs,
            replace(self._environment(global_stores), next_input=lambda: self._inputs.next),
        )
        undone.callback(task.close)
        task.open()
        task.start()
        return task

    def _environment(self, global_stores: Mapping[str, Store]) -> TaskEnvironment:
        config = self.config
        return TaskEnvironment(
            application_id=self.topology.application_id,
            producer=_Producer(self._broker, self._inputs.wrote),
            clock=lambda: self.now_ms,
            open_store=self._open_store,
            handlers=ErrorHandlers.of(self.topology, config),
            max_task_idle_ms=-1,
            emit_throttle_ms=0,
            global_stores=global_stores,
            record_cache=self._cache,
            metrics=self.metrics,
        )

    def _open_store(self, spec: StoreSpec, task: TaskId, changelog: ChangelogWriter | None) -> Store:
        directory = self._directory and self._directory / str(task)
        store: Store = open_store(
            spec, directory=directory, changelog=changelog, cache=self._cache, resources=self._resources
        )
        return store

    def _source_topics(self) -> list[str]:
        """Full names of all topics that are read, in the order in which their sources were added."""
        topology, matched = self.topology, [topic for topic in self._topics if self._source(topic) is not None]
        sources = (node for node in topology.nodes.values() if isinstance(node, SourceNode))
        return list(dict.fromkeys([*(topology.full_name(each) for node in sources for each in node.topics), *matched]))

    def _source(self, topic: str) -> SourceNode | None:
        for node in self.topology.nodes.values():
            if isinstance(node, SourceNode) and self._reads(node, topic):
                return node
        return None

    def _reads(self, node: SourceNode, topic: str) -> bool:
        if node.pattern is not None:
            return re.fullmatch(node.pattern, topic) is not None
        return topic in map(self.topology.full_name, node.topics)

    def _written_with(self, topic: str) -> tuple[Serde[Any] | None, Serde[Any] | None]:
        for node in self.topology.nodes.values():
            if isinstance(node, SinkNode) and node.topic and self.topology.full_name(node.topic) == topic:
                return node.serdes.key, node.serdes.value
        return None, None

    def _serdes(
        self, topic: str, key: Any, known_key: Any, value: Any, known_value: Any
    ) -> tuple[Serde[Any], Serde[Any]]:
        """The serdes of a topic in a test: those it asked for, else the topology's."""
        subjects = self.topology.subjects
        return subjects.key(_serde(key, known_key), topic), subjects.value(_serde(value, known_value), topic)

    def _process_all(self) -> None:
        """Process until nothing waits: record by record, with a commit after each."""
        while self._inputs.process_next(self._task, self._global, self.now_ms):
            self._commit()

    def _commit(self) -> None:
        for task in self._tasks():
            task.flush()
            task.commit_state()

    def _tasks(self) -> Iterator[Task]:
        yield self._task
        if self._global:
            yield self._global


class _Stores:
    """The driver's stores as views find them, all on one thread. A `StoreSource`."""

    def __init__(self, driver: TopologyTestDriver) -> None:
        self._driver = driver
        self.store_names = driver.topology.stores.keys()

    def stores(self, name: str, **_wanted: Any) -> list[Store]:
        """The store of that name: the one task has all partitions, and runs."""
        store = self._driver.stores().get(name)
        return [] if store is None else [store]

    def ask(self, question: Callable[[], T]) -> T:
        """Nothing runs meanwhile."""
        return question()


class _Producer(MemoryProducer):
    """A producer that notes which topics it wrote to."""

    def __init__(self, broker: MemoryBroker, note: Callable[[str], None]) -> None:
        super().__init__(broker)
        self._note = note

    def send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> Sequence[int]:
        """Append records to a partition."""
        super().send(topic, partition, keys, values, timestamps, headers)
        self._note(topic)
        return ()


def _serde(wanted: Any, known: Serde[Any] | None) -> Serde[Any]:
    """The serde a test asked for, else the topology's, else the dynamic one."""
    if wanted is not None:
        return serde_for(wanted)
    return DYNAMIC if known is None else known
