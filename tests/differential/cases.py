"""Random cases of the case format, by seed."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.differential import inputs, topologies
from tests.differential.drawing import Drawing

BOUNDED = 0.1
"""How many cases have stores of so many entries."""


def case_of(seed: int) -> dict[str, Any]:
    """The case of a seed, without outputs."""
    random = Random(seed)
    config = topologies.config(random)
    bounds = Random(f"bounds of {seed}")  # of its own: other cases stay what they were
    drawing = topologies.draw(random, bounded=bounds.random() < BOUNDED)
    bound_stores(drawing, bounds)
    closing = any(
        each.get("emit") == "close" for each in drawing.operations
    )  # Kafka then reads every window since 1970
    return {
        "id": f"seed-{seed}",
        "config": config,
        "types": {name: list(topic.types) for name, topic in drawing.topics.items()},
        "topology": drawing.operations,
        "bytes": True,
        "steps": inputs.steps(random, drawing.topics, drawing.unit_ms, today=not closing, wide=drawing.wide),
    }


def bound_stores(drawing: Drawing, random: Random) -> None:
    """Give most of the named stores of a bounded case room for a few entries, often fewer than there are keys."""
    names = {name for name, _ in drawing.tables} if drawing.bounded else set()
    for operation in drawing.operations:
        if operation.get("store") in names and operation["op"] not in ("process", "addStore") and random.random() < 0.8:
            operation["maxEntries"] = random.choice((1, 1, 2, 2, 3, 4))
