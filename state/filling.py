"""Restores of many records: the engine is told beforehand that it will be written, and not read.

An engine that can makes writes cheap for so long. Rules: whoever restores says when it begins and when it is over; a
store that is closed or handed over in between is as complete as its position says. Stores that read what they restore
(`_reads_to_restore`) go without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol, runtime_checkable

from state.engine import Engine, KeyRange

FILLED_RECORDS = 100_000
"""Fewer are restored before an engine has prepared itself for them."""


@runtime_checkable
class FillableEngine(Protocol):
    """An engine whose writes cost less, and whose reads cost much, between these two."""

    def begin_fill(self) -> None:
        """Reads are rare from now on; a process that is killed may lose the latest writes, whole ones."""
        ...

    def fill(
        self,
        keys: Sequence[bytes],
        values: Sequence[bytes | None],
        *,
        metadata: Mapping[bytes, bytes],
        dropped: Sequence[KeyRange] = (),
    ) -> None:
        """As `write`, between the two; of a key that comes again the last value counts."""
        ...

    def fill_is_over(self) -> bool:
        """Nothing more is written; whether `end_fill` would not wait. What it would wait for goes on meanwhile."""
        ...

    def end_fill(self) -> None:
        """What was written is kept as what is written from now on, and read as fast."""
        ...


class FilledStore:
    """What a `LayeredStore` does about it. `_filled` is its engine while that is being filled."""

    _engine: Engine
    _reads_to_restore: ClassVar[bool] = False
    _filled: FillableEngine | None = None

    @property
    def fills(self) -> bool:
        """Whether its engine is being filled."""
        return self._filled is not None

    def begin_restore(self, records: int) -> None:
        """So many changelog records will come by `restore`; nobody reads before `end_restore`."""
        if records >= FILLED_RECORDS and not self._reads_to_restore and isinstance(self._engine, FillableEngine):
            self._engine.begin_fill()
            self._filled = self._engine

    def restore_is_over(self) -> bool:
        """Nothing more comes; whether `end_restore` would not wait. What it would wait for goes on meanwhile."""
        return self._filled is None or self._filled.fill_is_over()

    def end_restore(self) -> None:
        """The restore is over, or given up."""
        if self._filled is not None:
            self._filled.end_fill()
            self._filled = None
