"""The loop that whoever has time runs: on which thread things happen, that they go on, and that nobody waits in vain."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import trustme

from streams.clients.kafka.network_loop import STAND_IN_S, NetworkLoop
from streams.errors import BrokerUnreachable

PATIENCE_S = 20.0


@pytest.fixture
def network() -> Iterator[NetworkLoop]:
    """A loop that is attended to whenever it is asked for."""
    made = NetworkLoop("test", attended_every_s=0.0)
    yield made
    made.close()


async def _thread(after_s: float = 0.0) -> str:
    """The thread that runs the loop, after a while."""
    await asyncio.sleep(after_s)
    return threading.current_thread().name


async def _fail() -> None:
    raise KeyError("what was wrong")


def _until(reached: Callable[[], bool]) -> None:
    """Wait without running the loop."""
    until = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.001)


def _has_stood_in(network: NetworkLoop) -> None:
    """Wait until the thread runs the loop, as user code that takes long does."""
    stood_in = network.begin(_thread())
    _until(stood_in.done)
    assert stood_in.result() == "test-network"


def test_who_waits_runs_the_loop(network: NetworkLoop) -> None:
    """However long it takes, and errors come out there."""
    here = threading.current_thread().name
    assert network.call(_thread()) == here
    assert network.call(_thread(after_s=3 * STAND_IN_S)) == here
    with pytest.raises(KeyError, match="what was wrong"):
        network.call(_fail())


def test_the_thread_stands_in_for_who_does_not_wait(network: NetworkLoop) -> None:
    """As user code may take long; who comes back has the loop again."""
    here = threading.current_thread().name
    for _ in range(3):
        _has_stood_in(network)
        assert network.call(_thread(after_s=0.1)) == here


def test_after_a_long_wait_the_thread_stands_in_again(network: NetworkLoop) -> None:
    """It sleeps while somebody waits, and is woken when he has left."""
    network.wait_for(lambda: False, 3 * STAND_IN_S)
    _has_stood_in(network)


def test_attending_does_what_can_be_done_at_once(network: NetworkLoop) -> None:
    """A chain of callbacks as long as from an answer to the next request, and nothing that takes time."""
    here, passed = threading.current_thread().name, []

    async def chain() -> None:
        passed.append(threading.current_thread().name)
        for _ in range(3):
            await asyncio.sleep(0)
            passed.append(threading.current_thread().name)
        await asyncio.sleep(PATIENCE_S)

    network.wait_for(lambda: False, 0.001)
    going = network.begin(chain())
    network.attend()
    assert passed == [here] * 4
    assert not going.done()


def test_attending_too_often_does_nothing_unless_something_was_begun() -> None:
    """What has come in from outside waits for its time, or for the thread; what was begun here does not."""
    network = NetworkLoop("test", attended_every_s=PATIENCE_S)
    try:
        network.attend()
        begun = network.begin(_thread())
        network.attend()
        assert begun.result() == threading.current_thread().name
        came: list[str] = []
        network.loop.call_soon_threadsafe(lambda: came.append(threading.current_thread().name))
        network.attend()
        _until(lambda: bool(came))
        assert came == ["test-network"]
    finally:
        network.close()


def test_all_who_wait_get_their_answer(network: NetworkLoop) -> None:
    """One of them runs the loop, and when he leaves another does."""
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(network.call, _thread(after_s=number / 100)) for number in range(40)]
        assert len([call.result(PATIENCE_S) for call in calls]) == 40


def test_a_wait_ends_when_it_is_told(network: NetworkLoop) -> None:
    """From another thread, and from a signal handler in the middle of the wait."""
    reached: list[str] = []

    def reach(what: str) -> None:
        reached.append(what)
        network.soon(network.tell)

    threading.Timer(0.05, reach, ["thread"]).start()
    network.wait_for(lambda: len(reached) == 1, PATIENCE_S)
    before = signal.signal(signal.SIGUSR1, lambda *_: reach("signal"))
    try:
        threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGUSR1]).start()
        begun = time.monotonic()
        network.wait_for(lambda: len(reached) == 2, PATIENCE_S)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert reached == ["thread", "signal"]
    assert time.monotonic() < begun + PATIENCE_S


def test_inside_of_another_loop_the_thread_stands_in(network: NetworkLoop) -> None:
    """A notebook runs one on its main thread, and loops cannot be run inside one another."""

    async def cell() -> tuple[str, str]:
        first = network.call(_thread())
        network.attend()
        return first, network.call(_thread(after_s=0.01))

    assert asyncio.run(cell()) == ("test-network", "test-network")
    assert network.call(_thread(after_s=0.1)) == threading.current_thread().name


def test_the_loop_does_not_wait_for_itself(network: NetworkLoop) -> None:
    """It would wait for ever."""

    async def waits() -> None:
        network.wait_for(lambda: True)
        network.call(_thread())

    with pytest.raises(AssertionError, match="must not wait for itself"):
        network.call(waits())


def test_what_takes_too_long_or_is_given_up_is_an_error(network: NetworkLoop) -> None:
    """It says how long it was waited for."""
    with pytest.raises(BrokerUnreachable, match=r"did not answer within 0\.01 s"):
        network.call(_thread(after_s=PATIENCE_S), 0.01)
    threading.Timer(0.05, network.give_up).start()
    with pytest.raises(BrokerUnreachable, match="nobody waits for it any more"):
        network.call(_thread(after_s=PATIENCE_S))


def test_closing_ends_what_is_under_way() -> None:
    """Whoever runs the loop: its waiter, the thread, or nobody."""
    for who in ("waiter", "thread", "nobody"):
        network = NetworkLoop("test", attended_every_s=0.0)
        ended: list[str] = []

        async def lasting(ended: list[str] = ended) -> None:
            try:
                await asyncio.sleep(PATIENCE_S)
            finally:
                ended.append("ended")

        if who == "waiter":
            waiter = threading.Thread(target=network.wait_for, args=[lambda: False])
            waiter.start()
        begun = network.begin(lasting())
        network.call(_thread())
        if who == "thread":
            _has_stood_in(network)
        network.close()
        if who == "waiter":
            waiter.join(PATIENCE_S)
            assert not waiter.is_alive()
        assert ended == ["ended"]
        with pytest.raises(BrokerUnreachable):
            begun.result()
        network.close()


class Overtaken(NetworkLoop):
    """A loop whose thread comes to stand in when a caller has already run the loop to the stop that closing asks for."""

    def _stand_in(self) -> None:
        self._closing.wait(PATIENCE_S)
        self.loop.run_forever()  # as that caller would
        super()._stand_in()


def test_closing_ends_a_thread_whose_stop_was_somebody_elses() -> None:
    """It does not run the loop again, which nobody would stop any more."""
    network = Overtaken("test", attended_every_s=0.0)
    time.sleep(2 * STAND_IN_S)
    closing = threading.Thread(target=network.close, daemon=True)
    closing.start()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    assert network.loop.is_closed()


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("closed_before", [False, True], ids=["left-open", "closed"])
def test_connections_end_with_the_loop(secured: bool, closed_before: bool) -> None:
    """At once, whatever their other side does: one over TLS that was closed would wait for its goodbye."""
    authority, server, client = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    over = threading.Event()

    def accept(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with server.wrap_socket(connection, server_side=True) if secured else connection:
            over.wait(PATIENCE_S)

    async def connect(port: int) -> tuple[Any, asyncio.StreamWriter]:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client if secured else None)
        connection = writer.get_extra_info("socket")
        if closed_before:
            writer.close()
        return connection, writer

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as silent:
        accepted = silent.submit(accept, listening)
        network = NetworkLoop("test", attended_every_s=0.0)
        connection, _kept = network.call(connect(listening.getsockname()[1]), PATIENCE_S)
        network.close()
        over.set()
        accepted.result()
        assert connection.fileno() == -1
