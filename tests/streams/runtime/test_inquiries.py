"""Questions of other threads, answered by one."""

import threading
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from streams.errors import StoreNotReady
from streams.runtime.inquiries import Inquiries
from streams.waiting import answer_with, result_of


def test_the_answer_comes_from_the_thread_that_answers() -> None:
    """Errors of the question come back as well."""
    woken = threading.Event()
    inquiries = Inquiries(woken.set)
    inquiries.open()
    found: list[object] = []

    def ask() -> None:
        found.append(inquiries.ask(threading.get_ident))
        try:
            inquiries.ask(lambda: 1 // 0)
        except ZeroDivisionError as error:
            found.append(error)

    asker = threading.Thread(target=ask)
    asker.start()
    while asker.is_alive():
        woken.wait(0.1)
        inquiries.answer()
    assert found[0] == threading.get_ident()
    assert isinstance(found[1], ZeroDivisionError)


def test_the_answering_thread_answers_itself() -> None:
    """Without waiting for anybody."""
    inquiries = Inquiries(lambda: None)
    inquiries.open()
    assert inquiries.ask(lambda: 7) == 7


def test_whoever_waits_at_the_end_is_told() -> None:
    """Nobody hangs on a worker that has ended."""
    asked = threading.Event()
    inquiries = Inquiries(asked.set)
    with pytest.raises(StoreNotReady, match="it has not, or it has ended"):
        inquiries.ask(lambda: 7)
    inquiries.open()
    errors: list[Exception] = []

    def ask() -> None:
        try:
            inquiries.ask(lambda: 7)
        except StoreNotReady as error:
            errors.append(error)

    asker = threading.Thread(target=ask)
    asker.start()
    asked.wait(10)
    inquiries.close()
    asker.join()
    assert "the worker has ended" in str(errors[0])


def test_who_asks_another_worker_that_ends_still_answers() -> None:
    """Two applications in one process: a processing thread that is refused an answer goes on giving its own."""
    ending = Inquiries(lambda: on_a_thread(ending.close))
    on_a_thread(ending.open)
    going_on = Inquiries(lambda: None)
    going_on.open()
    try:
        with pytest.raises(StoreNotReady, match="the worker has ended"):
            ending.ask(lambda: 7)
        answered: Future[int] = Future()

        def ask() -> None:
            try:
                answered.set_result(going_on.ask(lambda: 8))
            except StoreNotReady as error:
                answered.set_exception(error)

        asker = threading.Thread(target=ask)
        asker.start()
        assert result_of(answered) == 8
        asker.join()
    finally:
        answer_with(None)


def on_a_thread(function: Callable[[], None]) -> None:
    """Call it there, to its end."""
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()
