"""Members of a group on the bundled broker that read what matches: topics come and go."""

from __future__ import annotations

from typing import Any

import pytest

from streams.clients.base import NewTopic
from streams.record import TopicPartition
from streams.runtime.start_offsets import StartOffsets
from tests.streams.clients.kafka.group_members import MakeClients, Member, share, until

pytestmark = pytest.mark.broker


def test_a_topic_that_matches_makes_one_generation(make: MakeClients, topic: str) -> None:
    """One member hears of it, and the other, which would in five minutes, joins with it; so when the topic goes."""
    admin = make().admin()

    def matches(name: str) -> bool:
        return name.startswith(f"{topic}-")

    quick, slow = (
        Member(make, topic, age, matches=matches, metadata_max_age_ms=int(age)) for age in (b"200", b"300000")
    )

    def came() -> int:
        return min(each.consumer.group_metadata().generation for each in (quick, slow))

    share(quick, slow)
    for change, owned in (
        (lambda: admin.create([NewTopic(f"{topic}-b", 3)]), 6),
        (lambda: admin.delete([f"{topic}-b"]), 3),
    ):
        before = came()
        change()
        until(
            lambda goal=(before, owned): came() > goal[0] and len(quick.log.owned | slow.log.owned) == goal[1],
            quick,
            slow,
        )
        for member in (quick, slow, quick, slow):
            member.consumer.poll(0.3)
        assert {each.consumer.group_metadata().generation for each in (quick, slow)} == {before + 1}


def test_a_static_member_comes_back_to_other_topics(make: MakeClients, topic: str) -> None:
    """What was given to it was of fewer topics than match now: the group assigns anew at once, though it does not lead."""
    admin = make().admin()
    rest: dict[str, Any] = {"matches": lambda name: name.startswith(f"{topic}-"), "metadata_max_age_ms": 300_000}
    leader = Member(make, topic, b"a", **rest)
    share(leader)
    static = Member(make, topic, b"b", group_instance_id="b", **rest)
    share(leader, static)
    static.consumer.close()
    admin.create([NewTopic(f"{topic}-b", 3)])
    again = Member(make, topic, b"b", group_instance_id="b", **rest)
    until(lambda: len(leader.log.owned | again.log.owned) == 6, leader, again)


def test_a_topic_that_has_gone_has_no_offsets(make: MakeClients, topic: str) -> None:
    """Whoever asks where to begin is told at once, and not when the time of a call is over, of those that are there."""
    member = Member(make, topic, matches=lambda name: name.startswith(f"{topic}-"))
    share(member)
    wanted = [TopicPartition(topic, 0), TopicPartition(f"{topic}-gone", 0)]
    rule = StartOffsets({}, "earliest", lambda: 0)
    assert member.consumer.beginning_offsets(wanted) == {wanted[0]: 0}
    assert rule.place(member.consumer, wanted) == {wanted[0]: None}
    rule.reset(member.consumer, wanted[1], 7)
