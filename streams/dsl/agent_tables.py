"""Tables that agents read and write: `counts[word] += 1`. A table is a store of the task whose record is in hand.

    counts = app.table("counts", key=str, value=int, default=int)
    views = app.table("views", key=str, value=int, default=int).tumbling("10 minutes")

Rules: a table belongs to the agents that use it; what they write is logged and part of the commit. It may be touched while
a record is in hand and nowhere else, since only that says which partition is meant; from outside there is `app.store`.
An agent sees its own changes at once, and those of records in flight with its own; all others see them when these are done.
Reading a key that is not there gives the default and stores nothing; a value that was changed in place must be set again.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, MutableMapping
from contextvars import ContextVar
from types import CodeType, FunctionType
from typing import Any, NamedTuple, Self

from msgspec import Struct
from msgspec.structs import replace

from state.stores import StoreSpec
from streams.dsl.stores import timestamped_key_value_store, window_store
from streams.durations import Duration, milliseconds
from streams.errors import StreamsError, TopologyError
from streams.processor import Beside, ProcessorContext
from streams.record import Record

__all__ = ["AgentTable", "Held", "WindowSet", "WindowedAgentTable", "hold", "let_go", "tables_of"]

DEFAULT_EXPIRY_MS = 86_400_000
"""How long windows are kept that do not say it: a day, as Kafka keeps window stores."""


class Held(NamedTuple):
    """The record in hand, the processor that it is in, and what is beside its stores if it is run before its turn."""

    context: ProcessorContext
    record: Record
    beside: Beside | None


_HELD: ContextVar[Held | None] = ContextVar("held", default=None)


def hold(context: ProcessorContext, record: Record, beside: Beside | None = None) -> None:
    """From now on, in this task or thread, tables are those of this record's partition."""
    _HELD.set(Held(context, record, beside))


def let_go() -> None:
    """No record is in hand."""
    _HELD.set(None)


def _held(table: str) -> Held:
    held = _HELD.get()
    if held is None:
        raise StreamsError(
            f"the table {table!r} was used while no record is in hand: use it inside a function of @app.agent or "
            f"@app.process, and app.store({table!r}) elsewhere"
        )
    return held


def _store(spec: StoreSpec) -> Any:
    held = _held(spec.name)
    try:
        store = held.context.store(spec.name)
    except TopologyError as problem:
        raise TopologyError(f"{problem}; say tables=[...] in the decorator of the function that uses it") from None
    return store if held.beside is None else held.beside(spec.name)


