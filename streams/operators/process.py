"""The Processor API at work: a user's processor as an operator, and the context it meets.

Rules: a processor sees one record at a time, and what it forwards runs through all that follows before `forward`
returns, as in Kafka (`topology.compile` hands in batches of one record). A batch processor gets the whole batch. In a
punctuator there is no record in hand: forwarded records carry what the user gave them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from state.stores import Cause
from streams.durations import Duration, milliseconds
from streams.errors import TopologyError
from streams.operators.base import Cancellable, Emit, OperatorContext, PunctuationType
from streams.operators.causes import NO_CAUSE
from streams.operators.columns import UNHANDLED, kept, report, too_large
from streams.operators.read_only import ReadOnlyStore
from streams.processor import BatchProcessor, Processor, RecordMetadata
from streams.record import Batch, Headers, Record
from streams.retrying import Retrying

__all__ = ["BatchProcess", "Process", "Stores", "runs_ahead", "takes_batches"]


InHand = tuple[Record | None, list[tuple[int, Cause | None]]]
"""The record, and per store the time and the cause of what is written to it."""


class Stores(NamedTuple):
    """Names of the stores a processor may use: those connected to it, and the global ones, which it can only read."""

    connected: Sequence[str] = ()
    everywhere: Collection[str] = ()
    fills_global: bool = False
    """Whether the processor fills a global store, outside of all tasks."""


def takes_batches(processor: Any) -> bool:
    """Whether a user's processor takes whole batches."""
    return hasattr(processor, "process_batch")


def runs_ahead(processor: Any) -> bool:
    """Whether a processor can run records before they are processed (`AheadProcessor`)."""
    return hasattr(processor, "begin")


class NodeContext:
    """What a processor may ask of its task. Satisfies `streams.processor.ProcessorContext`."""

    def __init__(
        self,
        context: OperatorContext,
        node: str,
        children: Mapping[str, Emit],
        stores: Stores,
        *,
        fixed_key: bool = False,
    ) -> None:
        self.application_id = context.application_id
        self.metrics = context.metrics
        self.task_id = context.task_id
        self.partition = context.partition
        self.record: Record | None = None
        self._context = context
        self._node = node
        self._children = children
        self._stores = {name: context.store(name) for name in stores.connected}
        self._global_stores = stores.everywhere
        self._fills_global = stores.fills_global
        self._fixed_key = fixed_key

    @property
    def record_metadata(self) -> RecordMetadata | None:
        """Where the record in hand was read."""
        record = self.record
        if record is None or record.topic is None:
            return None
        return RecordMetadata(record.topic, record.partition, record.offset)

    def begin(self, record: Record | None, time_ms: int, cause: Cause | None = None) -> None:
        """A record, or something else with a `cause`, is in hand; what it writes to stores has that time."""
        self.record = record
        if record is not None:
            cause = record.headers, record.topic, record.partition, record.offset
        for store in self._stores.values():
            store.take_in_hand(time_ms, cause)

    def in_hand(self) -> InHand:
        """What is in hand now, to be put back when what comes next is done."""
        return self.record, [(store.record_timestamp, store.cause) for store in self._stores.values()]

    def put_back(self, held: InHand) -> None:
        """Have in hand what was before."""
        self.record, marks = held
        for store, mark in zip(self._stores.values(), marks, strict=True):
            store.take_in_hand(*mark)

    def forward(self, record: Record, to: str | None = None) -> None:
        """Pass a record on, at once. Raises: TopologyError; ValueError for a negative timestamp."""
        batch = self._batch_of(record)
        if to is None:
            for emit in self._children.values():
                emit(batch)
        elif to in self._children:
            self._children[to](batch)
        else:
            names = ", ".join(self._children) or "none"
            raise TopologyError(f"{self._node} has no child {to!r} to forward to (children: {names})")

    def _batch_of(self, record: Record) -> Batch:
        origin = self.record
        if self._fixed_key and origin is not None and record.key is not origin.key and record.key != origin.key:
            raise TopologyError(
                f"{self._node} is a processor of values and must keep the key {origin.key!r}, but forwards "
                f"{record.key!r}: use process() instead of process_values()"
            )
        if record.timestamp < 0:
            raise _without_time(record)
        return Batch(
            [record.key],
            [record.value],
            [record.timestamp],
            [record.headers] if record.headers else None,
            offsets=None if origin is None or origin.topic is None else [origin.offset],
            topic=None if origin is None else origin.topic,
            partition=-1 if origin is None else origin.partition,
        )

    def schedule(
        self,
        interval: Duration,
        kind: PunctuationType,
        callback: Callable[[int], None],
        start_ms: int | None = None,
    ) -> Cancellable:
        """Call `callback(time_ms)` whenever `interval` has passed on that clock. Raises: TopologyError."""
        if self._fills_global:  # as in Kafka, where there is no stream time either
            raise TopologyError(
                f"{self._node} fills a global store, so it sees its records and nothing else: it cannot schedule callbacks"
            )
        interval_ms = milliseconds(interval, f"the interval of a punctuator of {self._node}")
        return self._context.schedule(interval_ms, kind, self._guarded(callback), start_ms)

    def _guarded(self, callback: Callable[[int], None]) -> Callable[[int], None]:
        """The callback, with no record in hand and with its errors decided on like those of records."""

        def punctuate(time_ms: int) -> None:
            held = self.in_hand()
            self.begin(None, time_ms, NO_CAUSE)
            try:
                callback(time_ms)
            except UNHANDLED:
                raise
            except Exception as error:
                self._context.failed(self._node, Record(None, None, time_ms), error)
            finally:
                self.put_back(held)

        return punctuate

    def store(self, name: str) -> Any:
        """A store that is connected to the processor, or a global one, to be read. Raises: TopologyError."""
        if name in self._stores:
            return self._stores[name].for_users
        if name in self._global_stores:
            store = self._context.store(name)
            return store.for_users if store.spec.custom else ReadOnlyStore(store.for_users)
        names = ", ".join(self._stores) or "none"
        raise TopologyError(
            f"{self._node} is not connected to a store {name!r} (connected: {names}): "
            "name it in stores=[...] of the verb that adds the processor, or give the verb the class itself if it declares it"
        )

    def send(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
        partitions: Sequence[int] | None = None,
    ) -> None:
        """Write columns of bytes to a topic that is no node of the program, in this task's commit.

        Raises: ProductionError for a record that is too large, unless the production handler decides otherwise.
        """
        for row in self._context.send(topic, keys, values, timestamps, headers, partitions):
            key, value = keys[row], values[row]
            record = Record(key, value, timestamps[row], headers[row] if headers else ())
            self._context.production_failed(self._node, topic, record, too_large(key, value))

    def commit(self) -> None:
        """Commit soon."""
        self._context.request_commit()

    def stream_time_ms(self) -> int:
        """The highest timestamp this task has seen."""
        return self._context.stream_time

    def system_time_ms(self) -> int:
        """Wall-clock time."""
        return self._context.now_ms()

    @property
    def retrying(self) -> Retrying | None:
        """How what this node's function raises is tried again; None where it is not."""
        return self._context.retrying(self._node)

    def failed(self, record: Record, error: Exception) -> None:
        """Let the processing handler decide on an error."""
        self._context.failed(self._node, record, error)


