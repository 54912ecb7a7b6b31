"""Agents beside the worker's loop: a slow one slows its own task, is never passed by a commit, and goes when the task goes."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from streams import App, retry
from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.errors import ProcessingError
from streams.on_error import CONTINUE, OnError
from streams.record import TopicPartition
from streams.runtime.restorer import SilentListener
from streams.runtime.worker import Worker

SLOW, QUICK = TopicPartition("slow", 0), TopicPartition("quick", 0)
PATIENCE_S = 60
FORMS = ["record", "stream", "thread"]


class Gate:
    """Opened from any thread, waited for by agents and by blocking functions."""

    def __init__(self) -> None:
        self.open = threading.Event()

    async def passed(self) -> None:
        while not self.open.is_set():  # noqa: ASYNC110  opened from another thread
            await asyncio.sleep(0.001)


def filled(values: list[bytes]) -> MemoryBroker:
    """A broker with these values of the keys a, b, a in both inputs."""
    broker = MemoryBroker()
    for topic in ("slow", "quick", "out"):
        broker.create(NewTopic(topic, 1))
    producer = MemoryClients(broker).producer()
    for topic in ("slow", "quick"):
        producer.send(topic, 0, [b"a", b"b", b"a"], values, [1, 2, 3])
    return broker


@pytest.fixture
def broker() -> MemoryBroker:
    return filled([b"1", b"2", b"3"])


@contextmanager
def running(app: App, broker: MemoryBroker) -> Iterator[Worker]:
    worker = Worker(app.build(), app.config, MemoryClients(broker), restore_progress=SilentListener())
    thread = threading.Thread(target=worker_run, args=(worker,))
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "".join(traceback.format_stack(sys._current_frames()[thread.ident or 0]))


def worker_run(worker: Worker) -> None:
    """Run; what ends it is kept in `worker.error`."""
    with suppress(ProcessingError, SystemExit):
        worker.run()


def committed(broker: MemoryBroker, partition: TopicPartition) -> int:
    group = broker.groups.get("ahead")
    found = group.offsets.get(partition) if group else None
    return found.offset if found else 0


def until_committed(broker: MemoryBroker, partition: TopicPartition, offset: int) -> None:
    with broker.changed:
        assert broker.changed.wait_for(lambda: committed(broker, partition) >= offset, timeout=PATIENCE_S)


def results(broker: MemoryBroker) -> list[bytes | None]:
    return [record.value for record in broker.records("out")]


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App("ahead", broker="kafka://memory:1", state_dir=str(tmp_path), commit_interval_ms=10)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_others_go_on_meanwhile(broker: MemoryBroker, tmp_path: Path, form: str, guarantee: str) -> None:
    """While an agent waits, another topic is processed and committed, and the agent's own offset is not; then it is."""
    app = App(
        "ahead",
        broker="kafka://memory:1",
        state_dir=str(tmp_path),
        commit_interval_ms=10,
        processing_guarantee=guarantee,
    )
    gate = Gate()
    slow, out = app.topic("slow", key=str, value=str), app.topic("out", key=str, value=str)

    if form == "record":

        @app.agent(slow, to=out, concurrency=2)
        async def wait(value: str) -> str:
            await gate.passed()
            return value

    elif form == "stream":

        @app.agent(slow, to=out)
        async def wait_for_each(stream) -> AsyncIterator[str]:
            async for value in stream:
                await gate.passed()
                yield value

    else:

        @app.process(slow, to=out, threads=2)
        def block(value: str) -> str:
            gate.open.wait(PATIENCE_S)
            return value

    seen: list[str] = []
    app.process(app.topic("quick", key=str, value=str))(seen.append)
    with running(app, broker):
        until_committed(broker, QUICK, 3)
        assert (seen, committed(broker, SLOW), results(broker)) == (["1", "2", "3"], 0, [])
        gate.open.set()
        until_committed(broker, SLOW, 3)
    assert results(broker) == [b"1", b"2", b"3"]


@pytest.mark.parametrize("form", ["record", "stream"])
def test_what_is_in_flight_goes_with_its_task(broker: MemoryBroker, app: App, form: str) -> None:
    """A stop does not wait for an agent: it is cancelled, and its records are not committed."""
    begun, cancelled = threading.Event(), []

    async def hang(value: str) -> None:
        begun.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(value)
            raise

    async def loop(stream) -> None:
        async for value in stream:
            await hang(value)

    app.agent(app.topic("slow", key=str, value=str))(hang if form == "record" else loop)
    with running(app, broker):
        assert begun.wait(PATIENCE_S)
    assert (cancelled, committed(broker, SLOW)) == (["1"], 0)


def test_a_failure_ends_the_worker_at_its_record(broker: MemoryBroker, app: App) -> None:
    """What an agent raises ahead is decided on when its record is due: those before it are written, the error names it."""

    @app.agent(app.topic("slow", key=str, value=str), to=app.topic("out", key=str, value=str), concurrency=3)
    async def picky(value: str) -> str:
        await asyncio.sleep(0.01)
        if value == "2":
            raise ValueError("two")
        return value

    with running(app, broker) as worker, broker.changed:
        assert broker.changed.wait_for(lambda: worker.error is not None, timeout=PATIENCE_S)
    assert isinstance(worker.error, ProcessingError)
    assert (worker.error.topic, worker.error.offset) == ("slow", 1)
    assert committed(broker, SLOW) <= 1


