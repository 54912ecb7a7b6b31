"""Running an application in this process: finds the broker, makes topics and clients, runs the worker, and ends well.

Rules: the worker runs in the calling thread. The first SIGINT or SIGTERM asks it to stop, a second SIGINT ends the
process at once. Whatever was opened is closed in reverse order, also after an error. Knows nothing of App or terminal.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

from state.stores import Store
from streams.clients.base import Clients, NewTopic
from streams.config import KAFKA, StreamsConfig
from streams.embedded import lease
from streams.timers import Timed, call
from streams.topology.topology import Topology

INTERRUPTED = 130
"""Exit code of a process that was interrupted: 128 + SIGINT, as shells count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """All that running needs of an application. `partitions` are the counts that it gave its topics."""

    topology: Topology
    config: StreamsConfig
    timers: Sequence[Timed] = ()
    start_functions: Sequence[Callable[[], Any]] = ()
    stop_functions: Sequence[Callable[[], Any]] = ()
    partitions: Mapping[str, int] = field(default_factory=dict)
    serve_stores: Callable[[Callable[[str], list[Store]] | None], None] = lambda _find: None


class Listener:
    """Who wants to see a run: the terminal. The defaults see nothing."""

    def starting(self, application: Application) -> None:
        """The broker was found; nothing has been read yet. `application.config.broker` is its kafka:// address."""

    def running(self, worker: Any) -> None:
        """The worker exists and is about to run."""

    def stopping(self) -> None:
        """A signal came, or the worker ended."""


def run(application: Application, listener: Listener | None = None) -> None:
    """Run until a signal comes.

    Raises: StreamsError for what stopped it.
    """
    listener = listener or Listener()
    with ExitStack() as stack:
        config = with_broker(application.config, stack)
        application = replace(application, config=config)
        listener.starting(application)
        clients = _clients(config)
        stack.callback(clients.close)
        create_topics(application, clients)
        worker = _worker(application, clients)
        application.serve_stores(worker.stores)
        stack.callback(application.serve_stores, None)
        stack.enter_context(_signals(worker.stop))
        listener.running(worker)
        stack.callback(listener.stopping)
        for function in application.start_functions:
            call(function)
        gc.freeze()
        try:
            worker.run()
        finally:
            for function in application.stop_functions:
                call(function)


def with_broker(config: StreamsConfig, stack: ExitStack) -> StreamsConfig:
    """The configuration with the broker's address; an embedded one is found or started, and held on to."""
    directory = config.embedded_dir
    if directory is None:
        return config
    held = stack.enter_context(lease(directory))
    return replace(config, broker=f"{KAFKA}{held.address}")


def _clients(config: StreamsConfig) -> Clients:
    from streams.clients.kafka import KafkaClients

    return KafkaClients(config)


def _worker(application: Application, clients: Clients) -> Any:
    from streams.runtime.worker import Worker

    return Worker(application.topology, application.config, clients, timers=application.timers)


def create_topics(application: Application, clients: Clients) -> None:
    """Make the topics that the application gave a partition count, where they are missing."""
    if not application.partitions:
        return
    admin = clients.admin()
    try:
        missing = set(application.partitions) - set(admin.describe(application.partitions))
        factor = application.config.replication_factor
        admin.create(NewTopic(name, application.partitions[name], factor) for name in sorted(missing))
    finally:
        admin.close()


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """While inside, signals stop the worker; elsewhere than in the main thread they are left alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupts = 0

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal interrupts
        interrupts += number == signal.SIGINT
        if interrupts > 1:
            os._exit(INTERRUPTED)
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
