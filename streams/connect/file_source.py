"""A file as a source of records: what all kinds of files share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from state.serde import Serde, serializer
from streams.connect.row_shape import RowShape
from streams.dsl.options import Topic, ValueTimestamp
from streams.durations import record_time_ms
from streams.errors import ConfigError, shown
from streams.record import NO_TIMESTAMP, Record

CHUNK = 1_000

Place = str
"""Where in its file a row stands, as in "line 7"."""


class FileSource:
    """Rows of one file. `check` and `records` read it from its beginning, as often as they are asked."""

    textual = False
    """Whether every entry is text."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise ConfigError(f"there is no file {self.path}")

    def records(self, topic: Topic, *, key: Any = None, timestamp: Any = None) -> Iterator[Record]:
        """The rows as records of a topic; `key` and `timestamp` are columns.

        Raises: ConfigError with the place of what does not fit.
        """
        for _, record in self._placed(topic, key=key, timestamp=timestamp):
            yield record

    def check(self, topic: Topic, default: Serde[Any], *, key: Any = None, timestamp: Any = None) -> int:
        """Read all of it, and see that every row can be written to the topic. Shape: how many rows.

        Raises: ConfigError with the place of what does not fit, and for a file without rows.
        """
        count = 0
        rows = self._placed(topic, key=key, timestamp=timestamp)
        while chunk := list(islice(rows, CHUNK)):
            count += len(chunk)
            records = [record for _, record in chunk]
            try:
                _try(records, topic, default)
            except Exception:
                self._blame(chunk, topic, default)
                raise
        if not count:
            raise ConfigError(f"{self.path} holds no rows: nothing was written; is it the right file, and complete?")
        return count

    def _blame(self, chunk: list[tuple[Place, Record]], topic: Topic, default: Serde[Any]) -> None:
        """Raises: ConfigError for the first row of a chunk that cannot be written."""
        for place, record in chunk:
            try:
                _try([record], topic, default)
            except Exception as problem:
                raise self.wrong(place, f"{problem}; nothing was written") from problem

    def wrong(self, place: Place, problem: str) -> ConfigError:
        """The error for something at a place of this file."""
        return ConfigError(f"{self.path}, {place}: {problem}")

    def _placed(self, topic: Topic, *, key: Any, timestamp: Any) -> Iterator[tuple[Place, Record]]:
        raise NotImplementedError

    def _shape(self, topic: Topic, columns: Sequence[str], *, key: Any, timestamp: Any) -> RowShape:
        for option, given in (("key", key), ("timestamp", timestamp)):
            if given is not None and not isinstance(given, str):
                raise ConfigError(f"{option}= names a column of {self.path}, got {shown(given)}")
        double = {name for name in columns if list(columns).count(name) > 1}
        if double:
            raise ConfigError(f"{self.path} has several columns called {min(double)!r}: rename all but one")
        return RowShape.of(topic, columns, key=key, timestamp=timestamp, file=str(self.path), textual=self.textual)


def _try(records: list[Record], topic: Topic, default: Serde[Any]) -> None:
    """Do what writing does, without writing. Raises: what serdes and the topic's timestamp= raise."""
    serializer(topic.key_serde or default)([record.key for record in records if record.key is not None])
    serializer(topic.value_serde or default)([record.value for record in records if record.value is not None])
    if isinstance(topic.timestamp, ValueTimestamp):
        of_value = topic.timestamp.of_value
        for record in records:
            if record.timestamp == NO_TIMESTAMP and record.value is not None:
                record_time_ms(of_value(record.value), "the topic's timestamp=")
