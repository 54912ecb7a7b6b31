"""A context for tests of one processor on its own: it writes down what the processor asks for, and runs nothing.

Kafka's MockProcessorContext. Time stands still until it is set; punctuators fire when the test fires them; stores are
opened in memory from their descriptions. `streams.testing` has it under its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from state import StoreSpec, open_store
from streams.durations import Duration, milliseconds
from streams.errors import TopologyError
from streams.metrics import Metrics
from streams.processor import PunctuationType, RecordMetadata
from streams.record import Record

__all__ = ["MockProcessorContext"]


class CapturedForward(NamedTuple):
    """A record that was forwarded, and the child it was meant for (None: all)."""

    record: Record
    to: str | None


@dataclass(slots=True)
class CapturedPunctuator:
    """What was scheduled. `callback(time_ms)` fires it; `cancelled` once the processor has cancelled it."""

    interval_ms: int
    kind: PunctuationType
    callback: Callable[[int], None]
    start_ms: int | None = None
    cancelled: bool = False

    def cancel(self) -> None:
        """Never to be called again."""
        self.cancelled = True


@dataclass(slots=True, kw_only=True)
class MockProcessorContext:
    """A context for a test of one processor: it notes what the processor asks for, and runs nothing.

    `stores` are what `key_value_store(...)` and its siblings return; they are opened in memory.

    What the processor did: `forwards`, `punctuators`, `commit_requested`, `failures`. `reset` forgets it.
    """

    stores: Sequence[StoreSpec] = ()
    application_id: str = "mock"
    task_id: str = "0_0"
    partition: int = 0
    metrics: Metrics = field(default_factory=Metrics)
    record_metadata: RecordMetadata | None = None
    stream_ms: int = -1
    system_ms: int = 0
    forwards: list[CapturedForward] = field(default_factory=list)
    punctuators: list[CapturedPunctuator] = field(default_factory=list)
    failures: list[tuple[Record, Exception]] = field(default_factory=list)
    commit_requested: bool = False
    _open: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._open = {spec.name: open_store(spec, directory=None) for spec in self.stores}

    def forward(self, record: Record, to: str | None = None) -> None:
        """Note a forwarded record."""
        self.forwards.append(CapturedForward(record, to))

    def forwarded(self, to: str | None = None) -> list[Record]:
        """The records forwarded so far; with `to`, those that this child would have got."""
        return [each.record for each in self.forwards if to is None or each.to in (None, to)]

    def schedule(
        self,
        interval: Duration,
        kind: PunctuationType,
        callback: Callable[[int], None],
        start_ms: int | None = None,
    ) -> CapturedPunctuator:
        """Note a punctuator."""
        interval_ms = milliseconds(interval, "the interval of a punctuator")
        self.punctuators.append(CapturedPunctuator(interval_ms, kind, callback, start_ms))
        return self.punctuators[-1]

    def store(self, name: str) -> Any:
        """A store by its name. Raises: TopologyError when it was not given."""
        if name not in self._open:
            known = ", ".join(self._open) or "none"
            raise TopologyError(f"there is no store {name!r}: give its description in stores= (there are: {known})")
        return self._open[name].for_users

    def commit(self) -> None:
        """Note that a commit was asked for."""
        self.commit_requested = True

    def stream_time_ms(self) -> int:
        """What the test set as `stream_ms`."""
        return self.stream_ms

    def system_time_ms(self) -> int:
        """What the test set as `system_ms`."""
        return self.system_ms

    @property
    def retrying(self) -> None:
        """Nothing is tried again."""

    def failed(self, record: Record, error: Exception) -> None:
        """Note an error, as a handler that goes on."""
        self.failures.append((record, error))

    def reset(self) -> None:
        """Forget what the processor did; stores and time stay."""
        self.forwards.clear()
        self.punctuators.clear()
        self.failures.clear()
        self.commit_requested = False
