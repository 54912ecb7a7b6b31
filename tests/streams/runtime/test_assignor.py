"""What the leader makes of what members say, and what members make of what the leader says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from streams.clients.base import Assignment, Subscription
from streams.clients.handover import withhold
from streams.errors import ClientError
from streams.record import TopicPartition
from streams.runtime.assignor import TaskAssignor, TaskInputs
from streams.runtime.member_info import VERSION, GroupInfo, MemberInfo, decode_group, encode, unpacked_hosts
from streams.runtime.placement import PlacementRules
from streams.runtime.task import TaskId

COUNTS = TaskInputs(0, ("words",), ("app-counts-changelog",))
NO_COPIES = PlacementRules()


def words(*numbers: int) -> tuple[TopicPartition, ...]:
    return tuple(TopicPartition("words", number) for number in numbers)


def subscription(name: str, owned: Sequence[TopicPartition] = (), **said: Any) -> Subscription:
    return Subscription(name, ("words",), encode(MemberInfo(host=name, **said)), tuple(owned))


def assigned(
    members: Sequence[Subscription], ends: Mapping[int, int], rules: PlacementRules = NO_COPIES, count: int = 2
) -> Mapping[str, Assignment]:
    """What a leader gives, when the changelog's partitions end there."""

    def known(partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: ends[partition.partition] for partition in partitions}

    return TaskAssignor([COUNTS], MemberInfo, ends=known, rules=rules).assign({"words": count}, members)


def info(assignment: Assignment) -> GroupInfo:
    return decode_group(assignment.user_data)


def test_joined_topics_stay_together() -> None:
    """A task gets its partition of every topic it reads; one with fewer partitions feeds the first tasks only."""
    assignor = TaskAssignor([TaskInputs(0, ("rides", "zones"))], MemberInfo)
    members = [Subscription(name, ("rides", "zones"), assignor.user_data()) for name in ("a", "b")]
    given_out = assignor.assign({"rides": 2, "zones": 1}, members)
    assert {assignment.partitions for assignment in given_out.values()} == {
        (TopicPartition("rides", 0), TopicPartition("zones", 0)),
        (TopicPartition("rides", 1),),
    }


def test_a_task_waits_for_a_warm_copy() -> None:
    """A newcomer is given a warm-up first; the task moves when the copy is near enough, and only then is all settled."""
    old = subscription("old", words(0, 1), running=["0_0", "0_1"])
    given = assigned([old, subscription("new")], {0: 50_000, 1: 50_000})
    assert given["old"].partitions == words(0, 1)
    assert (info(given["new"]).warmups, info(given["new"]).standbys) == (["0_1"], [])
    assert [info(each).probe for each in given.values()] == [False, True]
    behind = subscription("new", positions={"0_1": 39_999})
    assert assigned([old, behind], {1: 50_000})["new"].partitions == ()
    warm = subscription("new", positions={"0_1": 40_000})
    given = assigned([old, warm], {1: 50_000})
    assert (given["old"].partitions, given["new"].partitions) == (words(0), words(1))
    assert not any(info(each).probe for each in given.values())


def test_a_copy_stays_warm_until_its_task_is_let_go() -> None:
    """The group withholds what another owns; the new owner is told to keep its standby for one generation more."""
    old = subscription("old", words(0, 1), running=["0_0", "0_1"])
    warm = subscription("new", positions={"0_1": 7})
    given = assigned([old, warm], {1: 7})
    assert given["new"].partitions == words(1)
    assert info(given["new"]).standbys == ["0_1"]


def test_restoring_tasks_count_by_how_far_they_are() -> None:
    """Whoever is nearest to the end gets the tasks of a member that is gone; balance waits for a warm-up."""
    members = [
        subscription("a", positions={"0_0": 10_000}),
        subscription("b", positions={"0_0": 90_000, "0_1": 90_000}),
    ]
    given = assigned(members, {0: 100_000, 1: 100_000})
    assert given["b"].partitions == words(0, 1)
    assert info(given["a"]).warmups == ["0_1"]


