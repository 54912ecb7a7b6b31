"""Questions of other threads about a worker's stores, answered by the processing thread between two rounds.

So stores need no locks, a record costs nothing more, and an answer sees every record wholly or not at all. Rules: the
processing thread answers itself at once; a question that is not answered in time, or when the worker ends, is a
StoreNotReady, never a hang.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
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
            self.close()  # it ended between the look and the question
        try:
            return future.result(ANSWER_S)
        except TimeoutError:
            future.cancel()
            raise StoreNotReady(f"the worker has been busy with one thing for {ANSWER_S:g} s: ask again") from None

    def _answering(self) -> bool:
        return self._thread is not None

    def answer(self) -> None:
        """Answer all that wait."""
        while self._waiting:
            future, question = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(question())
            except Exception as error:
                future.set_exception(error)

    def close(self) -> None:
        """Answer no more."""
        answer_with(None)
        self._thread = None
        while self._waiting:
            future, _ = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                future.set_exception(StoreNotReady("the worker has ended: its stores are closed"))

    @property
    def waiting(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)
