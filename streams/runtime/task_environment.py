"""What a task is called, and what it is lent by a worker, or by the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from msgspec import Struct, field

from state import RecordCacheBudget
from state.stores import ChangelogWriter, Store, StoreSpec
from streams.clients.base import Clock
from streams.metrics import Metrics
from streams.record import TopicPartition
from streams.retrying import NO_TIME, Patience
from streams.runtime.collector import Output
from streams.runtime.error_handlers import ErrorHandlers
from streams.runtime.partition_group import Lag, no_lag


class TaskId(NamedTuple):
    """Which task: sub-topology and partition number, written `0_3`."""

    subtopology: int
    partition: int

    def __str__(self) -> str:
        return f"{self.subtopology}_{self.partition}"


OpenStore = Callable[[StoreSpec, TaskId, ChangelogWriter | None], Store]
KeepStore = Callable[[TaskId, Store], None]


class TaskEnvironment(Struct, frozen=True, kw_only=True):
    """What a worker, or the driver, lends to its tasks.

    `lag` tells what the broker still has of an input; `patience` lets time pass between two attempts. `record_cache` is what
    `open_store` gives to cached stores. `wake`, from any thread, has the worker look at its tasks; without it, agents run
    when their records are processed.
    """

    application_id: str
    producer: Output
    clock: Clock
    open_store: OpenStore
    handlers: ErrorHandlers
    lag: Lag = no_lag
    patience: Patience = NO_TIME
    next_input: Callable[[], TopicPartition | None] | None = None
    """Which input a record is taken from, None: from none; unless given, from the one whose first record is earliest."""
    max_task_idle_ms: int = 0
    emit_throttle_ms: int = 1000
    global_stores: Mapping[str, Store] = field(default_factory=dict)
    record_cache: RecordCacheBudget = field(default_factory=lambda: RecordCacheBudget(0))
    wake: Callable[[], None] | None = None
    metrics: Metrics = field(default_factory=Metrics)
