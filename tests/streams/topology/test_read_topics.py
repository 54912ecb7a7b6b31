"""Which topics a program reads, over a broker in memory."""

import re

import pytest

from streams import App, TopologyError
from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.topology.read_topics import copartitioned, matcher, matching_topics, topics_read, with_matches


def test_topics_that_match_are_read_as_well_as_those_that_are_named() -> None:
    """Whether named topics are there does not matter; the whole name has to match, and own topics never do."""
    app = App("reader")
    app.stream(re.compile("(in|reader)-.*"), key=str, value=int).group_by(lambda key, _: key).count(name="sums")
    app.stream("named").to("out")
    topology = app.build()
    (changelog,), (repartition,) = topology.changelog_topics, topology.repartition_topics
    broker = MemoryBroker()
    for name, partitions in {"in-a": 2, "in-b": 1, "begin-a": 1, changelog: 2, repartition: 2}.items():
        broker.create(NewTopic(name, partitions))
    admin = MemoryClients(broker).admin()
    assert matching_topics(topology, admin) == {"in-a": 2, "in-b": 1}
    assert sorted(topics_read(topology, admin)) == sorted(["named", "in-a", "in-b", repartition])


def test_topics_of_kafka_match_nothing() -> None:
    """As with exclude.internal.topics, which is Kafka's default."""
    app = App("all")
    app.stream(re.compile(".*")).for_each(lambda *_: None)
    matches = matcher(app.build())
    names = ["__consumer_offsets", "__transaction_state", "__share_group_state", "__mine"]
    assert matches and [name for name in names if matches(name)] == ["__mine"]
    plain = App("plain")
    plain.stream("in").for_each(lambda *_: None)
    assert matcher(plain.build()) is None


def test_what_matches_belongs_to_one_source() -> None:
    """Each sub-topology reads what matches its pattern; a topic of two is refused."""
    app = App("two")
    for pattern in ("a-.*", ".*-b"):
        app.stream(re.compile(pattern)).for_each(lambda *_: None)
    topology = app.build()
    parts = with_matches(topology, ["x-b", "a-2", "other", "a-1"])
    assert [part.source_topics for part in parts] == [("a-1", "a-2"), ("x-b",)]
    with pytest.raises(TopologyError, match="a-b matches two patterns, 'a-.*' and '.*-b'"):
        with_matches(topology, ["a-b"])


def test_what_matches_is_joined_as_a_whole() -> None:
    """All topics of a pattern agree with what the stream is joined with, and with each other."""
    app = App("joined")
    stream = app.stream(re.compile("s-.*"), key=str, value=int)
    stream.join(app.table("t", key=str, value=int), lambda left, right: left + right).to("out")
    assert copartitioned(app.build(), ["s-1", "s-2", "t", "x"]) == (frozenset({"s-1", "s-2", "t"}),)
