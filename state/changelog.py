"""Changes on their way to the changelog: columns of bytes, collected put by put and handed over batch by batch.

Rules: every change is kept as it was made, in order; values are bytes already, so that what is changed in place later
does not alter what was logged. It knows nothing of topics or producers (`ChangelogWriter` does).
"""

from __future__ import annotations

from state.stores import ChangelogWriter, Headers


class Changes:
    """Columns of changes that the writer has not seen yet. Those that set a value get `headers`."""

    __slots__ = ("_headers", "_writer", "keys", "timestamps", "values")

    def __init__(self, writer: ChangelogWriter, headers: Headers = ()) -> None:
        self._writer = writer
        self._headers = headers
        self.keys: list[bytes] = []
        self.values: list[bytes | None] = []
        self.timestamps: list[int] = []

    def drain(self) -> None:
        """Hand everything to the writer. The columns are the writer's from then on."""
        if self.keys:
            columns = self.keys, self.values, self.timestamps
            self.clear()
            own = self._headers
            headers = [() if value is None else own for value in columns[1]] if own else None
            self._writer.write(*columns, headers)

    def clear(self) -> None:
        """Start with empty columns."""
        self.keys, self.values, self.timestamps = [], [], []
