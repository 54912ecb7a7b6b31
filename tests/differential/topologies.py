"""Draws random topologies in the case format: lists of operations that name functions and earlier results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from tests.differential.drawing import OPTIMIZATIONS, TIME_UNITS, Drawing, Handle, stream, table
from tests.differential.processor_steps import processed
from tests.differential.stream_steps import (
    filtered,
    flat_mapped,
    made_table,
    mapped,
    merged,
    rekeyed,
    repartitioned,
    split,
    stream_global_join,
    stream_join,
    stream_table_join,
    through_topic,
    values_mapped,
)
from tests.differential.table_steps import (
    cogroup,
    foreign_key_join,
    stream_aggregate,
    streamed,
    suppressed,
    table_aggregate,
    table_join,
)
from tests.oracle.functions import Types, WindowedType


def fork(drawing: Drawing) -> Handle | None:
    """Two ways from one result, of a step or two each, that meet again."""
    source = drawing.pick("stream", "table", where=lambda handle: not isinstance(handle.types.key, WindowedType))
    if source is None:
        return None
    ways = [along(drawing, source, WAYS, drawing.choice((0, 1, 1, 2))) for _ in range(2)]
    left, right = ways if drawing.chance(0.5) else reversed(ways)
    if left.types.key != right.types.key:
        return left
    match left.kind, right.kind:
        case "stream", "stream":
            same = left.types == right.types and drawing.chance(0.6)
            return merged(drawing, left, right) if same else stream_join(drawing, left, right)
        case "table", "table":
            return table_join(drawing, left, right)
        case "stream", "table":
            return stream_table_join(drawing, left, right)
        case _:
            return stream_table_join(drawing, right, left)


def chain(drawing: Drawing) -> Handle | None:
    """Several steps in a row, each taking up the one before."""
    source = drawing.pick("stream", "table")
    return source and along(drawing, source, LINKS, drawing.choice((3, 4, 6)))


def along(drawing: Drawing, handle: Handle, steps: Sequence[Step], count: int) -> Handle:
    """That many steps, each from the one before, where they fit."""
    for _ in range(count):
        drawing.focus = handle
        result = drawing.choice(steps)(drawing)
        drawing.focus = None
        handle = result if result is not None and result.kind in ("stream", "table") else handle
    return handle


WIDE = 0.3
"""How many of the cases may go beyond the case format."""

Step = Callable[[Drawing], Handle | None]

WAYS: Sequence[Step] = (
    filtered,
    filtered,
    values_mapped,
    mapped,
    rekeyed,
    flat_mapped,
    repartitioned,
    made_table,
    stream_aggregate,
    streamed,
    table_aggregate,
    suppressed,
)
LINKS: Sequence[Step] = (
    *WAYS,
    made_table,
    stream_aggregate,
    stream_join,
    stream_table_join,
    table_join,
    foreign_key_join,
    table_aggregate,
    cogroup,
)

STEPS: tuple[tuple[Step, int], ...] = (
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
    (fork, 8),
    (chain, 3),
)


def sinks(drawing: Drawing) -> None:
    """Writes out what nothing else took up, and at times what something did.

    Often several results go to one topic, which then shows the order in which branches are visited.
    """
    leaves = [handle for handle in drawing.handles if handle.kind in ("stream", "table")]
    open_ends = [handle for handle in leaves if handle.id not in drawing.used]
    taken = [handle for handle in leaves if handle.id in drawing.used and drawing.chance(0.1)]
    together = drawing.chance(0.4)
    topics: dict[Types, str] = {}
    for number, handle in enumerate((open_ends[-5:] + taken)[:6]):
        last = handle
        if handle.kind == "table":
            last = drawing.append(replace(handle, kind="stream"), "toStream", **{"from": handle})
        topic = f"out-{number}"
        topic = topics.setdefault(handle.types, topic) if together else topic
        drawing.operations.append({"op": "to", "from": last.id, "topic": topic})


def config(random: Random) -> dict[str, Any]:
    """Settings: caches off, small, large or Kafka's default; optimization off, on or in part."""
    settings: dict[str, Any] = {}
    match random.random():
        case draw if draw < 0.35:
            settings["cache_max_bytes"] = 0
        case draw if draw < 0.55:
            settings["cache_max_bytes"] = random.choice((1, 100, 200, 300, 400, 700, 1000, 3000))
        case draw if draw < 0.65:
            settings["cache_max_bytes"] = 10 * 1024 * 1024
    if random.random() < 0.5:
        settings["topology_optimization"] = optimization(random)
    if random.random() < 0.06:
        settings["dsl_store_format"] = "HEADERS"
    if random.random() < 0.05:
        settings["upgrade_from"] = random.choice(("2.8", "3.3", "3.4", "3.5", "3.9"))
    return settings


def optimization(random: Random) -> str:
    """All, none, one, or a list."""
    if random.random() < 0.75:
        return "all"
    count = random.choice((0, 1, 1, 2))
    return ",".join(random.sample(OPTIMIZATIONS, count)) or "none"


def draw(random: Random, *, bounded: bool = False) -> Drawing:
    """A random topology, from a single step to some thirty."""
    drawing = Drawing(random, unit_ms=random.choice(TIME_UNITS), wide=random.random() < WIDE, bounded=bounded)
    steps, weights = zip(*STEPS, strict=True)
    if drawing.chance(0.6):
        stream(drawing)
    else:
        table(drawing)
    wanted = random.choice((1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 14))
    for _ in range(wanted * 4):
        if wanted <= 0:
            break
        (step,) = [processed] if drawing.wide and drawing.chance(0.3) else random.choices(steps, weights)
        wanted -= step(drawing) is not None
    sinks(drawing)
    return drawing
