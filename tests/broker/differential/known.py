"""What differs from Apache Kafka 4.3.1 and stays so, each with its reason; docs/broker.md has the table made from it.

A rule names an API and a part of the path of the field that differs; where it says so, what came from Kafka as well.
"""

import math
from typing import Any, NamedTuple

from broker.errors import ErrorCode
from broker.protocol.apis import ApiKey
from broker.server.handlers.group_admin import OPERATIONS_NOT_ASKED
from tests.broker.differential.comparison import Difference
from tests.broker.differential.requests import Request
from tests.broker.differential.sides import HUNG_UP

ANY = object()


class Known(NamedTuple):
    """One difference: where, why, between which values or how far apart, and in requests that say what.

    `nameless` are groups that Kafka lists beyond ours, if all are without a protocol, as those that nobody has joined.
    `unanswered` is what Kafka does instead of an answer: it hangs up, or falls silent (None).
    `ends` is set where the brokers are no longer alike after it, so that the episode is over.
    """

    api_key: ApiKey
    path: str
    reason: str
    ours: Any = ANY
    theirs: Any = ANY
    about: str = ""
    apart: int | None = None
    nameless: bool = False
    unanswered: Any = ANY
    ends: bool = False

    def covers(self, request: Request, difference: Difference) -> bool:
        """Whether a difference is this one."""
        return (
            self.api_key == request.api_key
            and difference.path.startswith(self.path)
            and self.about in str(request)
            and self.ours in (ANY, difference.ours)
            and self.theirs in (ANY, difference.theirs)
            and (self.apart is None or _apart(difference) <= self.apart)
            and (not self.nameless or _are_nameless(difference))
            and (self.unanswered is ANY or (difference.path == "" and difference.theirs == self.unanswered))
        )


def _apart(difference: Difference) -> float:
    ours, theirs = difference.ours, difference.theirs
    return abs(ours - theirs) if isinstance(ours, int) and isinstance(theirs, int) else math.inf


def _are_nameless(difference: Difference) -> bool:
    """Whether Kafka lists the same groups and some without a protocol."""
    ours, theirs = difference.ours, difference.theirs
    both_lists = isinstance(ours, list) and isinstance(theirs, list)
    return (
        both_lists
        and all(group in theirs for group in ours)
        and not any(group["protocol_type"] for group in theirs if group not in ours)
    )


