"""Updates that replace each other within a batch before a store hears of them: what a fold may do unseen.

In front of a record cache with room to spare only the last update of an entry can be told from the ones before, by its
place in the order of all updates. So a fold keeps them here, and puts them when something else happens: a deletion, a
record that fails, the end of the batch; for keys without windows also an entry that the cache does not know, for windows,
where such come all the time, one that might fill it so far that others have to go.

Whether the last update can be written shows when it is put, in one go with the others. If it cannot, nothing is put, and the
records that were held are folded once more, one by one: the one to blame is among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any

from state.stores import Cause
from streams.operators.columns import UNHANDLED

__all__ = ["UNTOUCHED", "HeldKeys", "HeldWindows", "Unwritable"]

UNTOUCHED = -1
"""In place of the row of a cell's last update: there was none yet."""


class Unwritable(Exception):  # noqa: N818  not an error yet: it is looked for
    """Something among what was held cannot be written. Nothing of it is put."""


def kept(store: Any, values: list[Any]) -> list[Any]:
    """Values as the store keeps them. Raises: Unwritable."""
    try:
        return list(store.kept(values))
    except UNHANDLED:
        raise
    except Exception as error:
        raise Unwritable from error


class HeldKeys:
    """Updates that are held by key, in `updates`: (value, time). `keys` and `causes`, where anybody asks, are a batch's.

    They are of the rows from `first` on.
    """

    def __init__(self, store: Any, keys: list[Any], causes: list[Cause] | None, first: int) -> None:
        self._store = store
        self._keys = keys
        self._causes = causes
        self.updates: dict[Any, tuple[Any, int]] = {}
        self.first = first

    def put(self, row: int) -> None:
        """Put what is held of rows before that one, in the order of each entry's last update. Raises: Unwritable."""
        updates, rows = self.updates, slice(self.first, row)
        if updates:
            values, times = zip(*updates.values(), strict=True)
            new = zip(kept(self._store, list(values)), times, strict=True)
            self._store.put_known(self._keys[rows], updates, new, self._causes and self._causes[rows])
            updates.clear()
        self.first = max(self.first, row)


class HeldWindows:
    """Updates of windows that are held, by window and key, in cells [value, time, entry, row of the last update].

    Most records are in the window of the one before, and most keys come again: such a record costs neither the hash of
    its key with its window nor a new tuple. `causes` are those of a batch's rows, where anybody asks. `begun`: what there
    was to be known when nothing was held.
    """

    def __init__(self, store: Any, causes: Sequence[Cause] | None, begun: tuple[int, ...]) -> None:
        self._store = store
        self._causes = causes
        self._windows: dict[int, dict[Any, list[Any]]] = {}
        self._new: set[Any] = set()
        """The entries that the record cache does not know."""
        self._new_bytes = 0
        self._put_until = -1
        self.begun = begun

    def cells_of(self, start_ms: int) -> dict[Any, list[Any]]:
        """The cells of a window, by key; they are others after `put`."""
        return self._windows.setdefault(start_ms, {})

    def has_room_for(self, entry: Any, value: Any) -> bool:
        """Whether an entry that the record cache does not know may be held: if so, its cell follows.

        Raises: what the serdes do.
        """
        more = self._new_bytes + self._store.size_of_new(entry, value)
        if more > self._store.room:
            return False
        self._new_bytes = more
        self._new.add(entry)
        return True

    def put(self, row: int) -> None:
        """Put what is held, in the order of each entry's last update, which are those of rows up to `row`.

        Raises: Unwritable.
        """
        cells = [cell for window in self._windows.values() for cell in window.values() if cell[3] != UNTOUCHED]
        cells.sort(key=_row)
        if cells:
            entries = list(map(_entry, cells))
            causes = None if self._causes is None else list(map(self._causes.__getitem__, map(_row, cells)))
            updates = list(zip(kept(self._store, list(map(_value, cells))), map(_time, cells), strict=True))
            if not self._new or self._put_new(list(zip(entries, updates, causes or repeat(None), strict=False))):
                self._store.put_known(entries, entries, updates, causes, count=row - self._put_until)
        self._windows.clear()
        self._put_until = row

    def _put_new(self, rows: list[tuple[Any, tuple[Any, int], Cause | None]]) -> bool:
        """Put the entries that the record cache does not know; the answer is whether the others may be put at once now.

        Else these are put as well, one by one: those that are new have grown since they were found to have room.
        """
        self._put_each(row for row in rows if row[0] in self._new)
        self._new.clear()
        self._new_bytes = 0
        roomy: bool = self._store.holds_updates
        if not roomy:
            self._put_each(rows)
        return roomy

    def _put_each(self, rows: Iterable[tuple[Any, tuple[Any, int], Cause | None]]) -> None:
        for (key, start_ms), (value, time), cause in rows:
            self._store.put(key, value, start_ms, time, cause)


_value, _time, _entry, _row = map(itemgetter, range(4))
