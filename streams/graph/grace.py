"""How long the windows of a table accept late records: looked up among the nodes above it.

Source: Kafka's GraphGraceSearchUtil.
"""

from __future__ import annotations

from streams.errors import TopologyError
from streams.graph.graph import Graph
from streams.graph.nodes import Aggregate
from streams.graph.windows import grace_of

__all__ = ["window_grace_ms"]


def window_grace_ms(graph: Graph, name: str) -> int:
    """The longest wait, in ms, until a window above a node can change no more.

    Raises: TopologyError when a way up ends without a windowed aggregate.
    """
    node = graph[name]
    if isinstance(node, Aggregate) and node.windows is not None:
        return grace_of(node.windows)
    if not node.fed_by:
        raise TopologyError(
            f"suppress until_window_closes: there are no windows above it, up to {name}: "
            "use it on a windowed aggregate, or until_time_limit elsewhere"
        )
    return max(window_grace_ms(graph, parent) for parent in node.fed_by)
