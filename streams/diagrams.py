"""A topology as text, as a Mermaid flowchart, as a Graphviz digraph, and as a picture (SVG)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from streams.svg_drawing import svg
from streams.topology.nodes import SinkNode, SourceNode, TopologyNode
from streams.topology.topology import Topology


def text(topology: Topology) -> str:
    """Kafka's own description."""
    return topology.describe()


def mermaid(topology: Topology) -> str:
    """A Mermaid flowchart: topics as cylinders' ends, processors as boxes, one subgraph per sub-topology."""
    lines = ["flowchart TD"]
    for part in topology.subtopologies:
        lines.append(f'  subgraph sub{part.id}["Sub-topology {part.id}"]')
        lines.extend(f'    {_identifier(name)}["{name}"]' for name in part.nodes)
        lines.append("  end")
    lines.extend(f'  {_identifier("topic " + topic)}[("{topic}")]' for topic in _topics(topology))
    lines.extend(f"  {_identifier(start)} --> {_identifier(end)}" for start, end in _edges(topology))
    return "\n".join(lines)


def dot(topology: Topology) -> str:
    """A Graphviz digraph, to be drawn by `dot -Tsvg`."""
    lines = ["digraph topology {", "  rankdir=TB;", '  node [shape=box, fontname="sans-serif"];']
    for part in topology.subtopologies:
        lines.append(f'  subgraph cluster_{part.id} {{ label="Sub-topology {part.id}";')
        lines.extend(f'    "{name}";' for name in part.nodes)
        lines.append("  }")
    lines.extend(f'  "topic {topic}" [label="{topic}", shape=cylinder];' for topic in _topics(topology))
    lines.extend(f'  "{start}" -> "{end}";' for start, end in _edges(topology))
    return "\n".join([*lines, "}"])


def json(topology: Topology) -> str:
    """The parts as one line of JSON: nodes with their kind, children, topics and stores."""
    parts = [
        {"id": part.id, "nodes": [_plain(topology.nodes[name]) for name in part.nodes]}
        for part in topology.subtopologies
    ]
    return msgspec.json.encode({"application": topology.application_id, "subtopologies": parts}).decode()


def _plain(node: TopologyNode) -> dict[str, object]:
    if isinstance(node, SourceNode):
        return {"name": node.name, "kind": "source", "topics": node.topics, "children": node.children}
    if isinstance(node, SinkNode):
        return {"name": node.name, "kind": "sink", "topic": node.topic}
    return {"name": node.name, "kind": "processor", "stores": node.stores, "children": node.children}


FORMATS: Mapping[str, Callable[[Topology], str]] = {
    "text": text,
    "svg": svg,
    "mermaid": mermaid,
    "dot": dot,
    "json": json,
}


def _nodes(topology: Topology) -> Iterator[TopologyNode]:
    return (topology.nodes[name] for part in topology.subtopologies for name in part.nodes)


def _topics(topology: Topology) -> list[str]:
    """Raw names of all topics that are read or written, in order of appearance."""
    named: dict[str, None] = {}
    for node in _nodes(topology):
        if isinstance(node, SourceNode):
            named.update(dict.fromkeys(node.topics))
        elif isinstance(node, SinkNode) and node.topic:
            named[node.topic] = None
    return list(named)


def _edges(topology: Topology) -> Iterator[tuple[str, str]]:
    """Node to node, topic to source, sink to topic; topics as "topic NAME"."""
    for node in _nodes(topology):
        if isinstance(node, SourceNode):
            yield from ((f"topic {topic}", node.name) for topic in node.topics)
        if isinstance(node, SinkNode):
            if node.topic:
                yield node.name, f"topic {node.topic}"
        else:
            yield from ((node.name, child) for child in node.children)


def _identifier(name: str) -> str:
    """A name that Mermaid takes as identifier; distinct names stay distinct."""
    return "".join(each if each.isalnum() and each.isascii() else f"_{ord(each):x}_" for each in name)
