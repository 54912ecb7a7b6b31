"""Agents: asynchronous user functions as processors of whole batches.

Two forms. Per record: `async def score(ride)`, up to `concurrency` in flight, records of one key one after another.
Faust's: `async def f(stream)` that loops `async for ride in stream` and may yield; `concurrency` copies share the
records. Rules: coroutines run on one loop in a thread of its own, so they stop neither heartbeats nor each other; a
batch is passed on only when all of it is done, in the order of its records, so that a commit never passes an
unfinished one. An error goes to the processing handler with its record.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from streams.dsl.agent_results import Expected, Failure, RunsAhead, blame_cancellation, collected, lanes_of
from streams.dsl.agent_tables import hold, let_go
from streams.errors import Interrupted, ProcessingError, shown
from streams.processor import Beside, ProcessorContext
from streams.record import Batch, Record
from streams.retrying import Attempts, Retrying
from streams.waiting import result_of

T = TypeVar("T")


class AgentLoop:
    """The event loop of all agents of a process, in a thread of its own; it runs while somebody uses it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._users = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def acquire(self) -> None:
        """Use the loop; the first user starts it."""
        with self._guard:
            self._users += 1
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._ended = threading.Event()
                self._thread = threading.Thread(
                    target=run_until, args=(self._loop, self._ended), name="agents", daemon=True
                )
                self._thread.start()

    def release(self) -> None:
        """Stop using it; the last user ends it."""
        with self._guard:
            self._users -= 1
            if self._users or self._loop is None or self._thread is None:
                return
            self._ended.set()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = self._thread = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there, and wait for its result here."""
        return result_of(self.start(coroutine))

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine there."""
        assert self._loop is not None, "acquire comes first"
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)


def run_until(loop: asyncio.AbstractEventLoop, ended: threading.Event) -> None:
    """Run a loop until `ended` is set and it is stopped.

    A SystemExit in a coroutine leaves `run_forever`. But others run on the loop too, and whoever waits for that coroutine
    hears of it only when the loop turns again.
    """
    while not ended.is_set():
        with suppress(SystemExit, KeyboardInterrupt):
            loop.run_forever()


AGENT_LOOP = AgentLoop()

LAST_WORDS_S = 5.0
"""How long a cancelled function may take to end."""


class RecordAgent(RunsAhead):
    """Runs `function(value)` or, `with_key`, `function(key, value)` for the records of a batch; None is dropped.

    A record that takes longer than `timeout_ms` is cancelled, and fails.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        concurrency: int,
        with_key: bool,
        timeout_ms: int | None = None,
        expected: Iterable[Expected] = (),
    ) -> None:
        super().__init__(concurrency)
        self._flying: asyncio.Task[Any] | None = None
        self._function = function
        self._concurrency = concurrency
        self._with_key = with_key
        self._timeout_ms = timeout_ms
        self._expected = tuple(expected)
        self._context: ProcessorContext | None = None

    def init(self, context: ProcessorContext) -> None:
        """Start the loop unless it runs."""
        self._context = context
        AGENT_LOOP.acquire()

    def close(self) -> None:
        """Let the loop go."""
        AGENT_LOOP.release()

    def begin(self, batch: Batch, beside: Beside) -> Future[Any]:
        """Run records that will be processed later; see `streams.processor.AheadProcessor`."""
        self._pace.begin()
        assert self._context is not None
        return AGENT_LOOP.start(self._fly(batch, self._context, beside))

    def abandon(self) -> None:
        """Cancel what is in flight, and forget what came of it."""
        self._ahead.clear()
        AGENT_LOOP.run(self._cancel())

    def process_batch(self, batch: Batch) -> Batch | None:
        """Run all records unless that was done ahead; results in the order of their records."""
        assert self._context is not None
        context = self._context
        results = self._results_of(batch, lambda: AGENT_LOOP.run(self._run(batch, context)))
        return collected(context, batch, results, self._expected)

    async def _cancel(self) -> None:
        """Cancel what is in flight, which is known here: on the loop, where `_fly` has begun by now."""
        await cancelled([self._flying] if self._flying else [])

    async def _fly(self, batch: Batch, context: ProcessorContext, beside: Beside) -> list[tuple[int, Any]]:
        self._flying = asyncio.current_task()
        return await self._run(batch, context, beside)

    async def _run(
        self, batch: Batch, context: ProcessorContext, beside: Beside | None = None
    ) -> list[tuple[int, Any]]:
        whole = asyncio.current_task()
        assert whole is not None
        results: list[Any] = [None] * len(batch)
        lanes = iter(lanes_of(batch.keys))
        arguments = list(
            zip(batch.keys, batch.values, strict=True) if self._with_key else zip(batch.values, strict=True)
        )

        leaving: list[BaseException] = []

        def ending() -> bool:
            return bool(leaving or whole.cancelling())

        async def work() -> None:
            for lane in lanes:
                for index in lane:
                    hold(context, batch.record(index), beside)
                    try:
                        results[index] = await self._result(arguments[index], context.retrying, ending)
                    except Exception as error:
                        results[index] = Failure(error)
                    except BaseException as error:
                        leaving.append(error)
                        raise

        working = [asyncio.create_task(work()) for _ in range(min(self._concurrency, len(batch)))]
        try:
            await asyncio.gather(*working)
        except BaseException:
            await cancelled(working)
            raise
        return list(enumerate(results))

    async def _result(self, arguments: tuple[Any, ...], retrying: Retrying | None, ending: Callable[[], bool]) -> Any:
        """What the function makes of a record, in as many attempts as its policy grants.

        A CancelledError is an error like others unless the batch is `ending`.
        """

        async def attempt() -> Any:
            try:
                return await self._awaited(self._function(*arguments))
            except BaseException as error:
                if not ending():
                    blame_cancellation(error)
                raise

        return await (attempt() if retrying is None else retrying.awaited(attempt))

    async def _awaited(self, running: Coroutine[Any, Any, Any]) -> Any:
        if self._timeout_ms is None:
            return await running
        limit = asyncio.timeout(self._timeout_ms / 1000)
        try:
            async with limit:
                return await running
        except TimeoutError:
            if not limit.expired():
                raise  # the function's own
            raise TimeoutError(f"it took longer than its timeout of {self._timeout_ms:,} ms") from None


async def cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until they are done, as long as they do not refuse to be."""
    waiting = [task for task in tasks if not task.done()]
    for task in waiting:
        task.cancel()
    if waiting:
        await asyncio.wait(waiting, timeout=LAST_WORDS_S)


