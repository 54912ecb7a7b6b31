"""How a type's values differ between msgspec's plain form and what fastavro writes and reads.

Rules: records of a union are known by their names, where msgspec has a field that is the tag; a field that may be left out
is null. Names are those of the schema: a record is that of the class of its name, or of its tag.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
from msgspec import inspect

from streams.serdes.finite import all_told

Walk = Callable[[Any, Any], Any]
"""Takes a type, as msgspec tells it, and a value."""


class AvroForm:
    """The two forms of the values of a type; `records` are the full names of a schema's records.

    `named`: whether they differ, and records of unions are to be read with their names.
    """

    def __init__(self, kind: Any, records: Collection[str]) -> None:
        self._told = _told(kind)
        self._records = {name.rpartition(".")[2]: name for name in records}
        self.named = _differs(self._told)

    def written(self, plain: Any) -> Any:
        """What fastavro is given for a value in its plain form."""
        return self._written(self._told, plain) if self.named else plain

    def read(self, found: Any) -> Any:
        """The plain form of what fastavro has read, records of unions with their names."""
        return self._read(self._told, found) if self.named else found

    def _written(self, told: Any, value: Any) -> Any:
        if not isinstance(told, inspect.UnionType):
            return _rebuilt(told, value, self._written)
        tagged: list[Any] = [branch for branch in told.types if _tagged(branch)] if isinstance(value, dict) else []
        for branch in tagged:
            if value.get(branch.tag_field) == branch.tag:
                record, name = _rebuilt(branch, value, self._written), self._name_of(branch)
                return record if name is None else (name, record)
        return _rebuilt(_branch(told.types, value), value, self._written)

    def _read(self, told: Any, value: Any) -> Any:
        name, value = value if isinstance(value, tuple) else (None, value)
        if not isinstance(told, inspect.UnionType):
            return _present(told, _rebuilt(told, value, self._read))
        branch = self._read_branch(told.types, name, value)
        read = self._read(branch, value)
        return read | {branch.tag_field: branch.tag} if _tagged(branch) else read

    def _read_branch(self, types: Sequence[Any], name: str | None, value: Any) -> Any:
        """The type of a value in a union. A record without a name was none of a union's when it was written."""
        tagged = [told for told in types if _tagged(told)] if isinstance(value, dict) else []
        same = [told for told in tagged if name is None or self._name_of(told) == name]
        if name is None:
            same = [told for told in same if {field.encode_name for field in told.fields} == value.keys()]
        return same[0] if len(same) == 1 else _branch(types, value)

    def _name_of(self, told: Any) -> str | None:
        return self._records.get(told.cls.__name__) or self._records.get(str(getattr(told, "tag", None)))


def _differs(told: Any) -> bool:
    """Whether anything within a type has tags or can be left out."""
    within = all_told(told)
    tags = [each for each in within if isinstance(each, inspect.UnionType) and any(map(_tagged, each.types))]
    return bool(tags) or any(isinstance(each, inspect.Field) and may_be_left_out(each) for each in within)


def _tagged(told: Any) -> bool:
    return getattr(told, "tag", None) is not None


def _told(kind: Any) -> Any:
    try:
        return inspect.type_info(kind)
    except TypeError:
        return None


def _branch(types: Sequence[Any], value: Any) -> Any:
    """The type in a union, without tags, that a value is of, as far as it has parts."""
    if isinstance(value, dict):
        return next(
            (
                told
                for told in types
                if isinstance(told, inspect.DictType) or (hasattr(told, "fields") and not _tagged(told))
            ),
            None,
        )
    return next((told for told in types if hasattr(told, "item_type")), None) if isinstance(value, list) else None


def _rebuilt(told: Any, value: Any, walk: Walk) -> Any:
    """A value with its parts changed."""
    if isinstance(value, dict):
        if isinstance(told, inspect.DictType):
            return {name: walk(told.value_type, entry) for name, entry in value.items()}
        kinds = {field.encode_name: field.type for field in getattr(told, "fields", ())}
        return {name: walk(kinds[name], entry) if name in kinds else entry for name, entry in value.items()}
    if isinstance(value, list | tuple) and hasattr(told, "item_type"):
        return [walk(told.item_type, entry) for entry in value]
    return value


def _present(told: Any, value: Any) -> Any:
    """A record without the fields that were left out."""
    if not isinstance(value, dict):
        return value
    left_out = {
        field.encode_name
        for field in getattr(told, "fields", ())
        if may_be_left_out(field) and not _nullable(field.type)
    }
    return {name: entry for name, entry in value.items() if entry is not None or name not in left_out}


def may_be_left_out(field: Any) -> bool:
    """Whether values may be without a field, that is have none of it, rather than a default."""
    if field.required or field.default_factory is not msgspec.NODEFAULT:
        return False
    return field.default is msgspec.NODEFAULT or field.default is msgspec.UNSET


def _nullable(told: Any) -> bool:
    return any(isinstance(each, inspect.NoneType | inspect.AnyType) for each in (told, *getattr(told, "types", ())))
