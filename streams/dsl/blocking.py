"""Plain functions as processors of batches: in threads of their own because they block, or in place because they use
tables.

Rules: records of one key run one after another, a batch is passed on only when all of it is done, in the order of its
records: a commit never passes an unfinished one. What a function raises goes to the processing handler with its record;
only what is no Exception (sys.exit) ends the worker, as it does without threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from streams.dsl.agent_results import Expected, Failure, RunsAhead, blame_cancellation, collected, lanes_of
from streams.dsl.agent_tables import hold, let_go
from streams.processor import Beside, ProcessorContext
from streams.record import Batch
from streams.waiting import result_of


class TableFunction:
    """Runs `function(value)`, or (key, value) `with_key`, record by record; a generator gives many results."""

    def __init__(
        self, function: Callable[..., Any], *, with_key: bool, many: bool, expected: Iterable[Expected] = ()
    ) -> None:
        self._function = function
        self._with_key = with_key
        self._many = many
        self._expected = tuple(expected)
        self._context: ProcessorContext | None = None
        self._abandoned = threading.Event()

    def init(self, context: ProcessorContext) -> None:
        """Called once."""
        self._context = context

    def close(self) -> None:
        """Nothing to let go of."""

    def process_batch(self, batch: Batch) -> Batch | None:
        """Run all records; results in the order of their records."""
        assert self._context is not None
        results: list[tuple[int, Any]] = []
        for index in range(len(batch)):
            hold(self._context, batch.record(index))
            results += self._results(batch, index)
        let_go()
        return collected(self._context, batch, results, self._expected)

    def _results(self, batch: Batch, index: int) -> list[tuple[int, Any]]:
        """What one record gives, or its failure."""
        assert self._context is not None
        arguments = (batch.keys[index], batch.values[index]) if self._with_key else (batch.values[index],)

        def attempt() -> list[tuple[int, Any]]:
            try:
                result = self._function(*arguments)
                return [(index, each) for each in result] if self._many else [(index, result)]
            except BaseException as error:
                blame_cancellation(error)
                raise

        retrying = self._context.retrying
        try:
            return attempt() if retrying is None else retrying.call(attempt, self._abandoned.is_set)
        except Exception as error:
            return [(index, Failure(error))]


class ThreadedFunction(RunsAhead, TableFunction):
    """The same in up to `threads` threads."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        threads: int,
        with_key: bool,
        many: bool,
        expected: Iterable[Expected] = (),
    ) -> None:
        RunsAhead.__init__(self, threads)
        TableFunction.__init__(self, function, with_key=with_key, many=many, expected=expected)
        self._running: list[Future[None]] = []
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None

    def init(self, context: ProcessorContext) -> None:
        """Make the threads."""
        super().init(context)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix=self._function.__name__)

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def begin(self, batch: Batch, beside: Beside | None = None) -> Future[Any]:
        """Run records that will be processed later; see `streams.processor.AheadProcessor`. It uses no tables."""
        del beside
        self._pace.begin()
        assert self._pool is not None
        found: list[list[tuple[int, Any]]] = [[] for _ in range(len(batch))]
        lanes, guard, abandoned = iter(lanes_of(batch.keys)), threading.Lock(), self._abandoned
        whole: Future[Any] = Future()
        errors: list[BaseException] = []

        def work() -> None:
            while not abandoned.is_set() and not errors:
                with guard:
                    lane = next(lanes, None)
                if lane is None:
                    return
                for index in lane:
                    found[index] = self._results(batch, index)

        def finished(one: Future[None]) -> None:
            with guard:
                if error := one.exception():
                    errors.append(error)
                left[0] -= 1
                last = not left[0]
            if last and errors:
                whole.set_exception(errors[0])
            elif last:
                whole.set_result([each for one in found for each in one])

        left = [min(self._threads, len(batch))]
        self._running = [self._pool.submit(work) for _ in range(left[0])]
        for running in self._running:
            running.add_done_callback(finished)
        return whole

    def abandon(self) -> None:
        """Begin no further record, wait for those in threads, which nothing can end, and forget what came of them."""
        self._ahead.clear()
        self._abandoned.set()
        wait(self._running)
        self._abandoned = threading.Event()

    def process_batch(self, batch: Batch) -> Batch | None:
        """Run all records unless that was done ahead; results in the order of their records."""
        assert self._context is not None
        results = self._results_of(batch, lambda: result_of(self.begin(batch)))
        return collected(self._context, batch, results, self._expected)
