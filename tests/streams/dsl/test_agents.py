"""Agents as processors of batches: concurrency, order, errors, and Faust's form."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from streams import App
from streams.dsl.agent_results import Pace
from streams.dsl.agents import AGENT_LOOP, RecordAgent, StreamAgent
from streams.dsl.blocking import ThreadedFunction
from streams.errors import ProcessingError
from streams.on_error import Retry
from streams.record import Batch, Record
from streams.retrying import NO_TIME, Retrying
from streams.testing import TopologyTestDriver


class Collecting:
    """A context that remembers what failed, and goes on."""

    retrying: Retrying | None = None

    def __init__(self) -> None:
        self.failures: list[tuple[Record, Exception]] = []

    def failed(self, record: Record, error: Exception) -> None:
        self.failures.append((record, error))


@contextmanager
def running(agent: Any, context: Any = None) -> Iterator[Callable[..., list[tuple[Any, Any, int]]]]:
    """A function from values (or (key, value) pairs) to the agent's results as (key, value, timestamp)."""
    agent.init(context or Collecting())

    def process(*values: Any) -> list[tuple[Any, Any, int]]:
        pairs = [value if isinstance(value, tuple) else (None, value) for value in values]
        batch = Batch([key for key, _ in pairs], [value for _, value in pairs], list(range(len(pairs))))
        result = agent.process_batch(batch)
        return list(zip(result.keys, result.values, result.timestamps, strict=True)) if result else []

    try:
        yield process
    finally:
        agent.close()


def test_results_keep_the_order_of_records() -> None:
    """Later records may finish first; results come in the order of their records, with their key and timestamp."""

    async def slow_first(value: int) -> int:
        await asyncio.sleep(0.01 if value == 0 else 0)
        return value * 10

    with running(RecordAgent(slow_first, concurrency=3, with_key=False)) as process:
        assert process(("a", 0), ("b", 1), ("c", 2)) == [("a", 0, 0), ("b", 10, 1), ("c", 20, 2)]


def test_concurrency_is_bounded_and_used() -> None:
    """As many as allowed are in flight, never more."""
    flying = highest = 0

    async def fly(_value: int) -> None:
        nonlocal flying, highest
        flying += 1
        highest = max(highest, flying)
        await asyncio.sleep(0.001)
        flying -= 1

    with running(RecordAgent(fly, concurrency=4, with_key=False)) as process:
        assert process(*range(20)) == []
    assert highest == 4


def test_records_of_a_key_run_one_after_another() -> None:
    """However many may be in flight, one key's records never overlap and keep their order."""
    seen: list[tuple[str, int, str]] = []

    async def note(key: str, value: int) -> None:
        seen.append((key, value, "start"))
        await asyncio.sleep(0.001)
        seen.append((key, value, "end"))

    with running(RecordAgent(note, concurrency=10, with_key=True)) as process:
        process(("a", 1), ("b", 1), ("a", 2), ("a", 3))
    assert [(value, what) for key, value, what in seen if key == "a"] == [
        (value, what) for value in (1, 2, 3) for what in ("start", "end")
    ]


def test_a_failure_goes_to_the_handler_with_its_record() -> None:
    """A record whose function raises is handed over and left out; the others pass."""
    context = Collecting()

    async def picky(value: int) -> int:
        if value == 1:
            raise ValueError("not one")
        return value

    with running(RecordAgent(picky, concurrency=2, with_key=False), context) as process:
        assert [value for _, value, _ in process(0, 1, 2)] == [0, 2]
    assert [(record.value, str(error)) for record, error in context.failures] == [(1, "not one")]


async def doubled(stream: AsyncIterator[int]) -> AsyncIterator[int]:
    async for value in stream:
        await asyncio.sleep(0)
        yield value * 2
        if value > 2:
            yield value * 3


@pytest.mark.parametrize("copies", [1, 3])
def test_stream_form_yields_in_order(copies: int) -> None:
    """What an agent yields belongs to the record in hand, and comes in the order of records over several batches."""
    with running(StreamAgent(doubled, concurrency=copies)) as process:
        assert [value for _, value, _ in process(("a", 1), ("a", 2), ("a", 3))] == [2, 4, 6, 9]
        assert process(("b", 4)) == [("b", 8, 0), ("b", 12, 0)]


