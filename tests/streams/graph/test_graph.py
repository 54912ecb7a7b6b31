"""The logical graph as an ordered, immutable collection."""

import pytest

from streams.errors import TopologyError
from streams.graph.graph import Graph
from streams.graph.nodes import Merge, Sink, Source


def source(name: str) -> Source:
    return Source(name=name, topics=(name,))


def test_adding_gives_a_new_graph():
    """A graph never changes; adding gives another."""
    one = Graph().add(source("a"))
    two = one.add(Sink(name="b", parents=("a",), topic="t"))
    assert (len(one), len(two)) == (1, 2)
    assert [node.name for node in two.children("a")] == ["b"]
    assert [node.name for node in two.parents("b")] == ["a"]


def test_names_are_unique():
    """Two nodes of one name would share topics and stores."""
    with pytest.raises(TopologyError, match="a: there is a Source node of this name already; give one"):
        Graph().add(source("a")).add(source("a"))


def test_parents_must_be_of_the_same_program():
    """A handle of another App is refused, with the remedy."""
    with pytest.raises(TopologyError, match="b: its parent a belongs to another program"):
        Graph().add(Sink(name="b", parents=("a",), topic="t"))


def test_build_order_puts_parents_first_and_else_keeps_the_order():
    """A node that was moved back waits for its parents only."""
    graph = Graph.of([Sink(name="late", parents=("b",)), source("a"), source("b"), Merge(name="m", parents=("a", "b"))])
    assert [node.name for node in graph.build_order()] == ["a", "b", "late", "m"]


def test_a_cycle_is_refused():
    """Nodes that wait for each other are named."""
    graph = Graph.of([Merge(name="a", parents=("b",)), Merge(name="b", parents=("a",))])
    with pytest.raises(TopologyError, match="a, b"):
        graph.build_order()
