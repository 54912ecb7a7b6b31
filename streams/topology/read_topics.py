"""The topics that tasks read: those that the program names, and those that match its patterns at the time of asking.

Rules: an application's own topics match no pattern. A worker reads what matches when it starts.
"""

from __future__ import annotations

import re

from streams.clients.base import Admin
from streams.topology.topology import Topology

__all__ = ["matching_topics", "topics_read"]


def matching_topics(topology: Topology, admin: Admin) -> dict[str, int]:
    """The topics there are now for sources with a pattern, and their partition counts."""
    patterns = [re.compile(pattern) for part in topology.subtopologies for pattern in part.patterns]
    if not patterns:
        return {}
    own = {*topology.repartition_topics, *topology.changelog_topics}
    names = [
        name for name in admin.topics() if name not in own and any(pattern.fullmatch(name) for pattern in patterns)
    ]
    return {name: description.partitions for name, description in admin.describe(names).items()}


def topics_read(topology: Topology, admin: Admin) -> tuple[str, ...]:
    """All that tasks read: the topics that the program names, there or not, and those that match its patterns now."""
    return tuple(dict.fromkeys((*topology.source_topics, *matching_topics(topology, admin))))
