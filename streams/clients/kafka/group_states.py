"""Where a member of a group can be, what a rebalance tells the processing thread, and how the group is set up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import NamedTuple

from streams.record import TopicPartition


class Ownership(Enum):
    """What a rebalance asks of the processing thread, or tells it."""

    JOINING = "joining"
    REVOKED = "revoked"
    LOST = "lost"
    ASSIGNED = "assigned"


class Rebalance(NamedTuple):
    """Something the processing thread has to know; all but ASSIGNED wait for `done` with what to tell the leader.

    `life` is that of the member: what belongs to an older one is void.
    """

    ownership: Ownership
    partitions: frozenset[TopicPartition]
    user_data: bytes
    life: int
    done: Callable[[bytes], None]


class GroupSettings(NamedTuple):
    """Times in ms. A static member (with an `instance_id`) that `stays` keeps its place in the group when it closes."""

    group: str
    instance_id: str | None
    stays: bool
    session_timeout_ms: int
    heartbeat_interval_ms: int
    max_poll_interval_ms: int


class MemberState(Enum):
    """Where a member is between two generations."""

    UNJOINED = "unjoined"
    PREPARING = "preparing"
    JOINING = "joining"
    SYNCING = "syncing"
    STABLE = "stable"
    ENDED = "ended"


TRANSITIONS: Mapping[MemberState, frozenset[MemberState]] = {
    MemberState.UNJOINED: frozenset({MemberState.PREPARING, MemberState.ENDED}),
    MemberState.PREPARING: frozenset({MemberState.JOINING, MemberState.UNJOINED, MemberState.ENDED}),
    MemberState.JOINING: frozenset(
        {MemberState.SYNCING, MemberState.PREPARING, MemberState.UNJOINED, MemberState.ENDED}
    ),
    MemberState.SYNCING: frozenset(
        {MemberState.STABLE, MemberState.PREPARING, MemberState.UNJOINED, MemberState.ENDED}
    ),
    MemberState.STABLE: frozenset({MemberState.PREPARING, MemberState.UNJOINED, MemberState.ENDED}),
    MemberState.ENDED: frozenset(),
}
