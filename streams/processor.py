"""The Processor API: what users write when the verbs of the DSL do not say it.

`stream.process(MyProcessor)` makes one processor per task; the class says what stores it has and when it is woken.
Rules: `process` is called for one record at a time, on the task's thread, in order; a processor keeps no context of
another task and uses its stores only between `init` and `close`. A BatchProcessor gets whole columns instead; it is how
the DSL runs agents.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum
from types import FunctionType
from typing import Any, NamedTuple, Protocol, TypeVar

from state.stores import StoreSpec
from streams.durations import Duration, milliseconds
from streams.errors import TopologyError
from streams.metrics import Metrics
from streams.record import Batch, Record
from streams.retrying import Retrying

log = logging.getLogger(__name__)

T = TypeVar("T")
Punctuated = TypeVar("Punctuated", bound=Callable[[Any, int], Any])


class PunctuationType(Enum):
    """Which clock a punctuator follows."""

    STREAM_TIME = "stream-time"
    WALL_CLOCK_TIME = "wall-clock-time"


class Cancellable(Protocol):
    """A scheduled punctuator."""

    def cancel(self) -> None:
        """Never call it again; allowed inside the callback."""
        ...


class RecordMetadata(NamedTuple):
    """Where the record in hand was read."""

    topic: str
    partition: int
    offset: int


class ProcessorContext(Protocol):
    """What a processor may ask of its task. Times are in ms since 1970."""

    application_id: str
    task_id: str
    partition: int
    metrics: Metrics
    """The application's own numbers, those of `app.metrics`."""

    @property
    def record_metadata(self) -> RecordMetadata | None:
        """Where the record in hand was read; None inside punctuators and for records that a task made."""
        ...

    def forward(self, record: Record, to: str | None = None) -> None:
        """Pass a record on to all children, or to the child node named `to`.

        Raises: TopologyError when there is no such child, or a FixedKeyProcessor changed the key.
        """
        ...

    def schedule(
        self,
        interval: Duration,
        kind: PunctuationType,
        callback: Callable[[int], None],
        start_ms: int | None = None,
    ) -> Cancellable:
        """Call `callback(time_ms)` whenever `interval` has passed on that clock.

        Stream-time punctuators are aligned to 0, others to now, or either to `start_ms`: the first call comes then, or at
        the first point of that grid after now.
        """
        ...

    def store(self, name: str) -> Any:
        """The store of that name. Raises: TopologyError when it is not connected to this processor."""
        ...

    def commit(self) -> None:
        """Commit soon, without waiting for the interval."""
        ...

    def stream_time_ms(self) -> int:
        """The highest timestamp this task has seen, -1 before the first."""
        ...

    def system_time_ms(self) -> int:
        """Wall-clock time; the TopologyTestDriver's stands still until it is advanced."""
        ...

    @property
    def retrying(self) -> Retrying | None:
        """How `on_error=` has this node try again what raised, for batch processors; None where it does not."""
        ...

    def failed(self, record: Record, error: Exception) -> None:
        """Hand an error to the processing handler: returns to skip the record. Raises: ProcessingError otherwise."""
        ...


class Punctuation(NamedTuple):
    """When a method is called: what `schedule` takes."""

    interval_ms: int
    kind: PunctuationType
    start_ms: int | None


def punctuator(
    interval: Duration, kind: PunctuationType | str, *, start_ms: int | None = None
) -> Callable[[Punctuated], Punctuated]:
    """A method (self, time_ms) of a Processor that is called whenever `interval` has passed on that clock.

    `kind` may be told as text, "stream-time" or "wall-clock-time". Is `context.schedule(interval, kind, self.method,
    start_ms)` in `init`. Raises: TopologyError.
    """
    try:
        interval_ms, clock = milliseconds(interval, "the interval of a punctuator"), PunctuationType(kind)
    except (TypeError, ValueError) as problem:
        raise TopologyError(f"@punctuator: {problem}; its clock is 'stream-time' or 'wall-clock-time'") from None
    if interval_ms < 1:
        raise TopologyError(f"@punctuator: expected an interval of at least 1 ms, got {interval!r}")
    punctuation = Punctuation(interval_ms, clock, start_ms)

    def mark(method: Punctuated) -> Punctuated:
        vars(method)["punctuation"] = punctuation
        return method

    return mark


