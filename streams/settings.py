"""How one setting is read: from a Python value or from text, checked against its type and range.

Rules: every failure is a ConfigError that names the setting, what was expected and what came. This module knows no
particular setting; the table of them is `streams.config`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, field
from difflib import get_close_matches
from numbers import Real
from types import FunctionType
from typing import Any

from msgspec import Struct

from streams.durations import milliseconds
from streams.errors import ConfigError, shown
from streams.numbers import counted

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


class Setting(Struct, frozen=True):
    """What a setting means and what it accepts.

    `kind` is str, int, float, bool, "ms" (a duration), "bytes" (a size), "type" (by name or itself), dict (names and values of their own), object
    (anything, given in Python only), "function" (likewise) or a function of its own from what was given to the value. `empty` says that None is a value too;
    a `secret` is never shown.
    """

    doc: str
    kind: Any
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    empty: bool = False
    secret: bool = False


def setting(
    default: Any,
    doc: str,
    *,
    kind: Any = None,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    """A dataclass field that carries its Setting; the kind follows from the default unless given."""
    empty = default is None
    described = Setting(doc, kind or type(default), minimum, maximum, choices, empty, secret)
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata={"setting": described})
    return field(default=default, repr=not secret, metadata={"setting": described})


def described(entry: Field[Any]) -> Setting | None:
    """The Setting of a dataclass field, None when it has none."""
    return entry.metadata.get("setting")


def parse(name: str, value: Any, wanted: Setting) -> Any:
    """A value for the setting `name`, from Python or from text.

    Raises: ConfigError when it has the wrong type or is out of range.
    """
    if wanted.empty and (value is None or value == ""):
        return None
    parser = wanted.kind if isinstance(wanted.kind, FunctionType) else _PARSERS.get(wanted.kind)
    try:
        result = parser(value) if parser else value
    except (TypeError, ValueError) as problem:
        said = "expected text, got something else" if wanted.secret else problem
        raise ConfigError(f"{name}: {said}") from None
    _check(name, result, wanted)
    return result


def _check(name: str, value: Any, wanted: Setting) -> None:
    if wanted.choices and isinstance(value, str) and value not in wanted.choices:
        near = nearest(value, wanted.choices)
        raise ConfigError(f"{name}: expected one of {', '.join(wanted.choices)}, got {value!r}{near}")
    if wanted.minimum is not None and value < wanted.minimum:
        raise ConfigError(f"{name}: expected at least {wanted.minimum:,}, got {value:,}")
    if wanted.maximum is not None and value > wanted.maximum:
        raise ConfigError(f"{name}: expected at most {wanted.maximum:,}, got {value:,}")


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that suggests what was meant; empty when nothing is near."""
    found = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""


def assignments(pairs: Iterable[str]) -> dict[str, str]:
    """Settings given as "name=value" on a command line; Kafka's dots are taken for underscores.

    Raises: ConfigError for a pair without "=".
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--set {pair}: expected name=value, for example --set commit_interval_ms=500")
        found[name.strip().replace(".", "_")] = value.strip()
    return found


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if hasattr(value, "__fspath__"):
        return str(value)
    raise TypeError(f"expected text, got {shown(value)}")


def _integer(value: Any) -> int:
    if (number := counted(value)) is not None:
        return number
    if isinstance(value, str):
        try:
            return int(value.replace("_", "").replace(",", ""))
        except ValueError:
            pass
    raise TypeError(f"expected a whole number, got {shown(value)}")


def _number(value: Any) -> float:
    if not isinstance(value, bool) and isinstance(value, Real):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    raise TypeError(f"expected a number, got {shown(value)}")


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise TypeError(f"expected true or false, got {shown(value)}")


def _duration(value: Any) -> int:
    """A bare number is milliseconds, also as text."""
    if isinstance(value, str) and value.strip().lstrip("-").replace("_", "").isdigit():
        return int(value)
    return milliseconds(value, "duration")


_SIZES = {"kib": 1024, "kb": 1024, "mib": 1024**2, "mb": 1024**2, "gib": 1024**3, "gb": 1024**3, "b": 1}


def _size(value: Any) -> int:
    """A number of bytes, or a text such as "64 MiB"."""
    if isinstance(value, str):
        text = value.strip().lower()
        for unit, factor in _SIZES.items():
            number = text.removesuffix(unit).strip()
            if number != text and number.replace(".", "", 1).isdigit():
                return int(float(number) * factor)
    return _integer(value)


def _mapping(value: Any) -> dict[str, str]:
    """A dict, or a text such as "retention.ms=60000,segment.bytes=1048576"."""
    if isinstance(value, Mapping):
        return {str(name): str(each) for name, each in value.items()}
    if isinstance(value, str):
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        for name, equals, each in pairs:
            if not equals or not name.strip():
                raise ValueError(f"expected name=value, several separated by commas, got {name + equals + each!r}")
        return {name.strip(): each.strip() for name, _, each in pairs}
    raise TypeError(f"expected names and values, got {shown(value)}")


def _function(value: Any) -> Any:
    """What can be called."""
    if not callable(value):
        raise TypeError(f"expected a function, given in Python, got {shown(value)}")
    return value


def _type(value: Any) -> str:
    """The name of a type, which may be given itself."""
    if isinstance(value, type):
        return "json" if value is object else value.__name__.lower()
    return _text(value)


_PARSERS: dict[Any, Callable[[Any], Any]] = {
    str: _text,
    int: _integer,
    float: _number,
    bool: _truth,
    dict: _mapping,
    "function": _function,
    "type": _type,
    "ms": _duration,
    "bytes": _size,
}