def test_stream_form_without_yield() -> None:
    """A batch is done only when the agent asks for the record after its last."""
    done: list[Any] = []

    async def consume(stream: Any) -> None:
        async for key, value in stream.items():
            await asyncio.sleep(0.001)
            done.append((key, value))

    with running(StreamAgent(consume, concurrency=1)) as process:
        process(("a", 1), ("b", 2))
        assert done == [("a", 1), ("b", 2)]


def test_take_never_waits_for_another_batch() -> None:
    """`take` gives what is there, so that nothing stays unfinished at a commit."""
    taken: list[list[int]] = []

    async def gather(stream: Any) -> None:
        async for values in stream.take(3, within=10):
            taken.append(values)  # noqa: PERF401  the stream never ends

    with running(StreamAgent(gather, concurrency=1)) as process:
        process(1, 2, 3, 4, 5)
        process(6)
    assert taken == [[1, 2, 3], [4, 5], [6]]


def test_stream_form_goes_on_after_an_error() -> None:
    """The record in hand goes to the handler, and the function is started again for the next."""
    context = Collecting()

    async def fragile(stream: Any) -> AsyncIterator[int]:
        async for record in stream.records():
            if record.value == 2:
                raise ValueError("two")
            yield record.value

    with running(StreamAgent(fragile, concurrency=1), context) as process:
        assert [value for _, value, _ in process(1, 2, 3)] == [1, 3]
    assert [record.value for record, _ in context.failures] == [2]


@pytest.mark.parametrize("copies", [1, 2])
def test_an_agent_that_never_reads_is_an_error(copies: int) -> None:
    """An agent that ends without reading would spin for ever; it is refused."""

    async def idle(_stream: Any) -> None:
        return None

    with running(StreamAgent(idle, concurrency=copies)) as process:
        for _ in range(2):
            with pytest.raises(ProcessingError, match="ended without reading a record"):
                process(1)


def test_the_loop_ends_with_its_last_user() -> None:
    """The agents' thread runs only while an agent does."""
    with running(RecordAgent(asyncio.sleep, concurrency=1, with_key=False)):
        assert AGENT_LOOP._thread is not None
    assert AGENT_LOOP._thread is None


def test_a_timeout_is_a_failure_of_its_record() -> None:
    """What takes longer is cancelled and goes to the handler; a timeout of the function's own stays its own."""
    context, cancelled = Collecting(), []

    async def slow(value: int) -> int:
        try:
            await asyncio.sleep(60 if value == 1 else 0)
        except asyncio.CancelledError:
            cancelled.append(value)
            raise
        if value == 2:
            raise TimeoutError("its own")
        return value

    with running(RecordAgent(slow, concurrency=3, with_key=False, timeout_ms=50), context) as process:
        assert [value for _, value, _ in process(0, 1, 2)] == [0]
    assert cancelled == [1]
    assert [(record.value, str(error)) for record, error in context.failures] == [
        (1, "it took longer than its timeout of 50 ms"),
        (2, "its own"),
    ]


def test_copies_are_cancelled_when_the_task_goes() -> None:
    """A revoked task ends the agents that wait for its records: their `finally` runs."""
    ended: list[str] = []

    async def waits(stream: Any) -> None:
        try:
            async for _ in stream:
                pass
        finally:
            ended.append("ended")

    with running(StreamAgent(waits, concurrency=2)) as process:
        process(1)
        assert ended == []
    assert ended == ["ended", "ended"]


def test_threads_keep_order_and_bound() -> None:
    """Blocking functions run side by side, never more than `threads`, records of a key one after another."""
    guard, together = threading.Lock(), threading.Barrier(2, timeout=20)
    seen: list[tuple[str, int]] = []

    def block(key: str, value: int) -> str:
        if value == 0:
            together.wait()  # both keys at once, or never
        with guard:
            seen.append((key, value))
        if value == 2:
            raise ValueError("two")
        return f"{key}{value}"

    context = Collecting()
    agent = ThreadedFunction(block, threads=2, with_key=True, many=False)
    with running(agent, context) as process:
        found = process(("a", 0), ("b", 0), ("a", 1), ("b", 2), ("a", 3))
    assert [value for _, value, _ in found] == ["a0", "b0", "a1", "a3"]
    assert [value for key, value in seen if key == "a"] == [0, 1, 3]
    assert [(record.key, str(error)) for record, error in context.failures] == [("b", "two")]


