"""Global tables: all of a table on every worker, for agents whose records lie in other partitions than its rows.

Each worker reads the whole changelog, which has Faust's name and form, before it starts and ever after; a write is a
record of it, out with the commit of the record in hand. Rules: what was written here is seen here at once, and elsewhere
once it is committed; a row is kept beside the store until its own record has come back, so that the changelog's order
decides between workers.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, NamedTuple
from uuid import uuid4

from streams.compat.faust.errors import not_here
from streams.compat.faust.tables import Table
from streams.compat.faust.topics import CURRENT, Outgoing
from streams.processor import Processor
from streams.record import Record

WRITER = "__streams.writer"
"""The header that tells a worker its own records."""


class Written(NamedTuple):
    """A row on its way, as bytes, so that nobody changes it; `owner` is the agent and partition whose commit it is part of."""

    data: bytes | None
    mark: bytes
    owner: tuple[str, int]


class GlobalTable(Table):
    """See the module. Made by `app.GlobalTable`. Agents write on their loop what the worker sees come back."""

    everywhere = True

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        self._guard = Lock()
        self._written: dict[Any, Written] = {}
        self._worker = uuid4().hex
        self._count = 0

    @property
    def topic(self) -> str:
        """Its changelog."""
        return self.changelog_topic.get_topic_name()

    def using_window(self, *_window: Any, **_options: Any) -> Any:
        """Global tables have no windows here."""
        raise not_here("GlobalTable", "windows")

    def __setitem__(self, key: Any, value: Any) -> None:
        self._write(key, value)

    def __delitem__(self, key: Any) -> None:
        if self._find(key) is None:
            raise KeyError(key)
        self._write(key, None)

    def clear(self) -> None:
        """Delete all of it."""
        self._mine("modify")
        for key in self:
            del self[key]

    def _write(self, key: Any, value: Any) -> None:
        self._mine("modify")
        copy = CURRENT.get()
        self._count += 1
        mark = f"{self._worker}:{self._count}".encode()
        data = None if value is None else self._value.serialize(value)
        timestamp = round(copy.timestamp * 1000)
        copy.send(Outgoing(self.topic, self._key.serialize(key), data, timestamp, ((WRITER, mark),), None))
        with self._guard:
            self._written[key] = Written(data, mark, (copy.agent.name, copy.partition))

    def _find(self, key: Any) -> Any:
        written = self._written.get(key)
        return super()._find(key) if written is None else self._read(written)

    def _read(self, written: Written) -> Any:
        return None if written.data is None else self._value.deserialize(written.data)

    def _look(self, store: Any, key: Any) -> Any:
        return store.look(key)  # the worker goes on filling it

    def _all(self) -> list[tuple[Any, Any]]:
        rows = dict(super()._all()) | {key: self._read(written) for key, written in self._written.copy().items()}
        return [(key, value) for key, value in rows.items() if value is not None]

    # What the runtime asks

    def filler(self) -> Processor:
        """What fills the store from the changelog."""
        return Filler(self)

    @property
    def serdes(self) -> tuple[Any, Any]:
        """Of its keys and values."""
        return self._key, self._value

    def came_back(self, record: Record) -> None:
        """A record of the changelog is in the store."""
        with self._guard:
            written = self._written.get(record.key)
            if written is not None and (WRITER, written.mark) in record.headers:
                del self._written[record.key]

    def closed(self, owner: tuple[str, int]) -> None:
        """A task went away: what it wrote and did not commit will be written again, here or elsewhere."""
        super().closed(owner)
        with self._guard:
            self._written = {key: written for key, written in self._written.items() if written.owner != owner}


class Filler(Processor):
    """Puts the changelog's records into the store."""

    def __init__(self, table: GlobalTable) -> None:
        self._table = table

    def process(self, record: Record) -> None:
        """One row."""
        store = self.context.store(self._table.name)
        if record.value is None:
            store.delete(record.key)
        else:
            store.put(record.key, record.value)
        self._table.came_back(record)
