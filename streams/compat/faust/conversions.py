"""What becomes of a value on its way from the wire into a field, by the field's type.

Rules: Records are made of dicts wherever the type names them, inside Optional, lists, sets, tuples and dicts too, and so
is what the class has `coercions` for. Other values of single fields are converted only in strict classes; there, what cannot
be converted is an error. Dates and decimals are also converted where the class asks for them (`isodates`, `decimals`), and
inside lists, sets, tuples and dicts always, nothing else there, as in Faust. Made once per class.
"""

from __future__ import annotations

import types
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints
from uuid import UUID

Convert = Callable[[Any], Any]
_JSON = (str, list, dict, int, float, Decimal)
"""What the application's own coercions are called for; other values have been converted already."""


class Wanted(NamedTuple):
    """What a class wants to be converted; see Faust's options of the same names."""

    strict: bool = False
    isodates: bool = False
    decimals: bool = False
    coercions: tuple[tuple[Any, Convert], ...] = ()
    date_parser: Convert | None = None

    def within(self) -> Wanted:
        """The same inside lists, sets, tuples and dicts."""
        return self._replace(strict=False, isodates=True, decimals=True)


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
    return _bool_of_text if kind is bool else _SINGLE.get(kind)


def converter(kind: Any, wanted: Wanted) -> Convert | None:
    """The function that a value of this type goes through, or None when it stays as it is."""
    members = [member for member in _members(kind) if member is not type(None)]
    if len(members) == 1:
        return _of_one(members[0], wanted)
    models = [member for member in members if hasattr(member, "__is_model__")]
    if len(models) == 1:
        made: Convert = models[0].from_field
        return lambda value: made(value) if isinstance(value, dict) else value
    return None


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in {Union, types.UnionType} else (kind,)


def _of_one(kind: Any, wanted: Wanted) -> Convert | None:
    own = _coercion(kind, wanted)
    if own is not None:
        return own
    if hasattr(kind, "__is_model__"):
        return kind.from_field  # type: ignore[no-any-return]  # a class of Records
    if isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _named_tuple(kind, wanted.within())
    origin, arguments = _made(get_origin(kind)), get_args(kind)
    if origin in {list, set, frozenset} and arguments:
        inner = converter(arguments[0], wanted.within())
        if inner is None:
            return origin if wanted.strict or origin is not list else None
        each = _unless_none(inner, arguments[0])
        return lambda values: origin(map(each, values))
    if origin is tuple and arguments:
        return _tuple(arguments, wanted.within())
    if origin is dict and len(arguments) == 2:
        keys, values = (_part(argument, wanted.within()) for argument in arguments)
        if keys is _same and values is _same:
            return None
        return lambda entries: {keys(key): values(value) for key, value in entries.items()}
    return _single(kind, wanted)


def _made(origin: Any) -> Any:
    """What a field of a generic type holds: dicts for all mappings, lists for all sequences, as JSON has them."""
    if not isinstance(origin, type) or issubclass(origin, tuple | frozenset):
        return origin
    if issubclass(origin, Mapping):
        return dict if not issubclass(origin, Counter) else origin
    if issubclass(origin, AbstractSet):
        return set
    return list if issubclass(origin, Sequence) else origin


def _named_tuple(kind: Any, wanted: Wanted) -> Convert:
    each = [_part(hint, wanted) for hint in get_type_hints(kind).values()]
    return lambda values: kind(*(convert(value) for convert, value in zip(each, values, strict=True)))


def _coercion(kind: Any, wanted: Wanted) -> Convert | None:
    """What the application converts values of the type by."""
    for kinds, handler in wanted.coercions:
        if isinstance(kind, type) and issubclass(kind, kinds):
            return _of_json(handler)
    return None


def _of_json(handler: Convert) -> Convert:
    return lambda value: handler(value) if isinstance(value, _JSON) else value


def _single(kind: Any, wanted: Wanted) -> Convert | None:
    if kind is datetime and (wanted.strict or wanted.isodates):
        parser = wanted.date_parser
        return _datetime if parser is None else lambda value: value if isinstance(value, datetime) else parser(value)
    if wanted.strict or (kind is Decimal and wanted.decimals):
        return _SINGLE.get(kind)
    return None


def _tuple(arguments: tuple[Any, ...], wanted: Wanted) -> Convert:
    if len(arguments) == 2 and arguments[1] is ...:
        inner = _part(arguments[0], wanted)
        return lambda values: tuple(map(inner, values))
    each = [_part(argument, wanted) for argument in arguments]
    return lambda values: tuple(convert(value) for convert, value in zip(each, values, strict=True))


def _part(kind: Any, wanted: Wanted) -> Convert:
    made = converter(kind, wanted)
    return _same if made is None else _unless_none(made, kind)


def _unless_none(convert: Convert, kind: Any) -> Convert:
    """A None stays None where the type has it, and in place of a date; whoever converts a field sees to that itself."""
    kept = is_optional(kind) or kind in {datetime, Decimal}
    return (lambda value: None if value is None else convert(value)) if kept else convert


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


def _bool_of_text(value: str) -> bool:
    """What a key was written as; a field is what Python takes its value for, as in Faust, "no" included."""
    lowered = value.lower()
    if lowered in {"true", "1", "yes", "on"}:
        return True
    if lowered in {"false", "0", "no", "off", ""}:
        return False
    raise ValueError("neither true nor false")


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
    bool: bool,
    Decimal: _decimal,
    datetime: _datetime,
    date: _date,
    UUID: lambda value: value if isinstance(value, UUID) else UUID(value),
}
