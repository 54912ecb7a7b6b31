"""Members of a group on the bundled broker, each a consumer with what its listener heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streams.clients.kafka import KafkaClients, KafkaConsumer
from streams.clients.kafka import group_requests as requests
from streams.clients.kafka.network import Line
from streams.errors import StreamsError
from tests.streams.clients.members import Log, RoundRobin

MakeClients = Callable[..., KafkaClients]
QUICK = {"session_timeout_ms": 6_000, "heartbeat_interval_ms": 50}
ROUNDS = 400


class Member:
    """A consumer that has joined the group of a topic, and what its listener heard."""

    def __init__(self, make: MakeClients, topic: str, says: bytes = b"", **settings: Any) -> None:
        cooperative, name = settings.pop("cooperative", False), settings.pop("name", "round-robin")
        self.assignor = settings.pop("assignor", None) or RoundRobin(says, cooperative=cooperative, name=name)
        self.log = Log()
        returns_as, joins_by = settings.pop("returns_as", None), settings.pop("joins_by", None)
        matches = settings.pop("matches", None)
        self.clients = make(**QUICK | settings)
        self.consumer: KafkaConsumer = self.clients.consumer(group=f"g-{topic}", returns_as=returns_as)
        if joins_by is not None:
            self.speak_at_most(joins_by)
        self.consumer.subscribe([topic], self.assignor, self.log, matches)

    @property
    def owned(self) -> set[int]:
        """The numbers of its partitions."""
        return {partition.partition for partition in self.log.owned}

    @property
    def heard(self) -> list[str]:
        """The kinds of what it was told."""
        return [what for what, _ in self.log.said]

    def speak_at_most(self, version: int) -> None:
        """Take the broker for one that has JoinGroup up to this version."""
        client = self.consumer._client
        (node,) = (broker.nodeId for broker in client.cluster.brokers())
        assert self.consumer._network.call(client.ready(node, group=Line.JOINING))
        client._conns[node, Line.JOINING]._versions[11] = (0, version)

    def drop_out(self) -> None:
        """Have the group forget this member behind its back."""
        member = self.consumer._member
        leave = requests.leave(member.metadata._replace(instance_id=None))
        self.consumer._network.call(member._coordinator.ask_once(leave))


def until(holds: Callable[[], bool], *members: Member) -> None:
    """Poll all members in turn until something holds."""
    for _ in range(ROUNDS):
        if holds():
            return
        for member in members:
            member.consumer.poll(0.02)
    pytest.fail(f"it never came to that: {[member.log.said for member in members]}")


def share(*members: Member) -> None:
    """Poll until the members own three partitions, each some."""

    def shared() -> bool:
        each_some = all(member.owned for member in members)
        return each_some and sorted(number for member in members for number in member.owned) == [0, 1, 2]

    until(shared, *members)


def failing(member: Member) -> StreamsError:
    """The error that a member's `poll` comes to."""
    with pytest.raises(StreamsError) as caught:
        for _ in range(ROUNDS):
            member.consumer.poll(0.02)
    return caught.value
