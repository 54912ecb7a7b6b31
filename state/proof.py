"""That values can be written: a store which keeps objects has to know when they are put, as one that keeps bytes would.

For numbers and text their class says it, and a look at how large or how plain they are (`Serde.certain`); everything
else is written, and the bytes are dropped.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from state.serde import Serde, serializer

__all__ = ["LONGEST", "SHORTEST", "Proof"]

SHORTEST, LONGEST = -(1 << 63), (1 << 63) - 1
"""Ints of 64 bits lie between these."""

_CODES: dict[Any, str] = {int: "q", float: "d"}


class Proof:
    """What a serde can write; `certain` is the class of which it is known."""

    def __init__(self, serde: Serde[Any]) -> None:
        self.certain: type | None = getattr(serde, "certain", None)
        self._code = _CODES.get(self.certain)
        self.write = serde.serialize
        self._write_all = serializer(serde)

    def written(self, values: Sequence[Any]) -> list[bytes]:
        """The bytes of a column without None, empty for numbers. Raises: what the serde does, or others of its kind."""
        if self._code:
            array(self._code, values)
            return []
        return self._write_all(values)

    def holds(self, values: Sequence[Any]) -> bool:
        """Whether all of a column can be written; None can."""
        try:
            self.written([value for value in values if value is not None])
        except Exception:
            return False
        return True
