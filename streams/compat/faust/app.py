"""The application: Faust's `App` on this runtime.

Rules: it only collects until it runs; then each agent becomes a processor of its topic, each table a store, and what
runs by the clock runs beside them. Names of topics, changelogs and of the group are Faust's, so an application that
moves over goes on where it was.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from msgspec.structs import replace

from state.stores import Store
from streams.clients.base import NewTopic
from streams.compat.faust import global_tables
from streams.compat.faust.agents import Agent, ChannelFeed, Feed
from streams.compat.faust.clock import Clock, Lead
from streams.compat.faust.conversions import is_structured, without_none
from streams.compat.faust.discovery import discover
from streams.compat.faust.errors import HOOKS, ImproperlyConfigured, not_here
from streams.compat.faust.global_tables import GlobalTable
from streams.compat.faust.loop import Loop
from streams.compat.faust.models import FieldDescriptor
from streams.compat.faust.replies import Replies
from streams.compat.faust.sending import Sender
from streams.compat.faust.settings import Conf
from streams.compat.faust.signals import Signal
from streams.compat.faust.sources import Sources
from streams.compat.faust.streams import Step, Stream
from streams.compat.faust.tables import Table
from streams.compat.faust.topics import Channel, Sent, Topic
from streams.compat.faust.uses import named
from streams.compat.faust.ways import Way, chooser, prepared, read_back, supplier
from streams.compat.faust.windows import Seconds, seconds
from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.errors import StoreMoved, StoreNotReady
from streams.queries import Newest, StoreSource
from streams.running import Application, run
from streams.runtime.worker_states import WorkerState


class App:
    """See the module. `id` is the group, and the beginning of the names of its own topics; settings are Faust's."""

    def __init__(self, id: str, **settings: Any) -> None:  # noqa: A002  Faust's name
        self._conf = Conf(id, **settings)
        self._conf.streams_config()  # what is wrong with them is told here
        self._configured = False
        self.on_before_configured = Signal("on_before_configured")
        self.on_configured = Signal("on_configured")
        self.on_after_configured = Signal("on_after_configured")
        self.on_worker_init = Signal("on_worker_init")
        self.on_rebalance_complete = Signal("on_rebalance_complete")
        self.on_before_shutdown = Signal("on_before_shutdown")
        self.logger = self.log = logging.getLogger(f"{__name__}.{id}")
        self.rebalancing = True
        self.agents: dict[str, Agent] = {}
        self.tables: dict[str, Table] = {}
        self.commands: list[tuple[Callable[..., Any], Sequence[Any]]] = []
        self.loop_of_app = Loop()
        self.sender = Sender(self)
        self.replies = Replies(self)
        self.clock = Clock(self)
        self._feeds: dict[str, Feed] = {}
        self._stores: Newest[StoreSource] = Newest()
        self._built: StreamsBuilder | None = None
        self._new_topics: dict[str, NewTopic] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in HOOKS:
            if name in vars(cls):
                raise not_here("app", name)

    @property
    def conf(self) -> Conf:
        """The settings; when they are first asked for, those who wait for them are told."""
        if not self._configured:
            self._configured = True
            self.on_before_configured.send(self)
            self.on_configured.send(self, self._conf)
            self.on_after_configured.send(self)
        return self._conf

    @property
    def config(self) -> StreamsConfig:
        """The settings as the runtime has them. Raises: ConfigError."""
        return self.conf.streams_config()

    # What applications are made of

    def topic(self, *topics: str, pattern: Any = None, **options: Any) -> Topic:
        """A topic, with the types of its keys and values."""
        if pattern is not None:
            raise not_here("app.topic", "pattern")
        return Topic(self, *topics, **options)

    def stream(self, channel: Any, processors: Iterable[Callable[[Any], Any]] = (), **_options: Any) -> Stream:
        """The stream of an agent, through more functions. Streams of anything else are not here."""
        if not isinstance(channel, Stream):
            raise not_here("app", "stream")
        return channel.processed(processors)

    def channel(self, **options: Any) -> Channel:
        """A channel in the memory of this worker."""
        return Channel(self, **options)

    def agent(
        self,
        channel: Any = None,
        *,
        name: str | None = None,
        concurrency: int = 1,
        sink: Sequence[Any] = (),
        on_error: Callable[..., Any] | None = None,
        isolated_partitions: bool = False,
        use_reply_headers: bool = True,
        help: str | None = None,  # noqa: A002  Faust's name
        key_type: Any = None,
        value_type: Any = None,
        **options: Any,
    ) -> Callable[[Callable[..., Any]], Agent]:
        """Make an agent of an `async def f(stream)`, over a topic or channel, or over a topic of its own."""
        if isolated_partitions:
            raise not_here("app.agent", "isolated_partitions")
        if not use_reply_headers:
            raise not_here("app.agent", "use_reply_headers=False")
        if concurrency < 1:
            raise ImproperlyConfigured(f"app.agent: expected a concurrency of at least 1, got {concurrency}")

        def decorate(function: Callable[..., Any]) -> Agent:
            called = name or f"{_module_of(function)}.{named(function).__name__}"
            if called in self.agents:
                raise ImproperlyConfigured(f"there are two agents of the name {called}: give one a name=")
            over = channel
            if over is None or isinstance(over, str):
                own = over is None
                over = self.topic(
                    over or f"{self.conf.id}-{called}",
                    key_type=key_type,
                    value_type=value_type,
                    partitions=options.pop("partitions", self.conf.topic_partitions if own else None),
                    internal=own,
                    has_prefix=own,
                    **options,
                )
            self.agents[called] = made = Agent(
                self,
                function,
                over,
                name=called,
                concurrency=concurrency,
                sink=sink,
                on_error=on_error,
                help_text=help or inspect.getdoc(named(function)) or "",
            )
            self._built = None
            return made

        if callable(channel) and not isinstance(channel, Topic | Channel):
            raise ImproperlyConfigured(f"app.agent is called first: write @app.agent() above {channel.__name__}")
        return decorate

    def Table(self, name: str, *, default: Callable[[], Any] | None = None, **options: Any) -> Table:  # noqa: N802
        """A table, kept in a store with a changelog."""
        if name in self.tables:
            raise ImproperlyConfigured(f"there are two tables of the name {name}")
        self.tables[name] = made = Table(self, name=name, default=default, **options)
        self._built = None
        return made

    def GlobalTable(self, name: str, *, default: Callable[[], Any] | None = None, **options: Any) -> GlobalTable:  # noqa: N802
        """A table that every worker has all of."""
        if name in self.tables:
            raise ImproperlyConfigured(f"there are two tables of the name {name}")
        made = GlobalTable(self, name=name, default=default, **options)
        self.tables[name] = made
        self._built = None
        return made

    def timer(
        self,
        interval: Any,
        on_leader: bool = False,
        **_options: Any,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Call the function every `interval` seconds."""
        return self.clock.timer(interval, on_leader=on_leader)

    def crontab(
        self,
        cron_format: str,
        *,
        timezone: Any = None,
        on_leader: bool = False,
        traced: bool = True,  # noqa: ARG002
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Call the function by a cron expression; a sixth field is seconds."""
        return self.clock.crontab(cron_format, timezone, on_leader=on_leader)

    def task(
        self,
        function: Callable[..., Any] | None = None,
        *,
        on_leader: bool = False,
        traced: bool = True,  # noqa: ARG002
    ) -> Any:
        """Call the function once, when the worker runs."""
        decorate = self.clock.task(on_leader=on_leader)
        return decorate if function is None else decorate(function)

    def command(self, *options: Any, base: Any = None) -> Any:
        """Make a command of this application's command line; `options` are those of `faust.cli`."""
        if base is not None:
            raise not_here("app.command", "base")
        plain = len(options) == 1 and inspect.iscoroutinefunction(options[0])

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            self.commands.append((function, () if plain else options))
            return function

        return decorate(options[0]) if plain else decorate

    async def send(self, channel: Any, key: Any = None, value: Any = None, **options: Any) -> Sent:
        """Send to a topic, by its name or handle, to a channel or to an agent."""
        target = self.topic(channel) if isinstance(channel, str) else channel
        return await target.send(key=key, value=value, **options)

    def is_leader(self) -> bool:
        """Whether this worker is the one of several that does what only one should do: it has the first partition."""
        return self.clock.leading

    def discover(self, *extra: str) -> None:
        """Import the modules that `autodiscover` names, and all that is in them. Raises: FaustError."""
        discover(self.conf.autodiscover, self.conf.origin, extra)

    def finalize(self) -> None:
        """Applications are complete when they run."""

    # Running

    @property
    def builder(self) -> StreamsBuilder:
        """The program that the agents make."""
        if self._built is None:
            self._built = self._build()
        return self._built

    def application(self) -> Application:
        """Everything that running it needs. Raises: TopologyError, FaustError."""
        self.discover()
        config = self.config
        return Application(
            topology=self.builder.build(config),
            config=config,
            state_functions=[self._state_changed],
            start_functions=[self._start],
            stop_functions=[self._stop],
            new_topics=tuple(self._new_topics.values()),
            serve_stores=self._stores.serve,
        )

    def run(self) -> None:
        """Run a worker until SIGINT or SIGTERM. Raises: StreamsError for what stopped it."""
        run(self.application())

    def main(self, arguments: list[str] | None = None) -> NoReturn:
        """The command line of this application: `python app.py worker`. Ends the process."""
        import_module("streams.compat.faust.command_line").main(self, arguments)
        raise AssertionError("the command line ends the process")

    def configure(self, **settings: Any) -> None:
        """Settings over those the application gave: those of the command line."""
        for name, value in settings.items():
            setattr(self.conf, name, value)

    # What tasks and timers ask

    @property
    def should_stop(self) -> bool:
        """Whether the worker ends."""
        return self.loop_of_app.stopping

    async def sleep(self, duration: Seconds) -> None:
        """Wait; what sleeps is cancelled when the worker ends."""
        await asyncio.sleep(seconds(duration))

    # What agents and tables ask

    def feed_of(self, agent: Agent) -> Feed:
        """The records of an agent on this worker, shared by its tasks."""
        return self._feeds.setdefault(agent.name, Feed(agent))

    def stores_of(self, table: str) -> Callable[[], list[Any]]:
        """The parts of a table that this worker has, asked when called."""

        def open_stores() -> list[Store]:
            source = self._stores.one
            try:
                return source.stores(table) if source is not None else []
            except (StoreNotReady, StoreMoved):
                return []

        return open_stores

    def read(self, reading: Callable[[], Any]) -> Any:
        """Call a function where all stores may be read. Raises: StoreNotReady."""
        source = self._stores.one
        return reading() if source is None else source.ask(reading)

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function of the application on its loop, from the worker, to its end."""

        async def to_the_end() -> None:
            result = function(*arguments)
            if inspect.isawaitable(result):
                await result

        self.loop_of_app.run(to_the_end())

    def opened(self, agent: Agent, partition: int) -> None:
        """A task of an agent is there."""
        self.clock.task_opened(first=partition == 0 and agent is self._first_reader())

    def closed(self, agent: Agent, partition: int) -> None:
        """A task of an agent went away."""
        self.clock.task_closed(first=partition == 0 and agent is self._first_reader())

    # Within

    def _first_reader(self) -> Agent | None:
        """The first agent that reads a topic, so that its partitions are divided among the workers."""
        return next(iter(self._readers), None)

    @property
    def _readers(self) -> list[Agent]:
        """The agents that read topics."""
        return [each for each in self.agents.values() if isinstance(each.channel, Topic) and not each.idle]

    def _start(self) -> None:
        self.loop_of_app.start()
        self._feeds.clear()
        for agent in self.agents.values():
            if agent.idle:
                self.loop_of_app.spawn(agent.run_idle(), agent.name)
            elif isinstance(agent.channel, Channel):
                for _ in range(agent.concurrency):
                    self.loop_of_app.spawn(ChannelFeed(agent, agent.channel).live(), agent.name)
        self.clock.start()

    def _state_changed(self, state: WorkerState, _before: WorkerState) -> None:
        """Called on the worker's thread."""
        self.rebalancing = state is not WorkerState.RUNNING
        if state is WorkerState.RUNNING:
            self.loop_of_app.spawn(self.on_rebalance_complete.send_all(self), "on_rebalance_complete")
        elif state is WorkerState.PENDING_SHUTDOWN:
            self.loop_of_app.run(self.on_before_shutdown.send_all(self))

    def _stop(self) -> None:
        self.loop_of_app.stop()
        self.replies.close()
        self.sender.close()

    def _build(self) -> StreamsBuilder:
        builder = StreamsBuilder()
        ways = [self._way(agent) for agent in self._readers]
        kept = read_back(ways)
        for table in self.tables.values():
            if isinstance(table, GlobalTable):
                self._add_global(builder, table)
            else:
                builder.add_state_store(replace(table.spec(), logged=table.name not in kept))
        for topic in [each.channel for each in self.agents.values() if each.idle and isinstance(each.channel, Topic)]:
            self._new_topics |= {name: self._new_topic(name, topic) for name in topic.topics}
        sources = Sources(builder, [topic for way in ways for topic in way.topics])
        made: set[str] = set()
        for topic in sources.topics:
            self._new_topics |= {name: self._new_topic(name, topic) for name in topic.topics if name not in made}
            made.update(topic.topics)
        for agent, topics, steps in ways:
            stream = sources.read(topics[0])
            for step, before, after in zip(steps, topics, topics[1:], strict=False):
                stream = prepared(self, stream, step)
                if step.by is not None:
                    stream = stream.select_key(chooser(self, step))
                stream.to(after.name, key=(after if step.by else before).key_serde, value=before.value_serde)
                stream = sources.read(after)
            tables = agent.tables()
            own = [table.name for table in tables if not isinstance(table, GlobalTable)]
            stream.process(supplier(agent, tables), stores=own, name=agent.name)
        if self._first_reader() is None and (self.agents or not self.clock.empty):
            self._add_leader(builder)
        return builder

    def _way(self, agent: Agent) -> Way:
        """The topics that an agent's records come by, from its own to the one it loops over."""
        assert isinstance(agent.channel, Topic), "channels in memory are no part of the topology"
        way = Way(agent, [agent.channel], agent.steps())
        for step in way.steps:
            before = way.topics[-1]
            if step.by is not None:
                way.topics.append(self._regrouped(agent, before, step))
            else:
                way.topics.append(step.through if isinstance(step.through, Topic) else before.derive(step.through))
        return way

    def _add_leader(self, builder: StreamsBuilder) -> None:
        """Something to read for an application that reads nothing: the topic by which Faust elects its leader."""
        name = f"{self.conf.id}-__assignor-__leader"
        builder.stream(name, key=bytes, value=bytes).process(lambda: Lead(self.clock), name="leader")
        self._new_topics[name] = NewTopic(name, 1, self.conf.topic_replication_factor, {})

    def _add_global(self, builder: StreamsBuilder, table: global_tables.GlobalTable) -> None:
        spec, (key, value) = table.spec(), table.serdes
        builder.add_global_store(spec, table.topic, table.filler, key=key, value=value)
        count = table.partitions or self.conf.topic_partitions
        self._new_topics[table.topic] = NewTopic(
            table.topic, count, self.conf.topic_replication_factor, spec.topic_config
        )

    def _regrouped(self, agent: Agent, topic: Topic, step: Step) -> Topic:
        """The topic of a `group_by`, under the name that Faust gives it, its keys in the form of the topic before.

        Where that topic does not say what its keys are, they are read as what the field is.
        """
        form, kind = topic.key_serializer, topic.key_type
        if kind is None and isinstance(step.by, FieldDescriptor):
            kind = without_none(step.by.type)
        elif kind is None and form == "raw":
            kind = str
        if form == "raw" and is_structured(kind):
            form = "json"  # Faust cannot write these at all
        prefix = "" if topic.has_prefix else f"{agent.name}-"
        return topic.derive(
            f"{prefix}{topic.name}-{step.name}-repartition",
            has_prefix=True,
            key_type=kind,
            key_serializer=form,
            partitions=step.partitions or self.conf.topic_partitions,
        )

    def _new_topic(self, name: str, topic: Topic) -> NewTopic:
        count = topic.partitions or self.conf.topic_partitions
        return NewTopic(name, count, self.conf.topic_replication_factor, topic.config)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise not_here("app", name)

    def __repr__(self) -> str:
        return f"<App: {self.conf.id}>"


def _module_of(function: Callable[..., Any]) -> str:
    """A function's module; the program itself goes by the name of its file, as `faust -A` has it."""
    if named(function).__module__ != "__main__":
        return named(function).__module__
    return Path(getattr(sys.modules["__main__"], "__file__", None) or "app").stem
