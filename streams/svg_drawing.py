"""A topology as an SVG picture: sub-topologies as boxes with their processors, and topics between them.

Two layouts of the same kind: the nodes of each sub-topology within its box, then boxes and topics as a whole. The
picture stands alone: no script, no font to load. `layered_layout` places; this module only draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

from streams.layered_layout import Layout, Point, Size, layered
from streams.topology.nodes import GlobalStore, ProcessorNode, SinkNode, SourceNode, TopologyNode
from streams.topology.topology import Topology

__all__ = ["svg"]

CHARACTER = 6.7
LINE = 15.0
PADDING = 10.0
MARGIN = 16.0
TITLE = 22.0
SIDE = 24.0
ORIGIN = Point(0, 0)
GAP, ROW_GAP = 18.0, 34.0

STYLE = """\
text { font: 11px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #1f2933; text-anchor: middle }
.title { font-weight: bold; fill: #52606d; text-anchor: start }
.part { fill: #f5f7fa; stroke: #cbd2d9 }
.node { fill: #ffffff; stroke: #7b8794 }
.source { fill: #e3f8ff; stroke: #2680c2 }
.sink { fill: #fff3c4; stroke: #de911d }
.topic { fill: #dceefb; stroke: #186faf }
.internal { fill: #ffffff; stroke: #186faf; stroke-dasharray: 4 3 }
.store { fill: #0c6b58 }
path { fill: none; stroke: #616e7c; stroke-width: 1.2; marker-end: url(#tip) }
.back { stroke-dasharray: 5 3 }"""
TIP = """\
<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">\
<polygon points="0,0 8,4 0,8" fill="#616e7c"/></marker></defs>"""


@dataclass(frozen=True, slots=True)
class Part:
    """One box: its title, its nodes' layout, and where its upper left corner is."""

    title: str
    layout: Layout
    corner: Point = ORIGIN

    @property
    def size(self) -> Size:
        """Of the box."""
        inner = self.layout.size
        title = len(self.title) * CHARACTER
        return Size(max(inner.width, title) + 2 * MARGIN, inner.height + 2 * MARGIN + TITLE)

    def place(self, point: Point) -> Point:
        """A point of the box in the picture."""
        spare = (self.size.width - 2 * MARGIN - self.layout.size.width) / 2
        return Point(self.corner.x + MARGIN + spare + point.x, self.corner.y + MARGIN + TITLE + point.y)


def svg(topology: Topology) -> str:
    """The picture of a topology."""
    parts = dict(_parts(topology))
    owners = {name: part for part, drawn in parts.items() for name in drawn.layout.centres}
    topics = {f"topic {topic}": topic for topic in _topics(topology)}
    sizes = {name: part.size for name, part in parts.items()}
    sizes |= {name: _topic_size(topic) for name, topic in topics.items()}
    reads = [(f"topic {topic}", name) for name in owners for topic in _read(topology.nodes[name])]
    writes = [(name, f"topic {topic}") for name in owners for topic in _written(topology.nodes[name])]
    edges = [(owners.get(start, start), owners.get(end, end)) for start, end in (*reads, *writes)]
    whole = layered(sizes, edges, gap=2 * GAP, row_gap=ROW_GAP + 6, low=True)
    placed = {name: _moved(part, whole.centres[name]) for name, part in parts.items()}
    points = {name: _shifted(whole.centres[name]) for name in topics}
    for part in placed.values():
        points |= {name: part.place(centre) for name, centre in part.layout.centres.items()}
    lines = [
        *(line for part in placed.values() for line in _box(part)),
        *(line for part in placed.values() for line in _arrows_within(part, topology)),
        *_arrows_between(topology, whole, points, owners, (*reads, *writes)),
        *(line for name in owners for line in _node(topology.nodes[name], points[name])),
        *(line for name, topic in topics.items() for line in _topic(topic, points[name], topology)),
    ]
    spare = SIDE if whole.turned else 0
    return _page(Size(whole.size.width + 2 * MARGIN + spare, whole.size.height + 2 * MARGIN + spare), lines)


def _parts(topology: Topology) -> Iterator[tuple[str, Part]]:
    for part in topology.subtopologies:
        nodes = {name: topology.nodes[name] for name in part.nodes}
        yield f"part {part.id}", Part(f"Sub-topology {part.id}", _inner(nodes))
    for store in topology.global_stores:
        yield f"part {store.id}", Part(f"Sub-topology {store.id}, global store", _inner(_nodes_of(store)))


def _nodes_of(store: GlobalStore) -> dict[str, TopologyNode]:
    return {store.source.name: store.source, store.processor.name: store.processor}


def _inner(nodes: Mapping[str, TopologyNode]) -> Layout:
    edges = [
        (node.name, child)
        for node in nodes.values()
        for child in (() if isinstance(node, SinkNode) else node.children)
        if child in nodes
    ]
    sinks = [name for name, node in nodes.items() if isinstance(node, SinkNode)]
    return layered(
        {name: _node_size(node) for name, node in nodes.items()}, edges, gap=GAP, row_gap=ROW_GAP, last=sinks
    )


def _moved(part: Part, centre: Point) -> Part:
    size = part.size
    corner = Point(centre.x - size.width / 2 + MARGIN, centre.y - size.height / 2 + MARGIN)
    return Part(part.title, part.layout, corner)


def _shifted(point: Point) -> Point:
    return Point(point.x + MARGIN, point.y + MARGIN)


def _topics(topology: Topology) -> list[str]:
    """Raw names of what is read or written, patterns among them, in order of appearance."""
    nodes = topology.nodes.values()
    return list(dict.fromkeys(topic for node in nodes for topic in (*_read(node), *_written(node))))


def _read(node: TopologyNode) -> tuple[str, ...]:
    if not isinstance(node, SourceNode):
        return ()
    return node.topics or (f"/{node.pattern}/",)


def _written(node: TopologyNode) -> tuple[str, ...]:
    if not isinstance(node, SinkNode):
        return ()
    return (node.topic or "chosen per record",)


def _stores(node: TopologyNode) -> tuple[str, ...]:
    return node.stores if isinstance(node, ProcessorNode) else ()


def _node_size(node: TopologyNode) -> Size:
    longest = max(map(len, (node.name, *_stores(node)))) + (2 if _stores(node) else 0)
    return Size(longest * CHARACTER + 2 * PADDING, (1 + len(_stores(node))) * LINE + PADDING)


def _topic_size(topic: str) -> Size:
    return Size(len(topic) * CHARACTER + 3 * PADDING, LINE + PADDING)


def _box(part: Part) -> Iterator[str]:
    (x, y), (width, height) = part.corner, part.size
    yield f'<rect class="part" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="8"/>'
    yield _text(Point(x + 12, y + 18), part.title, "title")


def _node(node: TopologyNode, centre: Point) -> Iterator[str]:
    width, height = _node_size(node)
    kind = "source" if isinstance(node, SourceNode) else "sink" if isinstance(node, SinkNode) else "node"
    yield _rectangle(centre, Size(width, height), kind, 4)
    first = centre.y - height / 2 + PADDING / 2 + 11
    yield _text(Point(centre.x, first), node.name)
    for line, store in enumerate(_stores(node), 1):
        yield _text(Point(centre.x, first + line * LINE), f"[{store}]", "store")


def _topic(topic: str, centre: Point, topology: Topology) -> Iterator[str]:
    size = _topic_size(topic)
    yield _rectangle(centre, size, "internal" if topic in topology.internal_topics else "topic", size.height / 2)
    yield _text(Point(centre.x, centre.y + 4), topic)


def _rectangle(centre: Point, size: Size, kind: str, radius: float) -> str:
    x, y = centre.x - size.width / 2, centre.y - size.height / 2
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{size.width:.1f}" height="{size.height:.1f}" '
        f'rx="{radius:.1f}"/>'
    )


def _text(place: Point, text: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{place.x:.1f}" y="{place.y:.1f}">{escape(text)}</text>'


def _arrows_within(part: Part, topology: Topology) -> Iterator[str]:
    for (start, end), passes in part.layout.passes.items():
        top = part.place(part.layout.centres[start])
        bottom = part.place(part.layout.centres[end])
        heights = _node_size(topology.nodes[start]).height, _node_size(topology.nodes[end]).height
        yield _arrow(_below(top, heights[0]), [part.place(point) for point in passes], _above(bottom, heights[1]))


def _arrows_between(
    topology: Topology,
    whole: Layout,
    points: Mapping[str, Point],
    owners: Mapping[str, str],
    edges: tuple[tuple[str, str], ...],
) -> Iterator[str]:
    """From topics to sources and from sinks to topics; those against the flow turn at the side."""

    def height(name: str) -> float:
        node = topology.nodes.get(name)
        return _topic_size("").height if node is None else _node_size(node).height

    for start, end in edges:
        top, bottom = points[start], points[end]
        if top.y < bottom.y:
            passes = whole.passes.get((owners.get(start, start), owners.get(end, end)), [])
            yield _arrow(_below(top, height(start)), list(map(_shifted, passes)), _above(bottom, height(end)))
        else:
            yield _turned(_below(top, height(start)), _above(bottom, height(end)), whole.size.width + MARGIN + SIDE)


def _below(centre: Point, height: float) -> Point:
    return Point(centre.x, centre.y + height / 2)


def _above(centre: Point, height: float) -> Point:
    return Point(centre.x, centre.y - height / 2)


def _arrow(start: Point, passes: list[Point], end: Point) -> str:
    """A curve that leaves and arrives upright."""
    path = f"M {start.x:.1f} {start.y:.1f}"
    at = start
    for point in (*passes, end):
        middle = (at.y + point.y) / 2
        path += f" C {at.x:.1f} {middle:.1f} {point.x:.1f} {middle:.1f} {point.x:.1f} {point.y:.1f}"
        at = point
    return f'<path d="{path}"/>'


def _turned(start: Point, end: Point, side: float) -> str:
    """A dashed curve up, round the right side of the picture."""
    return (
        f'<path class="back" d="M {start.x:.1f} {start.y:.1f} C {start.x:.1f} {start.y + 30:.1f} {side:.1f} '
        f"{start.y + 30:.1f} {side:.1f} {start.y - 10:.1f} L {side:.1f} {end.y + 10:.1f} C {side:.1f} {end.y - 30:.1f} "
        f'{end.x:.1f} {end.y - 30:.1f} {end.x:.1f} {end.y:.1f}"/>'
    )


def _page(size: Size, lines: list[str]) -> str:
    width, height = round(size.width), round(size.height)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
            f"<style>{STYLE}</style>",
            TIP,
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *lines,
            "</svg>",
        ]
    )
