"""DataFrames and records: one row is one record.

Rules: types are kept: times are UTC timestamps, whole numbers stay whole beside nulls (Int64), None is null and null is
None. pandas is an extra: it is imported here and in no module that runs without it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from streams.dsl.options import Topic
from streams.errors import ConfigError, ProductionError, StreamsError
from streams.record import NO_TIMESTAMP, Record, Windowed
from streams.row_values import converted

KEY, VALUE, TIMESTAMP = "key", "value", "timestamp"
WINDOW = ("window_start", "window_end")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def pandas() -> Any:
    """The module. Raises: StreamsError when it is not installed."""
    try:
        import pandas as pd
    except ImportError:
        raise StreamsError("DataFrames need pandas: pip install 'headrace[pandas]'") from None
    return pd


def is_frame(rows: Any) -> bool:
    """Whether this is a DataFrame; never imports pandas, since without it nothing is one."""
    loaded = sys.modules.get("pandas")
    return loaded is not None and isinstance(rows, loaded.DataFrame)


def frame_of(records: Iterable[Record], *, places: bool = False) -> Any:
    """A DataFrame of one row per record.

    Shape: `key` (windowed ones with `window_start` and `window_end`), the fields of the value or else `value`,
    `timestamp` (UTC); with `places` also `partition` and `offset`. A field called like one of these gets `value_`
    before its name.
    Raises: StreamsError without pandas.
    """
    pd = pandas()
    rows = [_row(record, places) for record in records]
    names = list(dict.fromkeys(name for row in rows for name in row)) or [KEY, VALUE, TIMESTAMP]
    frame = pd.DataFrame({name: column(pd, [row.get(name) for row in rows]) for name in names})
    for name in (*WINDOW, TIMESTAMP):
        if name in frame:
            frame[name] = pd.to_datetime(frame[name], unit="ms", utc=True)
    return frame


def _row(record: Record, places: bool) -> dict[str, Any]:
    own: dict[str, Any] = dict(key_columns(record.key))
    tail: dict[str, Any] = {TIMESTAMP: record.timestamp}
    if places:
        tail |= {"partition": record.partition, "offset": record.offset}
    reserved = own.keys() | tail.keys()
    value = {
        f"value_{name}" if name in reserved else name: entry for name, entry in value_columns(record.value).items()
    }
    return {**own, **value, **tail}


def key_columns(key: Any) -> dict[str, Any]:
    """A key as columns; a windowed one has three."""
    if isinstance(key, Windowed):
        return {KEY: key.key, WINDOW[0]: key.start_ms, WINDOW[1]: key.end_ms}
    return {KEY: key}


def value_columns(value: Any) -> dict[str, Any]:
    """A value as columns: its fields if it has some, else `value`."""
    plain = msgspec.to_builtins(value, builtin_types=(bytes, datetime), enc_hook=_as_is)
    if isinstance(plain, Mapping):
        return {str(name): entry for name, entry in plain.items()}
    return {VALUE: value}


def _as_is(value: Any) -> Any:
    return value.model_dump() if hasattr(value, "model_dump") else repr(value)


def column(pd: Any, values: list[Any]) -> Any:
    """A column whose whole numbers and truth values stay what they are beside nulls."""
    kinds = {type(value) for value in values if value is not None}
    if None in values and kinds in ({int}, {bool}):
        return pd.array(values, dtype="Int64" if kinds == {int} else "boolean")
    return pd.Series(values, dtype=None if kinds else object)


def rows_of(frame: Any, topic: Topic, key: Any, timestamp: Any) -> Iterator[Record]:
    """Rows of a DataFrame as records of a topic.

    `key` and `timestamp` are columns, which stay part of the value; without them the columns `key` and `timestamp`
    are taken, which do not. A single column `value` is the value itself.
    Raises: ConfigError for a column that is not there, ProductionError for a row that is not what the topic holds.
    """
    keys, frame = _taken(frame, key, KEY)
    times, frame = _taken(frame, None if isinstance(timestamp, int) else timestamp, TIMESTAMP)
    given = timestamp if isinstance(timestamp, int) else NO_TIMESTAMP
    try:
        values = values_of(frame, getattr(topic.value_serde, "type", None))
    except ValueError as problem:
        raise ProductionError(str(problem), node="writer", topic=topic.name) from None
    for index, value in enumerate(values):
        moment = given if times is None else _ms(times[index])
        yield Record(None if keys is None else keys[index], value, moment)


def _taken(frame: Any, name: Any, default: str) -> tuple[list[Any] | None, Any]:
    """A column's values, or None without one, and the frame that is left."""
    if callable(name):
        raise ConfigError(f"{default}= names a column of the DataFrame, got a function: add the column before")
    if name is None:
        if default not in frame.columns:
            return None, frame
        return plain_column(frame[default]), frame.drop(columns=[default])
    if name not in frame.columns:
        raise ConfigError(f"the DataFrame has no column {name!r}: it has {', '.join(map(str, frame.columns))}")
    return plain_column(frame[name]), frame


def values_of(frame: Any, kind: Any) -> list[Any]:
    """The rows of a DataFrame as values of a type. Raises: ValueError that names the row."""
    columns = {str(name): plain_column(frame[name]) for name in frame.columns}
    if list(columns) == [VALUE]:
        return columns[VALUE]
    names = list(columns)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if kind is None or kind in (object, Any, dict):
        return rows
    return [_converted(row, number, kind) for number, row in enumerate(rows)]


def _converted(row: dict[str, Any], number: int, kind: Any) -> Any:
    try:
        return converted(row, kind)
    except ValueError as problem:
        raise ValueError(f"row {number} of the DataFrame is no {getattr(kind, '__name__', kind)}: {problem}") from None


def ms_column(series: Any) -> list[int]:
    """Times in ms since 1970; missing ones are NO_TIMESTAMP."""
    return [_ms(moment) for moment in plain_column(series)]


def plain_column(series: Any) -> list[Any]:
    """Python's own objects: null is None, timestamps are datetime."""
    missing = series.isna().tolist()
    values = series.dt.to_pydatetime() if series.dtype.kind == "M" else series.tolist()
    return [None if none else _plain(value) for value, none in zip(values, missing, strict=True)]


def _plain(value: Any) -> Any:
    return value.to_pydatetime() if hasattr(value, "to_pydatetime") else value


def _ms(moment: Any) -> int:
    if moment is None:
        return NO_TIMESTAMP
    if isinstance(moment, datetime):
        # pandas' convention: a time without a zone is UTC.
        return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MS
    return int(moment)
