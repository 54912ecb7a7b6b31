"""Codecs by name: Faust's bytes, to the letter where it matters; and the class for codecs of one's own.

`json` is the default of values, `raw` of keys; `json|binary` writes by one after the other. Rule: bytes pass every codec
as they are, and are not given to it.
"""

from __future__ import annotations

import pickle
from base64 import b64decode, b64encode
from collections.abc import Callable
from enum import Enum
from importlib.metadata import entry_points
from typing import Any

from streams.compat.faust import json_codec
from streams.compat.faust.errors import ImproperlyConfigured
from streams.errors import shown

ENTRY_POINTS = "faust.codecs"
"""Where installed packages say which codecs they bring, as for Faust."""


class Codec:
    """A form of values on the wire; subclasses have `_dumps` and `_loads`. `one | another` writes by one, then the other."""

    def __init__(self, children: tuple[Any, ...] | None = None, **kwargs: Any) -> None:
        self.children = children or ()
        self.kwargs = kwargs

    @property
    def nodes(self) -> tuple[Any, ...]:
        """The codecs that a value is written by, in turn."""
        return (self, *getattr(self, "children", ()))

    def _dumps(self, s: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no _dumps")

    def _loads(self, s: bytes) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no _loads")

    def dumps(self, obj: Any) -> bytes:
        """A value as bytes."""
        for node in self.nodes:
            obj = node._dumps(obj)
        return obj  # type: ignore[no-any-return]  # what the last one gives

    def loads(self, s: bytes) -> Any:
        """The value of bytes."""
        value: Any = s
        for node in reversed(self.nodes):
            value = node._loads(value)
        return value

    def __or__(self, other: Any) -> Codec:
        return _Chain((*self.nodes, other)) if hasattr(other, "_dumps") else NotImplemented

    def __repr__(self) -> str:
        return " | ".join(type(node).__name__ for node in self.nodes)


class _Chain(Codec):
    """Several codecs, one after the other."""

    def __init__(self, nodes: tuple[Any, ...]) -> None:
        super().__init__()
        self._nodes = nodes

    @property
    def nodes(self) -> tuple[Any, ...]:
        return self._nodes


class _Functions(Codec):
    """A codec of two functions, which are called without a detour."""

    def __init__(self, dumps: Callable[[Any], bytes], loads: Callable[[bytes], Any]) -> None:
        super().__init__()
        self.__dict__.update(_dumps=dumps, dumps=dumps, _loads=loads, loads=loads)


def _to_raw(value: Any) -> bytes:
    """Bytes and text as they are; Faust has no others, so what a number or an enum is here is ours to say."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict | list | tuple | set):
        raise TypeError(f"raw cannot hold {shown(value)}: it takes bytes and text; choose another serializer")
    return _to_raw(value.value) if isinstance(value, Enum) else str(value).encode()


CODECS: dict[str, Any] = {
    "raw": _Functions(_to_raw, bytes),
    "json": _Functions(json_codec.dumps, json_codec.loads),
    "pickle": _Functions(
        lambda value: b64encode(pickle.dumps(value)),
        lambda data: pickle.loads(b64decode(data)),  # noqa: S301  the application asks for it, as in Faust
    ),
    "binary": _Functions(lambda value: b64encode(_to_raw(value)), b64decode),
}


def codec(form: Any) -> Any:
    """The codec of a name, of several joined by `|`, or one itself. Raises: ImproperlyConfigured."""
    if not isinstance(form, str):
        if callable(getattr(form, "dumps", None)) and callable(getattr(form, "loads", None)):
            return form
    elif "|" in form:
        return _Chain(tuple(codec(name) for name in form.split("|")))
    elif form in CODECS or _load_extension(form):
        return CODECS[form]
    raise ImproperlyConfigured(
        f"expected one of the serializers {', '.join(CODECS)}, got {form!r}: register others with "
        "faust.serializers.register(name, dumps, loads), before the topics that name them"
    )


get_codec = codec
"""Faust's name for it."""


def dumps(form: Any, obj: Any) -> Any:
    """A value in a form; without one, as it is."""
    return codec(form).dumps(obj) if form else obj


def loads(form: Any, s: Any) -> Any:
    """The value of bytes in a form; without one, as they are."""
    return codec(form).loads(s) if form else s


def register(name: str, dumps: Any, loads: Callable[[bytes], Any] | None = None) -> None:
    """Add a codec for topics and records to name: two functions, or a Codec."""
    if loads is not None:
        CODECS[name] = _Functions(dumps, loads)
        return
    if not hasattr(dumps, "loads"):
        raise ImproperlyConfigured(f"register({name!r}): expected a Codec or two functions, got {shown(dumps)}")
    CODECS[name] = dumps


def _load_extension(name: str) -> bool:
    """Find a codec that an installed package brings. Shape: whether there is one."""
    for point in entry_points(group=ENTRY_POINTS, name=name):
        register(name, point.load()())
    return name in CODECS
