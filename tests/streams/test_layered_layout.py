"""Layouts in rows: nothing overlaps, and arrows point down."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streams.layered_layout import Layout, Size, layered

NODES = [f"n{number}" for number in range(9)]
GRAPHS = st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)).filter(lambda edge: edge[0] != edge[1]))
SIZES = st.fixed_dictionaries({node: st.builds(Size, st.floats(10, 300), st.floats(10, 60)) for node in NODES})


def layout_of(*edges: tuple[str, str], **options: object) -> Layout:
    nodes = dict.fromkeys(name for edge in edges for name in edge)
    return layered(dict.fromkeys(nodes, Size(10, 10)), edges, gap=5, row_gap=10, **options)


@given(sizes=SIZES, edges=GRAPHS)
def test_nodes_of_a_row_keep_their_distance(sizes: dict[str, Size], edges: list[tuple[str, str]]) -> None:
    """And all of them are inside the picture."""
    layout = layered(sizes, edges, gap=5, row_gap=10)
    rows: dict[float, list[str]] = {}
    for node, centre in sorted(layout.centres.items(), key=lambda item: item[1].x):
        rows.setdefault(centre.y, []).append(node)
        assert sizes[node].width / 2 <= centre.x + 1e-6
        assert centre.x + sizes[node].width / 2 <= layout.size.width + 1e-6
    for row in rows.values():
        for left, right in pairwise(row):
            free = layout.centres[right].x - layout.centres[left].x - (sizes[left].width + sizes[right].width) / 2
            assert free >= 5 - 1e-6


@given(sizes=SIZES, edges=GRAPHS)
def test_arrows_point_down_unless_turned(sizes: dict[str, Size], edges: list[tuple[str, str]]) -> None:
    """Arrows of cycles alone are turned."""
    layout = layered(sizes, edges, gap=5, row_gap=10)
    for start, end in edges:
        down = layout.centres[start].y < layout.centres[end].y
        assert down == ((start, end) not in layout.turned)


def test_a_chain_is_straight() -> None:
    """Nodes of one size stand above each other."""
    layout = layout_of(("a", "b"), ("b", "c"))
    assert len({centre.x for centre in layout.centres.values()}) == 1
    assert not layout.turned


def test_crossings_are_undone() -> None:
    """The order of a row follows its neighbours."""
    centres = layout_of(("a", "x"), ("b", "y"), ("a", "p"), ("b", "q")).centres
    assert (centres["x"].x < centres["y"].x) == (centres["a"].x < centres["b"].x)


def test_an_arrow_over_a_row_passes_beside_its_nodes() -> None:
    """At a place of its own, where it enters and where it leaves the row."""
    layout = layout_of(("a", "b"), ("b", "c"), ("a", "c"))
    passes = layout.passes["a", "c"]
    assert len(passes) == 2
    assert all(point.x != layout.centres["b"].x for point in passes)


def test_rows_can_be_asked_for() -> None:
    """Some nodes last; starts low."""
    last = layout_of(("a", "b"), ("a", "c"), ("c", "d"), last={"b"}).centres
    assert last["b"].y == last["d"].y
    low = layout_of(("a", "b"), ("b", "c"), ("late", "c"), low=True).centres
    assert low["late"].y == low["b"].y


def test_nothing_takes_no_room() -> None:
    """An empty graph is an empty picture."""
    assert layered({}, [], gap=5, row_gap=10).size == Size(0, 0)
