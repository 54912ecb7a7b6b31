"""What becomes of a value on its way from the wire into a field, by the field's type.

Rules: Records are made of dicts wherever the type names them, inside Optional, lists, sets, tuples and dicts too. Single
values are converted only in strict classes; there, what cannot be converted is an error. Made once per class.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Union, get_args, get_origin
from uuid import UUID

Convert = Callable[[Any], Any]


def is_optional(kind: Any) -> bool:
    """Whether None is one of the type's members."""
    return type(None) in _members(kind)


def told_class(kind: Any) -> str:
    """A type as its author wrote it."""
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")


def without_none(kind: Any) -> Any:
    """A type without the None among its members: `str` for `str | None`. Several others stay as they are."""
    members = [member for member in _members(kind) if member is not type(None)]
    return members[0] if len(members) == 1 else kind


def is_structured(kind: Any) -> bool:
    """Whether values of the type have parts, so that plain text cannot hold them."""
    return hasattr(kind, "__is_model__") or (get_origin(kind) or kind) in {list, set, frozenset, tuple, dict}


def of_text(kind: Any) -> Convert | None:
    """What makes a value of its text, for the types that have one."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {str(member.value): member for member in kind}.__getitem__
    return _SINGLE.get(kind)


def converter(kind: Any, *, strict: bool) -> Convert | None:
    """The function that a value of this type goes through, or None when it stays as it is."""
    members = [member for member in _members(kind) if member is not type(None)]
    if len(members) == 1:
        return _of_one(members[0], strict)
    models = [member for member in members if hasattr(member, "__is_model__")]
    if len(models) == 1:
        made: Convert = models[0].from_data
        return lambda value: made(value) if isinstance(value, dict) else value
    return None


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in {Union, types.UnionType} else (kind,)


def _of_one(kind: Any, strict: bool) -> Convert | None:
    if hasattr(kind, "__is_model__"):
        return kind.from_data  # type: ignore[no-any-return]  # a class of Records
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {list, set, frozenset} and arguments:
        inner = converter(arguments[0], strict=strict)
        if inner is None:
            return origin if strict or origin is not list else None
        return lambda values: origin(map(inner, values))
    if origin is tuple and arguments:
        return _tuple(arguments, strict)
    if origin is dict and len(arguments) == 2:
        keys, values = (converter(argument, strict=strict) or _same for argument in arguments)
        if keys is _same and values is _same:
            return None
        return lambda entries: {keys(key): values(value) for key, value in entries.items()}
    return _SINGLE.get(kind) if strict else None


def _tuple(arguments: tuple[Any, ...], strict: bool) -> Convert:
    if len(arguments) == 2 and arguments[1] is ...:
        inner = converter(arguments[0], strict=strict) or _same
        return lambda values: tuple(map(inner, values))
    each = [converter(argument, strict=strict) or _same for argument in arguments]
    return lambda values: tuple(convert(value) for convert, value in zip(each, values, strict=True))


def _same(value: Any) -> Any:
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else value.decode() if isinstance(value, bytes) else str(value)


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _datetime(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    return datetime.fromisoformat(value)


def _date(value: Any) -> date:
    return value if isinstance(value, date) else datetime.fromisoformat(value).date()  # JSON has them with a time


def _bool(value: Any) -> bool:
    if isinstance(value, str):
        lowered = value.lower()
        if lowered in {"true", "1", "yes", "on"}:
            return True
        if lowered in {"false", "0", "no", "off", ""}:
            return False
        raise ValueError("neither true nor false")
    return bool(value)


def _decimal(value: Any) -> Decimal:
    try:
        return Decimal(str(value))
    except ArithmeticError:
        raise ValueError("not a decimal number") from None


_SINGLE: dict[Any, Convert] = {
    str: _text,
    bytes: _bytes,
    int: int,
    float: float,
    bool: _bool,
    Decimal: _decimal,
    datetime: _datetime,
    date: _date,
    UUID: lambda value: value if isinstance(value, UUID) else UUID(value),
}
