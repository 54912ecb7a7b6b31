"""How much memory the rows of numbers of all stores of a process may take: `state.number_rows`."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


class RowsBudget:
    """Bytes that the rows of all stores of a process may take together."""

    __slots__ = ("max_bytes", "used")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used = 0

    def take(self, count: int) -> bool:
        """Whether there is room for so many bytes more, which are taken then."""
        if self.used + count > self.max_bytes:
            return False
        self.used += count
        return True

    def give_back(self, count: int) -> None:
        """So many bytes are free again."""
        self.used -= count


@runtime_checkable
class SlowerThanRows(Protocol):
    """An engine that takes longer than rows do, and says how many bytes of them there may be for all that share it."""

    rows_budget: RowsBudget
    """Shared."""
