"""What differs from Apache Kafka 4.3.1 and stays so, each with its reason; docs/broker.md has the table made from it.

A rule names an API and a part of the path of the field that differs; where it says so, what came from Kafka as well.
"""

from typing import NamedTuple

from broker.protocol.apis import ApiKey
from tests.broker.differential.comparison import Difference
from tests.broker.differential.requests import Request


class Known(NamedTuple):
    """One difference: where, and why."""

    api_key: ApiKey
    path: str
    reason: str


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
        "the broker shows the settings it obeys, not all of Kafka's 340; loggers and client metrics have none here",
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
)


def known_difference(request: Request, difference: Difference) -> bool:
    """Whether a difference is one of those."""
    return any(known.api_key == request.api_key and difference.path.startswith(known.path) for known in KNOWN)
