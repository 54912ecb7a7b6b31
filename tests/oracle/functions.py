"""The named functions of the case format, and the types of what they give.

Types are named as in the cases: string, int (32 bit), long (64 bit), double. A function's text after the first colon is
its argument. Null is printed as `null`. A key behind an aggregate over windows is of a windowed type. A function whose name
begins with `raising` is the one behind that word, which raises for some arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from functools import wraps
from typing import Any, NamedTuple

from streams.record import Record
from streams.serdes import Int32, serde_for
from streams.serdes.windowed import SessionWindowedSerde, TimeWindowedSerde

PYTHON_TYPES: dict[str, Any] = {"string": str, "int": Int32, "long": int, "double": float}


class WindowedType(NamedTuple):
    """The type of a key in a window; without a size, the window is a session."""

    inner: str | WindowedType
    size_ms: int | None


Type = str | WindowedType


class Types(NamedTuple):
    """The types of keys and values on an edge."""

    key: Type
    value: Type

    @property
    def key_type(self) -> Any:
        return python_type(self.key)

    @property
    def value_type(self) -> Any:
        return python_type(self.value)


def python_type(type_: Type) -> Any:
    """What our language takes for a type: a Python type, or a serde."""
    if isinstance(type_, str):
        return PYTHON_TYPES[type_]
    inner = serde_for(python_type(type_.inner))
    return SessionWindowedSerde(inner) if type_.size_ms is None else TimeWindowedSerde(inner, type_.size_ms)


class Named(NamedTuple):
    """A function, and the types of its results on an edge with given types."""

    call: Callable[..., Any]
    types: Callable[[Types], Types]


def text(value: Any) -> str:
    """A value as Java prints it."""
    if value is None:
        return "null"
    return java_double(value) if isinstance(value, float) else str(value)


def java_double(value: float) -> str:
    """A double as Java's Double.toString prints it."""
    if not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return f"{Decimal(repr(value)):f}"
    digits, exponent = f"{Decimal(repr(value)):E}".split("E")
    return f"{digits if '.' in digits else digits + '.0'}E{int(exponent)}"


def parted(name: str) -> tuple[str, str]:
    """A function's name and its argument."""
    head, _, argument = name.partition(":")
    return head, argument


ODDITIES: dict[str, Callable[[Any, Any, Record], int]] = {
    "key": lambda key, _value, _record: len(text(key)),
    "value": lambda _key, value, _record: len(text(value)),
    "offset": lambda _key, _value, record: record.offset,
    "time": lambda _key, _value, record: record.timestamp,
    "headers": lambda _key, _value, record: len(record.headers),
    "topic": lambda _key, _value, record: len(text(record.topic)),
}


class Route:
    """Names one of two topics for each record, by something that is even or odd."""

    def __init__(self, topic: str, name: str) -> None:
        self.topics = tuple(f"{topic}-{number}" for number in range(2))
        self._name = name

    def __call__(self, key: Any, value: Any, record: Record) -> str:
        """The topic's name."""
        return self.topics[ODDITIES[self._name](key, value, record) % 2]

    def __str__(self) -> str:
        return f"by {self._name}"


def extractor(name: str) -> Callable[[Record, int], int]:
    """A timestamp extractor; negative times, as of a partition that had no record yet, have a record left out."""
    head, argument = parted(name)
    number = int(argument)
    if head == "plus":
        return lambda record, _time: record.timestamp + number
    if head == "length":
        return lambda record, _time: record.timestamp + number * len(text(record.value))
    if head == "partition":
        return lambda record, time: time if record.value is None else record.timestamp + number
    raise KeyError(f"unknown extractor {name!r}")


RAISING = "raising "


def may_raise(named: Callable[[str], Any]) -> Callable[[str], Any]:
    """A function from names to functions that knows those of them that raise."""

    @wraps(named)
    def found(name: str) -> Any:
        plain = name.removeprefix(RAISING)
        function = named(plain)
        if plain == name:
            return function
        return function._replace(call=raising(function.call)) if isinstance(function, Named) else raising(function)

    return found