class Inbox:
    """The stream as an agent of Faust's form sees it: loop over it, over `items()`, `records()` or `take(n)`."""

    def __init__(self, feed: Feed, context: ProcessorContext, again: Iterable[tuple[int, Record]] = ()) -> None:
        self._feed = feed
        self._context = context
        self._again = deque(again)
        self.index = -1
        """Of the record in hand; -1 before the first."""
        self.held: list[tuple[int, Record]] = []
        """The record in hand, or all those of the list in hand."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._loop(lambda record: record.value)

    def items(self) -> AsyncIterator[tuple[Any, Any]]:
        """(key, value) of each record."""
        return self._loop(lambda record: (record.key, record.value))

    def records(self) -> AsyncIterator[Record]:
        """Each record whole: key, value, timestamp, headers, and where it was read."""
        return self._loop(lambda record: record)

    events = records  # Faust's word

    async def take(self, count: int, within: object = None) -> AsyncIterator[list[Any]]:  # noqa: ARG002  see below
        """Lists of up to `count` values: what has arrived, without waiting for more.

        Faust's `within` is accepted and not needed: a list never waits, so that no record is held back from a commit.
        """
        self._feed.least = max(self._feed.least, count)
        while True:
            self.held.clear()
            values = [(await self._next()).value]
            while len(values) < count and (self._again or self._feed.ready):
                values.append((await self._next()).value)
            yield values

    async def _loop(self, shape: Callable[[Record], Any]) -> AsyncIterator[Any]:
        while True:
            self.held.clear()
            yield shape(await self._next())

    async def _next(self) -> Record:
        let_go()
        self.index, record = self._again.popleft() if self._again else await self._feed.next()
        self.held.append((self.index, record))
        hold(self._context, record, self._feed.beside)
        return record


class Feed:
    """The records of one batch at a time, handed out to the copies of an agent, and what they made of them.

    `least` is how many records the agent asked for at once.
    """

    def __init__(self, copies: int) -> None:
        self.least = 1
        self._copies = copies
        self._waiting: set[asyncio.Future[None]] = set()
        self._records: deque[tuple[int, Record]] = deque()
        self._done = asyncio.Event()
        self.results: list[tuple[int, Any]] = []
        self.beside: Beside | None = None
        self.broken: BaseException | None = None

    @property
    def ready(self) -> bool:
        """Whether there is a record to be had without waiting."""
        return bool(self._records)

    async def hand_out(self, batch: Batch, beside: Beside | None = None) -> list[tuple[int, Any]]:
        """Give a batch to the copies and wait until all of them ask for more. Shape: (index, result) by index."""
        if self.broken:
            raise self.broken
        self.beside = beside
        self._records.extend((index, batch.record(index)) for index in range(len(batch)))
        self._done.clear()
        for sleeper in self._waiting:
            if not sleeper.done():  # it is when a timeout around it has just ended it
                sleeper.set_result(None)
        self._waiting.clear()
        await self._done.wait()
        if self.broken:
            raise self.broken
        results, self.results = sorted(self.results, key=lambda result: result[0]), []
        return results

    async def next(self) -> tuple[int, Record]:
        """The next record for a copy; asking says that it is done with the one before.

        Whoever asks may be cancelled and ask again: an agent that has a timeout around its loop.
        """
        while not self._records:
            sleeper = asyncio.get_running_loop().create_future()
            self._waiting.add(sleeper)
            if len(self._waiting) == self._copies:
                self._done.set()
            try:
                await sleeper
            finally:
                self._waiting.discard(sleeper)
        return self._records.popleft()

    def break_off(self, error: BaseException) -> None:
        """A copy cannot go on: whoever waits for the batch gets the error."""
        self.broken = error
        self._done.set()


class Trials:
    """How often a copy was given a record, by the first of those in its hand."""

    def __init__(self, retrying: Retrying | None) -> None:
        self._retrying = retrying
        self._record: Record | None = None
        self._attempts: Attempts | None = None

    async def another(self, record: Record, error: Exception) -> bool:
        """Whether it is to be tried again; then the pause is over. Raises: Interrupted."""
        if self._retrying is None:
            return False
        if self._attempts is None or record is not self._record:
            self._record, self._attempts = record, Attempts(self._retrying)
        return await self._attempts.another(error)


class StreamAgent(RunsAhead):
    """Runs an agent of Faust's form: `concurrency` copies of it live as long as the task does."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        concurrency: int,
        expected: Iterable[Expected] = (),
    ) -> None:
        super().__init__(concurrency)
        self._function = function
        self._copies = concurrency
        self._expected = tuple(expected)
        self._name = function.__qualname__
        self._feed: Feed | None = None
        self._running: list[asyncio.Task[None]] = []
        self._context: ProcessorContext | None = None

    @property
    def records_at_once(self) -> int:
        """How many records to hand over in one batch."""
        return max(super().records_at_once, self._feed.least if self._feed else 1)

    def init(self, context: ProcessorContext) -> None:
        """Start the loop unless it runs."""
        self._context = context
        AGENT_LOOP.acquire()

    def close(self) -> None:
        """End the copies, and let the loop go."""
        try:
            AGENT_LOOP.run(self._stop())
        finally:
            AGENT_LOOP.release()

    def begin(self, batch: Batch, beside: Beside) -> Future[Any]:
        """Run records that will be processed later; see `streams.processor.AheadProcessor`."""
        self._pace.begin()
        return AGENT_LOOP.start(self._run(batch, beside))

    def abandon(self) -> None:
        """Cancel the copies with what they have in hand; new ones begin with the next batch."""
        self._ahead.clear()
        AGENT_LOOP.run(self._stop())

    def process_batch(self, batch: Batch) -> Batch | None:
        """Run all records unless that was done ahead; results in the order of their records."""
        assert self._context is not None
        results = self._results_of(batch, lambda: AGENT_LOOP.run(self._run(batch)))
        return collected(self._context, batch, results, self._expected)

    async def _run(self, batch: Batch, beside: Beside | None = None) -> list[tuple[int, Any]]:
        if self._feed is None:
            self._feed = Feed(self._copies)
            self._running = [asyncio.create_task(self._live(self._feed)) for _ in range(self._copies)]
        return await self._feed.hand_out(batch, beside)

    async def _live(self, feed: Feed) -> None:
        """One copy: the function is called again whenever it ends, and each call must read at least one record.

        Records in hand when it raises come first in the next call, as often as the policy grants.
        """
        assert self._context is not None
        trials = Trials(self._context.retrying)
        again: list[tuple[int, Record]] = []
        while feed.broken is None:
            inbox = Inbox(feed, self._context, again)
            try:
                error = await self._call(inbox, feed)
            except asyncio.CancelledError:
                raise
            except BaseException as leaving:  # sys.exit: no policy is asked, and whoever waits for the batch raises it
                feed.break_off(leaving)
                return
            again = []
            if inbox.index < 0:
                message = f"the agent {self._name} ended without reading a record: loop `async for value in stream`"
                feed.break_off(error or ProcessingError(message, node=self._name))
            elif error and inbox.held:
                again = await self._failed(inbox, feed, error, trials)
            elif error:
                feed.break_off(error)  # between two records: there is none that a policy could set aside

    async def _failed(self, inbox: Inbox, feed: Feed, error: Exception, trials: Trials) -> list[tuple[int, Record]]:
        """The records that are to be handed out again, without what came of them; none: they have failed."""
        held = list(inbox.held)
        try:
            if await trials.another(held[0][1], error):
                done = {index for index, _ in held}
                feed.results = [result for result in feed.results if result[0] not in done]
                return held
        except Interrupted as interruption:
            error = interruption
        feed.results += [(index, Failure(error)) for index, _ in held]
        return []

    async def _call(self, inbox: Inbox, feed: Feed) -> Exception | None:
        """Call the function until it ends. Shape: what it raised, None for nothing."""
        try:
            try:
                await self._consume(self._function(inbox), inbox, feed)
            except BaseException as raised:
                if feed.broken is None:  # otherwise it is `_stop` that cancels
                    blame_cancellation(raised)
                raise
        except Exception as error:
            return error
        return None

    async def _consume(self, running: Any, inbox: Inbox, feed: Feed) -> None:
        if not inspect.isasyncgen(running):
            await running
            return
        async for result in running:
            if inbox.held:
                feed.results.append((inbox.index, result))
            elif result is not None:
                await running.aclose()
                raise ProcessingError(
                    f"the agent {self._name} yielded {shown(result)} with no record in hand, whose key and time it would have: "
                    "yield inside the loop over the stream",
                    node=self._name,
                )

    async def _stop(self) -> None:
        if self._feed is not None:
            self._feed.break_off(asyncio.CancelledError())
        await cancelled(self._running)
        self._running, self._feed = [], None
