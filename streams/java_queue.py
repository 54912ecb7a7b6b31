"""java.util.PriorityQueue, for what Kafka keeps in one: among equals the shape of its heap decides who is next.

Rules: an entry rises and sinks past what is strictly later only. An entry's key may change while it is not in the queue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["JavaQueue"]

Entry = TypeVar("Entry")


class JavaQueue(Generic[Entry]):
    """See the module; `key` says when an entry is due."""

    def __init__(self, key: Callable[[Entry], int]) -> None:
        self._key = key
        self._heap: list[Entry] = []

    @property
    def first(self) -> Entry | None:
        """The one that `poll` would take out; it stays."""
        return self._heap[0] if self._heap else None

    def offer(self, entry: Entry) -> None:
        """Append, and move up past later ones."""
        heap, key = self._heap, self._key
        heap.append(entry)
        at = len(heap) - 1
        while at and key(heap[parent := (at - 1) // 2]) > key(entry):
            heap[at] = heap[parent]
            at = parent
        heap[at] = entry

    def poll(self) -> Entry:
        """Take the first, of a queue that has one; the last takes its place, and moves down past earlier ones."""
        heap, key = self._heap, self._key
        first, last = heap[0], heap.pop()
        if not heap:
            return first
        at = 0
        while (child := 2 * at + 1) < len(heap):
            if child + 1 < len(heap) and key(heap[child]) > key(heap[child + 1]):
                child += 1
            if key(last) <= key(heap[child]):
                break
            heap[at] = heap[child]
            at = child
        heap[at] = last
        return first
