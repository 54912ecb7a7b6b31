"""Waiting for other threads that may have questions for this one.

An agent's loop, or a thread of a blocking function, may ask for a store while the processing thread waits for its
result: then somebody has to answer. Rules: a thread says once who answers on it (`answer_with`), and waits with
`result_of`; without that it just waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["answer_with", "result_of"]

T = TypeVar("T")

LOOK_EVERY_S = 0.005


class _Answering(threading.local):
    answer: Callable[[], None] | None = None


_answering = _Answering()


def answer_with(answer: Callable[[], None] | None) -> None:
    """Who answers questions while this thread waits; None: nobody any more."""
    _answering.answer = answer


def result_of(future: Future[T]) -> T:
    """The future's result, or what it raises; questions are answered meanwhile."""
    answer = _answering.answer
    if answer is None:
        return future.result()
    while True:
        try:
            return future.result(LOOK_EVERY_S)
        except TimeoutError:
            if future.done():
                return future.result()
            answer()
