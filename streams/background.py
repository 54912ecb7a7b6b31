"""An application running on a thread of this process, for programs that do something else beside it.

Rules: what stops it is kept, and raised to whoever looks next (`check`, `status`, the end of the `with` block). Signals
are left to the main program. Stores are read through `App.store`, from any thread; here are only numbers.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from msgspec.structs import replace

from streams.connection import Connection, connected
from streams.errors import BrokerUnreachable, Interrupted, StreamsError
from streams.running import Application, Listener, run
from streams.topology.read_topics import topics_read
from streams.topology.topology import Topology

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1
AGAIN_AFTER_S = 1.0
"""Between two connections to a broker that is away."""
LAST_LOOK_MS = 2_000


class Running(Listener):
    """An application that runs on a thread of this process: `with app.running() as run: ...`."""

    def __init__(self, application: Application) -> None:
        self._started = threading.Event()
        started = (*application.state_functions, lambda _new, _old: self._started.set())
        self._application = replace(application, state_functions=started)
        self._worker: Any = None
        self._error: BaseException | None = None
        self._release = ExitStack()
        self._connection: Connection | None = None
        name = application.config.application_id
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        """Start, and return when the worker has reached the broker. Raises: StreamsError for what prevents it."""
        self._thread.start()
        self._started.wait()
        self.check()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if error is None:
            self.check()

    def starting(self, application: Application) -> None:
        """Called by the run itself, when the broker is known."""
        self._application = application

    def running(self, worker: Any) -> None:
        """Called by the run itself, when it has a worker."""
        self._worker = worker

    def check(self) -> None:
        """Raises: what stopped it, if anything did."""
        if self._error is not None:
            raise self._error

    def status(self) -> Any:
        """What its worker does: `state`, `tasks`, `restoring`, `processed`, `lag`, ..., `metrics` (a WorkerStatus).

        Raises: what stopped it.
        """
        return self._begun().status()

    def health(self) -> Any:
        """Whether it is well: `healthy`, `ready`, `reason`, `stalled_s` (a Health); lagging without progress is not.

        Raises: what stopped it.
        """
        return self._begun().health()

    def pause(self) -> None:
        """Process no records and fire no punctuators until `resume`; it stays in its group, and stores can be read.

        Source: KafkaStreams.pause.
        """
        self._begun().pause()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._begun().pause(paused=False)

    def lag(self) -> int | None:
        """Records in its topics that it has not committed yet, all its workers together; None before the topics exist.

        Raises: what stopped it.
        """
        self.check()
        if self._connection is None:
            self._connection = self._release.enter_context(connected(self._application.config))
        topics = topics_read(self._application.topology, self._connection.admin)
        lag = self._connection.lag(self._application.config.application_id, topics)
        return None if lag is None else sum(lag.values())

    def catch_up(self, timeout_s: float | None = None) -> None:
        """Wait until all that its topics hold is processed and committed; what is left is committed at once.

        Raises: what stopped it; StreamsError when `timeout_s` is over before.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while (lag := self.lag()) != 0:
            if deadline is not None and time.monotonic() > deadline:
                behind = "its topics are not there" if lag is None else f"{lag:,} records are left"
                raise StreamsError(
                    f"{self._application.config.application_id} did not catch up in {timeout_s:g} s: {behind}"
                )
            if self.status().lag == 0:
                self._worker.commit_soon()
            time.sleep(LOOK_EVERY_S / 10)

    def stop(self) -> None:
        """Commit, leave and wait until it has. Raises: what stopped it before, if anything did."""
        self._stop()
        self.check()

    def _begun(self) -> Any:
        """Its runner. Raises: what stopped it; StreamsError before it runs."""
        self.check()
        if self._worker is None:
            raise StreamsError("the application does not run yet: enter `with app.running():`")
        return self._worker

    def _stop(self) -> None:
        self._release.close()
        self._connection = None
        if self._worker is not None:
            self._worker.stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            run(self._application, self)
        except BaseException as error:
            self._error = error
        finally:
            self._started.set()


class ToEnd(Listener):
    """Stops a run when everything that its topics hold is committed; passes on to another listener.

    An outage of the broker is waited for as long as the worker does. Anything else that hides the end stops the run, and is
    raised by it, and so is a signal that came before: a run that stopped somewhere must not look like one that came to its end.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._over = threading.Event()
        self._application: Application | None = None
        self._connection: Connection | None = None
        self._error: Exception | None = None
        self._reached = False
        self._thread: threading.Thread | None = None

    def starting(self, application: Application) -> None:
        """Called by the run itself, when the broker is known."""
        self._application = application
        self._listener.starting(application)

    def running(self, worker: Any) -> None:
        """Called by the run itself, when it has a worker."""
        self._listener.running(worker)
        self._thread = threading.Thread(target=self._watch, args=(worker,), name="to-end", daemon=True)
        self._thread.start()

    def stopping(self) -> None:
        """Called by the run itself, when a signal came or the worker ended."""
        self._over.set()
        connection = self._connection  # the other thread may let go of it
        if connection is not None:
            connection.clients.give_up()  # nobody is to wait for a broker that does not answer
        if self._thread is not None:
            self._thread.join()
        self._listener.stopping()

    def ended(self) -> None:
        """Called by the run itself, when it has ended without an error. Raises: what hid the end from view, or came before."""
        if self._error is not None:
            raise self._error
        if not (self._reached or self._is_there()):
            raise Interrupted("stopped before the end: run it again, it goes on from what is committed")
        self._listener.ended()

    def _watch(self, worker: Any) -> None:
        try:
            while not self._seen(worker):
                self._over.wait(AGAIN_AFTER_S)
        except Exception as error:
            log.error("stopping, because the end cannot be seen: %s", error)
            self._error = error
        finally:
            worker.stop()

    def _seen(self, worker: Any) -> bool:
        """Look until the end is there or the run is over; False when the broker went away before."""
        from streams.runtime.worker_states import WorkerState  # who imports an App runs nothing yet

        assert self._application is not None, "a run starts before it has a worker"
        topology = self._application.topology
        try:
            with connected(self._application.config) as self._connection:
                while not self._over.wait(LOOK_EVERY_S):
                    if topology.global_stores and worker.status().state is WorkerState.CREATED:
                        continue  # global tables are read before anything else, and committed by nobody
                    if _all_is_done(self._connection, topology):
                        self._reached = True
                        break
        except BrokerUnreachable as error:
            if not self._over.is_set():
                log.warning("looking for the end once more, since the broker is away: %s", error)
                return False
        finally:
            self._connection = None
        return True

    def _is_there(self) -> bool:
        """Whether the end was there when a signal came; workers that another one has brought to the end get one."""
        if self._application is None:
            return False
        config = self._application.config.changed({"connect_timeout_ms": LAST_LOOK_MS})
        try:
            with connected(config) as connection:
                return _all_is_done(connection, self._application.topology)
        except StreamsError as error:
            log.warning("whether the end is there cannot be seen: %s", error)
            return False


def _all_is_done(connection: Connection, topology: Topology) -> bool:
    """Whether everything that the topics of an application hold is committed."""
    lag = connection.lag(connection.config.application_id, topics_read(topology, connection.admin))
    return lag is not None and not any(lag.values())
