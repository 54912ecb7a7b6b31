"""Random cases of the case format, by seed."""

from __future__ import annotations

from collections.abc import Container
from random import Random
from typing import Any

from tests.differential import inputs, topologies
from tests.differential.drawing import Drawing
from tests.oracle import functions

BOUNDED = 0.1
"""How many cases have stores of so many entries."""
RAISING = 0.08
"""How many have functions that raise, and go on."""
EXTRACTING = 0.1
"""How many have sources that find their times in their records."""
LETTERS = 0.5
"""How many of those that raise write dead letters."""
PUNCTUATING = 0.5
"""How many have punctuators that do more than to put out entries, where there are any."""
ROUTING = 0.1
"""How many have sinks that choose a topic for each record."""
TRANSFORMING = 0.15
"""How many have transformers and processors in place of some functions that map values."""
WAITING = 0.06
"""How many wait for topics without records."""
FUNCTIONS = ("fn", "add", "remove", "merger", "joiner", "foreignKey", "keySelector")


def chance(share: float, seed: str) -> Random | None:
    """Chance of its own, for such a share of the cases: what others draw stays what it was."""
    random = Random(seed)
    return random if random.random() < share else None


def case_of(seed: int) -> dict[str, Any]:
    """The case of a seed, without outputs."""
    random = Random(seed)
    config = topologies.config(random)
    bounds = Random(f"bounds of {seed}")  # of its own: other cases stay what they were
    drawing = topologies.draw(random, bounded=bounds.random() < BOUNDED)
    bound_stores(drawing, bounds)
    if raises := chance(RAISING, f"what {seed} raises"):
        config["processing_on_error"] = "continue"
        have_raise(drawing.operations, raises)
        if chance(LETTERS, f"what {seed} buries"):
            config["errors_dead_letter_queue_topic_name"] = "dead"
    if transforms := chance(TRANSFORMING, f"what {seed} transforms"):
        have_transform(drawing.operations, transforms)
    if extracts := chance(EXTRACTING, f"what {seed} extracts"):
        have_extract(drawing.operations, extracts, drawing.unit_ms)
    if routes := chance(ROUTING, f"where {seed} routes"):
        have_route(drawing.operations, routes)
    if punctuates := chance(PUNCTUATING, f"when {seed} punctuates"):
        have_punctuate(drawing.operations, punctuates, drawing.unit_ms)
    closing = any(
        each.get("emit") == "close" for each in drawing.operations
    )  # Kafka then reads every window since 1970
    case = {
        "id": f"seed-{seed}",
        "config": config,
        "types": {name: list(topic.types) for name, topic in drawing.topics.items()},
        "topology": drawing.operations,
        "bytes": True,
        "steps": inputs.steps(random, drawing.topics, drawing.unit_ms, today=not closing, wide=drawing.wide),
    }
    waits = Random(f"how {seed} waits")  # likewise
    return waiting(case, waits) if waits.random() < WAITING else case


def waiting(case: dict[str, Any], random: Random) -> dict[str, Any]:
    """The case with a task that idles, and a clock that moves between the records, and in the end for all of them."""
    steps = []
    for step in case["steps"]:
        steps += [step, {"clock": random.choice((1, 3, 5, 20, 50, 150))}] if random.random() < 0.4 else [step]
    config = {**case["config"], "max_task_idle_ms": random.choice((5, 20, 100))}
    return {**case, "config": config, "steps": [*steps, *[{"clock": 1_000}] * 4]}


def bound_stores(drawing: Drawing, random: Random) -> None:
    """Give most of the named stores of a bounded case room for a few entries, often fewer than there are keys."""
    names = {name for name, _ in drawing.tables} if drawing.bounded else set()
    for operation in drawing.operations:
        if operation.get("store") in names and operation["op"] not in ("process", "addStore") and random.random() < 0.8:
            operation["maxEntries"] = random.choice((1, 1, 2, 2, 3, 4))


def have_raise(operations: list[dict[str, Any]], random: Random) -> None:
    """Have some of the functions of a case raise for some of their arguments, where Kafka bears that."""
    sessions = {each["from"] for each in operations if each.get("window", {}).get("type") == "session"}
    sessions |= {each["id"] for each in operations if each.get("from") in sessions and each["op"] == "windowedBy"}
    for operation in operations:
        left_out = left_alone(operation, sessions)
        for each in (operation, *operation.get("streams", ()), *operation.get("branches", ())):
            for field in FUNCTIONS:
                if field in each and field not in left_out and random.random() < 0.4:
                    each[field] = functions.RAISING + each[field]


def have_transform(operations: list[dict[str, Any]], random: Random) -> None:
    """Have transformers of tables, and processors of streams, map values in place of functions, some of them by a count."""
    for operation in operations:
        if operation["op"] == "mapValues" and random.random() < 0.7:
            operation["op"] = "transformValues"
            if random.random() < 0.5:
                operation["counts"] = True


def have_extract(operations: list[dict[str, Any]], random: Random, unit_ms: int) -> None:
    """Have sources take their times from extractors: other ones, some of them negative, and those of their partition.

    Global tables are left alone: Kafka does not ask theirs, see docs/from-kafka-streams.md.
    """
    for operation in operations:
        if operation["op"] in ("stream", "table") and random.random() < 0.6:
            multiple = random.choice((1, 3, 10, -1, -3, -10))
            operation["extractor"] = f"{random.choice(('plus', 'length', 'partition'))}:{multiple * unit_ms}"


def have_route(operations: list[dict[str, Any]], random: Random) -> None:
    """Have sinks that nobody reads from choose between two topics."""
    for operation in operations:
        if operation["op"] == "to" and operation["topic"].startswith("out-") and random.random() < 0.7:
            operation["route"] = random.choice(("key", "value", "offset", "time", "headers", "topic"))


def have_punctuate(operations: list[dict[str, Any]], random: Random, unit_ms: int) -> None:
    """Have punctuators begin later, end, and delete what they have put out."""
    for operation in operations:
        if operation.get("do") not in ("later", "tick"):
            continue
        if random.random() < 0.3:
            operation["times"] = random.choice((1, 2))
        if random.random() < 0.3:
            operation["clears"] = True
        if random.random() < 0.3:
            operation["inside"] = True
        if random.random() < 0.4:
            operation["start"] = random.choice((0, 1, 2, 7, 30)) * unit_ms


def left_alone(operation: dict[str, Any], sessions: Container[str]) -> tuple[str, ...]:
    """The functions of an operation whose errors do Kafka more harm than to lose a record: see docs/from-kafka-streams.md.

    `sessions` are what is grouped, or windowed, for aggregates over sessions.
    """
    if "graceMs" in operation or ("window" in operation and operation["op"] in {"leftJoin", "outerJoin"}):
        return ("joiner",)
    in_sessions = operation.get("from") in sessions or operation.get("id") in sessions
    return ("fn", "add") if in_sessions and operation["op"] in {"aggregate", "cogroup", "reduce"} else ()
