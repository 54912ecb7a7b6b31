"""Who runs what: the assignor's promises over random groups."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.clients.base import Subscription
from streams.errors import ClientError
from streams.record import TopicPartition
from streams.runtime.assignor import VERSION, MemberState, TaskAssignor, TaskInputs, distribute
from streams.runtime.task import TaskId

tasks = st.lists(st.builds(TaskId, st.integers(0, 3), st.integers(0, 9)), unique=True).map(sorted)
names = st.sets(st.sampled_from("abcdefgh"), min_size=1)


@st.composite
def groups(draw: st.DrawFn) -> tuple[list[TaskId], dict[str, MemberState]]:
    """Tasks, and members that say they run or keep some of them, not always truthfully."""
    every = draw(tasks)
    some = st.lists(st.sampled_from([str(task) for task in every]), unique=True) if every else st.just([])
    return every, {name: MemberState(VERSION, draw(some), draw(some)) for name in draw(names)}


@given(groups())
def test_every_task_has_one_owner_and_loads_differ_by_one_at_most(
    group: tuple[list[TaskId], dict[str, MemberState]],
) -> None:
    """Complete and balanced, whatever members claim."""
    every, members = group
    owners = distribute(every, members)
    assert owners.keys() == set(every)
    loads = Counter(owners.values())
    counts = [loads[member] for member in members]
    assert max(counts) - min(counts) <= 1


@given(tasks, names)
def test_nothing_moves_when_nothing_changes(every: list[TaskId], members: set[str]) -> None:
    """Members that run what they were given get the same again."""
    first = distribute(every, {member: MemberState(VERSION) for member in members})
    running = {member: [str(task) for task, owner in first.items() if owner == member] for member in members}
    states = {member: MemberState(VERSION, running[member]) for member in members}
    assert distribute(every, states) == first


@given(tasks, names)
def test_a_new_member_takes_no_more_than_its_share(every: list[TaskId], members: set[str]) -> None:
    """Of two members that stay, neither gives a task to the other."""
    first = distribute(every, {member: MemberState(VERSION) for member in members})
    states = {
        member: MemberState(VERSION, [str(task) for task, owner in first.items() if owner == member])
        for member in members
    }
    second = distribute(every, states | {"new": MemberState(VERSION)})
    assert all(second[task] in {owner, "new"} for task, owner in first.items())


def test_a_sub_topology_is_spread() -> None:
    """Two workers, one of them just started, run half of each sub-topology."""
    every = [TaskId(part, number) for part in range(2) for number in range(2)]
    states = {"old": MemberState(VERSION, [str(task) for task in every]), "new": MemberState(VERSION)}
    owners = distribute(every, states)
    assert Counter((task.subtopology, owner) for task, owner in owners.items()).most_common(1)[0][1] == 1


def test_a_task_goes_where_its_state_lies() -> None:
    """A restarted member with state on disk gets its task back."""
    every = [TaskId(0, 0), TaskId(0, 1)]
    states = {"a": MemberState(VERSION, [], ["0_1"]), "b": MemberState(VERSION, [], ["0_0"])}
    assert distribute(every, states) == {TaskId(0, 0): "b", TaskId(0, 1): "a"}


def test_joined_topics_stay_together() -> None:
    """A task gets its partition of every topic it reads; one with fewer partitions feeds the first tasks only."""
    assignor = TaskAssignor([TaskInputs(0, ("rides", "zones"))], lambda: MemberState(VERSION))
    members = [Subscription(name, ("rides", "zones"), assignor.user_data()) for name in ("a", "b")]
    given_out = assignor.assign({"rides": 2, "zones": 1}, members)
    assert {assignment.partitions for assignment in given_out.values()} == {
        (TopicPartition("rides", 0), TopicPartition("zones", 0)),
        (TopicPartition("rides", 1),),
    }


def test_members_of_other_kinds_are_refused() -> None:
    """Another version, or a plain consumer in the group, is an error that says what to do."""
    assignor = TaskAssignor([], lambda: MemberState(VERSION))
    newer = TaskAssignor([], lambda: MemberState(VERSION + 1)).user_data()
    with pytest.raises(ClientError, match="run the same release everywhere"):
        assignor.assign({}, [Subscription("m", (), newer)])
    with pytest.raises(ClientError, match="use another application id"):
        assignor.assign({}, [Subscription("m", (), b"range")])


def test_a_large_group_is_assigned_quickly_enough_to_test() -> None:
    """Ten thousand tasks on a thousand members: ten each."""
    every = [TaskId(0, number) for number in range(10_000)]
    owners = distribute(every, {f"m{number:04}": MemberState(VERSION) for number in range(1_000)})
    assert set(Counter(owners.values()).values()) == {10}