def raising(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which raises where the texts of its arguments together are of a length that is a multiple of 5."""

    def of_two(one: Any, other: Any) -> Any:
        check(one, other)
        return function(one, other)

    def of_three(one: Any, other: Any, third: Any) -> Any:
        check(one, other, third)
        return function(one, other, third)

    return of_three if function.__code__.co_argcount == 3 else of_two


def check(*arguments: Any) -> None:
    if sum(len(text(each)) for each in arguments) % 5 == 0:
        raise ValueError("raised")


def remainder(value: int, divisor: int) -> int:
    """Java's remainder: it has the sign of the dividend."""
    return abs(value) % divisor * (1 if value >= 0 else -1)


def unless_fourth(result: str) -> str | None:
    """The text; null in place of one whose length is a multiple of 4."""
    return result if len(result) % 4 else None


@may_raise
def joiner(name: str) -> Callable[[Any, Any], str | None]:
    """A joiner (left, right)."""
    head, separator = parted(name)
    if head == "concat":
        return lambda left, right: text(left) + separator + text(right)
    if head == "concatOrNull":
        return lambda left, right: unless_fourth(text(left) + separator + text(right))
    assert head == "pair", name
    return lambda left, right: f"({text(left)},{text(right)})"


@may_raise
def aggregator(name: str) -> Callable[[Any, Any, Any], Any]:
    """An aggregator (key, value, aggregate)."""
    head, separator = parted(name)
    return {
        "concat": lambda key, value, aggregate: text(aggregate) + separator + text(value),
        "concatOrNull": lambda key, value, aggregate: unless_fourth(text(aggregate) + separator + text(value)),
        "append": lambda key, value, aggregate: text(aggregate) + text(value),
        "removeAll": lambda key, value, aggregate: text(aggregate).replace(text(value), ""),
        "sumParsed": lambda key, value, aggregate: aggregate + int(value),
    }[head]


@may_raise
def reducer(name: str) -> Callable[[Any, Any], Any]:
    """A reducer (old, new)."""
    head, separator = parted(name)
    return {
        "concat": lambda old, new: text(old) + separator + text(new),
        "concatOrNull": lambda old, new: unless_fourth(text(old) + separator + text(new)),
        "add": lambda old, new: old + new,
        "subtract": lambda old, new: old - new,
    }[head]


@may_raise
def merger(name: str) -> Callable[[Any, Any, Any], Any]:
    """A session merger (key, one, other)."""
    head, separator = parted(name)
    if head == "concatOrNull":
        return lambda key, one, other: unless_fourth(text(one) + separator + text(other))
    assert head == "concat", name
    return lambda key, one, other: text(one) + separator + text(other)


@may_raise
def predicate(name: str) -> Callable[[Any, Any], bool]:
    """A predicate (key, value)."""
    head, argument = parted(name)
    return {
        "keyMultipleOf": lambda key, value: remainder(key, int(argument)) == 0,
        "keyNegative": lambda key, value: key < 0,
        "valueEven": lambda key, value: remainder(value, 2) == 0,
    }[head]


def same(types: Types) -> Types:
    return types


def strings(types: Types) -> Types:
    return Types("string", "string")


def string_values(types: Types) -> Types:
    return Types(types.key, "string")


def string_keys(types: Types) -> Types:
    return Types("string", types.value)


def pair_with_nulls(key: Any, value: Any) -> Any:
    if key == "NULL":
        return None
    return (None, value) if key == "null" else (value, value)


def repeated_key(key: Any, value: Any) -> list[Any]:
    return [(text(key * 10 + index), value) for index in range(key)]


def swapped_types(types: Types) -> Types:
    return Types(types.value, types.key)


def value_twice(types: Types) -> Types:
    return Types(types.value, types.value)


MAPPERS: dict[str, Named] = {
    "identity": Named(lambda key, value: (key, value), same),
    "swap": Named(lambda key, value: (value, key), swapped_types),
    "valueAsKeyAndValue": Named(lambda key, value: (value, value), value_twice),
    "valueAsKeyAndValueWithNulls": Named(pair_with_nulls, value_twice),
    "splitKeyChars": Named(lambda key, value: (key[0:1], key[1:2]), strings),
    "keyAndIntValue": Named(lambda key, value: (key, int(value)), lambda types: Types(types.key, "int")),
    "single": Named(lambda key, value: [(key, value)], same),
    "repeatKeyTimes": Named(repeated_key, string_keys),
}
"""function(key, value) -> pair, or list of pairs"""

VALUE_MAPPERS: dict[str, Named] = {
    "identity": Named(lambda key, value: value, same),
    "toInt": Named(lambda key, value: int(value), lambda types: Types(types.key, "int")),
    "orNull": Named(lambda key, value: unless_fourth("or" + text(value)), string_values),
    "lowerUpper": Named(lambda key, value: ["v" + text(value), "V" + text(value)], string_values),
    "valueAndKey": Named(lambda key, value: ["v" + text(value), "k" + text(key)], string_values),
}
"""function(key, value) -> value, or list of values"""


@may_raise
def mapper(name: str) -> Named:
    """A mapper to a pair, or to a list of pairs."""
    return MAPPERS[name]


@may_raise
def value_mapper(name: str) -> Named:
    """A mapper to a value, or to a list of values."""
    return VALUE_MAPPERS[name]


@may_raise
def selector(name: str) -> Named:
    """A selector (key, value) of another key; the types are those of the edge with that key."""
    head, argument = parted(name)
    if head == "mapInt":
        table = dict(entry.split("=") for entry in argument.split(","))
        return Named(lambda key, value: table.get(text(value)), string_keys)
    if head == "splitSecond":
        return Named(lambda key, value: second_part(value, argument), string_keys)
    return {
        "key": Named(lambda key, value: key, same),
        "value": Named(lambda key, value: value, lambda types: Types(types.value, types.value)),
        "null": Named(lambda key, value: None, same),
    }[head]


def second_part(value: str | None, separator: str) -> str | None:
    """What stands between the first and the second separator; as in Java, nothing stands between trailing ones."""
    parts = [] if value is None else value.split(separator)
    while parts and not parts[-1]:
        del parts[-1]
    return parts[1] if len(parts) > 1 else None
