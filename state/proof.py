"""That values can be written: a store which keeps objects has to know when they are put, as one that keeps bytes would.

For numbers and text their class says it, and a look at how large or how plain they are (`Serde.certain`); everything
else is written, and the bytes are dropped. Numbers and text of another class than the serde gives back (an int for a float, a
bytearray for bytes, a member of an enum) are kept as they will be read again, and so are floats of 32 bits.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

from state.serde import Serde, serializer

__all__ = ["LONGEST", "SHORTEST", "Proof"]

SHORTEST, LONGEST = -(1 << 63), (1 << 63) - 1
"""Ints of 64 bits lie between these."""

_CODES: dict[Any, str] = {int: "q", float: "d"}


class _Rounded:
    """The class of no value."""


class Proof:
    """What a serde can write; `certain` is the class of which it is known.

    `plain` is the class of values that come back as they are, where others, all of which never change, may not; None where
    nothing is known of that. `rounds` makes of any value what will be read again, where that may be another one of its class.
    """

    def __init__(self, serde: Serde[Any]) -> None:
        self.certain: type | None = getattr(serde, "certain", None)
        self._code = _CODES.get(self.certain)
        self._read = serde.deserialize
        self.write = serde.serialize
        short = self.certain is None and hasattr(serde, "size_bytes")
        self.plain: type | None = _Rounded if short else self.certain
        self.rounds: Callable[[Any], Any] | None = self.settled if short else None
        self._write_all = serializer(serde)

    def written(self, values: Sequence[Any]) -> list[bytes]:
        """The bytes of a column without None, empty for numbers. Raises: what the serde does, or others of its kind."""
        if self._code:
            array(self._code, values)
            return []
        return self._write_all(values)

    def settled(self, value: Any) -> Any:
        """A value as it will be read again. Raises: what the serde does."""
        return self._read(self.write(value))

    def settled_all(self, values: list[Any]) -> list[Any]:
        """The same of a column without None, whose values are mostly plain."""
        if self.plain is None or {self.plain}.issuperset(map(type, values)):
            return values
        return list(map(self.settled, values))

    def holds(self, values: Sequence[Any]) -> bool:
        """Whether all of a column can be written; None can."""
        try:
            self.written([value for value in values if value is not None])
        except Exception:
            return False
        return True