class AgentTable(MutableMapping[Any, Any]):
    """Values by key; see the module. A mapping, whose missing keys are `default()` where a default was given."""

    def __init__(self, name: str, key: Any, value: Any, default: Callable[[], Any] | None) -> None:
        self.name = name
        self.spec = timestamped_key_value_store(name, key, value)
        self._types = key, value
        self._default = default

    def __getitem__(self, key: Any) -> Any:
        found = _store(self.spec).get(_key(key, self.name))
        if found is not None:
            return found.value
        if self._default is None:
            raise KeyError(key)
        return self._default()

    def __setitem__(self, key: Any, value: Any) -> None:
        _store(self.spec).put(_key(key, self.name), value, _held(self.name).record.timestamp)

    def __delitem__(self, key: Any) -> None:
        store = _store(self.spec)
        if store.get(_key(key, self.name)) is None:
            raise KeyError(key)
        store.put(key, None, _held(self.name).record.timestamp)

    def __contains__(self, key: object) -> bool:
        return _store(self.spec).get(_key(key, self.name)) is not None

    def __iter__(self) -> Iterator[Any]:
        return (key for key, _ in _store(self.spec).all())

    def __len__(self) -> int:
        return sum(1 for _ in _store(self.spec).all())

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of a key, `default` when there is none (not the table's)."""
        found = _store(self.spec).get(_key(key, self.name))
        return default if found is None else found.value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """The value of a key; where there is none, `default` is set and given."""
        found = self.get(key)
        if found is None:
            self[key] = found = default
        return found

    def pop(self, key: Any, *default: Any) -> Any:
        """The value of a key, which is deleted. Raises: KeyError when there is none, and no `default` is given."""
        found = self.get(key)
        if found is not None:
            del self[key]
        elif not default:
            raise KeyError(key)
        return default[0] if found is None else found

    def tumbling(self, size: Duration, *, expires: Duration | None = None) -> WindowedAgentTable:
        """A table of one value per key and window of `size`; windows are forgotten after `expires`."""
        return self.hopping(size, size, expires=expires)

    def hopping(self, size: Duration, step: Duration, *, expires: Duration | None = None) -> WindowedAgentTable:
        """As `tumbling`, with windows that begin every `step` and may overlap."""
        size_ms, step_ms = (_duration(each, self.name) for each in (size, step))
        if not 0 < step_ms <= size_ms:
            raise TopologyError(
                f"the table {self.name!r}: expected a step of at least 1 ms and at most the size of {size_ms} ms, got "
                f"{step_ms} ms"
            )
        kept_ms = max(size_ms, DEFAULT_EXPIRY_MS if expires is None else _duration(expires, self.name))
        key, value = self._types
        spec = window_store(self.name, key, value, size=size_ms, retention=kept_ms)
        return WindowedAgentTable(spec, step_ms, self._default)

    def __repr__(self) -> str:
        return f"<table {self.name}>"


def own_table(name: str, *, default: Callable[[], Any] | None, key: Any = object, value: Any = None) -> AgentTable:
    """A table for agents; the type of its values is that of its default, unless it is given.

    Raises: TopologyError.
    """
    if default is not None and not callable(default):
        raise TopologyError(
            f"the table {name!r}: default= is a class or a function that makes a value, such as int, got {default!r}"
        )
    kind = default if value is None and isinstance(default, type) else value
    return AgentTable(name, key, object if kind is None else kind, default)


class WindowedAgentTable(Struct, frozen=True):
    """Values by key and window. `table[key]` is a WindowSet; `table[key] += 1` counts in every window of the time.

    The time is that of the record in hand, unless `relative_to_now` or `relative_to_field` says otherwise.
    """

    spec: StoreSpec
    step_ms: int
    default: Callable[[], Any] | None
    time_of: Callable[[Held], int] | None = None

    @property
    def name(self) -> str:
        """Of the table and its store."""
        return self.spec.name

    def relative_to_now(self) -> WindowedAgentTable:
        """The same table, with windows by the wall clock; the TopologyTestDriver's stands still until it is advanced."""
        return replace(self, time_of=lambda held: held.context.system_time_ms())

    def relative_to_field(self, field: Callable[[Any], int]) -> WindowedAgentTable:
        """The same table, with windows by a time in ms that `field(value)` finds in the record in hand."""
        return replace(self, time_of=lambda held: field(held.record.value))

    def relative_to_stream(self) -> WindowedAgentTable:
        """The same table, with windows by the record's own time (the default)."""
        return replace(self, time_of=None)

    def __getitem__(self, key: Any) -> WindowSet:
        return WindowSet(self, _key(key, self.name))

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, WindowSet):  # the end of `table[key] += 1`, which has written already
            return
        WindowSet(self, _key(key, self.name)).set(value)

    def __contains__(self, key: object) -> bool:
        return WindowSet(self, _key(key, self.name)).stored(0) is not None

    def items(self, ago: Duration = 0) -> Iterator[tuple[Any, Any]]:
        """(key, value) of every key in the newest window of the time, or of `ago` before it."""
        starts = self.starts(ago)
        if not starts:
            return iter(())
        start_ms = starts[-1]
        return ((key, found.value) for (key, _), found in _store(self.spec).fetch_all(start_ms, start_ms))

    def keys(self, ago: Duration = 0) -> Iterator[Any]:
        """The keys of `items`."""
        return (key for key, _ in self.items(ago))

    def values(self, ago: Duration = 0) -> Iterator[Any]:
        """The values of `items`."""
        return (value for _, value in self.items(ago))

    def time_ms(self) -> int:
        """The time that windows are chosen by, now."""
        held = _held(self.name)
        return held.record.timestamp if self.time_of is None else self.time_of(held)

    def starts(self, ago: Duration = 0) -> list[int]:
        """The starts of the windows that hold the time, oldest first; none for times before 1970.

        Source: Kafka's TimeWindows.windowsFor.
        """
        at_ms, step_ms = self.time_ms() - _duration(ago, self.name), self.step_ms
        oldest = max(0, at_ms - self.spec.window_size_ms + step_ms) // step_ms * step_ms
        return list(range(oldest, at_ms + 1, step_ms))


