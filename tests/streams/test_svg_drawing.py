"""Pictures of topologies: everything is there, once, and inside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.graph.windows import JoinWindows, TimeWindows
from streams.svg_drawing import svg
from streams.topology.topology import Topology


def topology_of(say: Callable[[StreamsBuilder], Any]) -> Topology:
    builder = StreamsBuilder()
    say(builder)
    return builder.build(StreamsConfig.of("app", {}, environment={}))


def regrouped(builder: StreamsBuilder) -> None:
    stream = builder.stream("in", key=str, value=str)
    counts = stream.group_by(lambda key, value: value).windowed_by(TimeWindows.of(10)).count(name="counts")
    counts.to_stream().to("out")


def joined(builder: StreamsBuilder) -> None:
    left, right = builder.stream("left", key=str), builder.stream("right", key=str)
    both = left.left_join(right, lambda one, other: one, within=JoinWindows.of(10))
    both.join(builder.global_table("names", key=str), lambda value, name: name, on=lambda key, value: key).to("out")


def foreign(builder: StreamsBuilder) -> None:
    left, right = builder.table("orders", key=str), builder.table("customers", key=str)
    left.join(right, lambda one, other: one, on=lambda value: value).to_stream().to("out")


PROGRAMS = [regrouped, joined, foreign]


def texts(picture: str) -> Counter[str]:
    root = ET.fromstring(picture)
    return Counter(element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text"))


@pytest.mark.parametrize("say", PROGRAMS)
def test_every_node_and_topic_is_drawn_once(say: Callable[[StreamsBuilder], Any]) -> None:
    """With its stores, and the title of each part."""
    topology = topology_of(say)
    drawn = texts(svg(topology))
    topics = {*topology.internal_topics, *topology.user_topics, "out"}
    assert all(drawn[name] == 1 for name in (*topology.nodes, *topics))
    assert all(drawn[f"[{store}]"] >= 1 for store in topology.stores)
    assert sum(count for text, count in drawn.items() if text.startswith("Sub-topology ")) == len(
        topology.subtopologies
    ) + len(topology.global_stores)


@pytest.mark.parametrize("say", PROGRAMS)
def test_boxes_do_not_overlap_and_lie_inside(say: Callable[[StreamsBuilder], Any]) -> None:
    """Nodes and topics, on a page that holds them all."""
    root = ET.fromstring(svg(topology_of(say)))
    page = float(root.get("width", 0)), float(root.get("height", 0))
    boxes = [
        tuple(float(element.get(name, 0)) for name in ("x", "y", "width", "height"))
        for element in root.iter("{http://www.w3.org/2000/svg}rect")
        if element.get("class") not in {None, "part"}
    ]
    assert all(x >= 0 and x + width <= page[0] and y >= 0 and y + height <= page[1] for x, y, width, height in boxes)
    for at, (x, y, width, height) in enumerate(boxes):
        for other_x, other_y, other_width, other_height in boxes[at + 1 :]:
            beside = x + width <= other_x or other_x + other_width <= x
            assert beside or y + height <= other_y or other_y + other_height <= y


def test_names_are_escaped() -> None:
    """A pattern may hold what means something in XML."""
    topology = topology_of(lambda b: b.stream(re.compile("a<b&c")).to("out"))
    assert texts(svg(topology))["/a<b&c/"] == 1