def test_without_end_offsets_nothing_moves() -> None:
    """The broker did not answer the leader: tasks stay, and the group looks again."""

    def ends(_partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        raise ClientError("no answer")

    assignor = TaskAssignor([COUNTS], MemberInfo, ends=ends)
    members = [subscription("a", words(0, 1), running=["0_0", "0_1"]), subscription("b", positions={"0_0": 5})]
    given = assignor.assign({"words": 2}, members)
    assert given["a"].partitions == words(0, 1)
    assert any(info(each).probe for each in given.values())


def test_everybody_learns_who_has_what() -> None:
    """Addresses with their tasks and standbys; those without an address are not in it."""
    members = [subscription("a", address="one:1"), subscription("b", address="two:2"), subscription("c")]
    given = assigned(members, {}, PlacementRules(standbys=1), count=3)
    views = [unpacked_hosts(info(each).hosts) for each in given.values()]
    assert views[0] == views[1] == views[2]
    assert set(views[0]) == {"one:1", "two:2"}
    (owned,) = given["a"].partitions
    assert views[0]["one:1"].running == {TaskId(0, owned.partition)}
    assert {str(task) for task in views[0]["two:2"].standbys} == set(info(given["b"]).standbys)


def test_addresses_that_do_not_fit_are_left_out() -> None:
    """The group is one record on the broker: with too many tasks and members it works on without addresses."""
    members = [subscription(f"m{number:03}", address=f"host-{number}:1") for number in range(300)]
    given = assigned(members, {}, count=5_000)
    assert {info(each).hosts for each in given.values()} == {b""}
    assert sum(len(each.partitions) for each in given.values()) == 5_000


class Newer(msgspec.Struct, array_like=True):
    """A message of a version to come: the fields of this one, and one more."""

    version: int
    oldest: int
    host: str = "h"
    address: str = ""
    tags: dict[str, str] = {}
    running: list[str] = []
    positions: dict[str, int] = {}
    round: int = 0
    stops: bool = False
    process: str = ""
    more: str = "unknown"


def test_a_newer_member_that_can_be_read_is_read() -> None:
    """What this version knows of it counts, the rest is passed over."""
    newer = Subscription("new", ("words",), msgspec.msgpack.encode(Newer(9, 1, running=["0_1"])), words(1))
    given = assigned([subscription("a"), newer], {})
    assert given["new"].partitions == words(1)


def test_a_newer_member_that_cannot_be_read_is_told_the_version() -> None:
    """It takes part as a worker without state, and speaks the leader's version when it joins again, at once."""
    heard: list[tuple[int, bool]] = []
    newer = TaskAssignor(
        [COUNTS], MemberInfo, told=lambda said, again: heard.append((said.leader, again)), version=5, oldest=5
    )
    first = newer.user_data()
    given = assigned(
        [subscription("a", words(0, 1), running=["0_0", "0_1"]), Subscription("new", ("words",), first)], {}
    )
    newer.on_assignment(given["new"].user_data)
    assert heard == [(VERSION, True)]
    again = newer.user_data()
    assert msgspec.msgpack.decode(again)[:2] == [VERSION, VERSION]
    newer.on_assignment(assigned([Subscription("new", ("words",), again)], {})["new"].user_data)
    assert heard[1:] == [(VERSION, False)]


def test_versions_rise_again_with_the_leader() -> None:
    """A member that speaks an older version learns from the next leader that it need not."""
    member = TaskAssignor([COUNTS], MemberInfo, version=5, oldest=2)
    member.on_assignment(encode(GroupInfo(leader=1)))
    assert msgspec.msgpack.decode(member.user_data())[:2] == [1, 1]
    leader = TaskAssignor([COUNTS], MemberInfo, version=5, oldest=2)
    told = leader.assign({"words": 1}, [Subscription("m", ("words",), member.user_data())])["m"].user_data
    assert msgspec.msgpack.decode(told)[:3] == [1, 1, 5]
    member.on_assignment(told)
    assert msgspec.msgpack.decode(member.user_data())[:2] == [5, 2]


def test_a_source_topic_that_is_gone_is_an_error() -> None:
    """Kafka Streams' MissingSourceTopicException; one that only matches a pattern has no tasks any more."""
    inputs = TaskInputs(0, ("words", "matched"))
    assignor = TaskAssignor([inputs], MemberInfo, required=["words"])
    given = assignor.assign({"words": 1, "matched": 0}, [subscription("a")])
    assert given["a"].partitions == words(0)
    with pytest.raises(ClientError, match="source topic words is missing"):
        assignor.assign({"words": 0, "matched": 1}, [subscription("a")])


def test_topics_that_match_are_divided_as_they_are_there() -> None:
    """What other members read as well makes tasks, but for what a part names; the leader looks at all of it before."""
    seen: list[Mapping[str, int]] = []
    inputs = [TaskInputs(0, ("words",), patterns=("in-.*", "w.*")), TaskInputs(1, ("where",))]
    assignor = TaskAssignor(inputs, MemberInfo, prepare=seen.append)
    counts = {"words": 1, "where": 1, "in-b": 2, "in-a": 1, "gone": 3, "in-c": 0}
    given = assignor.assign(counts, [subscription("a")])["a"].partitions
    assert given == tuple(
        TopicPartition(*each) for each in [("in-a", 0), ("in-b", 0), ("in-b", 1), ("where", 0), ("words", 0)]
    )
    assert seen == [counts]


def test_a_program_that_numbers_its_parts_otherwise_keeps_what_it_owns() -> None:
    """A rolling upgrade to a program with one part more in front: what each runs is told by its partitions."""
    parts = [TaskInputs(0, ("rides",)), TaskInputs(1, ("words",), ("app-counts-changelog",)), TaskInputs(2, ("zones",))]
    counts = {"rides": 1, "words": 1, "zones": 1, "added": 1}
    rides, words, zones = (TopicPartition(topic, 0) for topic in ("rides", "words", "zones"))
    for mine, others in ((rides, [words, zones]), (words, [rides, zones]), (zones, [rides, words])):
        number = (rides, words, zones).index(mine)
        leads = TaskAssignor(parts, MemberInfo, ends=lambda asked: dict.fromkeys(asked, 50_000))
        old = subscription("old", others, running=[f"{(rides, words, zones).index(each)}_0" for each in others])
        new = subscription("new", [mine], running=[f"{number + 1}_0"], positions={"0_0": 3}, program="other")
        given = leads.assign(counts, [old, new])
        assert {name: set(each.partitions) for name, each in given.items()} == {"old": set(others), "new": {mine}}
        assert [info(each).warmups for each in given.values()] == [[], []]


def test_tasks_are_named_by_the_numbers_of_each_program() -> None:
    """In a rolling upgrade, what a worker has, is to copy, and hears of the others is the same part on both sides."""
    counts = TaskInputs(1, ("words",), ("app-counts-changelog",))
    newer = [TaskInputs(0, ("added",)), counts]

    def ends(asked: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(asked, 50_000)

    heard: list[GroupInfo] = []
    said = {"running": [], "positions": {"1_0": 49_000, "0_0": 7}}
    member = TaskAssignor(
        newer, lambda: MemberInfo(host="new", address="n:1", **said), told=lambda told, _: heard.append(told)
    )
    leader = TaskAssignor(
        [COUNTS], lambda: MemberInfo(host="old", address="o:1", running=["0_0", "0_1", "0_2"]), ends=ends
    )
    members = [
        Subscription("old", ("words",), leader.user_data(), words(0, 1, 2)),
        Subscription("new", ("added", "words"), member.user_data()),
    ]
    given = leader.assign({"words": 3, "added": 1}, members)
    assert {name: each.partitions for name, each in given.items()} == {"old": words(1, 2), "new": words(0)}
    member.on_assignment(given["new"].user_data)
    assert heard[0].standbys == ["1_0"]
    assert {address: sorted(map(str, host.running)) for address, host in unpacked_hosts(heard[0].hosts).items()} == {
        "o:1": ["1_1", "1_2"],
        "n:1": ["1_0"],
    }


def test_a_task_that_moves_as_it_gets_another_input_comes_whole() -> None:
    """A topic grows, or comes under a pattern, as a member joins: the new owner waits for what the old one has."""
    rides, zones = ([TopicPartition(topic, number) for number in range(2)] for topic in ("rides", "zones"))
    assignor = TaskAssignor([TaskInputs(0, ("rides", "zones"))], MemberInfo)
    topics, said = ("rides", "zones"), encode(MemberInfo(host="old", running=["0_0", "0_1"]))
    joined = Subscription("new", topics, assignor.user_data())
    members = [Subscription("old", topics, said, tuple(rides)), joined]
    given = withhold(assignor.assign({"rides": 2, "zones": 2}, members), members)
    kept = given["old"].partitions
    assert (len(kept), given["new"].partitions) == (2, ()), "old runs one task with both inputs, nobody the other"
    members = [Subscription("old", topics, encode(MemberInfo(host="old", running=[f"0_{kept[0][1]}"])), kept), joined]
    given = withhold(assignor.assign({"rides": 2, "zones": 2}, members), members)
    assert given["old"].partitions == kept
    assert set(given["new"].partitions) == {*rides, *zones} - {*kept}


def test_a_topic_goes_to_those_that_read_it() -> None:
    """A rolling upgrade adds a topic, or takes one away: who does not know it gets none of it, and nothing moves twice."""
    assignor = TaskAssignor([TaskInputs(0, ("words",)), TaskInputs(1, ("added",))], MemberInfo)
    counts = {"words": 3, "added": 3}
    reads = {"knows": ("words", "added"), "knows too": ("words", "added"), "is old": ("words",)}
    owned: dict[str, tuple[TopicPartition, ...]] = dict.fromkeys(reads, ())
    seen = []
    for _ in range(3):
        members = [Subscription(name, topics, assignor.user_data(), owned[name]) for name, topics in reads.items()]
        owned = {name: each.partitions for name, each in assignor.assign(counts, members).items()}
        seen.append(owned)
        assert {partition.topic for partition in owned["is old"]} == {"words"}
        assert sum(map(len, owned.values())) == 6
    assert seen[1] == seen[2]


def test_what_was_assigned_stands_for_the_same_program_only() -> None:
    """Another source, address or standby count makes another program, another partition count another division."""

    def worker(inputs: TaskInputs = COUNTS, rules: PlacementRules = NO_COPIES, **said: Any) -> TaskAssignor:
        return TaskAssignor([inputs], lambda: MemberInfo(host="h", **said), rules=rules)

    first, counts = worker(), {"words": 2}
    told = first.assign(counts, [Subscription("m", ("words",), first.user_data())])["m"].user_data
    same = worker(running=["0_0"], positions={"0_1": 7}, round=3)
    others = [worker(TaskInputs(0, ("words", "more"))), worker(rules=PlacementRules(1)), worker(address="b:2")]
    for each in (same, *others):
        each.user_data()
    assert [each.stands(told, None) for each in (same, *others)] == [True, False, False, False]
    assert (same.stands(told, counts), same.stands(told, {"words": 3})) == (True, False)
    assert not same.stands(b"", None)
    assert not same.stands(encode(GroupInfo(version=2)), None)


def test_what_is_to_be_let_go_does_not_stand() -> None:
    """A worker that is killed before it has let go joins anew when it is back: the others wait for it to do so."""
    old = subscription("old", words(0, 1), running=["0_0", "0_1"], program="p")
    warm = subscription("new", positions={"0_1": 7}, program="p")
    given = assigned([old, warm], {1: 7})
    assert {name: info(each).program for name, each in given.items()} == {"old": "", "new": "p"}


def test_one_that_asks_for_it_has_all_stop() -> None:
    """Nothing moves, so that everybody can commit what it has."""
    members = [subscription("a", words(0)), subscription("b", words(1), stops=True)]
    given = assigned(members, {})
    assert {name: each.partitions for name, each in given.items()} == {"a": words(0), "b": words(1)}
    assert all(decode_group(each.user_data).stops for each in given.values())


def test_members_of_other_kinds_are_refused() -> None:
    """A plain consumer in the group is an error that says what to do."""
    with pytest.raises(ClientError, match="use another application id"):
        assigned([Subscription("m", (), b"range")], {})
