"""Which topics a program reads, over a broker in memory."""

import re

from streams import App
from streams.clients.base import NewTopic
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.topology.read_topics import matching_topics, topics_read


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
