"""A topology while it is drawn: what was drawn so far, sources, and the functions that fit what is there.

Rules: everything comes from one random.Random, so a seed names a topology. What is drawn is well typed, so that a case
says something about semantics; nulls reach a function that cannot take them only rarely.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tests.oracle.functions import Types, WindowedType

Operation = dict[str, Any]

NUMBERS = ("int", "long")
OPTIMIZATIONS = ("merge.repartition.topics", "reuse.ktable.source.topics", "single.store.self.join")
TOPIC_TYPES = [
    *[("string", "string")] * 6,
    ("string", "int"),
    ("string", "long"),
    ("int", "string"),
    ("int", "int"),
    ("long", "string"),
    ("long", "long"),
    ("string", "double"),
]
TIME_UNITS = (1, 1, 1, 1, 1, 1000, 20_000)


@dataclass(frozen=True)
class Handle:
    """A result that later operations may take up.

    `kind`: stream, table, global, grouped, grouped table, cogrouped, windowed or sessions. `flavour` says what text
    values look like (see inputs). `nulls`: whether a null value (or, on a stream, a null key) may come by.
    """

    id: str
    kind: str
    types: Types
    flavour: str = "text"
    nulls: bool = True
    null_keys: bool = True
    versioned: bool = False
    closes: bool = False
    plain: bool = True


@dataclass
class Drawing:
    """One topology while it is drawn."""

    random: Random
    unit_ms: int = 1
    operations: list[Operation] = field(default_factory=list)
    handles: list[Handle] = field(default_factory=list)
    topics: dict[str, Handle] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    counter: int = 0
    growth: int = 0
    wide: bool = False
    """Whether there may be what the case format does not have: processors, headers, a clock that moves."""
    bounded: bool = False
    """Whether stores may be of so many entries, for which they need names."""
    stores: list[tuple[str, Any]] = field(default_factory=list)
    """Stores of processors, with the type of their keys."""
    tables: list[tuple[str, Any]] = field(default_factory=list)
    """Stores of tables, likewise."""
    focus: Handle | None = None
    """What the next steps take up, where it fits."""

    # Choosing

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def choice(self, options: Any) -> Any:
        return self.random.choice(list(options))

    def pick(self, *kinds: str, where: Callable[[Handle], bool] = lambda handle: True) -> Handle | None:
        """An earlier result, the newest ones more often; the focus, if there is one that fits."""
        if self.focus is not None and self.focus.kind in kinds and where(self.focus):
            return self.focus
        found = [handle for handle in self.handles if handle.kind in kinds and where(handle)]
        if not found:
            return None
        return found[-1] if self.chance(0.5) else self.choice(found)

    def duration(self, *multiples: int) -> int:
        """A duration in ms, sometimes a little off the unit."""
        exact: int = self.choice(multiples) * self.unit_ms
        return max(1, exact + self.choice((-1, 1))) if self.unit_ms > 1 and self.chance(0.2) else exact

    # Appending

    def name(self, prefix: str) -> str:
        self.counter += 1
        return f"{prefix}{self.counter}"

    def append(self, handle: Handle, op: str, **fields: Any) -> Handle:
        """Append an operation that gives a handle."""
        for name in ("from", "left", "right"):
            if isinstance(fields.get(name), Handle):
                fields[name] = fields[name].id
                self.used.add(fields[name])
        handle = replace(handle, id=self.name("h"))
        self.operations.append({"op": op, "id": handle.id, **fields})
        self.handles.append(handle)
        plain = handle.kind == "table" and not isinstance(handle.types.key, WindowedType)
        if plain and "store" in fields and "versionedMs" not in fields:
            self.tables.append((fields["store"], handle.types.key))
        return handle

    def stored(self, named: float = 0.25, uncached: float = 0.2, *, versioned: float = 0.0) -> dict[str, Any]:
        """How a table is stored, as the format says it."""
        fields: dict[str, Any] = {}
        if self.chance(versioned):
            return {"store": self.name("store-"), "versionedMs": self.duration(2, 10, 100, 1000)}
        if self.chance(0.8 if self.bounded else named):
            fields["store"] = self.name("store-")
        if self.chance(uncached):
            fields["cache"] = False
        return fields


# Sources


def topic(drawing: Drawing, types: tuple[str, str] | None = None, flavour: str | None = None) -> Handle:
    """A new input topic."""
    key, value = types or drawing.choice(TOPIC_TYPES)
    flavour = flavour or drawing.choice(("text", "text", "letters", "pairs", "digits"))
    nulls = drawing.chance(0.6)
    null_keys = drawing.chance(0.35)
    name = drawing.name("topic-")
    handle = Handle(name, "stream", Types(key, value), flavour, nulls, null_keys)
    drawing.topics[name] = handle
    return handle


def stream(drawing: Drawing, *, types: tuple[str, str] | None = None) -> Handle:
    """A stream, now and then of a topic that is read already."""
    if drawing.topics and types is None and drawing.chance(0.06):
        source = drawing.choice(drawing.topics.values())
    else:
        source = topic(drawing, types)
    return drawing.append(source, "stream", topic=source.id)


def table(drawing: Drawing, *, types: tuple[str, str] | None = None, versioned: bool = False) -> Handle:
    """A table, versioned now and then; of a topic that is read already, Kafka does not take it."""
    again = drawing.topics and types is None and not versioned and drawing.chance(0.01)
    source = drawing.choice(drawing.topics.values()) if again else topic(drawing, types)
    handle = replace(source, kind="table", null_keys=False)
    if versioned or drawing.chance(0.12):
        history = drawing.duration(2, 10, 100, 1000)
        handle = replace(handle, versioned=True)
        return drawing.append(handle, "table", topic=source.id, store=drawing.name("store-"), versionedMs=history)
    return drawing.append(handle, "table", topic=source.id, **drawing.stored(0.3, 0.15))


def global_table(drawing: Drawing, key: Any) -> Handle:
    """A global table with keys of a type."""
    again = [source for source in drawing.topics.values() if source.types.key == key and drawing.chance(0.02)]
    source = drawing.choice(again) if again else topic(drawing, (key, drawing.choice(("string", "string", "int"))))
    return drawing.append(replace(source, kind="global"), "globalTable", topic=source.id)


# Functions that fit


def predicates(drawing: Drawing, handle: Handle) -> list[str]:
    """Predicates that a handle's keys and values bear."""
    found = []
    daring = drawing.chance(0.03)
    if handle.types.key in NUMBERS and (not handle.null_keys or daring):
        found += ["keyMultipleOf:2", "keyMultipleOf:3", "keyNegative"]
    if handle.types.value in NUMBERS and (handle.kind == "table" or not handle.nulls or daring):
        found += ["valueEven"] * 2
    return found


