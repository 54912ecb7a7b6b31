"""Whether an application is well: seen from inside a worker at once, and from outside by what its group commits.

Rules: lagging is no illness, lagging without progress is; an idle application is well. From outside one has to wait as
long as commits are apart before standing still can be told from being between two commits. It knows numbers only.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from streams.cli.topic_tools import groups_of
from streams.connection import Connection
from streams.topology.read_topics import topics_read
from streams.topology.topology import Topology

MARGIN_S = 2.0
LOOK_EVERY_S = 0.2


class GroupHealth(NamedTuple):
    """What is seen of an application from outside; `lag` counts records not committed yet."""

    healthy: bool
    reason: str
    state: str
    members: int
    lag: int | None


def group_health(connection: Connection, topology: Topology, within_s: float | None = None) -> GroupHealth:
    """Look at the application's group; while it lags, until it commits something, or for `within_s`.

    `within_s` is by default the commit interval and some time for the commit itself.
    """
    config = connection.config
    info = groups_of(connection).describe(config.application_id)
    members, topics = len(info.members), topics_read(topology, connection.admin)
    lag = _total(connection, config.application_id, topics)
    if not members:
        return GroupHealth(False, "no worker runs", info.state, 0, lag)
    if not lag:
        return GroupHealth(True, "all is processed", info.state, members, lag)
    limit_s = config.commit_interval_ms / 1000 + MARGIN_S if within_s is None else within_s
    committed = connection.committed(config.application_id, topics)
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)
        if connection.committed(config.application_id, topics) != committed:
            lag = _total(connection, config.application_id, topics)
            return GroupHealth(True, "it makes progress", info.state, members, lag)
    behind = "its topics are not there" if lag is None else f"{lag:,} records behind"
    return GroupHealth(False, f"{behind}, and nothing was committed for {limit_s:g} s", info.state, members, lag)


def _total(connection: Connection, group: str, topics: tuple[str, ...]) -> int | None:
    lag = connection.lag(group, topics)
    return None if lag is None else sum(lag.values())