def declared(kind: type, what: type[T]) -> dict[str, T]:
    """What a class and its bases have in their bodies of one type, by attribute, in the order of definition."""
    names = dict.fromkeys(name for base in reversed(kind.__mro__) for name in vars(base))
    return {name: found for name in names if isinstance(found := getattr(kind, name), what)}


class Processor:
    """Base of processors; only `process` has to be written. `self.context` is there from `init` on.

    A store in the body of the class, `counts = key_value_store("counts", str, int)`, comes with the processor: from
    `init` on, `self.counts` is the open one (shared, if the class is used twice). Methods that are marked
    `@punctuator(...)` are scheduled by `init`.
    """

    context: ProcessorContext

    def init(self, context: ProcessorContext) -> None:
        """Called once, with stores open and restored."""
        self.context = context
        for name, store in declared(type(self), StoreSpec).items():
            setattr(self, name, context.store(store.name))
        for name, method in declared(type(self), FunctionType).items():
            if (found := vars(method).get("punctuation")) is not None:
                context.schedule(found.interval_ms, found.kind, getattr(self, name), found.start_ms)

    def process(self, record: Record) -> None:
        """Handle one record; pass results on with `self.context.forward`."""
        raise NotImplementedError(f"{type(self).__name__} has to define process(self, record)")

    def close(self) -> None:
        """Called once, when the task lets go; stores are still open."""


class FixedKeyProcessor(Processor):
    """A processor that keeps the key, so that nothing after it need be repartitioned (`process_values`)."""


class BatchProcessor(Protocol):
    """A processor of whole batches: recognised by `process_batch`."""

    def init(self, context: ProcessorContext) -> None:
        """Called once, with stores open and restored."""
        ...

    def process_batch(self, batch: Batch) -> Batch | None:
        """Handle the records of a batch, in order; what is returned is passed on. The batch is not kept."""
        ...

    def close(self) -> None:
        """Called once, when the task lets go."""
        ...


Beside = Callable[[str], Any]
"""From the name of a store to the store beside it (`state.aside`), for records that are run before they are processed."""


class AheadProcessor(BatchProcessor, Protocol):
    """A batch processor that can run records before they are processed, beside everything else: agents.

    Its results count when `process_batch` is called with the records; until then, nothing has happened to them.
    `records_at_once` says how many records it can do in a moment.
    """

    @property
    def records_at_once(self) -> int:
        """How many records to begin with at once."""
        ...

    def begin(self, batch: Batch, beside: Beside) -> Future[Any]:
        """Start to run records, one batch at a time. Meanwhile stores are touched by way of `beside` alone."""
        ...

    def settle(self, batch: Batch, results: Any) -> None:
        """Take what the future came to; `process_batch` will ask for it."""
        ...

    def abandon(self) -> None:
        """End what is in flight, and forget what came of it: the records will be read again, here or elsewhere."""
        ...


TimestampExtractor = Callable[[Record, int], int]
"""(record, partition time) -> timestamp in ms; a negative one drops the record. Partition time is the highest before."""


def fail_on_invalid_timestamp(record: Record, _partition_time: int) -> int:
    """The record's own timestamp (the default). Raises: ValueError when it is negative."""
    if record.timestamp < 0:
        raise ValueError(
            f"expected a timestamp in ms since 1970, got {record.timestamp}: have the producer set one, or give the "
            "topic timestamp= or another extractor"
        )
    return record.timestamp


def log_and_skip_on_invalid_timestamp(record: Record, _partition_time: int) -> int:
    """The record's own timestamp; a record without one is logged and dropped."""
    if record.timestamp < 0:
        log.warning("%s[%d]@%d has no timestamp and is skipped", record.topic, record.partition, record.offset)
    return record.timestamp


def use_partition_time_on_invalid_timestamp(record: Record, partition_time: int) -> int:
    """The record's own timestamp, else the highest of its partition before. Raises: ValueError before the first."""
    if record.timestamp >= 0:
        return record.timestamp
    if partition_time < 0:
        raise ValueError(f"expected a timestamp, got {record.timestamp}, and no record before it had one")
    return partition_time


def wall_clock_timestamp(_record: Record, _partition_time: int) -> int:
    """The time at which the record is processed."""
    return time.time_ns() // 1_000_000
