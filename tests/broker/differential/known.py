"""What differs from Apache Kafka 4.3.1 and stays so, each with its reason; docs/broker.md has the table made from it.

A rule names an API and a part of the path of the field that differs; where it says so, what came from Kafka as well.
"""

import math
from typing import Any, NamedTuple

from broker.errors import ErrorCode
from broker.protocol.apis import ApiKey
from tests.broker.differential.comparison import Difference
from tests.broker.differential.requests import Request

ANY = object()


class Known(NamedTuple):
    """One difference: where, why, between which values or how far apart, and in requests that say what.

    `ends` is set where the brokers are no longer alike after it, so that the episode is over.
    """

    api_key: ApiKey
    path: str
    reason: str
    ours: Any = ANY
    theirs: Any = ANY
    about: str = ""
    apart: int | None = None
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
        )


def _apart(difference: Difference) -> float:
    ours, theirs = difference.ours, difference.theirs
    return abs(ours - theirs) if isinstance(ours, int) and isinstance(theirs, int) else math.inf


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
    Known(
        ApiKey.CONSUMER_GROUP_HEARTBEAT,
        ".assignment",
        "patterns are matched with the heartbeat that brings them; Kafka matches them behind its answer",
    ),
    *(
        Known(
            ApiKey.CONSUMER_GROUP_DESCRIBE,
            f".groups[].members[].{kind}.topic_partitions[].topic_",
            "which topic a member keeps when it gives some up follows topic ids, which each broker draws",
            ends=True,
        )
        for kind in ("target_assignment", "assignment")
    ),
    Known(
        ApiKey.LIST_GROUPS,
        ".groups[].group_state",
        "follows from that: Kafka's group is still on its way when ours has arrived",
    ),
    Known(
        ApiKey.DESCRIBE_GROUPS,
        ".groups[].group_state",
        "a group that was asked for and never written down is seen in Kafka once anything else is in its partition",
        ours="Empty",
        theirs="Dead",
    ),
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
    Known(
        ApiKey.OFFSET_COMMIT,
        ".topics[].partitions[].error_code",
        "a commit of which nothing was stored makes a group in Kafka, and none here",
        ours=ErrorCode.ILLEGAL_GENERATION,
        theirs=ErrorCode.UNKNOWN_MEMBER_ID,
    ),
    Known(
        ApiKey.LIST_OFFSETS,
        ".topics[].partitions[].timestamp",
        "where the first record at or after a time is a transaction's marker: each broker's own clock; offsets are compared",
        apart=MARKERS_APART_MS,
    ),
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
