"""What differs from Apache Kafka 4.3.1 and stays so, each with its reason; docs/broker.md has the table made from it.

A rule names an API and a part of the path of the field that differs; where it says so, what came from Kafka as well.
"""

from typing import Any, NamedTuple

from broker.errors import ErrorCode
from broker.protocol.apis import ApiKey
from tests.broker.differential.comparison import Difference
from tests.broker.differential.requests import Request

ANY = object()


class Known(NamedTuple):
    """One difference: where, why, between which values, and in requests that say what."""

    api_key: ApiKey
    path: str
    reason: str
    ours: Any = ANY
    theirs: Any = ANY
    about: str = ""

    def covers(self, request: Request, difference: Difference) -> bool:
        """Whether a difference is this one."""
        return (
            self.api_key == request.api_key
            and difference.path.startswith(self.path)
            and self.about in str(request)
            and self.ours in (ANY, difference.ours)
            and self.theirs in (ANY, difference.theirs)
        )


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
        ApiKey.OFFSET_COMMIT,
        ".topics[].partitions[].error_code",
        "a commit of which nothing was stored makes a group in Kafka, and none here",
        ours=ErrorCode.ILLEGAL_GENERATION,
        theirs=ErrorCode.UNKNOWN_MEMBER_ID,
    ),
    *(
        Known(api_key, ".responses[]", "an unknown setting of the broker is refused", about="no.such.setting")
        for api_key in (ApiKey.ALTER_CONFIGS, ApiKey.INCREMENTAL_ALTER_CONFIGS)
    ),
    Known(ApiKey.UPDATE_FEATURES, ".error_code", LEVELS, ours=ErrorCode.INVALID_UPDATE_VERSION, theirs=0),
    Known(ApiKey.UPDATE_FEATURES, ".error_message", LEVELS, ours="a message", theirs=None),
)


def known_difference(request: Request, difference: Difference) -> bool:
    """Whether a difference is one of those."""
    return any(known.covers(request, difference) for known in KNOWN)
