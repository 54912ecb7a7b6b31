"""DataFrames and records: one row is one record.

Rules: types are kept: times are UTC timestamps, whole numbers stay whole beside nulls (Int64), decimals are Decimals,
enums and literals are categories, None is null and null is None. Where the values' type says what a field is, a column has
the same dtype whatever rows came together. pandas is an extra: it is imported here and in no module that runs without it.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from state.proof import LONGEST, SHORTEST
from streams.dsl.options import Topic
from streams.durations import moment_ms, record_time_ms
from streams.errors import ConfigError, ProductionError, StreamsError
from streams.record import NO_TIMESTAMP, Record, Windowed
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
    value_column,
    whole_numbers,
)
from streams.serdes.windowed import MAX_TIME_MS
from streams.settings import nearest

KEY, TIMESTAMP = "key", "timestamp"
WINDOW = ("window_start", "window_end")


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


def is_series(rows: Any) -> bool:
    """Whether this is a Series, whose entries would be taken for values."""
    loaded = sys.modules.get("pandas")
    return loaded is not None and isinstance(rows, loaded.Series)


def frame_of(records: Iterable[Record], *, places: bool = False) -> Any:
    """A DataFrame of one row per record.

    Shape: `key` (windowed ones with `window_start` and `window_end`, NaT for windows without end), the fields of the
    value or else `value`, `timestamp` (UTC); with `places` also `partition` and `offset`. A field called like one of these gets `value_`
    before its name.
    Raises: StreamsError without pandas.
    """
    pd = pandas()
    records = list(records)
    rows = [_row(record, places) for record in records]
    names = list(dict.fromkeys(name for row in rows for name in row)) or [KEY, VALUE, TIMESTAMP]
    fields = column_fields([record.value for record in records], names)
    frame = pd.DataFrame({name: column(pd, [row.get(name) for row in rows], fields.get(name)) for name in names})
    return in_time(pd, frame, (*WINDOW, TIMESTAMP))


def in_time(pd: Any, frame: Any, names: Sequence[str]) -> Any:
    """A frame whose columns of these names, in ms, are UTC timestamps; a window without end ends NaT."""
    for name in names:
        if name in frame:
            column = frame[name]
            if name == WINDOW[1] and (column == MAX_TIME_MS).any():  # no timestamp of pandas' is so late
                column = pd.Series([None if end == MAX_TIME_MS else end for end in column], dtype="Int64")
            frame[name] = pd.to_datetime(column, unit="ms", utc=True)
    return frame


def column_fields(values: list[Any], names: list[str]) -> dict[str, Any]:
    """The types of columns, as far as the values' type tells; nothing where the values are of several types."""
    kinds = {type(value) for value in values if value is not None}
    kind: Any = next(iter(kinds)) if len(kinds) == 1 else None
    fields = fields_of(kind)
    return {
        name: field.kind
        for own, field in (fields or {}).items()
        for name in (f"value_{own}" if f"value_{own}" in names else own,)
    }


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
    plain = msgspec.to_builtins(value, builtin_types=(bytes, datetime, date, timedelta, Decimal), enc_hook=_as_is)
    if isinstance(plain, Mapping):
        return {str(name): entry for name, entry in plain.items()}
    return {VALUE: value}


def _as_is(value: Any) -> Any:
    return value.model_dump(by_alias=True) if hasattr(value, "model_dump") else repr(value)


def column(pd: Any, values: list[Any], kind: Any = None) -> Any:
    """A column of the dtype that `kind` says, or that its entries have: whole numbers and truth stay what they are beside
    nulls.
    """
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int} and not all(SHORTEST <= value <= LONGEST for value in values if value is not None):
        return pd.Series(values, dtype=object)  # pandas' whole numbers have 64 bits, and may overflow without a word
    known = _typed_column(pd, values, kind)
    if known is not None:
        return known
    if None in values and kinds in ({int}, {bool}):
        return pd.array(values, dtype="Int64" if kinds == {int} else "boolean")
    return pd.Series(values, dtype=None if kinds else object)


_DTYPES = {
    int: ("int64", "Int64"),
    bool: ("bool", "boolean"),
    float: ("float64", "float64"),
    timedelta: ("timedelta64[us]",) * 2,
}
"""dtypes of plain fields, and of those that may be null."""


def _typed_column(pd: Any, values: list[Any], kind: Any) -> Any:
    """A column by the type of its field, None where that does not tell or the entries are others."""
    members = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    plain = [member for member in members if member is not NoneType]
    if len(plain) != 1:
        return None
    only = plain[0]
    try:
        if get_origin(only) is Literal or (isinstance(only, type) and issubclass(only, Enum)):
            choices = get_args(only) if get_origin(only) is Literal else [each.value for each in only]
            return pd.Categorical(values, categories=list(choices))
        if only is datetime:
            return pd.to_datetime(pd.Series(values, dtype=object), utc=True).astype("datetime64[us, UTC]")
        if only in _DTYPES:
            return pd.array(values, dtype=_DTYPES[only][len(plain) < len(members) or None in values])
    except (TypeError, ValueError):
        pass
    return None


