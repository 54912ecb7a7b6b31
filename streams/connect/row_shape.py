"""How a row of a file becomes a record of a topic: which columns are key and time, and what of the rest the type wants.

Rules: a column named by the user stays part of the value; the columns `key` and `timestamp` are taken by themselves where
the value's type has no field of that name, and are then not part of it. A file may have more columns than the type, as
JSON may have more fields; it may not have fewer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import NoneType
from typing import Any

from streams.dsl.options import Topic
from streams.durations import moment_ms, record_time_ms
from streams.errors import ConfigError
from streams.record import NO_TIMESTAMP, Record
from streams.row_values import (
    PLAIN,
    VALUE,
    converted,
    day_of,
    fields_of,
    holds,
    holds_days,
    holds_whole,
    lacks,
    listed,
    value_column,
    whole_numbers,
)

KEY, TIMESTAMP = "key", "timestamp"

_WHOLE = re.compile(r"-?\d+\.0+")
"""A whole number as pandas writes it where its column has nulls."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RowShape:
    """See the module. `textual` says that every entry is text (CSV), so that numbers are read out of it.

    `columns` are those to read, `value_columns` those of the value. Of these, times in `moments` become ms, floats in
    `whole` that are whole such numbers, times at midnight in `days` days, and empty cells in `blanks` null, or what the type
    says (`defaulted`).
    """

    value_kind: Any
    key_kind: Any
    key: str | None
    timestamp: str | None
    columns: tuple[str, ...]
    value_columns: tuple[str, ...]
    textual: bool
    moments: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    days: tuple[str, ...] = ()
    blanks: tuple[str, ...] = ()
    defaulted: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, topic: Topic, columns: Sequence[str], *, key: str | None, timestamp: str | None, file: str, textual: bool
    ) -> RowShape:
        """The shape of rows with these columns. Raises: ConfigError for one that is missing."""
        kind: Any = getattr(topic.value_serde, "type", None)
        fields = fields_of(kind)
        for option, name in (("key", key), ("timestamp", timestamp)):
            if name is not None and name not in columns:
                raise ConfigError(f"{file} has no column {name!r} to be the {option}; {listed(columns, name)}")
        taken = [name for name in (KEY, TIMESTAMP) if name in columns and name not in (fields or ())]
        rest = tuple(name for name in columns if name not in taken)
        if fields is not None:
            for name, field in fields.items():
                if field.required and name not in columns:
                    raise ConfigError(lacks(file, name, kind, columns))
            rest = tuple(name for name in rest if name in fields)
        elif kind in PLAIN:
            rest = (value_column(rest, kind, file, [name for name in (key, timestamp) if name]),)
        key = key or (KEY if KEY in taken else None)
        timestamp = timestamp or (TIMESTAMP if TIMESTAMP in taken else None)
        wanted = tuple(name for name in columns if name in {*rest, key, timestamp})
        kinds = {name: fields[name].kind for name in rest} if fields is not None else {}
        return cls(
            value_kind=kind,
            key_kind=getattr(topic.key_serde, "type", None),
            key=key,
            timestamp=timestamp,
            columns=wanted,
            value_columns=rest,
            textual=textual,
            moments=tuple(name for name in kinds if holds(kinds[name], int)),
            whole=tuple(name for name in kinds if holds_whole(kinds[name])),
            days=tuple(name for name in kinds if not textual and holds_days(kinds[name])),
            blanks=tuple(name for name in kinds if textual and not holds(kinds[name], str)),
            defaulted=frozenset(name for name in kinds if fields is not None and not fields[name].required),
        )

    def record(self, row: Row) -> Record:
        """A row as a record. Raises: ValueError or TypeError that says which field differs."""
        key = None if self.key is None else key_of(row.get(self.key), self.key_kind)
        time_ms = NO_TIMESTAMP
        if self.timestamp is not None:
            time_ms = record_time_ms(row.get(self.timestamp), f"column {self.timestamp}")
        return Record(key, self._value(row), time_ms)

    def _value(self, row: Row) -> Any:
        names = self.value_columns
        plain = self.value_kind in PLAIN
        if plain or (names == (VALUE,) and not self.moments and not self.blanks and fields_of(self.value_kind) is None):
            return _entry(row[names[0]], self.value_kind, textual=self.textual)
        fitted = {name: row[name] for name in names}
        for name in self.moments:
            if isinstance(fitted[name], datetime) or (self.textual and _tells_a_time(fitted[name])):
                fitted[name] = moment_ms(fitted[name], f"column {name}")
        for name in self.whole:
            if not self.textual:
                (fitted[name],) = whole_numbers([fitted[name]])
            elif isinstance(fitted[name], str) and _WHOLE.fullmatch(fitted[name]):
                fitted[name] = fitted[name].partition(".")[0]
        for name in self.days:
            fitted[name] = day_of(fitted[name])
        for name in self.blanks:
            if fitted[name] == "":
                if name in self.defaulted:
                    del fitted[name]
                else:
                    fitted[name] = None
        return converted(fitted, self.value_kind, strict=not self.textual)


def _tells_a_time(entry: Any) -> bool:
    """Whether text for a number is ISO 8601: most cells are numbers, and are told by their digits."""
    if not isinstance(entry, str) or entry.lstrip("-").isdigit():
        return False
    try:
        datetime.fromisoformat(entry)
    except ValueError:
        return False
    return True


def _entry(entry: Any, kind: Any, *, textual: bool) -> Any:
    if textual and entry == "" and kind is not str:
        return None
    return converted(entry, kind, strict=not textual)


def key_of(entry: Any, kind: Any) -> Any:
    """A column's entry as a key of the topic's type; numbers become text where keys are text, and so do bytes of UTF-8.

    Raises: ValueError for what is no such key.
    """
    if entry is None or kind in (None, object, Any, NoneType):
        return entry
    if kind is str:
        if isinstance(entry, bytes):  # many writers of Parquet do not say that a column is text
            return entry.decode()
        return entry if isinstance(entry, str) else str(entry)
    return converted(day_of(entry) if kind is date else entry, kind, strict=False)


Shape = Callable[[Sequence[str]], RowShape]
"""Makes the shape of rows once the file has told its columns."""