class WindowSet:
    """One key of a windowed table: its values in the windows around the time."""

    def __init__(self, table: WindowedAgentTable, key: Any) -> None:
        self._table = table
        self._key = key

    def value(self, ago: Duration = 0) -> Any:
        """The value in the newest window of the time, or of `ago` before it; else the table's default."""
        found = self.stored(ago)
        if found is not None:
            return found
        if self._table.default is None:
            raise KeyError(self._key)
        return self._table.default()

    def current(self) -> Any:
        """The value in the newest window of the time."""
        return self.value()

    def delta(self, ago: Duration) -> Any:
        """The value in the window of `ago` before the time."""
        return self.value(ago)

    def now(self) -> Any:
        """The value in the newest window of the wall clock."""
        return WindowSet(self._table.relative_to_now(), self._key).value()

    def stored(self, ago: Duration) -> Any:
        """As `value`, with None where there is none."""
        store, starts = _store(self._table.spec), self._table.starts(ago)
        found = store.fetch(self._key, starts[-1]) if starts else None
        return None if found is None else found.value

    def set(self, value: Any) -> None:
        """Set the value in every window of the time; None deletes."""
        self._change(lambda _before: value)

    def _change(self, change: Callable[[Any], Any]) -> Self:
        store, table = _store(self._table.spec), self._table
        timestamp = _held(table.name).record.timestamp
        for start_ms in table.starts():
            found = store.fetch(self._key, start_ms)
            before = found.value if found is not None else table.default() if table.default is not None else None
            store.put(self._key, change(before), start_ms, timestamp)
        return self

    def __iadd__(self, other: Any) -> Self:
        return self._change(lambda before: operator.add(before, other))

    def __isub__(self, other: Any) -> Self:
        return self._change(lambda before: operator.sub(before, other))

    def __imul__(self, other: Any) -> Self:
        return self._change(lambda before: operator.mul(before, other))

    def __ior__(self, other: Any) -> Self:
        return self._change(lambda before: operator.or_(before, other))

    def __repr__(self) -> str:
        return f"<{self._key!r} of table {self._table.name}>"


def tables_of(function: Callable[..., Any]) -> list[AgentTable | WindowedAgentTable]:
    """The tables that a function names: globals, closure variables, also inside functions and loops within it."""
    found: dict[str, AgentTable | WindowedAgentTable] = {}
    if isinstance(function, FunctionType):
        names = set(_names(function.__code__))
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
        inner = {name: _content(cell) for name, cell in cells}
        for name in sorted(names | inner.keys()):
            value = inner.get(name, function.__globals__.get(name))
            if isinstance(value, AgentTable | WindowedAgentTable):
                found[value.name] = value
    return list(found.values())


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _key(key: Any, table: str) -> Any:
    if key is None:
        raise TypeError(f"the table {table!r} has no key None")
    return key


def _duration(duration: Duration, table: str) -> int:
    try:
        return milliseconds(duration, f"a window of the table {table!r}")
    except (TypeError, ValueError) as problem:
        raise TopologyError(str(problem)) from None