def test_pace_follows_the_time_a_batch_takes() -> None:
    """Quick batches double, slow ones halve, down to the concurrency."""
    pace = Pace(4)
    taken = [pace.records_at_once]
    for seconds in (0.01, 0.01, 0.1, 1.0, 1.0, 1.0):
        pace.note(seconds)
        taken.append(pace.records_at_once)
    assert taken == [4, 8, 16, 16, 8, 4, 4]


class Trying(Collecting):
    """A context that tries twice more."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        retry = Retry((TimeoutError,), times=2, first_ms=10, longest_ms=10)
        self.retrying = Retrying(retry, NO_TIME, lambda error, _pause_ms: self.told.append(str(error)))


class Flaky:
    """Raises for the first calls with a value, so many as the value says."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, value: int) -> int:
        self.calls.append(value)
        if self.calls.count(value) <= value:
            raise TimeoutError(f"{value} is late")
        return value


@pytest.mark.parametrize("form", ["record", "stream", "thread", "take"])
def test_what_raises_is_tried_again_before_the_next_of_its_key(form: str) -> None:
    """As often as the policy says, in the order of the key; then the record has failed, and the others go on."""
    flaky, context = Flaky(), Trying()

    async def one(value: int) -> int:
        return flaky(value)

    async def stream(values: Any) -> AsyncIterator[int]:
        async for value in values:
            yield -1
            yield flaky(value)

    async def take(values: Any) -> AsyncIterator[int]:
        async for held in values.take(1):
            yield flaky(held[0])

    agent = {
        "record": lambda: RecordAgent(one, concurrency=1, with_key=False),
        "stream": lambda: StreamAgent(stream, concurrency=1),
        "thread": lambda: ThreadedFunction(lambda value: flaky(value), threads=1, with_key=False, many=False),
        "take": lambda: StreamAgent(take, concurrency=1),
    }[form]()
    with running(agent, context) as process:
        results = [value for _, value, _ in process(("a", 0), ("a", 2), ("a", 3), ("a", 1)) if value >= 0]
        assert results == [0, 2, 1]
        assert [value for _, value, _ in process(("a", 4)) if value >= 0] == []
    assert flaky.calls == [0, 2, 2, 2, 3, 3, 3, 1, 1, 4, 4, 4]
    assert context.told == ["2 is late"] * 2 + ["3 is late"] * 2 + ["1 is late"] + ["4 is late"] * 2
    assert [(record.value, str(error)) for record, error in context.failures] == [(3, "3 is late"), (4, "4 is late")]


def test_all_records_of_a_list_are_tried_again() -> None:
    """Those that an agent holds when it raises: none of them is lost, none has failed alone."""
    context, lists = Trying(), []

    async def take(values: Any) -> AsyncIterator[int]:
        async for held in values.take(2):
            lists.append(held)
            if len(lists) < 4:
                raise TimeoutError("late")
            yield sum(held)

    with running(StreamAgent(take, concurrency=1), context) as process:
        assert [value for _, value, _ in process(1, 2, 3, 4)] == [7]
    assert lists == [[1, 2], [1, 2], [1, 2], [3, 4]]
    assert [record.value for record, _ in context.failures] == [1, 2]


