"""What every operator is, and what it may ask of the task it runs in.

An operator takes a batch and passes batches on; it never returns them. Stateless ones are plain functions
`Batch -> None` made by a closure; stateful ones are small classes with `init`, `process` and `close`.

Rules: children are called in the order they were attached; all of a batch goes to one child before the next (where
that could be seen, `topology.compile` hands in batches of one record); an operator never keeps a batch it was given.
A null key or value is legal on a stream's edge. Operators know stores and time, never topics, tasks or clients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from logging import WARNING
from typing import Any, Protocol, runtime_checkable

from streams.metrics import Metrics
from streams.processor import Cancellable, PunctuationType
from streams.record import Batch, Headers, Record
from streams.retrying import Retrying

__all__ = ["Cancellable", "Emit", "Operator", "OperatorContext", "PunctuationType"]

Emit = Callable[[Batch], None]


class OperatorContext(Protocol):
    """The task as its operators see it. Implemented by `runtime.task`, also under the TopologyTestDriver."""

    application_id: str
    task_id: str
    partition: int
    metrics: Metrics

    @property
    def stream_time(self) -> int:
        """The highest timestamp this task took for processing, -1 before the first."""
        ...

    def now_ms(self) -> int:
        """Wall-clock time in ms since 1970; the driver's clock stands still until it is advanced."""
        ...

    def store(self, name: str) -> Any:
        """The open store of that name (see `state.stores`). An unknown or unconnected one is a TopologyError."""
        ...

    def schedule(
        self, interval_ms: int, kind: PunctuationType, callback: Callable[[int], None], start_ms: int | None = None
    ) -> Cancellable:
        """Call `callback(time)` whenever `interval_ms` have passed on that clock."""
        ...

    def at_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback()` at every commit, after the record caches let go: to store what was held back till then."""
        ...

    def request_commit(self) -> None:
        """Commit soon, without waiting for the interval."""
        ...

    def send(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None,
        partitions: Sequence[int] | None = None,
    ) -> Sequence[int]:
        """Write records to a topic; without `partitions`, Kafka's partitioner chooses by the key's bytes.

        Shape: the rows of those that are too large and were left out; the caller decides what that means.
        """
        ...

    def partition_count(self, topic: str) -> int:
        """How many partitions a topic has, for a custom partitioner."""
        ...

    def dropped(self, node: str, count: int, reason: str, *, counted: bool = True, level: int = WARNING) -> None:
        """Count records that Kafka's rules drop (null key, late); logs once in a while, never per record.

        `counted=False` only tells of them. `level` is that of the log: lower for what is ordinary and nobody's fault.
        """
        ...

    def failed(self, node: str, record: Record, error: Exception) -> None:
        """User code raised `error` for `record`.

        Returns when the handler says continue: the record is skipped and counted. Raises: ProcessingError otherwise.
        """
        ...

    def production_failed(self, node: str, topic: str, record: Record, error: Exception) -> None:
        """A result for `topic` cannot be serialized. Returns to skip it. Raises: ProductionError otherwise."""
        ...

    def deserialization_failed(self, node: str, record: Record, error: Exception) -> None:
        """The bytes of a source's record cannot be read. Returns to skip it. Raises: DeserializationError otherwise."""
        ...

    def attempted(self, node: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function of a node with the retries that its policy asks for; the function itself where it asks for none."""
        ...

    def retrying(self, node: str) -> Retrying | None:
        """The same for functions that are not simply called: how they are tried again; None where they are not."""
        ...

    def remember(self, key: str, number: int) -> None:
        """Keep a number with the next committed offsets (how far emit-on-close has read)."""
        ...

    def remembered(self, key: str) -> int | None:
        """The number kept under `key`, also from before a restart."""
        ...

    def emit_throttle_ms(self) -> int:
        """How long stream joins and emit-on-close wait between two scans: 1000, or 0 under the driver."""
        ...


@runtime_checkable
class Operator(Protocol):
    """A stateful operator. Stateless ones are just their `process`."""

    def init(self, context: OperatorContext) -> None:
        """Called once, when the task's stores are open and restored, and before any record."""
        ...

    def process(self, batch: Batch) -> None:
        """Handle a batch and pass results on."""
        ...

    def close(self) -> None:
        """Called once, when the task lets go."""
        ...
