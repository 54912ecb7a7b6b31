"""How keys lie in rows of numbers: ints as they are, others by numbers that they get as they come."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import repeat
from typing import Any, Protocol
from uuid import UUID

from state.number_table import PLACE_BYTES, Column, column, column_of_any

_LONGEST = 128
"""Longer names get no numbers, so that what places take for names says what these take."""
_NAME_BYTES = 64
"""What a name takes for each of the places, of which there are at least two for it: itself, and its number."""


class KeyNumbers(Protocol):
    """Keys and their numbers. `place_bytes` is what a place takes in all."""

    place_bytes: int

    def known(self, keys: Sequence[Any]) -> Column | None:
        """The numbers of keys; those without one have one that nobody has. None where some can not be keys."""
        ...

    def of(self, keys: Sequence[Any]) -> Column | None:
        """The same, after those that had none got one."""
        ...

    def keys(self, numbers: Column) -> list[Any]:
        """The keys that have these numbers."""
        ...

    def clear(self) -> None:
        """Nobody asks for these numbers any more."""
        ...


class Ints:
    """Keys that are ints of 64 bits."""

    place_bytes = PLACE_BYTES

    def known(self, keys: Sequence[Any]) -> Column | None:
        """Themselves."""
        return column_of_any(keys)

    of = known

    def keys(self, numbers: Column) -> list[Any]:
        """Themselves."""
        found: list[Any] = numbers.tolist()
        return found

    def clear(self) -> None:
        """Nothing is kept."""


class _Numbering(dict[Hashable, int]):
    """The number of each name; a name without one gets the next. Raises: TypeError for what is no such name, or a long one."""

    def __init__(self, kind: type[Any]) -> None:
        super().__init__()
        self._kind = kind
        self._longest = _LONGEST if kind is not UUID else None
        self.names: list[Any] = []

    def __missing__(self, name: Any) -> int:
        if name.__class__ is not self._kind or (self._longest and len(name) > self._longest):
            raise TypeError(f"expected {self._kind.__name__}")
        number = self[name] = len(self.names)
        self.names.append(name)
        return number


class Names:
    """Keys of one class, of which equal ones have equal bytes (str, bytes, UUID), numbered from 0 on."""

    place_bytes = PLACE_BYTES + _NAME_BYTES

    def __init__(self, kind: type) -> None:
        self._kind = kind
        self.clear()

    def known(self, keys: Sequence[Any]) -> Column | None:
        """See KeyNumbers."""
        try:
            return column(list(map(self._numbering.get, keys, repeat(len(self._numbering)))))
        except TypeError:
            return None

    def of(self, keys: Sequence[Any]) -> Column | None:
        """See KeyNumbers."""
        try:
            return column(list(map(self._numbering.__getitem__, keys)))
        except TypeError:
            return None

    def keys(self, numbers: Column) -> list[Any]:
        """See KeyNumbers."""
        return list(map(self._numbering.names.__getitem__, numbers.tolist()))

    def clear(self) -> None:
        """See KeyNumbers."""
        self._numbering = _Numbering(self._kind)


def key_numbers(kind: type) -> KeyNumbers:
    """Of keys of that class."""
    return Ints() if kind is int else Names(kind)
