"""How a repartition is named: its topic, and the filter, sink and source around it.

Source: Kafka's KStreamImpl.createRepartitionedSource, which burns three numbers even where names are given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.graph.names import Names, is_generated
from streams.graph.nodes import Repartition, Serdes

__all__ = ["REPARTITION_SUFFIX", "repartition_node"]

REPARTITION_SUFFIX = "-repartition"


def repartition_node(
    names: Names,
    prefix: str,
    serdes: Serdes,
    *,
    parent: str,
    partitions: int | None = None,
    partitioner: Callable[..., Any] | None = None,
    explicit: bool = False,
) -> Repartition:
    """A repartition of a stream behind `parent`, through the topic `prefix`-repartition."""
    topic = prefix if prefix.endswith(REPARTITION_SUFFIX) else prefix + REPARTITION_SUFFIX
    sink, filtering, source = (names.processor(f"KSTREAM-{kind}-") for kind in ("SINK", "FILTER", "SOURCE"))
    if not is_generated(prefix):
        sink, filtering, source = f"{topic}-sink", f"{topic}-filter", f"{topic}-source"
    return Repartition(
        name=source,
        parents=(parent,),
        serdes=serdes,
        topic=topic,
        filter=filtering,
        sink=sink,
        partitions=partitions,
        partitioner=partitioner,
        explicit=explicit,
        optimizable=not explicit,
    )
