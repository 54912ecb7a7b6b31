"""How an aggregate takes a value in: an initializer and an adder, and copies where user code could change the past.

Rules: an aggregate that user code may change in place (a list, a dict, a struct) is handed to it as a copy, because the
one before is still in a store, in a batch on its way, or wanted as old value. What cannot change is never copied.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from copy import copy, deepcopy
from typing import Any, get_type_hints
from uuid import UUID

from msgspec import Struct

__all__ = ["IMMUTABLE", "Fold", "copied", "copier_of", "count_fold", "reduce_fold"]

IMMUTABLE: set[type] = {type(None), bool, int, float, complex, str, bytes, UUID, frozenset, range}
"""Types whose objects never change."""

_COPIERS: dict[type, Callable[[Any], Any]] = {}


class Fold(Struct, frozen=True):
    """How a value is taken in: `add(key, value, aggregate)`, begun with `initial()`.

    An initial None means that the first value is taken as it is (`reduce`). `pure`: what `add` is given never changes.
    `repeated(aggregate, times)`: what so many values make of it, where it does not matter which (None: it does).
    """

    initial: Callable[[], Any]
    add: Callable[[Any, Any, Any], Any]
    pure: bool = False
    repeated: Callable[[Any, int], Any] | None = None


def count_fold() -> Fold:
    """Counts."""
    return Fold(lambda: 0, lambda _key, _value, count: count + 1, pure=True, repeated=operator.add)


def reduce_fold(reducer: Callable[[Any, Any], Any]) -> Fold:
    """Begins with the first value, then reducer(aggregate, value)."""
    return Fold(lambda: None, lambda _key, value, old: value if old is None else reducer(old, value))


def copied(value: Any) -> Any:
    """A copy of an aggregate that may be changed without changing the one given."""
    copier = copier_of(value.__class__)
    return value if copier is None else copier(value)


def copier_of(kind: type) -> Callable[[Any], Any] | None:
    """What `copied` does to objects of a class, for loops that ask once: None where it gives back the object itself."""
    if kind in IMMUTABLE:
        return None
    copier = _COPIERS.get(kind)
    if copier is None:
        copier = _COPIERS[kind] = _copier_of(kind)
    return copier


def _copier_of(kind: type) -> Callable[[Any], Any]:
    """How objects of a class are copied: found out once, because a fold asks for every record."""
    container: dict[type, Callable[[Any], Any]] = {dict: _copied_dict, list: _copied_list, tuple: _copied_tuple}
    if kind in container:
        return container[kind]
    if not _has_flat_fields(kind):
        return deepcopy
    own: Any = getattr(kind, "__copy__", None)
    return own or copy


def _copied_dict(value: dict[Any, Any]) -> dict[Any, Any]:
    return dict(value) if _flat(value.values()) else deepcopy(value)


def _copied_list(value: list[Any]) -> list[Any]:
    return list(value) if _flat(value) else deepcopy(value)


def _copied_tuple(value: tuple[Any, ...]) -> tuple[Any, ...]:
    return value if _flat(value) else deepcopy(value)


def _flat(values: Iterable[Any]) -> bool:
    return all(value.__class__ in IMMUTABLE for value in values)


def _has_flat_fields(kind: type) -> bool:
    """Whether a class declares all its fields, and all of them as types that never change."""
    try:
        hints = get_type_hints(kind)
    except Exception:
        return False
    fields = getattr(kind, "__struct_fields__", None) or getattr(kind, "__dataclass_fields__", None) or ()
    return bool(fields) and all(hints.get(field) in IMMUTABLE for field in fields)