@pytest.mark.parametrize("form", ["record", "stream"])
def test_who_leaves_takes_nobody_with_it(form: str) -> None:
    """sys.exit in an agent is raised where its batch is waited for; its other records end, and other agents go on."""
    ended: list[int] = []

    async def leave(value: int) -> int:
        if value == 1:
            await asyncio.sleep(0.01)
            sys.exit("bad")
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(value)
        return value

    async def loop(stream: Any) -> AsyncIterator[int]:
        async for value in stream:
            yield await leave(value)

    async def same(value: int) -> int:
        return value

    context = Collecting()
    agent = RecordAgent(leave, concurrency=2, with_key=False) if form == "record" else StreamAgent(loop, concurrency=2)
    with running(RecordAgent(same, concurrency=1, with_key=False)) as other:
        with running(agent, context) as process, pytest.raises(SystemExit, match="bad"):
            process(1, 2, 3)
        assert other(("a", 7)) == [("a", 7, 0)]
    assert ended == [2]
    assert context.failures == []


def test_a_timer_of_a_library_may_leave() -> None:
    """The loop goes on for the agents when something else that runs on it raises SystemExit."""

    async def leave(value: int) -> int:
        asyncio.get_running_loop().call_soon(sys.exit)
        await asyncio.sleep(0.01)
        return value

    with running(RecordAgent(leave, concurrency=1, with_key=False)) as process:
        assert process(("a", 7)) == [("a", 7, 0)]
        assert process(("a", 8)) == [("a", 8, 0)]


def test_what_has_not_begun_is_abandoned_too() -> None:
    """A batch that was handed to a busy loop is cancelled when its task goes, though the loop comes to it only then."""
    gate, seen = threading.Event(), []

    async def note(value: int) -> None:
        await asyncio.sleep(0)
        seen.append(value)
        await asyncio.sleep(60)

    async def busy() -> None:
        gate.wait(20)

    agent = RecordAgent(note, concurrency=1, with_key=False)
    with running(agent):
        AGENT_LOOP.start(busy())
        begun = agent.begin(Batch(["a"], [1], [0]), beside=lambda _name: None)
        threading.Timer(0.05, gate.set).start()
        agent.abandon()
        with pytest.raises(CancelledError):
            begun.result(20)
    assert seen == []


@pytest.mark.parametrize("copies", [1, 2])
def test_an_agent_may_have_a_timeout_around_its_loop(copies: int) -> None:
    """While it is idle it flushes, as often as it likes; then it gets the records that come."""
    flushed, seen, twice = [], [], threading.Semaphore(0)

    async def flushing(stream: Any) -> AsyncIterator[int]:
        while True:
            try:
                async with asyncio.timeout(0.01):
                    async for value in stream:
                        seen.append(value)
                        yield value
            except TimeoutError:
                flushed.append(list(seen))
                twice.release()

    with running(StreamAgent(flushing, concurrency=copies)) as process:
        for values in ([1, 2], [3], [4, 5, 6]):
            assert [value for _, value, _ in process(*values)] == values
            for _ in range(2 * copies):
                assert twice.acquire(timeout=20)
    assert seen == [1, 2, 3, 4, 5, 6]
    assert seen in flushed


@pytest.mark.parametrize("fault", ["raises", "yields"])
def test_what_an_agent_does_without_a_record_ends_the_worker(fault: str) -> None:
    """No record is to blame for what it raises while idle, and none has the key of what it yields then."""
    idle, context = threading.Event(), Collecting()

    async def flushing(stream: Any) -> AsyncIterator[int]:
        try:
            async with asyncio.timeout(0.01):
                async for value in stream:
                    yield value
        except TimeoutError:
            idle.set()
            if fault == "raises":
                raise ValueError("cannot flush") from None
        yield 7

    with running(StreamAgent(flushing, concurrency=1), context) as process:
        assert process(("a", 1)) == [("a", 1, 0)]
        assert idle.wait(20)
        with pytest.raises((ValueError, ProcessingError), match="cannot flush|yielded 7 with no record in hand"):
            process(2)
    assert context.failures == []


@pytest.mark.parametrize("kind", [int, float])
def test_a_result_may_be_a_number_of_numpy(kind: type) -> None:
    """As that of a plain function may: it is written as the number that it is."""
    app = App("app")

    @app.agent(app.topic("in", key=str, value=int), to=app.topic("out", key=str, value=kind))
    async def total(value):
        return np.int64(value)

    with TopologyTestDriver(app) as driver:
        driver.input("in").send("k", 7)
        assert driver.output("out").read_values() == [7]
