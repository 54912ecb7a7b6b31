"""Draws random topologies in the case format: lists of operations that name functions and earlier results.

Rules: what is drawn is well typed, so that a case says something about semantics; nulls reach a function that cannot
take them only rarely. Everything comes from one random.Random, so a seed names a topology. This module knows the
format, and neither language nor outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tests.oracle import functions
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

    # Choosing

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def choice(self, options: Any) -> Any:
        return self.random.choice(list(options))

    def pick(self, *kinds: str, where: Callable[[Handle], bool] = lambda handle: True) -> Handle | None:
        """An earlier result, the newest ones more often."""
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
        return handle

    def stored(self, named: float = 0.25, uncached: float = 0.2, *, versioned: float = 0.0) -> dict[str, Any]:
        """How a table is stored, as the format says it."""
        fields: dict[str, Any] = {}
        if self.chance(versioned):
            return {"store": self.name("store-"), "versionedMs": self.duration(2, 10, 100, 1000)}
        if self.chance(named):
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
    source = topic(drawing, (key, drawing.choice(("string", "string", "int"))))
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


# Stateless steps of streams


def filtered(drawing: Drawing) -> Handle | None:
    source = drawing.pick("stream", "table", where=lambda handle: bool(predicates(drawing, handle)))
    names = source and predicates(drawing, source)
    if not source or not names:
        return None
    stored = drawing.stored(0.3, 0.15, versioned=versions(source)) if source.kind == "table" else {}
    op = drawing.choice(("filter", "filterNot"))
    handle = replace(source, nulls=source.nulls or source.kind == "table", versioned=kept(source, stored))
    return drawing.append(handle, op, **{"from": source}, fn=drawing.choice(names), **stored)


def values_mapped(drawing: Drawing) -> Handle | None:
    source = drawing.pick("stream", "table")
    if not source:
        return None
    name = "toInt" if numeric(source) and drawing.chance(0.7) else "identity"
    types = functions.VALUE_MAPPERS[name].types(source.types)
    stored = drawing.stored(0.3, 0.15, versioned=versions(source)) if source.kind == "table" else {}
    handle = reshaped(source, types, versioned=kept(source, stored))
    return drawing.append(handle, "mapValues", **{"from": source}, fn=name, **stored)


def mapped(drawing: Drawing) -> Handle | None:
    source = drawing.pick("stream")
    if not source:
        return None
    name = drawing.choice(pair_mappers(drawing, source))
    types = functions.MAPPERS[name].types(source.types)
    null_keys = source.null_keys if name in ("identity", "keyAndIntValue") else True
    nulls = source.null_keys if name == "swap" else source.nulls
    handle = reshaped(source, types, null_keys=null_keys or source.nulls, nulls=nulls or source.nulls, plain=False)
    return drawing.append(handle, "map", **{"from": source}, fn=name)


def flat_mapped(drawing: Drawing) -> Handle | None:
    source = drawing.pick("stream")
    if not source or drawing.growth >= 3:
        return None
    drawing.growth += 1
    if source.types.key in NUMBERS and not source.null_keys and drawing.chance(0.5):
        types = functions.MAPPERS["repeatKeyTimes"].types(source.types)
        handle = reshaped(source, types, plain=False)
        return drawing.append(handle, "flatMap", **{"from": source}, fn="repeatKeyTimes")
    if drawing.chance(0.4):
        return drawing.append(source, "flatMap", **{"from": source}, fn="single")
    name = drawing.choice(("lowerUpper", "valueAndKey"))
    types = functions.VALUE_MAPPERS[name].types(source.types)
    handle = reshaped(source, types, "mixed", nulls=False)
    return drawing.append(handle, "flatMapValues", **{"from": source}, fn=name)


def rekeyed(drawing: Drawing) -> Handle | None:
    source = drawing.pick("stream")
    if not source:
        return None
    name = drawing.choice(key_selectors(drawing, source))
    types = Types(functions.selector(name).types(source.types).key, source.types.value)
    handle = reshaped(source, types, null_keys=name != "key" or source.null_keys, plain=name == "key")
    return drawing.append(handle, "selectKey", **{"from": source}, fn=name)


def merged(drawing: Drawing) -> Handle | None:
    left = drawing.pick("stream")
    right = left and drawing.pick("stream", where=lambda other: other.types == left.types)
    if not left or not right or (right == left and drawing.chance(0.7)):
        return None
    handle = replace(
        left,
        nulls=left.nulls or right.nulls,
        null_keys=left.null_keys or right.null_keys,
        flavour=left.flavour if left.flavour == right.flavour else "mixed",
        plain=left.plain and right.plain,
    )
    return drawing.append(handle, "merge", left=left, right=right)


def split(drawing: Drawing) -> Handle | None:
    source = drawing.pick("stream", where=lambda handle: bool(predicates(drawing, handle)))
    names = source and predicates(drawing, source)
    if not source or not names:
        return None
    branches: list[dict[str, Any]] = [
        {"id": drawing.name("b"), "fn": drawing.choice(names)} for _ in range(drawing.choice((1, 2, 3)))
    ]
    if drawing.chance(0.5):
        branches.append({"id": drawing.name("b"), "default": True})
    named = {"name": drawing.name("split-")} if drawing.chance(0.3) else {}
    drawing.operations.append({"op": "split", "from": source.id, "branches": branches, **named})
    drawing.used.add(source.id)
    drawing.handles += [replace(source, id=branch["id"]) for branch in branches]
    return drawing.handles[-1]


def repartitioned(drawing: Drawing) -> Handle | None:
    source = drawing.pick("stream")
    return source and drawing.append(source, "repartition", **{"from": source})


def made_table(drawing: Drawing) -> Handle | None:
    source = drawing.pick("stream")
    if not source:
        return None
    stored = drawing.stored(versioned=versions(source))
    handle = replace(source, kind="table", null_keys=False, closes=False, versioned="versionedMs" in stored)
    return drawing.append(handle, "toTable", **{"from": source}, **stored)


def through_topic(drawing: Drawing) -> Handle | None:
    """Written to a topic, and read from it again."""
    source = drawing.pick("stream", where=lambda handle: not isinstance(handle.types.key, WindowedType))
    if not source or isinstance(source.types.value, WindowedType):
        return None
    name = drawing.name("through-")
    drawing.operations.append({"op": "to", "from": source.id, "topic": name})
    drawing.used.add(source.id)
    drawing.topics[name] = replace(source, id=name)
    return drawing.append(source, "stream", topic=name)


# Groups and windows


def grouped(drawing: Drawing, source: Handle | None = None) -> Handle | None:
    source = source or drawing.pick("stream")
    if not source:
        return None
    handle = replace(source, kind="grouped")
    if drawing.chance(0.6):
        return drawing.append(handle, "groupByKey", **{"from": source})
    name = drawing.choice(key_selectors(drawing, source))
    types = Types(functions.selector(name).types(source.types).key, source.types.value)
    return drawing.append(replace(handle, types=types, plain=False), "groupBy", **{"from": source}, fn=name)


def window(drawing: Drawing) -> dict[str, Any]:
    """Windows of an aggregation."""
    grace = 0 if drawing.chance(0.3) else drawing.duration(1, 4, 10, 100)
    match drawing.choice(("time", "time", "sliding", "session")):
        case "time":
            size = drawing.duration(2, 5, 10, 12, 50)
            advance = {"advance": drawing.random.randint(max(1, size // 5), size)} if drawing.chance(0.4) else {}
            return {"type": "time", "size": size, **advance, "grace": grace}
        case "sliding":
            return {"type": "sliding", "diff": drawing.duration(1, 5, 8, 10, 40), "grace": grace}
        case _:
            return {"type": "session", "gap": drawing.duration(1, 4, 6, 10, 30), "grace": grace}


def windowed(drawing: Drawing, source: Handle) -> Handle:
    chosen = window(drawing)
    size = {"time": chosen.get("size"), "sliding": chosen.get("diff")}.get(chosen["type"])
    kind = "sessions" if chosen["type"] == "session" else "windowed"
    types = Types(WindowedType(source.types.key, size), source.types.value)
    together = source.kind == "cogrouped"
    handle = replace(source, kind=f"{'cogrouped ' if together else ''}{kind}", types=types, closes=True, plain=False)
    emit = "close" if not together and drawing.chance(0.35) else "update"
    return drawing.append(handle, "windowedBy", **{"from": source}, window=chosen, emit=emit)


def aggregated(drawing: Drawing, source: Handle) -> Handle:
    """A table over a group, windowed or not."""
    tables = source.kind == "grouped table"
    stored = drawing.stored(versioned=0.0 if source.closes else versions(source))
    table_handle = replace(source, kind="table", null_keys=False, versioned="versionedMs" in stored)
    if source.kind.startswith("cogrouped"):
        verb = "aggregate"
    else:
        verb = drawing.choice(("count", "reduce", "aggregate"))
    if verb == "count":
        handle = reshaped(table_handle, Types(source.types.key, "long"), "number", nulls=source.closes)
        return drawing.append(handle, "count", **{"from": source}, **stored)
    if verb == "reduce" and (source.types.value == "string" or (source.types.value in NUMBERS and not source.nulls)):
        return drawing.append(table_handle, "reduce", **{"from": source}, **reducers(source, tables), **stored)
    return folded(drawing, source, table_handle, stored)


def reducers(source: Handle, tables: bool) -> dict[str, str]:
    if source.types.value == "string":
        return {"add": "concat:+", "remove": "concat:-"} if tables else {"fn": "concat:+"}
    return {"add": "add", "remove": "subtract"} if tables else {"fn": "add"}


def folded(drawing: Drawing, source: Handle, table_handle: Handle, stored: Mapping[str, Any]) -> Handle:
    """An aggregate with an initializer."""
    fields: dict[str, Any] = {}
    summed = numeric(replace(source, kind="stream")) and source.types.value != "double" and drawing.chance(0.4)
    if source.kind in ("grouped", "windowed") and summed:
        fields = {"init": 0, "add": "sumParsed"}
    elif source.kind == "grouped table":
        fields = {"init": "", "add": "append", "remove": "removeAll"}
        if drawing.chance(0.5):
            fields = {"init": "0", "add": "concat:+", "remove": "concat:-"}
    elif source.kind.startswith("cogrouped"):
        fields = {"init": drawing.choice(("", "0"))}
    else:
        fields = {"init": drawing.choice(("", "0")), "add": drawing.choice(("concat:+", "append"))}
    if source.kind.endswith("sessions"):
        fields["merger"] = "concat:&"
    types = Types(source.types.key, "int" if fields["init"] == 0 else "string")
    handle = reshaped(table_handle, types, "mixed" if types.value == "string" else "number")
    return drawing.append(handle, "aggregate", **{"from": source}, **fields, **stored)


def stream_aggregate(drawing: Drawing) -> Handle | None:
    group = drawing.pick("grouped") if drawing.chance(0.1) else grouped(drawing)
    if not group:
        return None
    if drawing.chance(0.6):
        group = windowed(drawing, group)
    result = aggregated(drawing, group)
    if result.closes and drawing.chance(0.3):
        return drawing.append(result, "suppress", **{"from": result}, until="windowCloses")
    return result


def cogroup(drawing: Drawing) -> Handle | None:
    first = drawing.pick("stream")
    if not first:
        return None
    groups = []
    for _ in range(drawing.choice((1, 2, 2, 3))):
        group = grouped(drawing, first) if not groups or drawing.chance(0.3) else None
        if group is None:
            key = groups[0].types.key
            other = drawing.pick("stream", where=lambda handle: handle.types.key == key)
            if other is None and not isinstance(key, WindowedType):
                other = stream(drawing, types=(key, "string"))
            if other is None:
                continue
            group = drawing.append(replace(other, kind="grouped"), "groupByKey", **{"from": other})
        if not groups or group.types.key == groups[0].types.key:
            groups.append(group)
    streams = [{"from": group.id, "add": drawing.choice(("append", "concat:+", "concat:-"))} for group in groups]
    drawing.used.update(group.id for group in groups)
    handle = replace(groups[0], kind="cogrouped", types=Types(groups[0].types.key, "string"), nulls=True)
    handle = drawing.append(handle, "cogroup", streams=streams)
    return aggregated(drawing, windowed(drawing, handle) if drawing.chance(0.5) else handle)


# Tables


def streamed(drawing: Drawing) -> Handle | None:
    source = drawing.pick("table")
    if not source:
        return None
    handle = replace(source, kind="stream", versioned=False, closes=False)
    return drawing.append(handle, "toStream", **{"from": source})


def table_aggregate(drawing: Drawing) -> Handle | None:
    source = drawing.pick("table")
    if not source:
        return None
    names = [name for name in pair_mappers(drawing, source) if name != "valueAsKeyAndValueWithNulls" or source.plain]
    name = drawing.choice(names)
    types = functions.MAPPERS[name].types(source.types)
    handle = reshaped(source, types, kind="grouped table", plain=False, closes=False, nulls=False)
    return aggregated(drawing, drawing.append(handle, "groupBy", **{"from": source}, fn=name))


def suppressed(drawing: Drawing) -> Handle | None:
    source = drawing.pick("table", where=lambda handle: not handle.versioned or drawing.chance(0.03))
    if not source:
        return None
    if source.closes and drawing.chance(0.5):
        return drawing.append(source, "suppress", **{"from": source}, until="windowCloses")
    limits = {"maxRecords": drawing.choice((1, 2, 3))} if drawing.chance(0.4) else {}
    wait = 0 if drawing.chance(0.15) else drawing.duration(2, 8, 30, 1000)
    return drawing.append(source, "suppress", **{"from": source}, until="timeLimit", ms=wait, **limits)


# Joins


def joiner(drawing: Drawing) -> str:
    chosen: str = drawing.choice(("concat:+", "concat:-", "concat:|", "pair"))
    return chosen


def joined(left: Handle, **changes: Any) -> Handle:
    return replace(left, types=Types(left.types.key, "string"), flavour="mixed", nulls=left.kind == "table", **changes)


def stream_join(drawing: Drawing) -> Handle | None:
    left = drawing.pick("stream")
    if not left or drawing.growth >= 4:
        return None
    drawing.growth += 1
    right = left if drawing.chance(0.12) else drawing.pick("stream", where=lambda other: same_keys(left, other))
    if (right is None or right == left or drawing.chance(0.3)) and not isinstance(left.types.key, WindowedType):
        right = stream(drawing, types=(left.types.key, drawing.choice(("string", "string", "int"))))
    if right is None:
        return None
    op = drawing.choice(("join", "leftJoin", "outerJoin"))
    handle = joined(left, null_keys=left.null_keys or right.null_keys)
    return drawing.append(handle, op, left=left, right=right, window=join_window(drawing), joiner=joiner(drawing))


def join_window(drawing: Drawing) -> dict[str, int]:
    grace = 0 if drawing.chance(0.4) else drawing.duration(1, 5, 20, 100)
    if drawing.chance(0.08):
        given = {"grace": grace} if drawing.chance(0.5) else {"grace": 86_400_000}
        return {"legacyOf": drawing.duration(1, 5, 10), **given}
    width = drawing.duration(0, 1, 4, 10, 15, 60)
    if drawing.chance(0.6):
        return {"before": width, "after": width, "grace": grace}
    other = drawing.duration(0, 2, 5, 12, 30)
    if drawing.chance(0.25) and width > 0:
        other = -drawing.random.randint(0, width)
    before, after = (width, other) if drawing.chance(0.5) else (other, width)
    return {"before": before, "after": after, "grace": grace}


def same_keys(left: Handle, right: Handle) -> bool:
    return left.types.key == right.types.key


def stream_table_join(drawing: Drawing) -> Handle | None:
    left = drawing.pick("stream")
    if not left:
        return None
    plain_key = not isinstance(left.types.key, WindowedType)
    if drawing.chance(0.2) and plain_key and not any("graceMs" in each for each in drawing.operations):
        right = table(drawing, types=(left.types.key, "string"), versioned=True)
        grace = {"graceMs": drawing.duration(0, 1, 2, 6, 20)}
    else:
        found = drawing.pick("table", where=lambda other: same_keys(left, other))
        if found is None and plain_key:
            found = table(drawing, types=(left.types.key, drawing.choice(("string", "long"))))
        if found is None:
            return None
        right, grace = found, {}
    op = drawing.choice(("join", "leftJoin"))
    return drawing.append(joined(left), op, left=left, right=right, joiner=joiner(drawing), **grace)


def stream_global_join(drawing: Drawing) -> Handle | None:
    left = drawing.pick("stream")
    if not left:
        return None
    name = drawing.choice(key_selectors(drawing, left))
    key = functions.selector(name).types(left.types).key
    if isinstance(key, WindowedType):
        return None
    right = drawing.pick("global", where=lambda other: other.types.key == key)
    if right is None:
        right = global_table(drawing, key)
    op = drawing.choice(("join", "leftJoin"))
    fields = {"keySelector": name, "joiner": joiner(drawing)}
    return drawing.append(joined(left), op, left=left, right=right, **fields)


def table_join(drawing: Drawing) -> Handle | None:
    left = drawing.pick("table")
    if not left:
        return None
    right = drawing.pick("table", where=lambda other: same_keys(left, other) and (other != left or drawing.chance(0.2)))
    if right is None and not isinstance(left.types.key, WindowedType):
        right = table(drawing, types=(left.types.key, drawing.choice(("string", "int"))))
    if right is None:
        return None
    op = drawing.choice(("join", "leftJoin", "outerJoin"))
    stored = drawing.stored(versioned=versions(left))
    handle = joined(left, closes=False, versioned="versionedMs" in stored)
    return drawing.append(handle, op, left=left, right=right, joiner=joiner(drawing), **stored)


def foreign_key_join(drawing: Drawing) -> Handle | None:
    left = drawing.pick("table", where=lambda handle: not isinstance(handle.types.value, WindowedType))
    if not left:
        return None
    name = "splitSecond:|" if left.types.value == "string" and drawing.chance(0.85) else "value"
    key = functions.selector(name).types(left.types).key
    right = drawing.pick("table", where=lambda other: other.types.key == key)
    if right is None or drawing.chance(0.3):
        right = table(drawing, types=(key, "string"))
    op = drawing.choice(("join", "leftJoin"))
    stored = drawing.stored(versioned=versions(left))
    fields = {"foreignKey": name, "joiner": joiner(drawing), **stored}
    handle = joined(left, closes=False, versioned="versionedMs" in stored)
    return drawing.append(handle, op, left=left, right=right, **fields)


STEPS: tuple[tuple[Callable[[Drawing], Handle | None], int], ...] = (
    (stream, 3),
    (table, 3),
    (filtered, 5),
    (values_mapped, 3),
    (mapped, 4),
    (flat_mapped, 3),
    (rekeyed, 5),
    (merged, 4),
    (split, 3),
    (repartitioned, 3),
    (made_table, 5),
    (through_topic, 1),
    (stream_aggregate, 14),
    (cogroup, 4),
    (streamed, 6),
    (table_aggregate, 6),
    (suppressed, 4),
    (stream_join, 8),
    (stream_table_join, 7),
    (stream_global_join, 3),
    (table_join, 8),
    (foreign_key_join, 6),
)


def sinks(drawing: Drawing) -> None:
    """Writes out what nothing else took up, and at times what something did."""
    leaves = [handle for handle in drawing.handles if handle.kind in ("stream", "table")]
    open_ends = [handle for handle in leaves if handle.id not in drawing.used]
    taken = [handle for handle in leaves if handle.id in drawing.used and drawing.chance(0.1)]
    for number, handle in enumerate((open_ends[-5:] + taken)[:6]):
        last = handle
        if handle.kind == "table":
            last = drawing.append(replace(handle, kind="stream"), "toStream", **{"from": handle})
        drawing.operations.append({"op": "to", "from": last.id, "topic": f"out-{number}"})


def config(random: Random) -> dict[str, Any]:
    """Settings: caches off, small, large or Kafka's default; optimization off, on or in part."""
    settings: dict[str, Any] = {}
    match random.random():
        case draw if draw < 0.35:
            settings["cache_max_bytes"] = 0
        case draw if draw < 0.55:
            settings["cache_max_bytes"] = random.choice((1, 100, 200, 400, 1000))
        case draw if draw < 0.65:
            settings["cache_max_bytes"] = 10 * 1024 * 1024
    if random.random() < 0.5:
        settings["topology_optimization"] = "all" if random.random() < 0.8 else random.choice(OPTIMIZATIONS)
    if random.random() < 0.05:
        settings["upgrade_from"] = "3.3"
    return settings


def draw(random: Random) -> Drawing:
    """A random topology, from a single step to some fifteen."""
    drawing = Drawing(random, unit_ms=random.choice(TIME_UNITS))
    steps, weights = zip(*STEPS, strict=True)
    if drawing.chance(0.6):
        stream(drawing)
    else:
        table(drawing)
    wanted = random.choice((1, 2, 2, 3, 3, 4, 5, 6, 8, 10))
    for _ in range(wanted * 4):
        if wanted <= 0:
            break
        (step,) = random.choices(steps, weights)
        wanted -= step(drawing) is not None
    sinks(drawing)
    return drawing