MARKERS_APART_MS = 10_000
LEVELS = "features stay at their levels"
KNOWN = (
    Known(
        ApiKey.API_VERSIONS,
        "",
        "share groups and streams groups are not served, so neither their APIs nor their features are listed",
    ),
    Known(
        ApiKey.DESCRIBE_QUORUM,
        ".topics[].partitions[]",
        "offsets of the metadata log count changes of topics here, and Kafka's own records there",
    ),
    Known(
        ApiKey.DESCRIBE_CONFIGS,
        ".results[]",
        "the broker shows what it obeys and what tools look for, not all of Kafka's 340; loggers are Python's",
    ),
    *(
        Known(
            api_key,
            path,
            "which topic a member keeps when it gives some up follows topic ids, which each broker draws",
            ends=True,
        )
        for api_key, path in (
            (ApiKey.CONSUMER_GROUP_HEARTBEAT, ".assignment.topic_partitions"),
            (ApiKey.CONSUMER_GROUP_DESCRIBE, ".groups[].members[].assignment.topic_partitions[]."),
            (ApiKey.CONSUMER_GROUP_DESCRIBE, ".groups[].members[].target_assignment.topic_partitions[]."),
        )
    ),
    Known(
        ApiKey.LIST_GROUPS,
        ".groups[].group_state",
        "follows from that: one group is still on its way when the other has arrived",
    ),
    Known(
        ApiKey.CONSUMER_GROUP_HEARTBEAT,
        ".member_epoch",
        "follows from that: who holds what it is to give up stays at its epoch, who holds what it may keep goes on",
        about="'topic_partitions': [{",
        apart=1,
        ends=True,
    ),
    *(
        Known(
            ApiKey.DESCRIBE_GROUPS,
            f".groups[].{field}",
            "a group that was asked for and never written down is seen in Kafka once anything else is in its partition",
            ours=ours,
            theirs=theirs,
        )
        for field, ours, theirs in (
            ("group_state", "Empty", "Dead"),
            ("group_state", "Dead", "Empty"),
            ("error_code", ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.NONE),
            ("error_message", "a message", None),
            ("authorized_operations", OPERATIONS_NOT_ASKED, ANY),
        )
    ),
    Known(ApiKey.LIST_GROUPS, ".groups", "follows from that: such a group is listed too", nameless=True),
    Known(
        ApiKey.DELETE_GROUPS,
        ".results[].error_code",
        "follows from that: such a group can be deleted in Kafka, and is not found here",
        ours=ErrorCode.GROUP_ID_NOT_FOUND,
        theirs=ErrorCode.NONE,
    ),
    *(
        Known(
            ApiKey.OFFSET_DELETE,
            path,
            "a group without members is gone with its last offset here, and stays until it is looked at in Kafka",
            ours=ours,
        )
        for path, ours in ((".error_code", ErrorCode.GROUP_ID_NOT_FOUND), (".topics", []))
    ),
    *(
        Known(
            ApiKey.OFFSET_COMMIT,
            ".topics[].partitions[].error_code",
            "a commit of which nothing was stored makes a group in Kafka, and none here",
            ours=ours,
            theirs=ErrorCode.UNKNOWN_MEMBER_ID,
        )
        for ours in (ErrorCode.ILLEGAL_GENERATION, ErrorCode.GROUP_ID_NOT_FOUND)  # up to version 8, and after
    ),
    Known(
        ApiKey.CONSUMER_GROUP_HEARTBEAT,
        ".error_code",
        "a refused classic join takes an empty consumer group out of Kafka's memory, though not out of its log",
        ours=ErrorCode.UNKNOWN_MEMBER_ID,
        theirs=ErrorCode.GROUP_ID_NOT_FOUND,
        ends=True,
    ),
    Known(
        ApiKey.JOIN_GROUP,
        ".error_code",
        "follows from that: who joins it without an assignor is told of that first, where there is a group",
        ours=ErrorCode.UNKNOWN_MEMBER_ID,
        theirs=ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
    ),
    Known(
        ApiKey.LIST_OFFSETS,
        ".topics[].partitions[].timestamp",
        "where the first record at or after a time is a transaction's marker: each broker's own clock; offsets are compared",
        apart=MARKERS_APART_MS,
    ),
    *(
        Known(
            api_key,
            "",
            "something named twice is an accident to Kafka, which answers nothing",
            unanswered=None,
            ends=True,
        )
        for api_key in (ApiKey.ALTER_CONFIGS, ApiKey.JOIN_GROUP, ApiKey.WRITE_TXN_MARKERS)
    ),
    *(
        Known(api_key, "", "a filter of an unknown kind ends the connection in Kafka", unanswered=HUNG_UP)
        for api_key in (ApiKey.DESCRIBE_ACLS, ApiKey.DELETE_ACLS, ApiKey.CREATE_ACLS)
    ),
    Known(
        ApiKey.DESCRIBE_TOPIC_PARTITIONS, ".topics", "an empty name is an accident to Kafka (-1)", about="'name': ''"
    ),
    Known(ApiKey.UPDATE_FEATURES, ".results", LEVELS, ours=[]),
    *(
        Known(api_key, ".responses[]", "an unknown setting is refused", about="no.such.setting", ends=True)
        for api_key in (ApiKey.ALTER_CONFIGS, ApiKey.INCREMENTAL_ALTER_CONFIGS)
    ),
    Known(ApiKey.UPDATE_FEATURES, ".error_code", LEVELS, ours=ErrorCode.INVALID_UPDATE_VERSION, theirs=0),
    Known(ApiKey.UPDATE_FEATURES, ".error_message", LEVELS, ours="a message", theirs=None),
)


def known_difference(request: Request, difference: Difference) -> Known | None:
    """Which of those a difference is, if any."""
    return next((known for known in KNOWN if known.covers(request, difference)), None)
