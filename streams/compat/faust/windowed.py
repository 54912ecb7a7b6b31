"""Windowed tables: what `table.tumbling(...)` and `table.hopping(...)` give, with Faust's rules of which window is meant.

A key has a value per window; `table[key]` is all of them, `.current()`, `.now()`, `.delta()` and `.value()` choose one.
Rules: the time that counts is the record's, unless `relative_to_now`, `relative_to_field` or another says otherwise;
keys can be listed only with `key_index=True`.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from streams.compat.faust.errors import FaustError, ImproperlyConfigured
from streams.compat.faust.models import FieldDescriptor
from streams.compat.faust.topics import CURRENT, Event
from streams.compat.faust.windows import Range, Seconds

Relative = Callable[[Any], Any]
"""From an event, or None outside of agents, to a time."""


class WindowSet:
    """The values of one key in all its windows."""

    def __init__(self, key: Any, wrapper: WindowWrapper, event: Event | None = None) -> None:
        self.key = key
        self.wrapper = wrapper
        self.table = wrapper.table
        self.event = event

    def value(self, event: Event | None = None) -> Any:
        """In the window that the table's own time chooses."""
        return self._at(self.wrapper.get_timestamp(event or self.event))

    def current(self, event: Event | None = None) -> Any:
        """In the window of the record's time."""
        return self._at(event_time(event or self.event))

    def now(self) -> Any:
        """In the window of the latest time this worker knows."""
        return self.table[self.key, self.table.window.earliest(self.wrapper.now_time())]

    def delta(self, duration: Seconds, event: Event | None = None) -> Any:
        """In the window that long before the record's time."""
        return self.table[self.key, self.table.window.delta(event_time(event or self.event), duration)]

    def apply(self, operation: Callable[[Any, Any], Any], value: Any, event: Event | None = None) -> WindowSet:
        """Change the value in every window that the time belongs to."""
        table, key = self.table, self.key
        timestamp = self.wrapper.get_timestamp(event or self.event)
        self.wrapper.note_key(key)
        for window in table.window.ranges(timestamp):
            place = (key, window)
            table[place] = operation(table[place], value)
        return self

    def _at(self, timestamp: float) -> Any:
        return self.table[self.key, self.table.window.current(timestamp)]

    def __getitem__(self, at: Any) -> Any:
        return WindowSet(self.key, self.wrapper, at) if isinstance(at, Event) else self.table[self.key, at]

    def __setitem__(self, window: Range, value: Any) -> None:
        self.table[self.key, window] = value
        self.wrapper.note_key(self.key)

    def __delitem__(self, window: Range) -> None:
        del self.table[self.key, window]
        self.wrapper.forget_key(self.key)

    def __repr__(self) -> str:
        return f"<WindowSet: table={self.table!r}>"


def _in_place(operation: Callable[[Any, Any], Any]) -> Callable[[WindowSet, Any], WindowSet]:
    return lambda windows, value: windows.apply(operation, value)


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift", "and", "xor", "or"):
    _operation = getattr(operator, _name, None) or getattr(operator, f"{_name}_")
    setattr(WindowSet, f"__i{_name}__", _in_place(_operation))


