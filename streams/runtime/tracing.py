"""One record's way through the topology, with what it was before and after each node.

A record is followed from any source whose key reads like the one that is asked for; where it goes on under other keys
through an internal topic, it is known again by what was written there. Rules: while a source's records are traced, each
runs alone through all that follows, so that what a node takes and gives in that time is this record's. What leaves a
record cache or a suppressed table later belongs to no record: turn the cache off (`statestore_cache_max_bytes=0`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.operators.base import Emit
from streams.record import Batch, Record

Text = Callable[[Any], str]
"""Shows a key or a value."""


@dataclass(slots=True)
class Step:
    """A node on the way: how deep below the source, what it took, and what it gave (nothing: it ends here)."""

    node: str
    depth: int
    taken: Record
    given: list[Record] = field(default_factory=list)
    failed: bool = False


@dataclass(slots=True)
class Trace:
    """The way of one record from its source; `steps` in the order they were reached."""

    source: str
    record: Record
    steps: list[Step] = field(default_factory=list)


class Tracer:
    """An `Observer` that hands each finished Trace to `show`.

    `sinks` are the internal topics that sink nodes write, by node.
    """

    def __init__(self, key: str, text: Text, sinks: Mapping[str, str], show: Callable[[Trace], None]) -> None:
        self._key = key
        self._text = text
        self._sinks = sinks
        self._show = show
        self._trace: Trace | None = None
        self._open: list[Step] = []
        self._expected: Counter[tuple[str, str, str]] = Counter()

    def source(self, node: str, topics: Sequence[str], emit: Emit) -> Emit:  # noqa: ARG002  an observer's arguments
        """Run records one by one, and follow those that are asked for."""

        def traced(batch: Batch) -> None:
            for index in range(len(batch)):
                self._run(node, batch if len(batch) == 1 else batch.slice(index, index + 1), emit)

        return traced

    def stage(self, node: str, stage: Emit) -> Emit:
        """Note what a node takes."""

        def entered(batch: Batch) -> None:
            if self._trace is None:
                stage(batch)
                return
            for index in range(len(batch)):
                self._enter(node, batch if len(batch) == 1 else batch.slice(index, index + 1), stage)

        return entered

    def results(self, node: str, emit: Emit) -> Emit:
        """Note what a node gives."""

        def left(batch: Batch) -> None:
            step = next((each for each in reversed(self._open) if each.node == node), None)
            if step is not None:
                step.given += [batch.record(index) for index in range(len(batch))]
            emit(batch)

        return left

    def _run(self, node: str, batch: Batch, emit: Emit) -> None:
        record = batch.record(0)
        if not self._follows(record):
            emit(batch)
            return
        self._trace = Trace(node, record)
        try:
            emit(batch)
        finally:
            trace, self._trace = self._trace, None
            self._open.clear()
            self._show(trace)

    def _enter(self, node: str, batch: Batch, stage: Emit) -> None:
        assert self._trace is not None, "only called while a record is followed"
        step = Step(node, len(self._open), batch.record(0))
        self._trace.steps.append(step)
        self._open.append(step)
        if node in self._sinks:
            self._expected[self._identity(self._sinks[node], step.taken)] += 1
        try:
            stage(batch)
        except BaseException:
            step.failed = True
            raise
        self._open.pop()

    def _follows(self, record: Record) -> bool:
        identity = self._identity(record.topic or "", record)
        if self._expected[identity]:
            self._expected[identity] -= 1
            return True
        return self._text(record.key) == self._key

    def _identity(self, topic: str, record: Record) -> tuple[str, str, str]:
        return topic, self._text(record.key), self._text(record.value)
