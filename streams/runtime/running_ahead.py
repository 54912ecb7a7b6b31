"""Agents at work on the records that a task will process next, while the worker does something else.

The records stay where they are: in the queue, before the position that a commit tells. What agents write to tables goes to
stores beside the task's. Only when all agents behind their source are done with the records are these taken, all of them at
once, what was written is taken in, and they are processed like any others, with the results at hand. So a slow agent slows
its own task and no other, a commit neither waits for one nor holds anything of a record that is not done, and nothing
about commits is different.

Rules: one batch of a task at a time; whatever makes the task forget its input ends what is in flight. Meanwhile nobody
writes to the stores that agents use: who else is connected to them has to be right behind a source too
(`topology.compile`), and the task's punctuators wait.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Any, NamedTuple

from streams.errors import StreamsError
from streams.processor import AheadProcessor
from streams.record import Batch
from streams.runtime.partition_group import PartitionGroup, PartitionQueue
from streams.topology.compile import SourceProgram

QUICK_S = 0.002
"""Agents that are done so soon are waited for: it costs less than another turn of the worker's loop."""


class Asides:
    """The stores beside those of a task that the agents of one batch write to: one per store, however many agents."""

    def __init__(self, stores: Mapping[str, Any]) -> None:
        self._stores = stores
        self._beside = {name: store.aside() for name, store in stores.items()}
        self._over = False

    def __call__(self, name: str) -> Any:
        """The one beside the store of that name. Raises: StreamsError when the records are done."""
        if self._over:
            raise StreamsError(
                f"the table {name!r} was used for a record that is done, or was given back: what an agent starts has to end "
                "before the agent goes on to its next record, so await it"
            )
        return self._beside[name]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._beside)

    def take_in(self) -> None:
        """Write to the task's stores what was written beside them."""
        self._over = True
        for name, store in self._stores.items():
            store.take_in(self._beside[name])

    def drop(self) -> None:
        """Forget it."""
        self._over = True


class _Flight(NamedTuple):
    """A batch in the hands of agents: it is still in its queue."""

    queue: PartitionQueue
    batch: Batch
    asides: Asides
    running: list[tuple[AheadProcessor, Future[Any]]]

    @property
    def busy(self) -> bool:
        """Whether an agent is not done with it."""
        return any(not results.done() for _, results in self.running)


class RunningAhead:
    """What the agents of one task have in flight. `wake` is called, from any thread, when one of them is done.

    `stores` are the task's, once they are open.
    """

    def __init__(self, wake: Callable[[], None], stores: Mapping[str, Any]) -> None:
        self._wake = wake
        self._stores = stores
        self._flight: _Flight | None = None

    @property
    def flying(self) -> bool:
        """Whether a batch is in flight, or done and not taken yet."""
        return self._flight is not None

    @property
    def busy(self) -> bool:
        """Whether a batch is in flight that is not done."""
        return self._flight is not None and self._flight.busy

    @property
    def writing(self) -> bool:
        """Whether agents hold stores of the task: nobody else may write to them."""
        return self._flight is not None and bool(self._flight.asides)

    def take(
        self, group: PartitionGroup, sources: Mapping[str, SourceProgram], limit: int, due: int | None
    ) -> tuple[PartitionQueue, Batch] | None:
        """As `group.take`, but of records that agents are given first: None while these have them.

        Raises: what ended an agent.
        """
        if self._flight is None:
            peeked = group.peek(limit, due)
            if peeked is None:
                return None
            queue, batch = peeked
            source = sources[queue.partition.topic]
            if not source.ahead:
                return group.take(limit, due)
            self._flight = self._start(source, queue, batch)
        return None if self._flight.busy else self._land()

    def _start(self, source: SourceProgram, queue: PartitionQueue, batch: Batch) -> _Flight:
        """Have the agents run a batch, and wait for a moment whether they are done at once."""
        asides = Asides({name: self._stores[name] for name in source.ahead_stores})
        running = [(processor, processor.begin(batch, asides)) for processor in source.ahead]
        flight = _Flight(queue, batch, asides, running)
        wait([results for _, results in running], timeout=QUICK_S)
        if flight.busy:
            for _, results in running:
                results.add_done_callback(lambda _done: self._wake())
        return flight

    def _land(self) -> tuple[PartitionQueue, Batch]:
        """Take the batch that is done: what came of it is processed next, and so is part of the same commit."""
        flight, self._flight = self._flight, None
        assert flight is not None, "nothing is in flight"
        for processor, results in flight.running:
            processor.settle(flight.batch, results.result())
        flight.asides.take_in()
        return flight.queue, flight.queue.take_all(len(flight.batch))

    def abandon(self) -> None:
        """End what is in flight."""
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.asides.drop()
            for processor, _ in flight.running:
                processor.abandon()
