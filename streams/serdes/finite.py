"""Floats that JSON has no form for: msgspec and pydantic write NaN and infinity as null, which no float is read from.

Rules: a type that can hold no float costs nothing. Of others only a null among the bytes gives reason to look at the values:
at the fields that are floats, or at whatever is within.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import chain
from math import isfinite
from operator import attrgetter
from types import NoneType
from typing import Any

from msgspec import inspect

from streams.errors import shown

_FLOATS = frozenset({inspect.FloatType, inspect.AnyType, inspect.CustomType})
_OPTIONAL = frozenset({inspect.FloatType, inspect.UnionType, inspect.NoneType})
_PARTS, _MANY_PARTS = ("type", "item_type", "key_type", "value_type"), ("fields", "types", "item_types")
_PLAIN = frozenset({str, int, bool, bytes, NoneType})
NULL = b"null"
"""What a null looks like; text may hold it too."""
_null_in = re.compile(NULL).search
"""Quicker than `in`, which for short bytes is slowest of all, and `partition` quickest."""


def all_told(told: Any) -> list[Any]:
    """What `msgspec.inspect` tells of a type, and of all that its values can hold, fields included."""
    found: dict[int, Any] = {}
    ahead = [told]
    while ahead:
        each = ahead.pop()
        if id(each) not in found:
            found[id(each)] = each
            ahead += chain.from_iterable(getattr(each, name, ()) for name in _MANY_PARTS)
            ahead += (getattr(each, name) for name in _PARTS if hasattr(each, name))
    return list(found.values())


def told_types(told: Any) -> frozenset[type]:
    """The classes by which these are told."""
    return frozenset(map(type, all_told(told)))


def holds_floats(told: Any) -> bool:
    """Whether values of a type, as msgspec tells it, can hold floats; of types that it does not know they may."""
    return not told_types(told).isdisjoint(_FLOATS)


class FiniteFloats:
    """Whether all floats of values of one type are finite, the type being as msgspec tells it."""

    def __init__(self, told: Any) -> None:
        self._gets = _float_getters(told)

    def in_one(self, value: Any) -> bool:
        """Of a value that is written with a null."""
        if not self._gets:
            return all_finite((value,))
        for get in self._gets:
            part = get(value)
            if part.__class__ is float and not isfinite(part):
                return False
        return True

    def in_many(self, values: Sequence[Any], joined: bytes) -> bool:
        """Of values that are written as `joined`. One column is added up in less time than bytes are searched."""
        if len(self._gets) != 1 and _null_in(joined) is None:
            return True
        return self._added_up(values) if self._gets else all_finite(values)

    def _added_up(self, values: Sequence[Any]) -> bool:
        try:
            for get in self._gets:
                if not isfinite(sum(filter(None, map(get, values)))):
                    return all_finite(values)  # sums of large floats are infinite too
        except (TypeError, AttributeError):  # fields that are of another type, or not set
            return all_finite(values)
        return True


def _float_getters(told: Any) -> list[Callable[[Any], Any]]:
    """What gets the fields that are floats or None, where a type holds no others; else nothing."""
    if not isinstance(told, inspect.StructType | inspect.DataclassType):
        return []
    fields = [field for field in told.fields if holds_floats(field)]
    flat = all(told_types(field.type) <= _OPTIONAL for field in fields)
    return [attrgetter(field.name) for field in fields] if flat else []


def all_finite(values: Iterable[Any]) -> bool:
    """Whether all floats are finite in values that JSON can hold."""
    ahead = list(values)
    for value in ahead:  # which grows
        kind = value.__class__
        if kind in _PLAIN:
            continue
        if kind is float:
            if not isfinite(value):
                return False
        elif kind is dict:
            ahead += value.values()
        elif kind is list:
            ahead += value
        else:
            ahead += _parts(kind)(value)
    return True


@cache
def _parts(kind: type) -> Callable[[Any], Iterable[Any]]:
    """What gives the parts of a class's objects that can be floats, or hold such."""
    if issubclass(kind, dict):
        return dict.values
    if issubclass(kind, list | tuple | set | frozenset):
        return iter
    if hasattr(kind, "model_fields"):
        return lambda model: (*vars(model).values(), model.__pydantic_extra__)
    names = _float_fields(kind)
    return lambda value: [getattr(value, name, None) for name in names]


def _float_fields(kind: type) -> list[str]:
    """The fields of a class that can hold floats; none for what is plain."""
    try:
        told = inspect.type_info(kind)
    except TypeError:
        return [*getattr(kind, "__struct_fields__", ()), *getattr(kind, "__dataclass_fields__", ())]
    return [field.name for field in getattr(told, "fields", ()) if holds_floats(field)]


def not_finite(wanted: str, value: Any) -> TypeError:
    """The error for a value that holds NaN or infinity."""
    return TypeError(f"expected {wanted} that JSON can hold, got {shown(value)}: JSON has neither NaN nor infinity")
