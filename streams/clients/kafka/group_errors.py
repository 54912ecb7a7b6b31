"""What a group's coordinator may answer that no retry cures, as sentences that say what to do."""

from __future__ import annotations

from streams.clients.kafka.codes import Code, name_of
from streams.errors import ClientError, GroupOccupied

REMEDIES = {
    Code.INCONSISTENT_GROUP_PROTOCOL: (
        "its members divide partitions by another assignor: stop the other application, or use another application id"
    ),
    Code.INVALID_SESSION_TIMEOUT: (
        "session_timeout_ms is outside of what the broker allows (group.min.session.timeout.ms to "
        "group.max.session.timeout.ms): change one of them"
    ),
    Code.INVALID_GROUP_ID: "the application id is no valid group id: choose another",
    Code.GROUP_AUTHORIZATION_FAILED: "this user may not read the group: have it allowed",
    Code.GROUP_MAX_SIZE_REACHED: "it is full: run fewer workers, or raise group.max.size of the broker",
    Code.FENCED_INSTANCE_ID: (
        "another worker runs with the same group_instance_id, or with a copy of the state directory: give each worker "
        "its own, or stop the other"
    ),
    Code.OFFSET_METADATA_TOO_LARGE: "the metadata of an offset is too large: raise offset.metadata.max.bytes",
    Code.TOPIC_AUTHORIZATION_FAILED: "this user may not read a topic: have it allowed",
    Code.UNKNOWN_TOPIC_OR_PARTITION: "a topic that was read is gone, or has fewer partitions than before",
}


def refusal(group: str, code: int, what: str) -> ClientError:
    """The error for a code; `what` names the request, as in "be joined"."""
    kind = GroupOccupied if code == Code.INCONSISTENT_GROUP_PROTOCOL else ClientError
    remedy = REMEDIES.get(Code(code)) if code in Code._value2member_map_ else None
    return kind(f"group {group!r} cannot {what}: {remedy or 'the broker answers'} ({name_of(code)})")
