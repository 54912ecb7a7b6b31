"""Random cases of the case format, by seed."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.differential import inputs, topologies


def case_of(seed: int) -> dict[str, Any]:
    """The case of a seed, without outputs."""
    random = Random(seed)
    config = topologies.config(random)
    drawing = topologies.draw(random)
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
