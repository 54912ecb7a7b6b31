"""Updates that replace each other within a batch before a store hears of them: what a fold may do unseen.

In front of a record cache with room to spare only the last update of an entry can be told from the ones before, by its
place in the order of all updates. So a fold keeps them here, and puts them when something else happens: an entry that
the cache does not know, a deletion, a record that fails, the end of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from state.stores import Cause

__all__ = ["Held", "HeldWindows", "put_held"]

Held = dict[Any, tuple[Any, int]]
"""(value, time) by entry key."""


def put_held(store: Any, touched: list[Any], held: Held, causes: list[Cause] | None = None) -> None:
    """Put what is held, in the order of each entry's last update.

    `touched` are the entries, update by update, `causes` theirs, where anybody asks.
    """
    if held:
        store.put_known(touched, held, held.values(), causes)
        held.clear()
    touched.clear()
    if causes:
        causes.clear()


class HeldWindows:
    """Updates of windows that are held, by window and key, in cells [value, time, entry, row of the last update].

    Most records are in the window of the one before, and most keys come again: such a record costs neither the hash of
    its key with its window nor a new tuple. `causes` are those of a batch's rows, where anybody asks.
    """

    def __init__(self, store: Any, causes: Sequence[Cause] | None) -> None:
        self._store = store
        self._causes = causes
        self._windows: dict[int, dict[Any, list[Any]]] = {}
        self._put_until = -1

    def cells_of(self, start_ms: int) -> dict[Any, list[Any]]:
        """The cells of a window, by key; they are others after `put`."""
        return self._windows.setdefault(start_ms, {})

    def put(self, row: int) -> None:
        """Put what is held, in the order of each entry's last update, which are those of rows up to `row`."""
        cells = sorted((cell for window in self._windows.values() for cell in window.values()), key=_row)
        if cells:
            entries = list(map(_entry, cells))
            causes = None if self._causes is None else list(map(self._causes.__getitem__, map(_row, cells)))
            self._store.put_known(entries, entries, map(_update, cells), causes, count=row - self._put_until)
        self._windows.clear()
        self._put_until = row


_update, _entry, _row = itemgetter(0, 1), itemgetter(2), itemgetter(3)
