"""Agents at work on the records that a task will process next, while the worker does something else.

The records stay where they are: in the queue, before the position that a commit tells. Only when all agents behind their
source are done with them are they taken, and then processed like any others, with the results at hand. So a slow agent
slows its own task and no other, a commit never waits for one, and nothing about commits is different.

Rules: one batch of a task at a time; whatever makes the task forget its input ends what is in flight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any, NamedTuple

from streams.processor import AheadProcessor
from streams.record import Batch
from streams.runtime.partition_group import PartitionGroup
from streams.topology.compile import SourceProgram

QUICK_S = 0.002
"""Agents that are done so soon are waited for: it costs less than another turn of the worker's loop."""


class _Flight(NamedTuple):
    processor: AheadProcessor
    batch: Batch
    results: Future[Any]


class RunningAhead:
    """What the agents of one task have in flight. `wake` is called, from any thread, when one of them is done."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._flights: list[_Flight] = []

    @property
    def busy(self) -> bool:
        """Whether something is in flight that is not done."""
        return any(not flight.results.done() for flight in self._flights)

    def reached(self, group: PartitionGroup, sources: Mapping[str, SourceProgram], limit: int, due: int | None) -> int:
        """How many of the next records may be processed: all where there is no agent, 0 while one runs.

        `limit` and `due` are what `group.take` will be given. Raises: what ended an agent.
        """
        if landed := self.land():
            return landed
        peeked = group.peek(limit, due)
        if peeked is None:
            return limit
        queue, batch = peeked
        processors = sources[queue.partition.topic].ahead
        if not processors:
            return len(batch)
        if ran := min(processor.ran(batch) for processor in processors):
            return ran
        return self.land() if self.start(processors, batch) else 0

    def start(self, processors: Sequence[AheadProcessor], batch: Batch) -> bool:
        """Have the agents run a batch. Shape: whether they are done already."""
        self._flights = [_Flight(processor, batch, processor.begin(batch)) for processor in processors]
        wait([flight.results for flight in self._flights], timeout=QUICK_S)
        if not self.busy:
            return True
        for flight in self._flights:
            flight.results.add_done_callback(lambda _done: self._wake())
        return False

    def land(self) -> int:
        """Give the agents what they came to, once all are done. Shape: how many records that is; 0 with none in flight.

        Raises: what ended an agent.
        """
        flights, self._flights = self._flights, []
        for flight in flights:
            flight.processor.settle(flight.batch, flight.results.result())
        return len(flights[0].batch) if flights else 0

    def abandon(self) -> None:
        """End what is in flight."""
        flights, self._flights = self._flights, []
        for flight in flights:
            flight.processor.abandon()
