"""Questions of other threads, answered by one."""

import threading

import pytest

from streams.errors import StoreNotReady
from streams.runtime.inquiries import Inquiries


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
