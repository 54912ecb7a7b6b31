"""Value getters: what a table's row is now, asked from downstream.

Rules: a stored table answers from its store; one that is not stored computes from its parents, at each question.
Nobody asks before `init`. Times of computed rows are as the joins and maps would have set them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from state.stores import ValueAndTimestamp
from streams.operators.base import OperatorContext

__all__ = ["Getter", "JoinGetter", "MappedGetter", "StoreGetter", "WindowGetter"]


class Getter(Protocol):
    """A table's rows by key."""

    versioned: bool

    def init(self, context: OperatorContext) -> None:
        """Take the stores."""
        ...

    def get(self, key: Any) -> ValueAndTimestamp | None:
        """The row now."""
        ...

    def values_of(self, keys: Sequence[Any]) -> list[Any]:
        """The values of many keys' rows now, each where its key is; None where there is no row."""
        return [row and row[0] for row in map(self.get, keys)]

    def get_as_of(self, key: Any, timestamp: int) -> ValueAndTimestamp | None:
        """The row as it was valid at `timestamp` (versioned tables only)."""
        ...

    def close(self) -> None:
        """Called once, when the task lets go."""
        ...


class StoreGetter:
    """Rows of a key-value store. `versioned` is known before `init`, from the store's description."""

    def __init__(self, store: str, *, versioned: bool = False) -> None:
        self._store_name = store
        self.versioned = versioned

    def init(self, context: OperatorContext) -> None:
        """Take the store."""
        self._store = context.store(self._store_name)
        self.get: Callable[[Any], ValueAndTimestamp | None] = self._store.get

    def values_of(self, keys: Sequence[Any]) -> list[Any]:
        """The values of many keys' rows now."""
        found: list[Any] = self._store.values_of(keys)
        return found

    def get_as_of(self, key: Any, timestamp: int) -> ValueAndTimestamp | None:
        """The version valid at `timestamp`."""
        found: ValueAndTimestamp | None = self._store.get(key, timestamp)
        return found

    def close(self) -> None:
        """The store is the task's."""


class WindowGetter(Getter):
    """Rows of a windowed table, by Windowed key."""

    versioned = False

    def __init__(self, store: str) -> None:
        self._store_name = store

    def init(self, context: OperatorContext) -> None:
        """Take the store."""
        self._store = context.store(self._store_name)

    def get(self, key: Any) -> ValueAndTimestamp | None:
        """The window's aggregate."""
        found: ValueAndTimestamp | None = self._store.fetch(key.key, key.start_ms)
        return found

    def get_as_of(self, key: Any, timestamp: int) -> ValueAndTimestamp | None:
        """Windowed tables have no versions."""
        raise AssertionError(f"a windowed table has no versions: {key} at {timestamp}")

    def close(self) -> None:
        """The store is the task's."""


class SessionGetter(Getter):
    """Rows of a table of sessions, by Windowed key; a session's time is its end."""

    versioned = False

    def __init__(self, store: str) -> None:
        self._store_name = store

    def init(self, context: OperatorContext) -> None:
        """Take the store."""
        self._store = context.store(self._store_name)

    def get(self, key: Any) -> ValueAndTimestamp | None:
        """The session's aggregate."""
        value = self._store.fetch_session(key.key, key.start_ms, key.end_ms)
        return None if value is None else ValueAndTimestamp(value, key.end_ms)

    def get_as_of(self, key: Any, timestamp: int) -> ValueAndTimestamp | None:
        """Sessions have no versions."""
        raise AssertionError(f"a table of sessions has no versions: {key} at {timestamp}")

    def close(self) -> None:
        """The store is the task's."""


class MappedGetter(Getter):
    """Rows of a table that is a function of another's: `compute(key, value)`, where None means no row."""

    def __init__(self, parent: Getter, compute: Callable[[Any, Any], Any]) -> None:
        self._parent = parent
        self._compute = compute
        self.versioned = parent.versioned

    def init(self, context: OperatorContext) -> None:
        """Prepare the parent."""
        self._parent.init(context)

    def get(self, key: Any) -> ValueAndTimestamp | None:
        """The parent's row, computed."""
        return self._computed(key, self._parent.get(key))

    def values_of(self, keys: Sequence[Any]) -> list[Any]:
        """The values of the parent's rows, computed."""
        values = zip(keys, self._parent.values_of(keys), strict=True)
        return [None if value is None else self._compute(key, value) for key, value in values]

    def get_as_of(self, key: Any, timestamp: int) -> ValueAndTimestamp | None:
        """The parent's version, computed."""
        return self._computed(key, self._parent.get_as_of(key, timestamp))

    def _computed(self, key: Any, row: ValueAndTimestamp | None) -> ValueAndTimestamp | None:
        if row is None:
            return None
        value = self._compute(key, row[0])
        return None if value is None else ValueAndTimestamp(value, row[1])

    def close(self) -> None:
        """Let the parent go."""
        self._parent.close()


class JoinGetter(Getter):
    """Rows of a join of two tables that is not stored.

    `keep_left`, `keep_right`: a row of that side alone makes a row of the join. Source: Kafka's
    KTableKTable…JoinValueGetter.
    """

    versioned = False

    def __init__(
        self,
        left: Getter,
        right: Getter,
        joiner: Callable[[Any, Any, Any], Any],
        *,
        keep_left: bool,
        keep_right: bool,
    ) -> None:
        self._left = left
        self._right = right
        self._joiner = joiner
        self._keep_left = keep_left
        self._keep_right = keep_right

    def init(self, context: OperatorContext) -> None:
        """Prepare both sides."""
        self._left.init(context)
        self._right.init(context)

    def get(self, key: Any) -> ValueAndTimestamp | None:
        """Both sides' rows, joined; the right one is not looked up where it cannot make one."""
        left = self._left.get(key)
        if left is None and not self._keep_right:
            return None
        right = self._right.get(key)
        if left is None and right is None:
            return None
        if right is None and not self._keep_left:
            return None
        value = self._joiner(key, left and left[0], right and right[0])
        if value is None:
            return None
        return ValueAndTimestamp(value, max(row[1] for row in (left, right) if row is not None))

    def get_as_of(self, key: Any, timestamp: int) -> ValueAndTimestamp | None:
        """A join's result has no versions."""
        raise AssertionError(f"the result of a join has no versions: {key} at {timestamp}")

    def close(self) -> None:
        """Let both sides go."""
        self._left.close()
        self._right.close()
