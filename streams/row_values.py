"""One row, a dict of columns, as a value of a topic's type: struct, dataclass, TypedDict, pydantic model, Faust record.

Rules: what a type says of its fields is read once per type, conversion is the type's own library's. Names are those of
the serialized form (a renamed field has its new name), because that is what files and frames carry.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time
from functools import cache
from typing import Any, NamedTuple, get_args, get_type_hints

import msgspec

from streams.errors import ConfigError
from streams.settings import nearest

VALUE = "value"
PLAIN = (str, int, float, bool, bytes)
"""Types of values that are one cell."""


class FieldOf(NamedTuple):
    """A field of a type: its annotation, and whether a row must have it."""

    kind: Any
    required: bool


@cache
def fields_of(kind: Any) -> Mapping[str, FieldOf] | None:
    """The fields of a type by the name they have in a row; None when it has none of its own (dict, int, ...)."""
    if hasattr(kind, "model_fields"):
        return {
            field.alias or name: FieldOf(field.annotation, field.is_required())
            for name, field in kind.model_fields.items()
        }
    if hasattr(kind, "from_data") and hasattr(kind, "_options"):
        options = kind._options
        return {name: FieldOf(hint, name not in options.optionalset) for name, hint in options.fields.items()}
    try:
        told = msgspec.inspect.type_info(kind)
    except TypeError:
        return None
    entries = getattr(told, "fields", None)
    if entries is None:
        return None
    hints = get_type_hints(kind)
    return {each.encode_name: FieldOf(hints.get(each.name), each.required) for each in entries}


def converted(row: Any, kind: Any, *, strict: bool = True) -> Any:
    """A row, or a single entry, as a value of `kind`. `strict=False` reads numbers and times out of text.

    Raises: ValueError that says which field differs.
    """
    if kind is None or kind in (object, Any, dict):
        return row
    if hasattr(kind, "model_validate"):
        return kind.model_validate(row)
    if hasattr(kind, "from_data") and hasattr(kind, "_options"):
        return kind.from_data(row)
    return msgspec.convert(row, kind, strict=strict)


def decoded(text: str | msgspec.Raw, kind: Any) -> Any:
    """JSON as a value of `kind`: read as that at once where the type can, since a Decimal that was a float has lost digits.

    Raises: ValueError that says which field differs.
    """
    if kind is None or kind in (object, Any, dict) or hasattr(kind, "from_data") or hasattr(kind, "model_validate"):
        return converted(msgspec.json.decode(text), kind)
    return msgspec.json.decode(text, type=kind)


def holds(kind: Any, wanted: type) -> bool:
    """Whether a field of this type may be a `wanted`."""
    return kind is wanted or wanted in get_args(kind)


def holds_whole(kind: Any) -> bool:
    """Whether a field is of whole numbers, and of no others."""
    return holds(kind, int) and not holds(kind, float)


def whole_numbers(entries: Sequence[Any]) -> list[Any]:
    """Floats that are whole as such numbers, for pandas has no others beside nulls; anything else as it is."""
    return [int(each) if isinstance(each, float) and each.is_integer() else each for each in entries]


def day_of(entry: Any) -> Any:
    """The day that a datetime at midnight stands for, as pandas and Parquet write days; anything else as it is."""
    return entry.date() if isinstance(entry, datetime) and entry.time() == time() else entry


def holds_days(kind: Any) -> bool:
    """Whether a field is of days, and of no times."""
    return holds(kind, date) and not holds(kind, datetime)


def value_column(columns: Sequence[str], kind: type, source: str, named: Collection[str] = ()) -> str:
    """The column that is the whole value, where others (`named`) are key and time. Raises: ConfigError when unclear."""
    if VALUE in columns:
        return VALUE
    rest = columns if len(columns) == 1 else [name for name in columns if name not in named]
    if len(rest) != 1:
        raise ConfigError(
            f"{source} has the columns {', '.join(map(str, columns))}, and the topic carries {kind.__name__}: call the one "
            "that is the value `value`, or give the topic a type with these fields"
        )
    return rest[0]


def lacks(source: str, name: str, kind: Any, columns: Sequence[str]) -> str:
    """What to say of rows without a column that their type needs."""
    return (
        f"{source} has no column {name!r}, which {getattr(kind, '__name__', kind)} needs; {listed(columns, name)}: rename "
        "the column, or give the field a default"
    )


def listed(columns: Sequence[str], name: str) -> str:
    """The columns that are there, and which of them is nearest to one that is not."""
    return f"it has {', '.join(columns)}{nearest(name, columns)}"
