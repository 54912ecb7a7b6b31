"""Sets in JSON: always in one order, so that equal keys are equal bytes in every process and meet in one partition.

Python's own order follows from hashes, which differ from process to process. Rules: msgspec sorts sets of what has an order;
others are sorted by their bytes where the type is frozen, and may be a key. Dictionaries keep the order that they have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import inspect

from streams.serdes.finite import all_told

_PLAIN = msgspec.json.Encoder()
_SORTING = msgspec.json.Encoder(order="deterministic")
_SETS = (inspect.SetType, inspect.FrozenSetType)
_ORDERED = (inspect.StrType, inspect.IntType, inspect.BytesType, inspect.UUIDType, inspect.DateType)
_KEYED = (inspect.DictType, inspect.TypedDictType, inspect.AnyType, inspect.CustomType)
"""What `_SORTING` would sort by keys, or refuse for keys that are no text."""

Encode = Callable[[Any], bytes]


def encoders(kind: Any, told: Any) -> tuple[Encode, Callable[[Sequence[Any]], bytes] | None]:
    """What encodes a value of a type, as msgspec tells it too, and what encodes a column as lines, if anything does."""
    within = all_told(told)
    sets = [each for each in within if isinstance(each, _SETS)]
    if not sets or (not _frozen(kind) and not _sortable(within, sets)):
        return _PLAIN.encode, _PLAIN.encode_lines
    if _sortable(within, sets):
        return _SORTING.encode, _SORTING.encode_lines
    return (lambda value: _PLAIN.encode(_in_order(told, msgspec.to_builtins(value)))), None


def _sortable(within: list[Any], sets: list[Any]) -> bool:
    """Whether msgspec can sort these sets, and nothing else within their type would be sorted as well."""
    return all(isinstance(each.item_type, _ORDERED) for each in sets) and not any(
        isinstance(each, _KEYED) for each in within
    )


def _frozen(kind: Any) -> bool:
    """Whether values of a type are never changed, as befits keys."""
    origin = getattr(kind, "__origin__", kind)
    config = getattr(origin, "__struct_config__", None) or getattr(origin, "__dataclass_params__", None)
    return bool(config and config.frozen) or (isinstance(origin, type) and issubclass(origin, tuple | frozenset))


def _in_order(told: Any, plain: Any) -> Any:
    """A value in its plain form, with each set sorted by the bytes of its entries."""
    if isinstance(told, inspect.UnionType):
        told = next((each for each in told.types if _may_be(each, plain)), None)
    if isinstance(plain, dict):
        kinds = {field.encode_name: field.type for field in getattr(told, "fields", ())}
        other = getattr(told, "value_type", None)
        return {name: _in_order(kinds.get(name, other), entry) for name, entry in plain.items()}
    if not isinstance(plain, list | tuple):
        return plain
    if hasattr(told, "item_type"):
        entries = [_in_order(told.item_type, entry) for entry in plain]
        return sorted(entries, key=_PLAIN.encode) if isinstance(told, _SETS) else entries
    tag = [None] if getattr(told, "tag", None) is not None else []  # of an array it is the first entry
    kinds_of = [*getattr(told, "item_types", ()), *tag, *(field.type for field in getattr(told, "fields", ()))]
    return [_in_order(*each) for each in zip(kinds_of, plain, strict=True)] if len(kinds_of) == len(plain) else plain


def _may_be(told: Any, plain: Any) -> bool:
    """Whether a value in its plain form may be of a type in a union: at most one is an array, and objects have tags."""
    if isinstance(plain, list | tuple):
        return hasattr(told, "item_type") or hasattr(told, "item_types") or _array_like(told)
    tag = getattr(told, "tag", None)
    is_object = hasattr(told, "fields") or hasattr(told, "value_type")
    return isinstance(plain, dict) and is_object and (tag is None or plain.get(told.tag_field) == tag)


def _array_like(told: Any) -> bool:
    return isinstance(told, inspect.NamedTupleType) or getattr(told, "array_like", False)