def _without_time(record: Record) -> ValueError:
    """What is the matter with a record that no operator can place in time. Source: Kafka's api.Record."""
    return ValueError(
        f"a forwarded record has a time in ms since 1970, got {record.timestamp} with the key {record.key!r}: give it one, "
        "such as that of the record in hand"
    )


class Process:
    """A user's processor, record by record."""

    def __init__(
        self,
        node: str,
        processor: Processor,
        children: Mapping[str, Emit],
        stores: Stores,
        *,
        fixed_key: bool = False,
    ) -> None:
        self._node = node
        self._processor = processor
        self._children = children
        self._stores = stores
        self._fixed_key = fixed_key

    def init(self, context: OperatorContext) -> None:
        """Init the processor with its context."""
        self._context = context
        self._own = NodeContext(context, self._node, self._children, self._stores, fixed_key=self._fixed_key)
        self._processor.init(self._own)
        self._process = context.attempted(self._node, self._processor.process)

    def process(self, batch: Batch) -> None:
        """Hand the records to the processor, one by one."""
        own, process = self._own, self._process
        held = own.in_hand()
        for row in range(len(batch)):
            record = batch.record(row)
            own.begin(record, record.timestamp)
            try:
                process(record)
            except UNHANDLED:
                raise
            except Exception as error:
                report(self._context, self._node, batch, row, error)
        own.put_back(held)

    def close(self) -> None:
        """Close the processor."""
        self._processor.close()


class BatchProcess:
    """A user's processor of whole batches: what it returns is passed on to all children."""

    def __init__(self, node: str, processor: BatchProcessor, children: Mapping[str, Emit], stores: Stores) -> None:
        self._node = node
        self._processor = processor
        self._children = children
        self._stores = stores

    def init(self, context: OperatorContext) -> None:
        """Init the processor with its context."""
        self._own = NodeContext(context, self._node, self._children, self._stores)
        self._processor.init(self._own)

    def process(self, batch: Batch) -> None:
        """Hand over a batch; the highest timestamp is that of what it writes to plain stores."""
        self._own.begin(None, max(batch.timestamps))
        result = self._processor.process_batch(batch)
        if result is None or not result.keys:
            return
        if min(result.timestamps) < 0 and not (result := self._with_times(result)).keys:
            return
        for emit in self._children.values():
            emit(result)

    def _with_times(self, result: Batch) -> Batch:
        """What is left of a result when the handler has decided on the records with negative timestamps."""
        failed = [row for row, timestamp in enumerate(result.timestamps) if timestamp < 0]
        for row in failed:
            record = result.record(row)
            self._own.failed(record, _without_time(record))
        return kept(result, failed)

    def close(self) -> None:
        """Close the processor."""
        self._processor.close()
