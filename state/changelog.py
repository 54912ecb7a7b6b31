"""Changes on their way to the changelog: columns of bytes, collected put by put and handed over batch by batch.

Rules: every change is kept as it was made, in order; values are bytes already, so that what is changed in place later
does not alter what was logged. It knows nothing of topics or producers (`ChangelogWriter` does).
"""

from __future__ import annotations

from state.headed import parted
from state.stores import ChangelogWriter, Headers


class Changes:
    """Columns of changes that the writer has not seen yet. Those that set a value get `headers`.

    `headers_at` has those of single changes, by index. `headed`: values have headers in front, which become the record's.
    """

    __slots__ = ("_headed", "_headers", "_writer", "headers_at", "keys", "timestamps", "values")

    def __init__(self, writer: ChangelogWriter, headers: Headers = (), *, headed: bool = False) -> None:
        self._writer = writer
        self._headers = headers
        self._headed = headed
        self.keys: list[bytes] = []
        self.values: list[bytes | None] = []
        self.timestamps: list[int] = []
        self.headers_at: dict[int, Headers] = {}

    def drain(self) -> None:
        """Hand everything to the writer. The columns are the writer's from then on."""
        if self.keys:
            if self._headed:
                self._part_values()
            columns, headers = (self.keys, self.values, self.timestamps), self._headers_column()
            self.clear()
            self._writer.write(*columns, headers)

    def _part_values(self) -> None:
        for index, value in enumerate(self.values):
            if value is not None:
                self.headers_at[index], self.values[index] = parted(value)

    def _headers_column(self) -> list[Headers] | None:
        if self.headers_at:
            at = self.headers_at
            return [at.get(index, ()) for index in range(len(self.keys))]
        own = self._headers
        return [() if value is None else own for value in self.values] if own else None

    def clear(self) -> None:
        """Start with empty columns."""
        self.keys, self.values, self.timestamps, self.headers_at = [], [], [], {}
