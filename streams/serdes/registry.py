"""Which serde a type gets.

Rules: the same type always gives the same serde object. Anything with `serialize` and `deserialize` is a serde
already and passes through. `object` and `Any` mean "not declared": plain JSON (see `DynamicSerde`).
"""

from __future__ import annotations

from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin
from uuid import UUID

from state.serde import Serde
from streams.errors import TopologyError, shown
from streams.serdes import primitives
from streams.serdes.json import DYNAMIC, JsonSerde, one_of_type, type_name
from streams.serdes.models import model_serde

_BY_TYPE: dict[Any, Serde[Any]] = {
    str: primitives.STRING,
    bytes: primitives.BYTES,
    bool: primitives.BOOL,
    int: primitives.LONG,
    float: primitives.DOUBLE,
    UUID: primitives.UUID_TEXT,
    NoneType: primitives.VOID,
    primitives.Int16: primitives.INT16,
    primitives.Int32: primitives.INT32,
    primitives.Float32: primitives.FLOAT32,
    object: DYNAMIC,
    Any: DYNAMIC,
}
_BY_NAME = {"str": str, "bytes": bytes, "bool": bool, "int": int, "float": float, "uuid": UUID, "json": object}


def serde_for(kind: Any) -> Serde[Any]:
    """The serde of a type; a serde passes through.

    Shape: `kind` is a type (`str`, `Ride`, `dict[str, int]`, `Ride | None`), a serde, or one of the names that
    settings use ("str", "bytes", "bool", "int", "float", "uuid", "json").
    Raises: TopologyError for a type that no serde is known for.
    """
    if kind is None:
        return primitives.VOID
    if isinstance(kind, str):
        return _named(kind)
    if not isinstance(kind, type) and hasattr(kind, "serialize") and hasattr(kind, "deserialize"):
        serde: Serde[Any] = kind
        return serde
    try:
        return _serde_of_type(kind)
    except TypeError as problem:
        raise TopologyError(
            f"no serde is known for {shown(kind)}: {problem}\n"
            "  give a type (str, int, float, bool, bytes, dict, a msgspec.Struct, a dataclass, a pydantic model) "
            "or an object with serialize(value) and deserialize(data)"
        ) from None


def _named(name: str) -> Serde[Any]:
    if name not in _BY_NAME:
        raise TopologyError(f"no serde is called {name!r}: use one of {', '.join(_BY_NAME)}, or give the type itself")
    return serde_for(_BY_NAME[name])


@cache
def _serde_of_type(kind: Any) -> Serde[Any]:
    kind = _without_none(kind)
    if kind in _BY_TYPE:
        return _BY_TYPE[kind]
    if not _is_type(kind):
        raise TypeError(f"{shown(kind)} is not a type")
    if isinstance(kind, type) and (model := model_serde(kind)):
        return model
    return JsonSerde(kind)


def _without_none(kind: Any) -> Any:
    """`Ride | None` is Ride here: None never reaches a serde."""
    if get_origin(kind) not in (Union, UnionType):
        return kind
    others = tuple(member for member in get_args(kind) if member is not NoneType)
    return Union[others]  # noqa: UP007  built from a tuple, which `|` cannot


def _is_type(kind: Any) -> bool:
    return isinstance(kind, type) or get_origin(kind) is not None or hasattr(kind, "__supertype__")


def declared(serde: Serde[Any] | None) -> bool:
    """Whether a type stands behind this serde; False for None and for the dynamic one."""
    return serde is not None and serde is not DYNAMIC


__all__ = ["declared", "one_of_type", "serde_for", "type_name"]
