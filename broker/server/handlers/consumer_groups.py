"""ConsumerGroupHeartbeat and ConsumerGroupDescribe: the new consumer protocol on the wire."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID, uuid4

from broker.coordinators.consumer_group import ConsumerGroup, ConsumerMember, Place
from broker.coordinators.consumer_membership import Beat, Heartbeat
from broker.errors import BrokerError, ErrorCode
from broker.log.checkpoints import uuid_text
from broker.protocol.bodies import Body
from broker.server.broker import Broker
from broker.server.exchange import Exchange
from broker.server.handlers.group_admin import GROUP_OPERATIONS, OPERATIONS_NOT_ASKED

IDS_FROM_CLIENTS = 1
CLASSIC_MEMBER, CONSUMER_MEMBER = 0, 1
STATIC_LEAVE = -2
JOINS = 0
BLANKS = "".join(map(chr, range(ord(" ") + 1)))


def heartbeat(broker: Broker, exchange: Exchange, request: Any) -> None:
    """Answer when what the heartbeat changed is durable."""
    try:
        _check(exchange.version, request)
        beat = _heartbeat(exchange, request)
        broker.groups.consumer_heartbeat(request.group_id, beat, lambda result: exchange.answer(_answer(result)))
    except BrokerError as error:
        exchange.answer({"error_code": error.code, "error_message": error.message or None})


def _check(version: int, request: Any) -> None:
    """What no heartbeat may say. Raises: BrokerError."""
    joins, epoch = request.member_epoch == JOINS, request.member_epoch
    by_client = version >= IDS_FROM_CLIENTS
    regex = getattr(request, "subscribed_topic_regex", None)
    problems = (
        (_is_blank(request.group_id), "GroupId can't be empty."),
        (
            _is_blank(request.member_id) and (by_client or epoch not in {JOINS, STATIC_LEAVE}),
            "MemberId can't be empty.",
        ),
        (_is_blank(request.instance_id), "InstanceId can't be empty."),
        (_is_blank(request.rack_id), "RackId can't be empty."),
        (epoch < STATIC_LEAVE, f"MemberEpoch is {epoch}, but must be greater than or equal to -2."),
        (epoch == STATIC_LEAVE and request.instance_id is None, "InstanceId can't be null."),
        (joins and request.rebalance_timeout < 0, "RebalanceTimeoutMs must be provided in first request."),
        (
            joins and (request.topic_partitions is None or bool(request.topic_partitions)),
            "TopicPartitions must be empty when (re-)joining.",
        ),
        (
            joins and request.subscribed_topic_names is None and regex is None,
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
        ),
    )
    for is_wrong, message in problems:
        if is_wrong:
            raise BrokerError(ErrorCode.INVALID_REQUEST, message)


def _is_blank(text: str | None) -> bool:
    """Whether a text that was given says nothing; Java's blanks are the space and all characters before it."""
    return text is not None and not text.strip(BLANKS)


def _heartbeat(exchange: Exchange, request: Any) -> Heartbeat:
    names, owned = request.subscribed_topic_names, request.topic_partitions
    return Heartbeat(
        member_id=request.member_id or uuid_text(uuid4()),
        epoch=request.member_epoch,
        instance_id=request.instance_id,
        rack_id=request.rack_id,
        client_id=exchange.client_id,
        client_host=f"/{exchange.host}",
        rebalance_timeout_ms=request.rebalance_timeout,
        topics=None if names is None else frozenset(names),
        regex=getattr(request, "subscribed_topic_regex", None),
        assignor=request.server_assignor,
        owned=None if owned is None else _places(owned),
    )


def _places(topics: Iterable[Any]) -> frozenset[Place]:
    return frozenset((topic.topic_id, index) for topic in topics if topic.topic_id for index in topic.partitions)


def _answer(beat: Beat) -> Body:
    assignment = None if beat.assignment is None else {"topic_partitions": _by_topic(beat.assignment)}
    return {
        "error_code": beat.error,
        "error_message": beat.message,
        "member_id": beat.member_id,
        "member_epoch": beat.epoch,
        "heartbeat_interval": beat.interval_ms,
        "assignment": assignment,
    }


def _by_topic(places: Iterable[Place]) -> list[dict[str, Any]]:
    by_topic: dict[UUID, list[int]] = {}
    for topic_id, partition in sorted(places):
        by_topic.setdefault(topic_id, []).append(partition)
    return [{"topic_id": topic_id, "partitions": partitions} for topic_id, partitions in by_topic.items()]


# ---- describe


def describe(broker: Broker, _: Exchange, request: Any) -> Body:
    """Epochs, members, what they have and what they shall have."""
    operations = GROUP_OPERATIONS if request.include_authorized_operations else OPERATIONS_NOT_ASKED
    names = {topic.topic_id: name for name, topic in broker.catalog.topics.items()}
    groups: list[Body] = []
    for group_id in request.group_ids:
        group = broker.groups.consumer_group(group_id)
        if not group_id:
            described: Body = {"error_code": ErrorCode.INVALID_GROUP_ID, "error_message": None, "group_id": ""}
            groups.append({**described, "authorized_operations": OPERATIONS_NOT_ASKED})
        elif group is None:
            groups.append({**_unknown(broker, group_id), "authorized_operations": OPERATIONS_NOT_ASKED})
        else:
            groups.append({**_described(group, names), "authorized_operations": operations})
    return {"groups": groups}


def _unknown(broker: Broker, group_id: str) -> dict[str, Any]:
    is_classic = broker.groups.describe(group_id) is not None
    message = f"Group {group_id} is not a consumer group." if is_classic else f"Group {group_id} not found."
    return {"error_code": ErrorCode.GROUP_ID_NOT_FOUND, "error_message": message, "group_id": group_id}


def _described(group: ConsumerGroup, names: Mapping[UUID, str]) -> dict[str, Any]:
    return {
        "group_id": group.group_id,
        "group_state": group.state.value,
        "group_epoch": group.epoch,
        "assignment_epoch": group.assignment_epoch,
        "assignor_name": group.assignor,
        "members": [_member(group, member, names) for member in group.members.values()],
    }


def _member(group: ConsumerGroup, member: ConsumerMember, names: Mapping[UUID, str]) -> dict[str, Any]:
    said = member.subscription
    target = group.targets.get(member.member_id, frozenset())
    return {
        "member_id": member.member_id,
        "instance_id": said.instance_id,
        "rack_id": said.rack_id,
        "member_epoch": member.epoch,
        "client_id": said.client_id,
        "client_host": said.client_host,
        "subscribed_topic_names": sorted(said.topics),
        "subscribed_topic_regex": said.regex or "",
        "assignment": {"topic_partitions": _named(member.assigned | member.pending_revocation, names)},
        "target_assignment": {"topic_partitions": _named(target, names)},
        "member_type": CONSUMER_MEMBER if member.classic is None else CLASSIC_MEMBER,
    }


def _named(places: Iterable[Place], names: Mapping[UUID, str]) -> list[dict[str, Any]]:
    """Partitions of the topics that exist."""
    return [
        {**topic, "topic_name": names[topic["topic_id"]]} for topic in _by_topic(places) if topic["topic_id"] in names
    ]
