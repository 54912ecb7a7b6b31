"""What a record cache lets go while a batch is processed: written at once, told at the batch's end.

A cache with no room lets entries go one by one, and those behind pay as much for a batch of one as for one of many.
They cannot tell when they get it, except where they use record caches, this one or others of its budget (`together` is
false there), or where a record of the batch fails: then it is told before the failure is.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any

from state.stores import Cause, Flushed, FlushListener

_TOLD_AT_ONCE = 4_096  # columns that fit a processor's cache


class Flushes:
    """On its way from a store to its listener. `with` it, a batch is processed."""

    def __init__(self) -> None:
        self.listener: FlushListener | None = None
        self.together = False
        """Set by who knows: nobody can tell when the listener is told, as long as it is in order."""
        self._gathers = False
        self._begin()

    def _begin(self) -> None:
        self._keys: list[Any] = []
        self._new_values: list[Any] = []
        self._old_values: list[Any] = []
        self._timestamps: list[int] = []
        self._causes: list[Cause | None] = []

    def __enter__(self) -> None:
        self._gathers = self.together

    def __exit__(self, *error: object) -> None:
        self._gathers = False
        self.tell()

    def take(self, flushed: Flushed) -> None:
        """Updates that were written, for the listener."""
        if not self._gathers:
            assert self.listener is not None, "nobody asked for them"
            self.listener(flushed)
            return
        keys, new_values, old_values, timestamps, causes = flushed
        if causes or self._causes:
            self._causes += repeat(None, len(self._keys) - len(self._causes))
            self._causes += causes or repeat(None, len(keys))
        self._keys += keys
        self._new_values += new_values
        self._old_values += old_values
        self._timestamps += timestamps
        if len(self._keys) >= _TOLD_AT_ONCE:
            self.tell()

    def tell(self) -> None:
        """Tell the listener what was gathered so far."""
        if self._keys:
            assert self.listener is not None, "nobody asked for them"
            flushed = Flushed(self._keys, self._new_values, self._old_values, self._timestamps, self._causes or None)
            self._begin()
            self.listener(flushed)
