"""Places the nodes of a directed graph in rows, so that arrows point down and seldom cross: Sugiyama's method.

Steps: turn arrows of cycles round, rank nodes by their longest way from a start, put stand-ins where an arrow passes a
row, order rows by the mean place of neighbours, and set each row as close to its neighbours as widths allow (least
squares, by pooling). Lengths are in pixels; places are centres. It knows nothing of topologies or of drawing.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Layout", "Point", "Size", "layered"]

Node = Hashable
Edge = tuple[str, str]
SWEEPS = 12
STAND_IN_WIDTH = 8.0


class Size(NamedTuple):
    """Width and height of a node."""

    width: float
    height: float


class Point(NamedTuple):
    """A place; y grows downwards."""

    x: float
    y: float


@dataclass(slots=True)
class Layout:
    """Centres of nodes, the points that arrows pass between their ends (where they enter and leave rows), and the whole.

    `turned` are the arrows that point up.
    """

    centres: dict[str, Point]
    passes: dict[Edge, list[Point]]
    size: Size
    turned: frozenset[Edge] = field(default_factory=frozenset)


def layered(
    sizes: Mapping[str, Size],
    edges: Iterable[Edge],
    *,
    gap: float,
    row_gap: float,
    last: Collection[str] = (),
    low: bool = False,
) -> Layout:
    """The layout of a graph. Nodes in `last` go to the last row; with `low`, starts go right above their children."""
    unique = list(dict.fromkeys(edges))
    turned = frozenset(_against_the_flow(sizes, unique))
    downward = [edge for edge in unique if edge not in turned]
    ranks = _ranks(sizes, downward, last)
    if low:
        ranks = _lowered(ranks, downward)
    rows, chains = _rows(sizes, downward, ranks)
    neighbours = _neighbours(chains)
    _order(rows, neighbours)
    extent: dict[Node, Size] = dict.fromkeys(_all(rows), Size(STAND_IN_WIDTH, 0))
    extent.update(sizes)
    widths = {node: size.width for node, size in extent.items()}
    xs = _across(rows, neighbours, widths, gap)
    heights = [max(extent[node].height for node in row) for row in rows]
    ys = [sum(heights[:row]) + row * row_gap + height / 2 for row, height in enumerate(heights)]
    centres = {node: Point(xs[node], ys[rank]) for node, rank in ranks.items()}
    edges_of_rows = [(y - height / 2, y + height / 2) for y, height in zip(ys, heights, strict=True)]
    passes = {
        (start, end): [
            Point(xs[stand_in], y)
            for rank, stand_in in enumerate(chain[1:-1], ranks[start] + 1)
            for y in edges_of_rows[rank]
        ]
        for (start, end), chain in chains.items()
    }
    width = max((xs[node] + widths[node] / 2 for node in _all(rows)), default=0.0)
    return Layout(centres, passes, Size(width, sum(heights) + row_gap * max(len(rows) - 1, 0)), turned)


def _all(rows: list[list[Node]]) -> Iterable[Node]:
    return (node for row in rows for node in row)


def _against_the_flow(nodes: Iterable[str], edges: Sequence[Edge]) -> set[Edge]:
    """Arrows that close a cycle, as a walk in depth meets them."""
    children: dict[str, list[str]] = {node: [] for node in nodes}
    for start, end in edges:
        children[start].append(end)
    done: set[str] = set()
    way: list[str] = []
    found: set[Edge] = set()

    def walk(node: str) -> None:
        way.append(node)
        for child in children[node]:
            if child in way:
                found.add((node, child))
            elif child not in done:
                walk(child)
        way.pop()
        done.add(node)

    for node in children:
        if node not in done:
            walk(node)
    return found


def _ranks(nodes: Iterable[str], edges: Sequence[Edge], last: Collection[str]) -> dict[str, int]:
    """The row of each node: one below the lowest of its parents."""
    ranks = dict.fromkeys(nodes, 0)
    changed = True
    while changed:
        changed = False
        for start, end in edges:
            if ranks[end] <= ranks[start]:
                ranks[end] = ranks[start] + 1
                changed = True
    bottom = max(ranks.values(), default=0)
    return {node: bottom if node in last else rank for node, rank in ranks.items()}


def _lowered(ranks: Mapping[str, int], edges: Sequence[Edge]) -> dict[str, int]:
    """Ranks where nodes without parents stand right above the first of their children."""
    followed = {start: min(ranks[end] for begin, end in edges if begin == start) for start, _ in edges}
    ended = {end for _, end in edges}
    return {node: rank if node in ended or node not in followed else followed[node] - 1 for node, rank in ranks.items()}


def _rows(
    nodes: Iterable[str], edges: Sequence[Edge], ranks: Mapping[str, int]
) -> tuple[list[list[Node]], dict[Edge, list[Node]]]:
    """Rows of nodes and stand-ins, and per arrow the chain from its start over stand-ins to its end."""
    rows: list[list[Node]] = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
    for node in nodes:
        rows[ranks[node]].append(node)
    chains: dict[Edge, list[Node]] = {}
    for edge in edges:
        start, end = edge
        stand_ins: list[Node] = [(edge, rank) for rank in range(ranks[start] + 1, ranks[end])]
        chains[edge] = [start, *stand_ins, end]
        for at, stand_in in enumerate(stand_ins):
            rows[ranks[start] + 1 + at].append(stand_in)
    return rows, chains


@dataclass(slots=True)
class _Neighbours:
    above: dict[Node, list[Node]] = field(default_factory=dict)
    below: dict[Node, list[Node]] = field(default_factory=dict)


def _neighbours(chains: Mapping[Edge, list[Node]]) -> _Neighbours:
    found = _Neighbours()
    for chain in chains.values():
        for upper, lower in pairwise(chain):
            found.below.setdefault(upper, []).append(lower)
            found.above.setdefault(lower, []).append(upper)
    return found


def _order(rows: list[list[Node]], neighbours: _Neighbours) -> None:
    """Order the rows in place: the best of some sweeps down and up."""
    best, fewest = [list(row) for row in rows], _crossings(rows, neighbours)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        beside = neighbours.above if down else neighbours.below
        for fixed, moved in pairwise(rows if down else rows[::-1]):
            places = {node: place for place, node in enumerate(fixed)}
            own = {node: place for place, node in enumerate(moved)}
            moved.sort(key=lambda node: _mean([places[each] for each in beside.get(node, ())], own[node]))
        crossings = _crossings(rows, neighbours)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    rows[:] = best


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _crossings(rows: list[list[Node]], neighbours: _Neighbours) -> int:
    """How many pairs of arrows cross between neighbouring rows."""
    count = 0
    for upper, lower in pairwise(rows):
        places = {node: place for place, node in enumerate(lower)}
        ends = [place for node in upper for place in sorted(places[each] for each in neighbours.below.get(node, ()))]
        count += sum(first > second for at, first in enumerate(ends) for second in ends[at + 1 :])
    return count


def _across(
    rows: list[list[Node]], neighbours: _Neighbours, widths: Mapping[Node, float], gap: float
) -> dict[Node, float]:
    """The x of every node, the leftmost edge at 0."""
    xs: dict[Node, float] = {}
    for row in rows:
        xs.update(zip(row, _offsets(row, widths, gap), strict=True))
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted = [
                _mean(
                    [xs[each] for each in (*neighbours.above.get(node, ()), *neighbours.below.get(node, ()))], xs[node]
                )
                for node in row
            ]
            xs.update(zip(row, _apart(wanted, _offsets(row, widths, gap)), strict=True))
    left = min((xs[node] - widths[node] / 2 for node in _all(rows)), default=0.0)
    return {node: x - left for node, x in xs.items()}


def _offsets(row: Sequence[Node], widths: Mapping[Node, float], gap: float) -> list[float]:
    """Where the centres of a row are when it is packed."""
    places = []
    edge = 0.0
    for node in row:
        places.append(edge + widths[node] / 2)
        edge += widths[node] + gap
    return places


def _apart(wanted: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """The centres closest to those wanted, in squares, that keep the distances of `offsets` at least.

    Pools neighbours that would come too close and moves them as one.
    """
    pools: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        total, count = want - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            more, size = pools.pop()
            total, count = total + more, count + size
        pools.append((total, count))
    shifts = [total / count for total, count in pools for _ in range(count)]
    return [offset + shift for offset, shift in zip(offsets, shifts, strict=True)]
