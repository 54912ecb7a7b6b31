"""DescribeGroups, ListGroups, DeleteGroups, OffsetDelete: groups as administrators see them."""

from collections.abc import Callable, Mapping
from typing import Any

from broker.coordinators.group import Group, GroupState
from broker.errors import BrokerError, ErrorCode
from broker.protocol.bodies import Body
from broker.server.broker import Broker
from broker.server.exchange import Exchange
from broker.server.topic_answers import by_topic, joined

OPERATIONS_NOT_ASKED = -(2**31)
GROUP_OPERATIONS = sum(1 << code for code in (3, 6, 8, 10, 11))
"""read, delete, describe, describe and alter settings."""
CLASSIC = "classic"
CONSUMER = "consumer"
UNKNOWN_GROUP_IS_AN_ERROR = 6


def describe(broker: Broker, exchange: Exchange, request: Any) -> Body:
    """State, protocol and members of each group; an unknown group is Dead, and from version 6 an error."""
    operations = GROUP_OPERATIONS if getattr(request, "include_authorized_operations", False) else OPERATIONS_NOT_ASKED
    described = [
        _described(exchange.version, group_id, broker.groups.describe(group_id)) for group_id in request.groups
    ]
    return {
        "groups": [
            {**group, "authorized_operations": OPERATIONS_NOT_ASKED if group.get("error_code") else operations}
            for group in described
        ]
    }


def _described(version: int, group_id: str, group: Group | None) -> dict[str, Any]:
    if group is None:
        body: dict[str, Any] = {"group_id": group_id, "group_state": GroupState.DEAD.value}
        if version >= UNKNOWN_GROUP_IS_AN_ERROR:
            body["error_code"] = ErrorCode.GROUP_ID_NOT_FOUND
            body["error_message"] = f"there is no group {group_id!r}"
        return body
    settled = group.state is GroupState.STABLE
    protocol = group.protocol or ""
    return {
        "group_id": group_id,
        "error_message": None,
        "group_state": group.state.value,
        "protocol_type": group.protocol_type or "",
        "protocol_data": protocol if group.state is GroupState.STABLE else "",
        "members": [
            {
                "member_id": member.member_id,
                "group_instance_id": member.instance_id,
                "client_id": member.client_id,
                "client_host": member.client_host,
                "member_metadata": member.protocols.get(protocol, b"") if settled else b"",
                "member_assignment": member.assignment,
            }
            for member in group.members.values()
        ],
    }


def list_groups(broker: Broker, _: Exchange, request: Any) -> Body:
    """All groups, or those in the states and of the types asked for."""
    states = {state.lower() for state in getattr(request, "states_filter", ())}
    types = {kind.lower() for kind in getattr(request, "types_filter", ())}
    listed = []
    for group_id in broker.groups.group_ids():
        group = _listed(broker, group_id)
        if (not states or group["group_state"].lower() in states) and (not types or group["group_type"] in types):
            listed.append(group)
    return {"groups": listed}


def _listed(broker: Broker, group_id: str) -> dict[str, Any]:
    consumer = broker.groups.consumer_group(group_id)
    if consumer is not None:
        state, kind, protocol = consumer.state.value, CONSUMER, CONSUMER
    else:
        group = broker.groups.describe(group_id)
        assert group is not None
        state, kind, protocol = group.state.value, CLASSIC, group.protocol_type or ""
    return {"group_id": group_id, "protocol_type": protocol, "group_state": state, "group_type": kind}


def delete(broker: Broker, exchange: Exchange, request: Any) -> None:
    """Answer when every group is deleted, or refused."""
    group_ids = list(dict.fromkeys(request.groups_names))
    results: list[Body] = []
    if not group_ids:
        exchange.answer({"results": []})
    for group_id in group_ids:
        broker.groups.delete(group_id, _collector(exchange, group_id, results, len(group_ids)))


def _collector(exchange: Exchange, group_id: str, results: list[Body], count: int) -> Callable[[ErrorCode], None]:
    def done(error: ErrorCode) -> None:
        results.append({"group_id": group_id, "error_code": error})
        if len(results) == count:
            exchange.answer({"results": results})

    return done


def delete_offsets(broker: Broker, exchange: Exchange, request: Any) -> None:
    """Forget a group's offsets of topics it does not read. Raises: BrokerError."""
    places = [(topic.name, item.partition_index) for topic in request.topics for item in topic.partitions]
    missing = {place: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION for place in places if broker.directory.get(*place) is None}

    def done(errors: Mapping[tuple[str, int], ErrorCode]) -> None:
        found = {**errors, **missing}
        topics = (
            (
                topic.name,
                topic.name in broker.catalog.topics,
                [(item.partition_index, found[topic.name, item.partition_index]) for item in topic.partitions],
            )
            for topic in request.topics
        )
        exchange.answer(by_topic(joined(topics)))

    try:
        broker.groups.delete_offsets(request.group_id, places, done)
    except BrokerError as error:
        exchange.answer({"error_code": error.code})