def numeric(handle: Handle) -> bool:
    """Whether int(value) works on all values."""
    return (handle.types.value in (*NUMBERS, "double") or handle.flavour == "digits") and (
        not handle.nulls or handle.kind == "table"
    )


def pair_mappers(drawing: Drawing, handle: Handle) -> list[str]:
    """Mappers to one pair."""
    found = ["identity", "swap", "valueAsKeyAndValue"]
    if handle.types.key == "string":
        found.append("valueAsKeyAndValueWithNulls")
        if not handle.null_keys and handle.plain:
            found += ["splitKeyChars"]
    if numeric(handle) and handle.types.value != "string":
        found.append("keyAndIntValue")
    return found


def key_selectors(drawing: Drawing, handle: Handle) -> list[str]:
    """Selectors of another key."""
    found = ["key", "value", "mapInt:1=ONE,2=TWO,3=ONE", "mapInt:a=A,b=B,c=A"]
    if handle.types.value == "string":
        found += ["splitSecond:|"] * (3 if handle.flavour == "pairs" else 1)
    return [*found, "null"] if drawing.chance(0.08) else found


def reshaped(handle: Handle, types: Types, flavour: str | None = None, **changes: Any) -> Handle:
    """The handle with other types on it."""
    if flavour is None:
        flavour = handle.flavour if types.value == handle.types.value else "mixed"
    return replace(handle, types=types, flavour=flavour, **changes)


def versions(source: Handle) -> float:
    """How likely a result of this table has a versioned store; windowed keys have no history."""
    return 0.0 if isinstance(source.types.key, WindowedType) else 0.05


def kept(source: Handle, stored: Mapping[str, Any]) -> bool:
    """Whether a step's result is versioned."""
    return "versionedMs" in stored or (source.versioned and not stored)


# Joins


def joiner(drawing: Drawing) -> str:
    chosen: str = drawing.choice(("concat:+", "concat:-", "concat:|", "pair", "concatOrNull:+"))
    return chosen


def joined(left: Handle, **changes: Any) -> Handle:
    return replace(left, types=Types(left.types.key, "string"), flavour="mixed", nulls=True, **changes)


def same_keys(left: Handle, right: Handle) -> bool:
    return left.types.key == right.types.key