def rows_of(frame: Any, topic: Topic, key: Any, timestamp: Any) -> Iterator[Record]:
    """Rows of a DataFrame as records of a topic.

    `key` and `timestamp` are columns, which stay part of the value; without them the columns `key` and `timestamp`
    are taken, which do not. A single column `value` is the value itself, unless the type has a field of that name; where
    the type has no fields at all, it is the column `value` or the only one beside key and time.
    Raises: ConfigError for a column that is not there, ProductionError for a row that is not what the topic holds.
    """
    check_names(frame)
    named = {name for name in (key, timestamp) if isinstance(name, str)}
    keys, frame = _taken(frame, key, KEY)
    if getattr(topic.key_serde, "type", None) is date and keys is not None:
        keys = [day_of(each) for each in keys]
    times, frame = _taken(frame, None if isinstance(timestamp, int) else timestamp, TIMESTAMP)
    given = timestamp if isinstance(timestamp, int) else NO_TIMESTAMP
    kind: Any = getattr(topic.value_serde, "type", None)
    try:
        values = values_of(frame, kind, named)
    except ValueError as problem:
        raise ProductionError(str(problem), node="writer", topic=topic.name) from None
    for index, value in enumerate(values):
        time_ms = given
        if times is not None:
            try:
                time_ms = record_time_ms(times[index], f"column {timestamp or TIMESTAMP}")
            except ValueError as problem:
                raise ProductionError(
                    f"row {index} of the DataFrame: {problem}", node="writer", topic=topic.name
                ) from None
        yield Record(None if keys is None else keys[index], value, time_ms)


def check_names(frame: Any) -> None:
    """See that every column has a name of its own. Raises: ConfigError."""
    if frame.columns.nlevels > 1:
        raise ConfigError(
            f"the DataFrame's columns have {frame.columns.nlevels} levels, and a field has one name: flatten them, such as "
            "frame.columns = ['_'.join(names) for names in frame.columns]"
        )
    if not frame.columns.is_unique:
        twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
        raise ConfigError(
            f"the DataFrame has several columns {', '.join(map(repr, twice))}: rename or drop all but one"
        )


def _taken(frame: Any, name: Any, default: str) -> tuple[list[Any] | None, Any]:
    """A column's values, or None without one, and the frame that is left."""
    if callable(name):
        raise ConfigError(f"{default}= names a column of the DataFrame, got a function: add the column before")
    if name is None:
        if default not in frame.columns:
            return None, frame
        return plain_column(frame[default]), frame.drop(columns=[default])
    if isinstance(name, list) or name not in frame.columns:
        raise ConfigError(_no_column(frame, name))
    return plain_column(frame[name]), frame


def _no_column(frame: Any, name: Any) -> str:
    if isinstance(name, list):
        return f"a key or a time is one column of the DataFrame, got {name!r}: add a column that has all of it"
    if name in frame.index.names:
        return f"{name!r} is the DataFrame's index, and no column: write frame.reset_index()"
    columns = [str(each) for each in frame.columns]
    return f"the DataFrame has no column {name!r}: it has {', '.join(columns) or 'none'}{nearest(str(name), columns)}"


def values_of(frame: Any, kind: Any, named: Collection[str] = ()) -> list[Any]:
    """The rows of a DataFrame, of which key and time may be `named`, as values of a type.

    Raises: ConfigError for columns that do not fit, ValueError that names the row.
    """
    check_names(frame)
    if not len(frame):
        return []
    if kind in PLAIN:
        name = value_column(list(frame.columns), kind, "the DataFrame", named)
        frame = frame[[name]].rename(columns={name: VALUE})
    fields = fields_of(kind) or {}
    columns = {str(name): _entries(frame[name], fields.get(str(name))) for name in frame.columns}
    if list(columns) == [VALUE] and VALUE not in fields:
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
        for name, field in (fields_of(kind) or {}).items():
            if field.required and name not in row:
                raise ConfigError(lacks("the DataFrame", name, kind, list(row))) from None
        raise ValueError(
            f"row {number} of the DataFrame is not a {getattr(kind, '__name__', kind)}: {problem}"
        ) from None


def _entries(series: Any, field: Any) -> list[Any]:
    """A column as its field has it: whole numbers, which pandas has as float beside nulls; days, which it has as times; and
    times in ms where those are whole numbers.
    """
    plain, dtype = plain_column(series), series.dtype.kind
    if field is None or dtype not in "Mf":
        return plain
    if dtype == "f":
        return whole_numbers(plain) if holds_whole(field.kind) else plain
    if holds(field.kind, int):
        return [None if entry is None else moment_ms(entry) for entry in plain]
    return [day_of(moment) for moment in plain] if holds_days(field.kind) else plain


def ms_column(series: Any) -> list[int]:
    """Times in ms since 1970; missing ones are NO_TIMESTAMP."""
    return [NO_TIMESTAMP if moment is None else moment_ms(moment) for moment in plain_column(series)]


def plain_column(series: Any) -> list[Any]:
    """Python's own objects: null is None, timestamps are datetime."""
    missing = series.isna().tolist()
    values = series.dt.to_pydatetime() if series.dtype.kind == "M" else series.tolist()
    return [None if none else _plain(value) for value, none in zip(values, missing, strict=True)]


_ALREADY = frozenset((str, int, float, bool, bytes, datetime, date, NoneType))


def _plain(value: Any) -> Any:
    if type(value) in _ALREADY:
        return value
    import numpy as np  # here, for who has a frame has numpy, and every other program starts without it

    if isinstance(value, np.ndarray) or (isinstance(value, np.generic) and value.dtype.kind not in "Mm"):
        value = value.tolist()  # lists that come from Parquet are arrays, of arrays where they are nested
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime()
    return value.to_pytimedelta() if hasattr(value, "to_pytimedelta") else value
