"""Running an application in this process: finds the broker, makes topics and clients, runs the worker, and ends well.

Rules: the worker runs in the calling thread. The first SIGINT or SIGTERM asks it to stop, or ends the run while there is
none yet; a second SIGINT ends the process at once. Whatever was opened is closed in reverse order, also after an error.
Knows nothing of App or terminal.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from streams.addresses import KAFKA
from streams.clients.base import Clients, NewTopic
from streams.config import StreamsConfig
from streams.metrics import Metrics
from streams.operators.observing import Observer
from streams.restore_events import RestoreEvent, StandbyEvent
from streams.runner import Runner, uncaught_of
from streams.timers import Timed, call, then_call
from streams.topology.topology import SinkNode, Topology
from streams.tuning import tuned

log = logging.getLogger(__name__)

INTERRUPTED = 130
"""Exit code of a process that was interrupted: 128 + SIGINT, as shells count."""


class Application(Struct, frozen=True, kw_only=True):
    """All that running needs of an application.

    `new_topics` are those it may have to make; an `observer` looks at what goes from node to node. `serve_stores` and
    `serve_locations` are told who knows of stores and where they are, and answer with a function that ends it. `metrics` are the
    application's own numbers.
    """

    topology: Topology
    config: StreamsConfig
    timers: Sequence[Timed] = ()
    start_functions: Sequence[Callable[[], Any]] = ()
    stop_functions: Sequence[Callable[[], Any]] = ()
    new_topics: Sequence[NewTopic] = ()
    state_functions: Sequence[Callable[[Any, Any], Any]] = ()
    uncaught_functions: Sequence[Callable[[BaseException], Any]] = ()
    restore_functions: Sequence[Callable[[RestoreEvent], Any]] = ()
    standby_functions: Sequence[Callable[[StandbyEvent], Any]] = ()
    serve_stores: Callable[[Any], Callable[[], None]] = lambda _source: lambda: None
    observer: Observer | None = None
    metrics: Metrics = field(default_factory=Metrics)
    serve_locations: Callable[[Callable[[], Any]], Callable[[], None]] = lambda _locations: lambda: None


class Listener:
    """Who wants to see a run: the terminal. The defaults see nothing."""

    def starting(self, application: Application) -> None:
        """The broker was found; nothing has been read yet. `application.config.broker` is its kafka:// address."""

    def running(self, worker: Any) -> None:
        """A worker exists and is about to run; `worker` is the Runner, whose worker may be another one later."""

    def stopping(self) -> None:
        """A signal came, or the worker ended."""

    def ended(self) -> None:
        """All is closed, and nothing went wrong. May raise what makes the run a failure all the same."""


def run(application: Application, listener: Listener | None = None) -> None:
    """Run until a signal comes.

    Raises: StreamsError for what stopped it.
    """
    with _signals() as signals:
        listener = listener or Listener()
        try:
            _run(application, listener, signals)
        except _Asked:
            log.info("stopped before there was anything to stop")
    listener.ended()


def _run(application: Application, listener: Listener, signals: _Signals) -> None:
    with ExitStack() as stack:
        config = with_broker(application.config, stack)
        application = replace(application, config=config)
        register_schemas(application.topology)
        listener.starting(application)
        warn_of_generated_names(application.topology)
        runner = runner_of(application)
        stack.callback(runner.close)
        stack.callback(application.serve_stores(runner))
        stack.callback(application.serve_locations(lambda: runner.locations))
        signals.stop = runner.stop
        listener.running(runner)
        stack.callback(listener.stopping)
        for function in application.start_functions:
            call(function)
        stack.enter_context(tuned(config.commit_interval_ms))
        with then_call(application.stop_functions):
            runner.run()


def register_schemas(topology: Topology) -> None:
    """Register the schemas of all that will be written, before anything is. Raises: SchemaError.

    Where a function chooses the topic, subjects are known with the first record, unless the program says one.
    """
    for node in topology.nodes.values():
        if isinstance(node, SinkNode):
            for serde in (node.serdes.key, node.serdes.value):
                prepare = getattr(serde, "prepare", None)
                if prepare is not None and (node.chooser is None or getattr(serde, "subject", None) is not None):
                    prepare()


def warn_of_generated_names(topology: Topology) -> None:
    """Say once that state or topics have no names of the program's own, and why that matters."""
    if topology.unnamed:
        log.warning(
            "%s has state or topics with generated names, which change when steps are added or taken away; state would then "
            "begin empty: give the steps that make them name= (%s)",
            topology.application_id,
            ", ".join(topology.unnamed),
        )


def with_broker(config: StreamsConfig, stack: ExitStack) -> StreamsConfig:
    """The configuration with the broker's address; an embedded one is found or started, and held on to."""
    config.tell()
    directory = config.embedded_dir
    if directory is None:
        return config
    from streams.embedded import lease  # sockets and archives, which an App that does not run needs none of

    held = stack.enter_context(lease(directory, idle_seconds=config.embedded_idle_ms / 1000))
    return config.changed({"broker": f"{KAFKA}{held.address}", "security_protocol": "PLAINTEXT"})


def runner_of(application: Application) -> Runner:
    """What runs the application's worker, and the next one."""
    from streams.clients.kafka import KafkaClients
    from streams.runtime.restore_told import RestoresTold
    from streams.runtime.worker import Worker

    config = application.config

    def changed(new: Any, old: Any) -> None:
        for function in application.state_functions:
            function(new, old)

    def worker(clients: Clients, stops_all: Callable[[Exception], bool]) -> Worker:
        return Worker(
            application.topology,
            config,
            clients,
            timers=application.timers,
            observer=application.observer,
            prepare=lambda: create_topics(application, clients),
            on_state=changed,
            restore_progress=RestoresTold(application.restore_functions, application.standby_functions),
            stops_all=stops_all,
            metrics=application.metrics,
        )

    return Runner(
        worker,
        lambda: KafkaClients(config),
        store_names=application.topology.stores.keys(),
        uncaught=uncaught_of(config.uncaught),
        on_uncaught=application.uncaught_functions,
    )


def create_topics(application: Application, clients: Clients) -> None:
    """Make the topics that the application declared with a count of partitions or settings, where they are missing."""
    wanted = {topic.name: topic for topic in application.new_topics}
    if not wanted:
        return
    admin = clients.admin()
    try:
        missing = wanted.keys() - admin.describe(wanted).keys()
        admin.create(wanted[name] for name in sorted(missing))
    finally:
        admin.close()


class _Asked(BaseException):
    """A signal came while there was no worker to stop. Not an Exception, so that nobody takes it for a failure."""


class _Signals:
    """What signals do while an application runs; `stop` is called once it is there."""

    def __init__(self) -> None:
        self.stop: Callable[[], None] | None = None
        self._interrupts = 0
        self._asked = False

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Called by Python, in the main thread."""
        self._interrupts += number == signal.SIGINT
        if self._interrupts > 1:
            os._exit(INTERRUPTED)
        if self.stop is not None:
            self.stop()
        elif not self._asked:  # else it is under way already
            self._asked = True
            raise _Asked


@contextmanager
def _signals() -> Iterator[_Signals]:
    """While inside, signals end the run; elsewhere than in the main thread they are left alone."""
    signals = _Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {number: signal.signal(number, signals.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
