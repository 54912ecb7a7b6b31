"""Looking at records on their way from node to node: per-node counts, and the trace of one record.

An observer is asked while a program is compiled, and puts functions of its own around those that carry batches. Rules: a
program without an observer has no trace of this, so that it costs nothing; an observer changes neither batches nor order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from streams.operators.base import Emit

__all__ = ["Observer", "Observers"]


class Observer(Protocol):
    """Wraps the functions between nodes; each gets whole batches."""

    def source(self, node: str, topics: Sequence[str], emit: Emit) -> Emit:
        """Around what a source hands its decoded records to."""
        ...

    def stage(self, node: str, stage: Emit) -> Emit:
        """Around a node: it is called with what goes in."""
        ...

    def results(self, node: str, emit: Emit) -> Emit:
        """Around what a node hands its results to: it is called with what comes out."""
        ...


class Observers:
    """Several observers as one, the first outermost."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(reversed(observers))

    def source(self, node: str, topics: Sequence[str], emit: Emit) -> Emit:
        """See `Observer`."""
        for observer in self._observers:
            emit = observer.source(node, topics, emit)
        return emit

    def stage(self, node: str, stage: Emit) -> Emit:
        """See `Observer`."""
        for observer in self._observers:
            stage = observer.stage(node, stage)
        return stage

    def results(self, node: str, emit: Emit) -> Emit:
        """See `Observer`."""
        for observer in self._observers:
            emit = observer.results(node, emit)
        return emit
