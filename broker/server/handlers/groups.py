"""JoinGroup, SyncGroup, Heartbeat, LeaveGroup: requests of any version to the coordinator's values, and back."""

from typing import Any

from broker.coordinators.group import JoinResult, SyncResult
from broker.coordinators.membership import JoinRequest, SyncRequest
from broker.errors import BrokerError, ErrorCode
from broker.protocol.bodies import Body
from broker.protocol.hot import heartbeat_response
from broker.server.broker import Broker
from broker.server.exchange import Exchange

JOIN_ASKS_FOR_ID = 4
JOIN_SKIPS_ASSIGNMENT = 9
JOIN_MAY_NAME_NO_PROTOCOL = 7
SYNC_NAMES_PROTOCOL = 5


def join(broker: Broker, exchange: Exchange, request: Any) -> None:
    """Answer when the group is complete."""
    session_timeout_ms = request.session_timeout
    rebalance_timeout = getattr(request, "rebalance_timeout", None)
    broker.groups.join(
        request.group_id,
        JoinRequest(
            member_id=request.member_id,
            instance_id=getattr(request, "group_instance_id", None),
            client_id=exchange.client_id,
            client_host=f"/{exchange.host}",
            session_timeout_ms=session_timeout_ms,
            rebalance_timeout_ms=session_timeout_ms if rebalance_timeout is None else rebalance_timeout,
            protocol_type=request.protocol_type,
            protocols={protocol.name: protocol.metadata for protocol in request.protocols},
            require_known_id=exchange.version >= JOIN_ASKS_FOR_ID,
            can_skip_assignment=exchange.version >= JOIN_SKIPS_ASSIGNMENT,
        ),
        lambda result: exchange.answer(_joined(exchange.version, result)),
    )


def _joined(version: int, result: JoinResult) -> Body:
    protocol = result.protocol
    if protocol is None and version < JOIN_MAY_NAME_NO_PROTOCOL:
        protocol = ""
    return {
        "error_code": result.error,
        "generation_id": result.generation,
        "protocol_type": result.protocol_type,
        "protocol_name": protocol,
        "leader": result.leader,
        "skip_assignment": result.skip_assignment,
        "member_id": result.member_id,
        "members": [
            {"member_id": member_id, "group_instance_id": instance_id, "metadata": metadata}
            for member_id, instance_id, metadata in result.members
        ],
    }


def sync(broker: Broker, exchange: Exchange, request: Any) -> None:
    """Answer when the leader's assignment is stored."""
    if exchange.version >= SYNC_NAMES_PROTOCOL and None in {request.protocol_type, request.protocol_name}:
        raise BrokerError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    broker.groups.sync(
        request.group_id,
        SyncRequest(
            member_id=request.member_id,
            instance_id=getattr(request, "group_instance_id", None),
            generation=request.generation_id,
            protocol_type=getattr(request, "protocol_type", None),
            protocol=getattr(request, "protocol_name", None),
            assignments={item.member_id: item.assignment for item in request.assignments},
        ),
        lambda result: exchange.answer(_synced(result)),
    )


def _synced(result: SyncResult) -> Body:
    return {
        "error_code": result.error,
        "protocol_type": result.protocol_type,
        "protocol_name": result.protocol,
        "assignment": result.assignment,
    }


def heartbeat(broker: Broker, exchange: Exchange, request: Any) -> None:
    """Whether the member is still in its generation."""
    instance_id = getattr(request, "group_instance_id", None)
    error = broker.groups.heartbeat(request.group_id, request.member_id, instance_id, request.generation_id)
    exchange.answer_frame((heartbeat_response(exchange.version, exchange.correlation_id, error),))


def leave(broker: Broker, exchange: Exchange, request: Any) -> Body:
    """One member goes, or from version 3 several; each then has its own error."""
    if exchange.version < 3:
        return {"error_code": broker.groups.leave(request.group_id, request.member_id, None)}
    if not request.group_id:
        return {"error_code": ErrorCode.INVALID_GROUP_ID}
    leavers = [(member.member_id, member.group_instance_id) for member in request.members]
    answers = broker.groups.leave_all(request.group_id, leavers)
    return {
        "members": [
            {"member_id": member_id, "group_instance_id": instance_id, "error_code": answer}
            for (member_id, instance_id), answer in zip(leavers, answers, strict=True)
        ]
    }
