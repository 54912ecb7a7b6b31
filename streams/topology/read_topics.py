"""The topics that tasks read: those that the program names, and those that match its patterns at the time of asking.

Rules: neither an application's own topics nor Kafka's match a pattern; a topic that two patterns match has two sources,
which is an error. In groups of topics that must agree, a pattern stands as `/pattern/`, which is no topic's name.
Source: Kafka's ConsumerCoordinator (updatePatternSubscription, exclude.internal.topics) and InternalTopologyBuilder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from streams.clients.base import Admin
from streams.errors import TopologyError
from streams.topology.nodes import SubTopology
from streams.topology.topology import Topology

__all__ = ["copartitioned", "matcher", "matching_topics", "topics_read", "with_matches"]

KAFKAS_OWN = frozenset({"__consumer_offsets", "__transaction_state", "__share_group_state"})


def matcher(topology: Topology) -> Callable[[str], bool] | None:
    """A function that tells whether a topic matches some pattern of the program; None if it has no patterns."""
    patterns = [re.compile(pattern) for part in topology.subtopologies for pattern in part.patterns]
    if not patterns:
        return None
    own = {*topology.repartition_topics, *topology.changelog_topics, *KAFKAS_OWN}
    return lambda name: name not in own and any(pattern.fullmatch(name) for pattern in patterns)


def matching_topics(topology: Topology, admin: Admin) -> dict[str, int]:
    """The topics there are now for sources with a pattern, and their partition counts."""
    matches = matcher(topology)
    if matches is None:
        return {}
    names = [name for name in admin.topics() if matches(name)]
    return {name: description.partitions for name, description in admin.describe(names).items()}


def topics_read(topology: Topology, admin: Admin) -> tuple[str, ...]:
    """All that tasks read: the topics that the program names, there or not, and those that match its patterns now."""
    return tuple(dict.fromkeys((*topology.source_topics, *matching_topics(topology, admin))))


def with_matches(topology: Topology, topics: Iterable[str]) -> tuple[SubTopology, ...]:
    """The sub-topologies as if they named those of the topics that match their patterns.

    Raises: TopologyError for a topic that two patterns match.
    """
    matches = matcher(topology) or (lambda _name: False)
    of_pattern: dict[str, str] = {}
    parts = []
    for part in topology.subtopologies:
        found = []
        for topic in sorted(filter(matches, topics)) if part.patterns else ():
            for pattern in [each for each in part.patterns if re.fullmatch(each, topic)]:
                if topic in of_pattern:
                    raise TopologyError(
                        f"topic {topic} matches two patterns, {of_pattern[topic]!r} and {pattern!r}: records of a topic go "
                        "to one source, so give them patterns that have no topic in common"
                    )
                of_pattern[topic] = pattern
                found.append(topic)
        parts.append(replace(part, source_topics=(*part.source_topics, *found)))
    return tuple(parts)


def copartitioned(topology: Topology, topics: Iterable[str]) -> tuple[frozenset[str], ...]:
    """The groups of topics that must have equally many partitions, with what matches in place of patterns."""
    matches = matcher(topology)
    known = [topic for topic in topics if matches is not None and matches(topic)]

    def named(member: str) -> Iterable[str]:
        if not member.startswith("/"):
            return (member,)
        return (topic for topic in known if re.fullmatch(member[1:-1], topic))

    return tuple(
        frozenset(topic for member in group for topic in named(member)) for group in topology.copartition_groups
    )
