"""One row, a dict of columns, as a value of a topic's type: struct, dataclass, TypedDict, pydantic model, Faust record.

Rules: what a type says of its fields is read once per type, conversion is the type's own library's. Names are those of
the serialized form (a renamed field has its new name), because that is what files and frames carry.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple, get_type_hints

import msgspec


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
