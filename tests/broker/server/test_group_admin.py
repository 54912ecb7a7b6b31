"""Groups as administrators see them, over the wire."""

from collections.abc import Callable

import pytest

from tests.broker.wire import Wire

pytestmark = pytest.mark.broker

JOIN_GROUP, SYNC_GROUP, DESCRIBE_GROUPS = 11, 14, 15
MEMBER = {
    "group_id": "rebalances",
    "protocol_type": "consumer",
    "session_timeout": 30_000,
    "rebalance_timeout": 60_000,
    "protocols": [{"name": "range", "metadata": b"said"}],
}


def described(wire: Wire) -> tuple[str, list[tuple[bytes, bytes]]]:
    """The group's state, and its members by what they said and what they have."""
    (group,) = wire.call(DESCRIBE_GROUPS, 5, groups=["rebalances"]).groups
    return group.group_state, [(member.member_metadata, member.member_assignment) for member in group.members]


def test_members_keep_their_assignments_while_their_group_rebalances(wire: Wire, connect: Callable[[], Wire]) -> None:
    """What each has is described until the leader brings others, but not what each said, as in Kafka."""
    joined = wire.call(JOIN_GROUP, 3, **MEMBER)
    wire.call(
        SYNC_GROUP,
        3,
        group_id="rebalances",
        member_id=joined.member_id,
        generation_id=joined.generation_id,
        assignments=[{"member_id": joined.member_id, "assignment": b"mine"}],
    )
    assert described(wire) == ("Stable", [(b"said", b"mine")])
    connect().send(JOIN_GROUP, 3, **MEMBER)
    while described(wire)[0] == "Stable":
        pass
    assert described(wire) == ("PreparingRebalance", [(b"", b"mine"), (b"", b"")])