def test_each_record_runs_once(broker: MemoryBroker, app: App) -> None:
    """Two agents on one topic, and many batches: every record once in each, results in order."""
    producer = MemoryClients(broker).producer()
    producer.send("slow", 0, [b"%d" % (n % 7) for n in range(500)], [b"%d" % n for n in range(500)], list(range(500)))
    seen: dict[str, list[str]] = {"one": [], "two": []}
    slow = app.topic("slow", key=str, value=str)

    @app.agent(slow, to=app.topic("out", key=str, value=str), concurrency=8)
    async def one(value: str) -> str:
        await asyncio.sleep(0.003 if value.endswith("3") else 0)
        seen["one"].append(value)
        return value

    @app.agent(slow, concurrency=2)
    async def two(value: str) -> None:
        seen["two"].append(value)

    with running(app, broker):
        until_committed(broker, SLOW, 503)
    assert all(len(values) == 503 for values in seen.values())
    assert results(broker) == [b"1", b"2", b"3", *(b"%d" % n for n in range(500))]


@pytest.mark.parametrize("form", FORMS)
def test_a_commit_does_not_pass_a_record_that_is_tried_again(broker: MemoryBroker, app: App, form: str) -> None:
    """The others of its task wait for it, in order, and other tasks do not."""
    late = threading.Event()
    tried = threading.Semaphore(0)

    def once(value: str) -> str:
        tried.release()
        if value == "1" and not late.is_set():
            raise TimeoutError("too early")
        return value

    again(app, form, once, retry(TimeoutError, times=1_000, first="1 ms", longest="1 ms"))
    app.process(app.topic("quick", key=str, value=str))(lambda _value: None)
    with running(app, broker):
        for _ in range(20):
            assert tried.acquire(timeout=PATIENCE_S)
        until_committed(broker, QUICK, 3)
        assert (committed(broker, SLOW), results(broker)) == (0, [])
        late.set()
        until_committed(broker, SLOW, 3)
    assert results(broker) == [b"1", b"2", b"3"]


@pytest.mark.parametrize("form", FORMS)
def test_a_stop_ends_a_pause(broker: MemoryBroker, app: App, form: str) -> None:
    """However long it is; the record is not committed."""
    raised = threading.Event()

    def late(_value: str) -> str:
        raised.set()
        raise TimeoutError("late")

    again(app, form, late, retry(TimeoutError, times=1, first="200 s", longest="200 s"))
    with running(app, broker):
        assert raised.wait(PATIENCE_S)
    assert committed(broker, SLOW) == 0


@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_exception_ends_the_worker(broker: MemoryBroker, app: App, form: str) -> None:
    """sys.exit in a function passes by every policy, as an Error of Java's does: nothing is skipped, nothing committed."""

    def leave(value: str) -> str:
        if value == "2":
            sys.exit("bad")
        return value

    again(app, form, leave, CONTINUE)
    with running(app, broker) as worker, broker.changed:
        assert broker.changed.wait_for(lambda: worker.error is not None, timeout=10)
    assert repr(worker.error) == "SystemExit('bad')"
    assert committed(broker, SLOW) <= 1
    assert results(broker) in ([], [b"1"])


@pytest.mark.parametrize("form", FORMS)
def test_a_task_that_was_cancelled_under_a_function_is_a_failure(broker: MemoryBroker, app: App, form: str) -> None:
    """The policy is asked, though a CancelledError is no Exception: the record is skipped, and the others pass."""

    async def cancelled() -> None:
        waiting = asyncio.ensure_future(asyncio.sleep(60))
        waiting.cancel()
        await waiting

    def wait(value: str) -> str:
        if value == "2":
            asyncio.run(cancelled())
        return value

    async def wait_for(value: str) -> str:
        if value == "2":
            await cancelled()
        return value

    again(app, form, wait, CONTINUE, wait_for)
    with running(app, broker) as worker:
        until_committed(broker, SLOW, 3)
    assert worker.error is None
    assert results(broker) == [b"1", b"3"]


def again(
    app: App,
    form: str,
    function: Callable[[str], str],
    policy: OnError,
    awaited: Callable[[str], Awaitable[str]] | None = None,
) -> None:
    """The function over what is slow, in one of the forms that run ahead; `awaited` in its place where that can be."""
    slow, out = app.topic("slow", key=str, value=str), app.topic("out", key=str, value=str)

    async def result(value: str) -> str:
        return await awaited(value) if awaited else function(value)

    if form == "record":

        @app.agent(slow, to=out, on_error=policy)
        async def one(value: str) -> str:
            return await result(value)

    elif form == "stream":

        @app.agent(slow, to=out, on_error=policy)
        async def each(stream) -> AsyncIterator[str]:
            async for value in stream:
                yield await result(value)

    else:

        @app.process(slow, to=out, threads=1, on_error=policy)
        def plain(value: str) -> str:
            return function(value)
