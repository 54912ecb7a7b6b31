"""How many records went into and came out of each node of this process, for `streams dev`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from streams.operators.base import Emit
from streams.record import Batch


class NodeCount(NamedTuple):
    """A node's records: `taken` in, `given` out (once per child for a processor of the Processor API)."""

    node: str
    taken: int
    given: int


class NodeCounts:
    """An `Observer`. Counted on the processing thread, read from any; `order` are the nodes as they are to be shown."""

    def __init__(self, order: Iterable[str] = ()) -> None:
        self._order = tuple(order)
        self._taken: dict[str, int] = {}
        self._given: dict[str, int] = {}

    def rows(self) -> list[NodeCount]:
        """All nodes that a task of this process has."""
        known = self._given.keys() | self._taken.keys()
        names = [name for name in self._order if name in known] + sorted(known.difference(self._order))
        return [NodeCount(name, self._taken.get(name, 0), self._given.get(name, 0)) for name in names]

    def source(self, node: str, topics: Sequence[str], emit: Emit) -> Emit:  # noqa: ARG002  an observer's arguments
        """Count what was read."""
        return _counting(self._given, node, emit)

    def stage(self, node: str, stage: Emit) -> Emit:
        """Count what goes in."""
        return _counting(self._taken, node, stage)

    def results(self, node: str, emit: Emit) -> Emit:
        """Count what comes out."""
        return _counting(self._given, node, emit)


def _counting(counts: dict[str, int], node: str, emit: Emit) -> Emit:
    counts.setdefault(node, 0)

    def counted(batch: Batch) -> None:
        counts[node] += len(batch)
        emit(batch)

    return counted
