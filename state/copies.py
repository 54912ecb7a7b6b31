"""Copies of values that can be changed in place: what a store keeps is nobody else's.

Kafka's stores keep bytes, so whoever is given a value of theirs, or gave one to them, may do with it what he likes. Ours
keep objects in memory. Rules: what cannot change is never copied (numbers, text, frozen classes of such fields); what is
flat is copied by itself; of the rest, a store's values come out of their own bytes, as after a restart, and aggregates
that are about to be folded into are copied part by part. Both are several times quicker than `deepcopy`. A store's value
is spared the way through its bytes only where it comes back as it was: no one can tell whether it was in memory. So it
is for classes that the serde declares, and for dictionaries and lists that JSON would give back.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from copy import copy, deepcopy
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from state.engine import any_none
from state.serde import Serde, deserializer
from state.stores import ValueAndTimestamp

__all__ = ["IMMUTABLE", "Copies", "copied", "copier_of", "copies_of"]

_NUMBERS = {bool, int, float, complex, Decimal}
_TIMES = {date, datetime, time, timedelta}
IMMUTABLE: frozenset[type] = frozenset({NoneType, str, bytes, UUID, frozenset, range, *_NUMBERS, *_TIMES})
"""Types whose objects never change."""
_GIVEN_BACK: frozenset[type] = frozenset({NoneType, str, bool, int, float})
"""Types whose objects every serde gives back as they were, wherever they stand; but see `_comes_back`."""
_TEXT: frozenset[type] = frozenset({str})
_CONTAINERS: frozenset[type] = frozenset({dict, list})

_new_tuple = tuple.__new__
Copier = Callable[[Any], Any] | None
"""What copies objects of a class; None where none is needed."""


def copies_of(serde: Serde[Any]) -> Copies | None:
    """What copies the values of a store; None where its serde says that they never change."""
    kind = getattr(serde, "type", object)
    plain = getattr(kind, "__supertype__", kind)  # that of numbers of few bits
    return None if _never_changes(plain) else Copies(serde)


class Copiers(dict[type, Copier]):
    """What copies the objects of each class: what `find` answers when one is met first."""

    def __init__(self, find: Callable[[type], Copier]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, kind: type) -> Copier:
        found = self[kind] = self._find(kind)
        return found


class Copies:
    """Copies of values that a serde can write; `copiers` are what makes them, for loops."""

    def __init__(self, serde: Serde[Any]) -> None:
        declared = _classes_of(getattr(serde, "type", object))
        self._deep: Callable[[Any], Any] = lambda value: serde.deserialize(serde.serialize(value))
        self._read = deserializer(serde)
        self.copiers = Copiers(lambda kind: _stored_copier(kind, declared, self._deep))
        self._settlers = Copiers(lambda kind: _settler(kind, declared, self._deep))
        self.settles = not declared or not declared.isdisjoint({object, dict, list, tuple})
        """Whether the serde takes values that it may give back as others."""

    def settled(self, value: Any) -> Any:
        """A value as it will be read again: itself where it comes back as it was, for it is nobody else's."""
        settler = self._settlers[value.__class__]
        return value if settler is None else settler(value)

    def of(self, value: Any) -> Any:
        """A copy of a value, or the value itself if it cannot change."""
        copier = self.copiers[value.__class__]
        return value if copier is None else copier(value)

    def of_all(self, values: list[Any]) -> list[Any]:
        """The same of many: mostly all are of one class."""
        kinds = set(map(type, values)) - {NoneType}
        if len(kinds) > 1:
            return list(map(self.of, values))
        copier = self.copiers[kinds.pop()] if kinds else None
        if copier is None:
            return values
        if any_none(values):
            return [None if value is None else copier(value) for value in values]
        return list(map(copier, values))

    def of_read(self, read: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """As `read`, which gives live values with their times: such with copies, where they can change."""
        copiers = self.copiers

        def read_and_give(entry: Any) -> Any:
            live = read(entry)
            if live is None:
                return None
            value, timestamp = live
            copier = copiers[value.__class__]
            return live if copier is None else _new_tuple(ValueAndTimestamp, (copier(value), timestamp))

        return read_and_give

    def of_written(self, values: list[Any], written: list[bytes]) -> list[Any]:
        """As `of_all`, where the bytes of the values are known: they are read if those would be made of such anyway."""
        kinds = set(map(type, values))
        return self._read(written) if {self.copiers[kind] for kind in kinds} == {self._deep} else self.of_all(values)


def _stored_copier(kind: type, declared: frozenset[type], through: Callable[[Any], Any]) -> Copier:
    """How a store copies objects of a class, whose serde declares these; `through` makes them of their bytes."""
    if kind is dict:
        return lambda value: (
            dict(value) if _TEXT.issuperset(map(type, value)) and _comes_back(value.values()) else through(value)
        )
    if kind is list:
        return lambda value: list(value) if _comes_back(value) else through(value)
    return _class_copier(kind, through) if kind in _GIVEN_BACK or kind in declared else through


def _comes_back(values: Iterable[Any]) -> bool:
    """Whether parts of a value are the same when it is read again, whatever its serde. JSON knows no NaN, nor infinity."""
    kinds = set(map(type, values))
    if not kinds <= _GIVEN_BACK:
        return False
    return float not in kinds or all(isfinite(value) for value in values if value.__class__ is float)


def _settler(kind: type, declared: frozenset[type], through: Callable[[Any], Any]) -> Copier:
    """What makes of objects of a class what will be read again; as in `_stored_copier`."""
    if kind in _CONTAINERS:
        return lambda value: value if _comes_back_whole(value) else through(value)
    return None if kind in _GIVEN_BACK or kind in declared else through


def _comes_back_whole(value: Any) -> bool:
    """The same of a dictionary or a list, and of those within it. What holds itself does not."""
    try:
        return _whole(value)
    except RecursionError:
        return False


def _whole(value: Any) -> bool:
    if value.__class__ is dict and not _TEXT.issuperset(map(type, value)):
        return False
    parts = value.values() if value.__class__ is dict else value
    if _comes_back(parts):
        return True
    inner = [part for part in parts if part.__class__ in _CONTAINERS]
    if not inner or not all(map(_whole, inner)):
        return False
    return len(inner) == len(parts) or _comes_back([part for part in parts if part.__class__ not in _CONTAINERS])


def _classes_of(hint: Any) -> frozenset[type]:
    """The classes that a serde's type names."""
    if get_origin(hint) in {Union, UnionType}:
        return frozenset[type]().union(*map(_classes_of, get_args(hint)))
    if get_origin(hint) is Annotated:
        return _classes_of(get_args(hint)[0])
    return frozenset({hint}) if isinstance(hint, type) else frozenset()


def _by_parts(value: Any) -> Any:
    """A copy of what holds others that can change. Equal parts in two places become two, as a serde would have them."""
    try:
        return _part(value)
    except RecursionError:  # it holds itself
        return deepcopy(value)


def _part(value: Any) -> Any:
    kind = value.__class__
    if kind in IMMUTABLE:
        return value
    if kind is dict:
        return {key: part if part.__class__ in IMMUTABLE else _part(part) for key, part in value.items()}
    if kind is list:
        return [part if part.__class__ in IMMUTABLE else _part(part) for part in value]
    if kind is tuple:
        return tuple([_part(part) for part in value])
    return _part_copier(kind)(value)


@cache
def _part_copier(kind: Any) -> Callable[[Any], Any]:
    """What copies objects of a class: part by part where all of an object is in its fields, else as the class says."""
    if kind in {set, deque}:
        return _copied_collection
    if kind in {Counter, defaultdict, OrderedDict}:
        return _copied_mapping
    if _never_changes(kind):
        return lambda value: value
    if any(hasattr(kind, name) for name in ("__deepcopy__", "__setstate__")):
        return deepcopy
    if (struct := getattr(kind, "__struct_config__", None)) is not None:
        return deepcopy if struct.frozen else _struct_copier(kind.__struct_fields__)
    attributes_only = kind.__new__ is object.__new__ and not hasattr(kind, "__slots__")
    return _copied_attributes if attributes_only and hasattr(kind, "__dataclass_fields__") else deepcopy


def _struct_copier(fields: Iterable[str]) -> Callable[[Any], Any]:
    def copied_struct(value: Any) -> Any:
        made = copy(value)
        for name in fields:
            part = getattr(made, name)
            if part.__class__ not in IMMUTABLE:
                setattr(made, name, _part(part))
        return made

    return copied_struct


def _copied_attributes(value: Any) -> Any:
    made = object.__new__(value.__class__)
    made.__dict__.update(_part(value.__dict__))
    return made


def _copied_collection(value: Any) -> Any:
    return copy(value) if _flat(value) else deepcopy(value)


def _copied_mapping(value: Any) -> Any:
    return copy(value) if _flat(value.values()) else deepcopy(value)


def _part_by_part(kind: type) -> Copier:
    """How objects of a class are copied with all that they hold, whoever could write it."""
    if kind is tuple:
        return lambda value: value if _flat(value) else _by_parts(value)
    return _by_parts if kind in {dict, list} else _class_copier(kind, _by_parts)


_COPIERS = Copiers(_part_by_part)


def copied(value: Any) -> Any:
    """A copy that may be changed without changing the one given."""
    copier = _COPIERS[value.__class__]
    return value if copier is None else copier(value)


def copier_of(kind: type) -> Copier:
    """What `copied` does to objects of a class, for loops that ask once."""
    return _COPIERS[kind]


def _class_copier(kind: type, deep: Callable[[Any], Any]) -> Copier:
    """How objects of a class are copied; `deep` copies those that hold others which can change."""
    if _never_changes(kind):
        return None
    if not _has_unchanging_fields(kind, frozenset()):
        return deep
    own: Any = getattr(kind, "__copy__", None)
    return own or copy


def _flat(values: Iterable[Any]) -> bool:
    return IMMUTABLE.issuperset(map(type, values))


def _never_changes(hint: Any, within: frozenset[Any] = frozenset()) -> bool:
    """Whether nothing that a type stands for can change in place; what refers to itself counts as if it could."""
    if get_origin(hint) in {Union, UnionType}:
        return all(_never_changes(each, within) for each in get_args(hint))
    if get_origin(hint) is Literal:
        return True
    if not isinstance(hint, type) or hint in within:
        return False
    if hint in IMMUTABLE or issubclass(hint, Enum):
        return True
    config = getattr(hint, "__struct_config__", None) or getattr(hint, "__dataclass_params__", None)
    return bool(config is not None and config.frozen) and _has_unchanging_fields(hint, within)


def _has_unchanging_fields(kind: type, within: frozenset[Any]) -> bool:
    """Whether a class declares all its fields, and all of them as types whose objects never change."""
    try:
        hints = get_type_hints(kind)
    except Exception:
        return False
    fields = getattr(kind, "__struct_fields__", None) or getattr(kind, "__dataclass_fields__", None) or ()
    return bool(fields) and all(_never_changes(hints.get(field), within | {kind}) for field in fields)
