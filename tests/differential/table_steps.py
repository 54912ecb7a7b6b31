"""Steps that give or take tables: groups, windows, aggregates, suppress, and joins of tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from streams.operators.window_aggregate import UNLIMITED_END_MS
from tests.differential.drawing import (
    NUMBERS,
    Drawing,
    Handle,
    joined,
    joiner,
    key_selectors,
    numeric,
    pair_mappers,
    reshaped,
    same_keys,
    stream,
    table,
    versions,
)
from tests.oracle import functions
from tests.oracle.functions import Types, WindowedType

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
    if drawing.wide and drawing.chance(0.1):
        return {"type": "unlimited", "start": 0 if drawing.chance(0.5) else drawing.duration(1, 10)}
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
    size = {"time": chosen.get("size"), "sliding": chosen.get("diff"), "unlimited": UNLIMITED_END_MS}.get(
        chosen["type"]
    )
    kind = "sessions" if chosen["type"] == "session" else "windowed"
    types = Types(WindowedType(source.types.key, size), source.types.value)
    together = source.kind == "cogrouped"
    closes = chosen["type"] != "unlimited"
    handle = replace(source, kind=f"{'cogrouped ' if together else ''}{kind}", types=types, closes=closes, plain=False)
    emit = "close" if not together and closes and drawing.chance(0.35) else "update"
    return drawing.append(handle, "windowedBy", **{"from": source}, window=chosen, emit=emit)


def aggregated(drawing: Drawing, source: Handle) -> Handle:
    """A table over a group, windowed or not."""
    tables = source.kind == "grouped table"
    stored = drawing.stored(versioned=0.0 if source.closes else versions(source))
    if source.closes and drawing.wide and drawing.chance(0.4):
        stored["retention"] = drawing.duration(200, 1000, 200_000)
    table_handle = replace(source, kind="table", null_keys=False, versioned="versionedMs" in stored)
    verb = "aggregate" if source.kind.startswith("cogrouped") else drawing.choice(("count", "reduce", "aggregate"))
    if verb == "count":
        handle = reshaped(table_handle, Types(source.types.key, "long"), "number", nulls=source.closes)
        return drawing.append(handle, "count", **{"from": source}, **stored)
    if verb == "reduce" and (source.types.value == "string" or (source.types.value in NUMBERS and not source.nulls)):
        fields = reducers(drawing, source, tables)
        return drawing.append(replace(table_handle, nulls=True), "reduce", **{"from": source}, **fields, **stored)
    return folded(drawing, source, table_handle, stored)


def reducers(drawing: Drawing, source: Handle, tables: bool) -> dict[str, str]:
    if source.types.value == "string":
        add, remove = (drawing.choice(("concat:", "concat:", "concatOrNull:")) for _ in range(2))
        return {"add": add + "+", "remove": remove + "-"} if tables else {"fn": add + "+"}
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
        if drawing.chance(0.2):
            fields = {"init": "0", "add": "concatOrNull:+", "remove": drawing.choice(("concat:-", "concatOrNull:-"))}
    elif source.kind.startswith("cogrouped"):
        fields = {"init": drawing.choice(("", "0"))}
    else:
        fields = {"init": drawing.choice(("", "0")), "add": drawing.choice(("concat:+", "append", "concatOrNull:+"))}
    if source.kind.endswith("sessions"):
        fields["merger"] = drawing.choice(("concat:&", "concat:&", "concatOrNull:&"))
    types = Types(source.types.key, "int" if fields["init"] == 0 else "string")
    text = types.value == "string"
    handle = reshaped(table_handle, types, "mixed" if text else "number", nulls=text or table_handle.nulls)
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
    opening = first and grouped(drawing, first)
    if not first or not opening:
        return None
    groups = [opening]
    for _ in range(drawing.choice((0, 1, 1, 2))):
        group = grouped(drawing, first) if drawing.chance(0.3) else joining_group(drawing, opening)
        if group is not None and group.types.key == opening.types.key:
            groups.append(group)
    streams = [
        {"from": group.id, "add": drawing.choice(("append", "concat:+", "concat:-", "concatOrNull:+"))}
        for group in groups
    ]
    drawing.used.update(group.id for group in groups)
    handle = replace(opening, kind="cogrouped", types=Types(opening.types.key, "string"), nulls=True)
    handle = drawing.append(handle, "cogroup", streams=streams)
    return aggregated(drawing, windowed(drawing, handle) if drawing.chance(0.5) else handle)


def joining_group(drawing: Drawing, opening: Handle) -> Handle | None:
    """Another stream with keys as the first of a cogroup has them, grouped."""
    key = opening.types.key
    other = drawing.pick("stream", where=lambda handle: handle.types.key == key)
    if other is None and not isinstance(key, WindowedType):
        other = stream(drawing, types=(key, "string"))
    return other and drawing.append(replace(other, kind="grouped"), "groupByKey", **{"from": other})


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
    limits = {"maxRecords": drawing.choice((1, 2, 3, 5))} if drawing.chance(0.4) else {}
    if drawing.wide and drawing.chance(0.4):
        limits = {"maxBytes": drawing.choice((1, 60, 100, 150, 250, 500))}
    wait = 0 if drawing.chance(0.15) else drawing.duration(2, 8, 30, 1000, 100_000)
    return drawing.append(source, "suppress", **{"from": source}, until="timeLimit", ms=wait, **limits)


# Joins


def table_join(drawing: Drawing, left: Handle | None = None, right: Handle | None = None) -> Handle | None:
    left = left or drawing.pick("table")
    if not left:
        return None
    right = right or drawing.pick(
        "table", where=lambda other: same_keys(left, other) and (other != left or drawing.chance(0.2))
    )
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
