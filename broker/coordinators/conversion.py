"""Groups that change their kind with members in them: while clients are moved from one protocol to the other, one by one.

A classic group becomes a consumer group when the first member of the new protocol joins it, with what its members have; it
becomes a classic group again when the last one has gone. Pure functions between the two. Source: KIP-848's online migration.
"""

from collections.abc import Mapping

from broker.coordinators.consumer_group import (
    ClassicSide,
    ConsumerGroup,
    ConsumerMember,
    Kind,
    Place,
    Subscription,
)
from broker.coordinators.consumer_membership import TopicShape
from broker.coordinators.consumer_protocol import (
    PROTOCOL_TYPE,
    Partition,
    assignment,
    parse_assignment,
    parse_subscription,
)
from broker.coordinators.group import Group, GroupState, Member
from broker.errors import BrokerError, ErrorCode


def places_of(partitions: frozenset[Partition], topics: Mapping[str, TopicShape]) -> frozenset[Place]:
    """Partitions by topic id, those of topics that exist."""
    return frozenset((topics[name].topic_id, index) for name, index in partitions if name in topics)


def named(places: frozenset[Place], topics: Mapping[str, TopicShape]) -> frozenset[Partition]:
    """Partitions by name, those of topics that exist."""
    names = {topic.topic_id: name for name, topic in topics.items()}
    return frozenset((names[topic_id], index) for topic_id, index in places if topic_id in names)


def to_consumer(group: Group, topics: Mapping[str, TopicShape]) -> ConsumerGroup:
    """The consumer group with a classic group's members where they stand. Raises: BrokerError(GROUP_ID_NOT_FOUND)."""
    if group.protocol_type != PROTOCOL_TYPE:
        raise BrokerError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group.group_id} is not a consumer group.")
    made = ConsumerGroup(group.group_id)
    made.epoch = made.assignment_epoch = group.generation
    protocol = group.protocol or group.select_protocol()
    try:
        for member in group.members.values():
            _take_over(made, member, protocol, topics)
    except ValueError as error:
        raise BrokerError(
            ErrorCode.GROUP_ID_NOT_FOUND, f"the members of {group.group_id} do not speak the consumer protocol: {error}"
        ) from error
    made.note(Kind.GROUP)
    made.note(Kind.TARGET_EPOCH)
    return made


def _take_over(made: ConsumerGroup, member: Member, protocol: str, topics: Mapping[str, TopicShape]) -> None:
    said = parse_subscription(member.protocols.get(protocol, b""))
    held = places_of(parse_assignment(member.assignment), topics)
    subscription = Subscription(
        member.instance_id,
        said.rack_id,
        member.client_id,
        member.client_host,
        said.topics,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
    )
    taken = ConsumerMember(member.member_id, subscription, made.epoch, made.epoch)
    taken.classic = ClassicSide(member.session_timeout_ms, dict(member.protocols))
    made.add(taken)
    made.hold(taken, held)
    made.targets[member.member_id] = held
    made.note(Kind.TARGET, member.member_id)


def to_classic(group: ConsumerGroup, topics: Mapping[str, TopicShape], generation: int, now_ms: int) -> Group:
    """The classic group, Stable, of a consumer group's members, all of whom speak the classic protocol."""
    made = Group(group.group_id, now_ms)
    made.protocol_type = PROTOCOL_TYPE
    made.generation = generation
    for member in group.members.values():
        assert member.classic is not None
        said = member.subscription
        made.add(
            Member(
                member.member_id,
                said.instance_id,
                said.client_id,
                said.client_host,
                max(said.rebalance_timeout_ms, 0),
                member.classic.session_timeout_ms,
                dict(member.classic.protocols),
            )
        )
    made.protocol = made.select_protocol()
    for taken in made.members.values():
        version = parse_subscription(taken.protocols[made.protocol]).version
        target = group.targets.get(taken.member_id, frozenset())
        taken.assignment = assignment(named(target, topics), version)
    made.state = GroupState.STABLE
    return made
