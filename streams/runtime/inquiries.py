"""Questions of other threads about a worker's stores, answered by the processing thread between two rounds.

So stores need no locks, a record costs nothing more, and an answer sees every record wholly or not at all. Rules: the
processing thread answers itself at once; a question that is not answered in time, or when the worker ends, is a
StoreNotReady, never a hang.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from streams.errors import StoreNotReady
from streams.waiting import answer_with

T = TypeVar("T")

ANSWER_S = 30.0
"""How long one may wait: longer than rounds and commits take, unless something is wrong."""


class Inquiries:
    """See the module. `wake` ends the processing thread's wait for records."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._thread: int | None = None

    def open(self) -> None:
        """Begin to answer, on the calling thread."""
        self._thread = threading.get_ident()
        answer_with(self.answer)

    def ask(self, question: Callable[[], T]) -> T:
        """The answer of the processing thread. Raises: what the question raises; StoreNotReady when nobody answers."""
        if not self._answering():
            raise StoreNotReady("stores can be read when the worker has started: it has not, or it has ended")
        if self._thread == threading.get_ident():
            return question()
        future: Future[T] = Future()
        self._waiting.append((future, question))
        self._wake()
        if not self._answering():
            self._refuse()  # it ended between the look and the question
        try:
            return future.result(ANSWER_S)
        except TimeoutError:
            future.cancel()
            raise StoreNotReady(f"the worker has been busy with one thing for {ANSWER_S:g} s: ask again") from None

    def _answering(self) -> bool:
        return self._thread is not None

    def answer(self) -> None:
        """Answer all that wait."""
        for future, question in self._taken():
            try:
                future.set_result(question())
            except Exception as error:
                future.set_exception(error)

    def close(self) -> None:
        """Answer no more."""
        answer_with(None)
        self._thread = None
        self._refuse()

    def _refuse(self) -> None:
        """Tell all that wait that nobody answers. Also on their own threads, so it leaves alone who answers by now."""
        for future, _ in self._taken():
            future.set_exception(StoreNotReady("the worker has ended: its stores are closed"))

    def _taken(self) -> Iterator[tuple[Future[Any], Callable[[], Any]]]:
        """Those that wait, one by one, each for one thread alone; without those that have given up."""
        while True:
            try:
                future, question = self._waiting.popleft()
            except IndexError:
                return
            if future.set_running_or_notify_cancel():
                yield future, question

    @property
    def waiting(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)