class WindowWrapper:
    """A table with windows."""

    def __init__(
        self, table: Any, *, relative: Relative | None = None, key_index: bool = False, key_index_table: Any = None
    ) -> None:
        self.table = table
        self.key_index = key_index
        self._relative = relative
        self.key_index_table = key_index_table
        if key_index and key_index_table is None:
            self.key_index_table = table.app.Table(
                f"{table.name}-key_index", key_type=table.key_type, value_type=int, partitions=table.partitions
            )

    @property
    def name(self) -> str:
        """The table's name."""
        return str(self.table.name)

    # Whose time

    def relative_to(self, what: Any) -> WindowWrapper:
        """Another time: seconds, a datetime, a field of the value, or a function of the event."""
        if isinstance(what, FieldDescriptor):
            return self.relative_to_field(what)
        if isinstance(what, datetime):
            what = what.timestamp()
        if isinstance(what, int | float):
            fixed = float(what)
            return self._with(lambda _event: fixed)
        if callable(what):
            return self._with(what)
        raise ImproperlyConfigured(f"relative_to: expected a time, a field or a function, got {what!r}")

    def relative_to_now(self) -> WindowWrapper:
        """The latest time this worker knows."""
        return self._with(lambda _event: self.now_time())

    def relative_to_stream(self) -> WindowWrapper:
        """The record's time."""
        return self._with(event_time)

    def relative_to_field(self, field: FieldDescriptor) -> WindowWrapper:
        """A field of the value."""

        def of_event(event: Event | None) -> Any:
            if event is None:
                raise RuntimeError("Operation outside of stream iteration")
            return field.getattr(event.value)

        return self._with(of_event)

    def get_timestamp(self, event: Event | None = None) -> float:
        """The time that chooses the window."""
        if self._relative is None:
            return event_time(event)
        found = self._relative(event or current_event())
        if isinstance(found, str):
            found = datetime.fromisoformat(found)
        return found.timestamp() if isinstance(found, datetime) else found

    def now_time(self) -> float:
        """The end of the latest window of the partition in hand, where windows expire; else the system's time."""
        copy = CURRENT.get(None)
        latest = self.table.latest_end() if copy is not None and copy.at_work else None
        return time.time() if latest is None else latest

    def _with(self, relative: Relative) -> WindowWrapper:
        index = {"key_index": self.key_index, "key_index_table": self.key_index_table}
        return WindowWrapper(self.table, relative=relative, **index)

    # The mapping

    def __getitem__(self, key: Any) -> WindowSet:
        return WindowSet(key, self)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, WindowSet):
            return
        self.note_key(key)
        for window in self.table.window.ranges(self.get_timestamp()):
            self.table[key, window] = value

    def __delitem__(self, key: Any) -> None:
        self.forget_key(key)
        for window in self.table.window.ranges(self.get_timestamp()):
            del self.table[key, window]

    def __contains__(self, key: object) -> bool:
        return (key, self.table.window.current(self.get_timestamp())) in self.table

    def __len__(self) -> int:
        return len(self._index())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._index())

    def keys(self) -> WindowedView:
        """The keys; `.now()`, `.current()` and `.delta()` choose the window they must have a value in."""
        return WindowedView(self, lambda key, _value: key)

    def values(self, event: Event | None = None) -> WindowedView:
        """The values in one window."""
        return WindowedView(self, lambda _key, value: value, event)

    def items(self, event: Event | None = None) -> WindowedView:
        """(key, value) in one window."""
        return WindowedView(self, lambda key, value: (key, value), event)

    def note_key(self, key: Any) -> None:
        """Put a key into the index of keys, if there is one."""
        if self.key_index_table is not None and key not in self.key_index_table:
            self.key_index_table[key] = 1

    def forget_key(self, key: Any) -> None:
        """Take it out."""
        if self.key_index_table is not None:
            self.key_index_table.pop(key, None)

    def _index(self) -> list[Any]:
        if self.key_index_table is None:
            raise NotImplementedError(f"the windowed table {self.name} lists its keys only with key_index=True")
        return list(self.key_index_table)

    def as_ansitable(self, title: str = "{table.name}", **options: Any) -> str:
        """The table as text, in the window its time chooses."""
        return ansi_table(self.items(), title.format(table=self.table), **options)

    def __repr__(self) -> str:
        return f"<WindowWrapper: {self.table!r}>"


class WindowedView:
    """Keys, values or items of a windowed table in one window."""

    def __init__(self, wrapper: WindowWrapper, shape: Callable[[Any, Any], Any], event: Event | None = None) -> None:
        self._wrapper = wrapper
        self._shape = shape
        self._event = event

    def __iter__(self) -> Iterator[Any]:
        return self._each(lambda windows: windows.value(self._event))

    def now(self) -> Iterator[Any]:
        """In the window of the latest time this worker knows."""
        return self._each(lambda windows: windows.now())

    def current(self, event: Event | None = None) -> Iterator[Any]:
        """In the window of the record's time."""
        return self._each(lambda windows: windows.current(event or self._event))

    def delta(self, duration: Seconds, event: Event | None = None) -> Iterator[Any]:
        """In the window that long before."""
        return self._each(lambda windows: windows.delta(duration, event or self._event))

    def __len__(self) -> int:
        return len(self._wrapper)

    def _each(self, choose: Callable[[WindowSet], Any]) -> Iterator[Any]:
        for key in self._wrapper:
            try:
                value = choose(self._wrapper[key])
            except KeyError:
                continue
            yield self._shape(key, value)


def current_event() -> Event | None:
    """The record that the agent of this coroutine has in hand; None elsewhere."""
    copy = CURRENT.get(None)
    return copy.event() if copy is not None and copy.index >= 0 else None


def event_time(event: Event | None) -> float:
    """The time of an event, by default of the one in hand. Raises: FaustError outside of agents."""
    if event is not None:
        return event.message.timestamp
    copy = CURRENT.get(None)
    if copy is None or copy.index < 0:
        raise FaustError("a windowed table needs the time of a record: read it in an agent, or use .now()")
    return copy.timestamp  # type: ignore[no-any-return]


def ansi_table(
    items: Any, title: str, *, key: str = "Key", value: str = "Value", sort: bool = False, **_style: Any
) -> str:
    """Two columns as text."""
    rows = [(str(name), str(content)) for name, content in (sorted(items, key=str) if sort else items)]
    width = max([len(key), *(len(name) for name, _ in rows)])
    lines = [f"{name:<{width}}  {content}" for name, content in [(key, value), *rows]]
    return "\n".join([title, *lines])
