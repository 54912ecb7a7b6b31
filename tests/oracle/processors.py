"""The processors of our own cases: what an operation `process` does with the store that it is connected to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from state.headed import ValueTimestampHeaders
from state.stores import ValueAndTimestamp
from streams.processor import FixedKeyProcessor, Processor, ProcessorContext, PunctuationType
from streams.record import Record
from tests.oracle.functions import text

PUNCTUATING = {"later": PunctuationType.STREAM_TIME, "tick": PunctuationType.WALL_CLOCK_TIME}


class Doing(Processor):
    """See the module. The recorder has the same in Java."""

    def __init__(self, operation: Mapping[str, Any]) -> None:
        self._kind = operation["do"]
        self._store_name = operation.get("store")
        self._every_ms = operation.get("every", 0)
        self._back_ms = operation.get("back", 0)
        self._most = operation.get("most")
        self._start_ms = operation.get("start")
        self._inside, self._clears = operation.get("inside", False), operation.get("clears", False)
        self._times = operation.get("times")
        self._punctuated, self._scheduled = 0, None

    def init(self, context: ProcessorContext) -> None:
        """Take the store."""
        super().init(context)
        self.store = context.store(self._store_name) if self._store_name else None
        if self._kind in PUNCTUATING and not self._inside:
            self._schedule()

    def _schedule(self) -> None:
        """Forward all entries again and again: so many times, or without an end, or delete what was forwarded."""
        self._scheduled = self.context.schedule(
            self._every_ms, PUNCTUATING[self._kind], self._punctuate, self._start_ms
        )

    def _punctuate(self, time_ms: int) -> None:
        self._forward_all(self.store.all(), Record(None, None, time_ms))
        for key in [key for key, _ in self.store.all()] if self._clears else ():
            self.store.delete(key)
        self._punctuated += 1
        if self._punctuated == self._times:
            self._scheduled.cancel()

    def process(self, record: Record) -> None:
        """Do it."""
        if self._inside and self._scheduled is None:
            self._schedule()
        if record.key is None:
            self._answer(record, "none")
            return
        getattr(self, f"_do_{self._kind}", self._do_put)(record, text(record.value))

    def _answer(self, record: Record, value: str) -> None:
        self.context.forward(replace(record, value=value))

    def _do_put(self, record: Record, value: str) -> None:
        self.store.put(record.key, value)

    def _do_count(self, record: Record, _value: str) -> None:
        more = text(self.store.get(record.key)) + "+"
        self.store.put(record.key, more)
        self._answer(record, more)

    def _do_all(self, record: Record, value: str) -> None:
        self.store.put(record.key, value)
        self._forward_all(self.store.all(), record)

    def _do_reverse(self, record: Record, value: str) -> None:
        self.store.put(record.key, value)
        self._forward_all(self.store.reverse_all(), record)

    def _do_range(self, record: Record, value: str) -> None:
        self.store.put(record.key, value)
        self._forward_all(self.store.range(record.key, None), record)

    def _do_absent(self, record: Record, value: str) -> None:
        self._answer(record, text(self.store.put_if_absent(record.key, value)))

    def _do_delete(self, record: Record, _value: str) -> None:
        self._answer(record, text(self.store.delete(record.key)))

    def _do_where(self, record: Record, _value: str) -> None:
        read = self.context.record_metadata
        where = f"{read.topic}:{read.partition}:{read.offset}" if read else "nowhere"
        self._answer(record, f"{where}@{record.timestamp}/{self.context.stream_time_ms()}{len(record.headers)}")

    def _do_headed(self, record: Record, value: str) -> None:
        before = self.store.get(record.key)
        self.store.put(record.key, None if record.value is None else value, record.timestamp, record.headers)
        self._answer(record, row(before))

    def _window_put(self, record: Record) -> int:
        value = None if record.value is None else text(record.value)
        self.store.put(record.key, value, record.timestamp)
        first: int = record.timestamp - self._back_ms
        return first

    def _do_windowone(self, record: Record, _value: str) -> None:
        first = self._window_put(record)
        for start, value in islice(self.store.fetch_range(record.key, first, record.timestamp), self._most):
            self._answer(record, f"{start}:{value}")

    def _do_windowall(self, record: Record, _value: str) -> None:
        self._window_put(record)
        self._forward_windows(self.store.all(), record)

    def _do_windowrange(self, record: Record, _value: str) -> None:
        first = self._window_put(record)
        self._forward_windows(self.store.fetch_all(first, record.timestamp), record)

    def _do_windowkeys(self, record: Record, _value: str) -> None:
        first = self._window_put(record)
        self._forward_windows(self.store.fetch_keys(record.key, record.key, first, record.timestamp), record)

    def _forward_windows(self, entries: Iterable[tuple[tuple[Any, int], Any]], record: Record) -> None:
        for (key, start), value in islice(entries, self._most):
            self.context.forward(replace(record, key=key, value=f"{start}:{value}"))

    def _do_look(self, record: Record, _value: str) -> None:
        self._answer(record, row(self.store.get(record.key)))

    def _do_lookall(self, record: Record, _value: str) -> None:
        self._forward_all(self.store.all(), record)

    def _forward_all(self, entries: Iterable[tuple[Any, Any]], record: Record) -> None:
        for key, value in islice(entries, self._most):
            self.context.forward(replace(record, key=key, value=row(value)))


class Counting:
    """A mapper of values; of texts, one that counts how often it was asked for their key, where `counts` says so."""

    def __init__(self, mapper: Callable[[Any, Any], Any], *, counts: bool) -> None:
        self._mapper = mapper
        self._counts = counts
        self._asked: Counter[Any] = Counter()

    def __call__(self, key: Any, value: Any) -> Any:
        """The value, mapped, and the count behind it."""
        self._asked[key] += 1
        mapped = self._mapper(key, value)
        return f"{mapped}#{self._asked[key]}" if self._counts and isinstance(mapped, str) else mapped


class Transforming:
    """A transformer of a table's values that maps them, and leaves deletions alone."""

    def __init__(self, mapper: Counting) -> None:
        self._mapper = mapper

    def transform(self, key: Any, value: Any) -> Any:
        """The value, mapped."""
        return None if value is None else self._mapper(key, value)


class Processing(FixedKeyProcessor):
    """A processor of a stream's values that maps them."""

    def __init__(self, mapper: Counting) -> None:
        self._mapper = mapper

    def process(self, record: Record) -> None:
        """Forward the value, mapped."""
        self.context.forward(replace(record, value=self._mapper(record.key, record.value)))


def row(value: Any) -> str:
    """A value of a store, with its time and headers if it has them."""
    if isinstance(value, ValueTimestampHeaders):
        headers = "".join(f"#{name}{(content or b'').decode()}" for name, content in value.headers)
        return f"{text(value.value)}@{value.timestamp}{headers}"
    return f"{text(value.value)}@{value.timestamp}" if isinstance(value, ValueAndTimestamp) else text(value)
