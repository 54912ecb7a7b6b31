"""The App: one builder, one configuration, the decorators' home, and the door to running.

Rules: an App only collects until `build` or `run`; making one reads the environment and nothing else. The same App
runs under the TopologyTestDriver, on the embedded broker and on a cluster.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any, NoReturn, overload

from msgspec.structs import replace

from streams.background import Running
from streams.clients.base import NewTopic
from streams.config import StreamsConfig
from streams.connection import Connection, connected
from streams.dsl.agent_tables import AgentTable, own_table
from streams.dsl.decorators import Decorators
from streams.dsl.handle import checked_on_error
from streams.dsl.kstream import KStream, KTable
from streams.dsl.ktable import GlobalKTable
from streams.dsl.options import Field, Topic, topic_settings
from streams.durations import Duration
from streams.errors import ConfigError, StreamsError, TopologyError
from streams.graph.nodes import Serdes
from streams.metadata import KeyQueryMetadata, StreamsMetadata
from streams.metrics import Metrics
from streams.numbers import whole_number
from streams.queries import Newest, StoreSource, StoreView, no_store
from streams.reading import Point, Records
from streams.running import Application, run
from streams.serdes.registered import bound_to
from streams.serdes.schema_registry import SchemaRegistry, registry_at
from streams.topology.nodes import SinkNode, SourceNode
from streams.topology.topology import Topology


class App(Decorators):
    """A streams application.

    `name` is its application id: the name of its consumer group, and the prefix of its internal topics. `broker` is
    `embedded://DIR` (the bundled broker, started when needed, with its data in DIR) or `kafka://host:port`. All settings
    of `StreamsConfig` can be given by keyword. `metrics` are counters, gauges and timings of its own; see
    `streams.metrics`.
    Raises: ConfigError for an unknown or wrong setting.
    """

    def __init__(self, name: str, *, broker: str | None = None, **settings: Any) -> None:
        super().__init__()
        self.name = name
        self._settings = settings if broker is None else {"broker": broker, **settings}
        self.metrics = Metrics()
        self._topics: dict[str, Topic] = {}
        self._new_topics: dict[str, NewTopic] = {}
        self._stores: Newest[StoreSource] = Newest()
        self._locations: Newest[Callable[[], Any]] = Newest()
        self.config = StreamsConfig.of(name, self._settings)

    def configure(self, command_line: Mapping[str, str]) -> None:
        """Settings of a command line, over those of the environment and the keyword arguments.

        Raises: ConfigError.
        """
        self.config = StreamsConfig.of(self.name, self._settings, command_line=command_line)

    def topic(
        self,
        name: str,
        *,
        key: Any = None,
        value: Any = None,
        timestamp: Field | None = None,
        partitions: int | None = None,
        config: Mapping[str, str] | None = None,
        on_error: Any = None,
    ) -> Topic:
        """A topic with the types it carries.

        `key` and `value` are types or serdes. `timestamp` is a field of the value, or a function of it, that gives the
        event time in ms or as a datetime; without it, the record's timestamp counts. `partitions` and `config` (Kafka's
        topic settings) are used if this application has to create the topic. `on_error` says what happens to records
        that cannot be read from it, or written to it: "fail", "continue", `dead_letter(TOPIC)` or a function (error,
        record). A second declaration adds what the first left open. Raises: TopologyError if it contradicts the first.
        """
        key, value = (
            given if isinstance(given, type) else bound_to(given, f"{name}-{part}", self._registry)
            for given, part in ((key, "key"), (value, "value"))
        )
        topic = replace(
            Topic.of(name, key=key, value=value, timestamp=timestamp),
            on_error=checked_on_error(on_error, f"topic {name}"),
        )
        if partitions is not None or config is not None:
            self._new_topics[name] = self._new_topic(name, partitions, config)
        known = self._topics.get(name, topic)
        for before, now in ((known.key_serde, topic.key_serde), (known.value_serde, topic.value_serde)):
            if before is not None and now is not None and before != now:
                raise TopologyError(
                    f"topic {name} was declared with other types before: declare it once and pass it on"
                )
        merged = Topic(
            name,
            known.key_serde or topic.key_serde,
            known.value_serde or topic.value_serde,
            known.timestamp or topic.timestamp,
            topic.on_error or known.on_error,
        )
        if merged != known or name not in self._topics:
            self._topics[name] = merged
        return self._topics[name]

    def stream(self, topic: Topic | str | Iterable[str], **options: Any) -> KStream:
        """A stream of a topic's records; options as `StreamsBuilder.stream` takes them (`key=`, `value=`, ...)."""
        return self.builder.stream(self._known(topic), **options)

    @overload
    def table(
        self, topic: str, *, default: Callable[[], Any] | None, key: Any = ..., value: Any = ...
    ) -> AgentTable: ...

    @overload
    def table(self, topic: Topic | str, **options: Any) -> KTable: ...

    def table(self, topic: Topic | str, **options: Any) -> KTable | AgentTable:
        """A topic as a table, the latest value per key; options as `StreamsBuilder.table` takes them.

        With `default=` (a function without arguments, or None), a table of the application's own instead, which agents
        read and write: `counts = app.table("counts", key=str, value=int, default=int)`; see `streams.dsl.agent_tables`.
        """
        if "default" not in options:
            return self.builder.table(self._known(topic), **options)
        if not isinstance(topic, str):
            raise TopologyError(f"a table with default= is not read from a topic, so give it a name, got topic {topic}")
        for option in options.keys() - {"default", "key", "value"}:
            raise TopologyError(
                f"the table {topic!r} with default=: its store has its own name, and it takes key= and value= beside it, got "
                f"{option}=; leave it out"
            )
        return own_table(topic, **options)

    def global_table(self, topic: Topic | str, **options: Any) -> GlobalKTable:
        """A topic as a table that is complete on every worker; options as `StreamsBuilder.global_table` takes them."""
        return self.builder.global_table(self._known(topic), **options)

    def topic_types(self, name: str) -> Topic:
        """A topic as this application knows it: declared, or read or written by it; without types if it is neither."""
        known = self._topics.get(name) or Topic(name)
        topology = self.build()
        for node in topology.nodes.values():
            if isinstance(node, SourceNode) and not node.internal and _reads(node, name):
                return _completed(known, topology.subjects.of_topic(node.serdes, name))
            if isinstance(node, SinkNode) and node.topic == name and not node.internal:
                return _completed(known, node.serdes)
        return known

    def build(self) -> Topology:
        """The topology of everything declared so far. Raises: TopologyError."""
        return self.builder.build(self.config)

    def store(
        self,
        name: str,
        *,
        isolation: str = "live",
        timestamps: bool = False,
        stale: bool = False,
        partition: int | None = None,
    ) -> StoreView:
        """A read-only view of a store over all tasks of this process, from any thread; see `streams.queries`.

        `isolation="committed"` shows what the last commit left; with `timestamps`, values come as ValueAndTimestamp,
        where the store has their time. With `stale`, tasks that are still being restored answer as well, and standbys, with
        what they have by now; `partition` asks one task alone. Raises: StreamsError while the application does not
        run, or for a store it does not have.
        """
        source = self._stores.one
        if source is None:
            raise StreamsError(
                f"the store {name!r} can be read while the application runs, and {self.name} does not run"
            )
        if name not in source.store_names:
            raise StreamsError(no_store(self.name, name, source.store_names))
        return StoreView(name, source, isolation, timestamps=timestamps, stale=stale, partition=partition)

    def metadata_for_key(
        self,
        store: str,
        key: Any,
        *,
        partitioner: Callable[[str, Any, Any, int], int | Iterable[int] | None] | None = None,
    ) -> KeyQueryMetadata:
        """Which worker of the group holds a key of a store, by the `application_server` of its settings.

        `partitioner(topic, key, None, count)` gives the key's partition, in case others write the store's topic with one
        of their own; a partitioner in a `repartition` or `to` of this program is known. Raises: StreamsError for an
        unknown store, for a partitioner that needs a value, and while the application does not run.
        """
        found: KeyQueryMetadata = self._where().of_key(store, key, partitioner)
        return found

    def metadata_for_store(self, store: str) -> list[StreamsMetadata]:
        """The workers that hold partitions of a store, or warm copies of them, by address. Raises: StreamsError."""
        found: list[StreamsMetadata] = self._where().of_store(store)
        return found

    def _where(self) -> Any:
        locations = self._locations.one
        if locations is None:
            raise StreamsError(
                f"which worker has what is known while the application runs, and {self.name} does not run"
            )
        return locations()

    def run(self) -> None:
        """Run until SIGINT or SIGTERM, in this thread.

        Raises: StreamsError for what stopped it.
        """
        run(self.application())

    def running(self) -> Running:
        """Run on a thread of this process: `with app.running() as run: ...`; leaving the block commits and stops.

        Raises: TopologyError; on entry, StreamsError for what prevents a start.
        """
        return Running(self.application())

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection to this application's broker, to write, read and watch several topics.

        Topics declared with `partitions=` or `config=` are made if missing. Raises: StreamsError without a broker.
        """
        with connected(self.config, self._topics, tuple(self._new_topics.values())) as connection:
            yield connection

    def write(
        self,
        topic: Topic | str,
        rows: Any,
        *,
        key: Field | None = None,
        timestamp: Field | datetime | int | None = None,
    ) -> int:
        """Write Records, (key, value) pairs, values with `key=`, or a DataFrame to a topic, and wait until they are safe.

        See `Connection.write`. Shape: how many were written.
        """
        with self.connect() as connection:
            written = connection.write(self._with_types(topic), rows, key=key, timestamp=timestamp)
            connection.flush()
        return written

    def read(
        self,
        topic: Topic | str,
        *,
        start: Point = "earliest",
        end: Point = "latest",
        last: int | None = None,
        follow: bool = False,
    ) -> Records:
        """What lies in a topic: iterate the Records, or take them `to_pandas()`.

        `start` and `end` are "earliest", "latest" or times (without a zone: UTC); `last` is a number of records per
        partition; `follow` goes on for ever. See `Connection.read`.
        """
        with ExitStack() as stack:
            connection = stack.enter_context(self.connect())
            records = connection.read(self._with_types(topic), start=start, end=end, last=last, follow=follow)
            records.owns(stack.pop_all())
        return records

    def ask(
        self, topic: Topic | str, value: Any, *, reply: Topic | str, key: Any = None, timeout: Duration = "30 s"
    ) -> Any:
        """Write a value to a topic, and wait for what the application writes to `reply` because of it: that value.

        A `reply` that the application writes to is made if nothing has been written there yet. See `Connection.ask`, which
        asks more than once over one connection.
        """
        name = reply.name if isinstance(reply, Topic) else reply
        written = {
            node.topic for node in self.build().nodes.values() if isinstance(node, SinkNode) and not node.internal
        }
        with self.connect() as connection:
            if name in written:
                connection.create([self._new_topics.get(name, NewTopic(name))])
            return connection.ask(topic, value, reply=reply, key=key, timeout=timeout)

    def remove_data(self) -> bool:
        """Delete the embedded broker's directory, topics and state together, once nobody uses it.

        Shape: whether there was anything. Raises: ConfigError when the broker is elsewhere, ClientError when it stays
        in use.
        """
        directory = self.config.embedded_dir
        if directory is None:
            raise ConfigError(f"the data of {self.config.broker} are not ours to delete: use `streams reset`")
        from streams.embedded import remove

        return remove(directory)

    def application(self) -> Application:
        """Everything about this App that running it needs; builds the topology. Raises: TopologyError."""
        return Application(
            topology=self.build(),
            config=self.config,
            metrics=self.metrics,
            timers=self.timers,
            start_functions=self.start_functions,
            stop_functions=self.stop_functions,
            new_topics=tuple(self._new_topics.values()),
            state_functions=self.state_functions,
            uncaught_functions=self.uncaught_functions,
            restore_functions=self.restore_functions,
            standby_functions=self.standby_functions,
            serve_stores=self._stores.serve,
            serve_locations=self._locations.serve,
        )

    def main(self, arguments: list[str] | None = None) -> NoReturn:
        """The `streams` command line for this application: `python app.py run`, `python app.py topology`, ...

        `arguments` are the process's own unless given. Ends the process with the command's exit code.
        """
        from streams.cli import main

        main(arguments, app=self)

    def _registry(self) -> SchemaRegistry:
        return registry_at(self.config.registry_url)

    def _new_topic(self, name: str, partitions: int | None, config: Mapping[str, Any] | None) -> NewTopic:
        """How a topic is to be made, with what was said of that before. Raises: TopologyError for what contradicts it."""
        known = self._new_topics.get(name, NewTopic(name))
        number = known.partitions if partitions is None else whole_number(partitions, f"topic {name}: partitions")
        settings = {} if config is None else topic_settings(config, f"topic {name}: config")
        changed = [each for each in settings.keys() & known.config.keys() if settings[each] != known.config[each]]
        if changed or known.partitions not in {-1, number}:
            raise TopologyError(
                f"topic {name} was declared with other {'settings' if changed else 'partitions'} before: declare it once and "
                "pass it on"
            )
        return NewTopic(name, number, self.config.replication_factor, {**known.config, **settings})

    def _with_types(self, topic: Topic | str) -> Topic | str:
        """A topic with the types that the program gives it, where the topic does not declare them itself."""
        declared = self._topics.get(topic) if isinstance(topic, str) else topic
        if isinstance(topic, Topic) or (declared and declared.key_serde and declared.value_serde):
            return topic
        try:
            return self.topic_types(topic)
        except TopologyError:
            return topic  # of no program yet; one that cannot be built says so when it is run

    def _known(self, topic: Any) -> Any:
        return self._topics.get(topic, topic) if isinstance(topic, str) else topic


def _reads(node: SourceNode, topic: str) -> bool:
    return topic in node.topics or (node.pattern is not None and re.fullmatch(node.pattern, topic) is not None)


def _completed(topic: Topic, serdes: Serdes) -> Topic:
    """A topic with the serdes that it did not declare."""
    return replace(topic, key_serde=topic.key_serde or serdes.key, value_serde=topic.value_serde or serdes.value)
