"""Runs an application's worker, and decides what follows when one dies: another one, the end of it, or of all.

Rules: a worker and its clients are made anew together, so that nothing of a dead one is used again; pauses between two
double, and a worker that ran for a while starts them anew. It is what terminal, tests and programs see of a run: its
worker may be another one by the next look. Kafka's words for the policy stand at `Uncaught`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from enum import Enum
from typing import Any, TypeVar

from state.stores import Store
from streams.clients.base import Clients
from streams.errors import ConfigError, StopApplication
from streams.settings import nearest

__all__ = ["Runner", "Uncaught", "uncaught_of"]

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
HEALTHY_S = 60.0
"""A worker that ran this long is followed after a short pause again."""


class Uncaught(Enum):
    """What follows when a worker ends with an error that no handler took."""

    REPLACE_WORKER = "replace_worker"
    """Another worker takes its place in this process, after a pause: Kafka's REPLACE_THREAD."""
    STOP_WORKER = "stop_worker"
    """The run ends with the error, and others of the group take over: Kafka's SHUTDOWN_CLIENT."""
    STOP_APPLICATION = "stop_application"
    """The run ends, and so do all workers of the application, wherever they run: Kafka's SHUTDOWN_APPLICATION."""


class Runner:
    """See the module.

    `make_worker(clients, stops_all)` makes a worker that asks `stops_all(error)` when it ends, `make_clients()` its clients; `on_uncaught(error)` decides before `uncaught`
    does, unless its answer is None. `pause_s` is the first pause between two workers.
    """

    def __init__(
        self,
        make_worker: Callable[[Clients, Callable[[Exception], bool]], Any],
        make_clients: Callable[[], Clients],
        *,
        store_names: Collection[str] = (),
        uncaught: Uncaught = Uncaught.STOP_WORKER,
        pause_s: float = FIRST_PAUSE_S,
        on_uncaught: Sequence[Callable[[BaseException], Any]] = (),
    ) -> None:
        self._make_worker = make_worker
        self._make_clients = make_clients
        self.store_names = store_names
        self._uncaught = uncaught
        self._on_uncaught = on_uncaught
        self._pause_s = pause_s
        self._stopping = self._pausing = False
        self._answered: Uncaught | None = None
        self._worker: Any = None
        self._clients: Clients | None = None
        self._begin()

    def _begin(self) -> None:
        self._clients = self._make_clients()
        self._answered = None
        self._worker = self._make_worker(self._clients, self._stops_all)
        if self._pausing:
            self._worker.pause()

    def run(self) -> None:
        """Work until `stop`.

        Raises: what a worker died of; StopApplication when all are to stop, because of that or of another worker.
        """
        pause_s = self._pause_s
        while True:
            begun = time.monotonic()
            try:
                self._worker.run()
            except StopApplication:
                raise
            except Exception as error:
                answer = self._answered or self._answer(error)
                if answer is Uncaught.STOP_WORKER or self._stopping:
                    raise
                if time.monotonic() - begun > HEALTHY_S:
                    pause_s = self._pause_s
                log.exception("the worker ended; another one takes its place in %g s", pause_s)
            else:
                return
            finally:
                self.close()
            if not self._paused(pause_s):
                return
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            self._begin()
            if not self._paused(0):  # the end was asked of the one before, while this worker was made
                self.close()
                return

    def stop(self) -> None:
        """End the run: commit, leave the group, let go. From any thread, and from signal handlers."""
        self._stopping = True
        self._worker.stop()

    def pause(self, *, paused: bool = True) -> None:
        """Process nothing, or go on; from any thread. The next worker does the same."""
        self._pausing = paused
        self._worker.pause(paused=paused)

    def commit_soon(self) -> None:
        """Commit with the next turn instead of when the interval is over; from any thread."""
        self._worker.commit_soon()

    def status(self) -> Any:
        """What the worker does, from any thread (a WorkerStatus)."""
        return self._worker.status()

    def health(self) -> Any:
        """Whether all is well, from any thread (a Health)."""
        return self._worker.health()

    def stores(self, name: str, *, stale: bool = False, partition: int | None = None) -> list[Store]:
        """The open stores of a name, asked for from inside `ask`. Raises: StoreNotReady, StoreMoved."""
        return list(self._worker.stores(name, stale=stale, partition=partition))

    @property
    def locations(self) -> Any:
        """Which worker of the group holds what, from any thread (StoreLocations). Raises: StreamsError before the start."""
        return self._worker.locations

    def ask(self, question: Callable[[], T]) -> T:
        """Call a function on the processing thread, from any thread. Raises: StoreNotReady."""
        answer: T = self._worker.inquiries.ask(question)
        return answer

    def _stops_all(self, error: Exception) -> bool:
        """Asked by a worker that ends, while its group can still hear it."""
        self._answered = self._answer(error)
        return self._answered is Uncaught.STOP_APPLICATION

    def _answer(self, error: BaseException) -> Uncaught:
        for function in self._on_uncaught:
            answer = function(error)
            if answer is not None:
                return uncaught_of(answer)
        return self._uncaught

    def _paused(self, seconds: float) -> bool:
        """Let time pass; the answer is whether the run goes on."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._stopping:
            time.sleep(0.05)
        return not self._stopping

    def close(self) -> None:
        """Disconnect, if it has not ended by itself."""
        clients, self._clients = self._clients, None
        if clients is not None:
            clients.close()


def uncaught_of(answer: Any) -> Uncaught:
    """A policy by its name. Raises: ConfigError that lists the names."""
    if isinstance(answer, Uncaught):
        return answer
    names = [each.value for each in Uncaught]
    if answer in names:
        return Uncaught(answer)
    raise ConfigError(f"uncaught: expected one of {', '.join(names)}, got {answer!r}{nearest(str(answer), names)}")
