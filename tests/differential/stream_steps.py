"""Steps that begin at a stream: stateless ones, and joins. Each gives the new result, or None where it does not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.differential.drawing import (
    NUMBERS,
    Drawing,
    Handle,
    global_table,
    joined,
    joiner,
    kept,
    key_selectors,
    numeric,
    pair_mappers,
    predicates,
    reshaped,
    same_keys,
    stream,
    table,
    versions,
)
from tests.oracle import functions
from tests.oracle.functions import Types, WindowedType

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
    name = "toInt" if numeric(source) and drawing.chance(0.7) else drawing.choice(("identity", "orNull"))
    types = functions.VALUE_MAPPERS[name].types(source.types)
    stored = drawing.stored(0.3, 0.15, versioned=versions(source)) if source.kind == "table" else {}
    nulls = source.nulls or name == "orNull"
    handle = reshaped(source, types, versioned=kept(source, stored), nulls=nulls)
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
    handle = reshaped(source, types, null_keys=name != "key" or source.null_keys, plain=source.plain and name == "key")
    return drawing.append(handle, "selectKey", **{"from": source}, fn=name)


def merged(drawing: Drawing, left: Handle | None = None, right: Handle | None = None) -> Handle | None:
    left = left or drawing.pick("stream")
    right = right or (left and drawing.pick("stream", where=lambda other: other.types == left.types))
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


# Joins


def stream_join(drawing: Drawing, left: Handle | None = None, right: Handle | None = None) -> Handle | None:
    left = left or drawing.pick("stream")
    if not left or drawing.growth >= 4:
        return None
    drawing.growth += 1
    right = right or other_side(drawing, left)
    if right is None:
        return None
    op = drawing.choice(("join", "leftJoin", "outerJoin"))
    handle = joined(left, null_keys=left.null_keys or right.null_keys)
    return drawing.append(handle, op, left=left, right=right, window=join_window(drawing), joiner=joiner(drawing))


def other_side(drawing: Drawing, left: Handle) -> Handle | None:
    """A stream with the same keys: the same one now and then, an earlier one, or a new one."""
    right = left if drawing.chance(0.12) else drawing.pick("stream", where=lambda other: same_keys(left, other))
    if (right is None or right == left or drawing.chance(0.3)) and not isinstance(left.types.key, WindowedType):
        return stream(drawing, types=(left.types.key, drawing.choice(("string", "string", "int"))))
    return right


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


def stream_table_join(drawing: Drawing, left: Handle | None = None, right: Handle | None = None) -> Handle | None:
    left = left or drawing.pick("stream")
    if not left:
        return None
    plain_key = not isinstance(left.types.key, WindowedType)
    joined_so = any("graceMs" in each for each in drawing.operations)  # under a name that is there once
    grace: dict[str, int] = {}
    if right is None and plain_key and drawing.chance(0.01 if joined_so else 0.2):
        right = table(drawing, types=(left.types.key, "string"), versioned=True)
        grace = {"graceMs": drawing.duration(0, 1, 2, 6, 20)}
    right = right or drawing.pick("table", where=lambda other: same_keys(left, other))
    if right is None and plain_key:
        right = table(drawing, types=(left.types.key, drawing.choice(("string", "long"))))
    if right is None:
        return None
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
