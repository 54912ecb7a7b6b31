"""An agent as a processor of its topic: what the runtime gives it, and what becomes of what it did.

Rules: what it sent goes out with the commit of its records, failures go to the handler of processing errors; an error that
no record is to blame for ends the worker.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from streams.compat.faust.agents import Agent, Feed, Result
from streams.compat.faust.errors import blameless
from streams.compat.faust.tables import Table
from streams.compat.faust.topics import Outgoing
from streams.dsl.agent_results import Failure, RunsAhead
from streams.operators.process import NodeContext
from streams.processor import Beside
from streams.record import Batch


class AgentProcessor(RunsAhead):
    """An agent in one task. An AheadProcessor: see `streams.processor`."""

    def __init__(self, agent: Agent, tables: list[Table]) -> None:
        super().__init__(agent.concurrency)
        self._flying: Future[list[Result]] | None = None
        self._agent = agent
        self._tables = tables
        self._feed: Feed = agent.app.feed_of(agent)
        self._loop = agent.app.loop_of_app

    @property
    def records_at_once(self) -> int:
        """How many records to hand over in one batch."""
        return max(self._pace.records_at_once, self._feed.least)

    def init(self, context: NodeContext) -> None:
        """Take the stores of its tables, and let their windows expire in time."""
        self._context = context
        self._stores = {table.name: context.store(table.name) for table in self._tables}
        for table in self._tables:
            table.opened(self._stores[table.name], context)
        self._agent.app.opened(self._agent, context.partition)

    def begin(self, batch: Batch, beside: Beside) -> Future[Any]:
        """Run records that will be processed later."""
        self._pace.begin()
        stores = {
            table.name: self._stores[table.name] if table.everywhere else beside(table.name) for table in self._tables
        }
        self._flying = self._loop.begin(self._feed.hand_out(batch, stores))
        return self._flying

    def abandon(self) -> None:
        """End what is in flight, and forget what came of it. The next batch waits until that has ended."""
        self._ahead.clear()
        if self._flying is not None:
            self._flying.cancel()

    def process_batch(self, batch: Batch) -> Batch | None:
        """Have the agent do a batch unless that was done ahead; what it sent goes out, failures go to the handler."""
        results = self._results_of(batch, lambda: self._loop.run(self._feed.hand_out(batch, self._stores)))
        failures = [(index, result.error) for index, result in results if isinstance(result, Failure)]
        for _, error in failures:
            if blameless(error):
                raise error
        self._send([result for _, result in results if not isinstance(result, Failure)])
        for index, error in failures:
            self._context.failed(batch.record(index), error)
        return None

    def close(self) -> None:
        """The task moves away."""
        self.abandon()
        for table in self._tables:
            table.closed((self._agent.name, self._context.partition))
        self._agent.app.closed(self._agent, self._context.partition)

    def _send(self, outgoing: list[Outgoing]) -> None:
        """By topic, and within it by whether a partition was asked for: columns, in order."""
        parts: dict[tuple[str, bool], list[Outgoing]] = {}
        for each in outgoing:
            parts.setdefault((each.topic, each.partition is not None), []).append(each)
        for (topic, placed), records in parts.items():
            _, keys, values, timestamps, headers, partitions = map(list, zip(*records, strict=True))
            self._context.send(
                topic, keys, values, timestamps, headers if any(headers) else None, partitions if placed else None
            )
