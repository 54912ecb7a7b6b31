"""Has the topics an application needs: checks the users' own, and makes repartition and changelog topics.

Rules: a source topic that is missing is an error, unless the broker makes it when it is asked; an internal topic that
exists must have the right number of partitions, for another number would send keys to the wrong stores. Every worker
does this at its start, and it is no harm when several do.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping

from streams.clients.base import Admin, NewTopic
from streams.config import StreamsConfig
from streams.errors import TopologyError
from streams.runtime.assignor import TaskInputs
from streams.runtime.collector import Output
from streams.topology.internal_topics import partition_counts
from streams.topology.topology import Topology

log = logging.getLogger(__name__)


def ensure_topics(topology: Topology, config: StreamsConfig, admin: Admin, producer: Output) -> dict[str, int]:
    """Make what is missing; the answer is the partition count of every topic that tasks read.

    Raises: ClientError for a missing source topic, TopologyError for a wrong number of partitions.
    """
    known = _known(topology, admin, producer)
    internal = partition_counts(known, topology.subtopologies, topology.repartition_topics, topology.copartition_groups)
    counts = {**known, **internal}
    wanted = {**internal, **changelog_counts(topology, counts)}
    _create(topology, config, admin, wanted)
    return counts


def changelog_counts(topology: Topology, counts: Mapping[str, int]) -> dict[str, int]:
    """How many partitions each changelog needs: one per task of its sub-topology."""
    found: dict[str, int] = {}
    for part in topology.subtopologies:
        tasks = max((counts.get(topic, 0) for topic in part.source_topics), default=0)
        found |= {topic: tasks for topic in part.changelogs.values() if topic in topology.changelog_topics}
    return found


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


def task_inputs(topology: Topology, matched: Iterable[str]) -> list[TaskInputs]:
    """The source topics of each sub-topology, those that match its patterns included."""
    topics = sorted(matched)
    return [
        TaskInputs(
            part.id,
            (
                *part.source_topics,
                *(topic for topic in topics if any(re.fullmatch(pattern, topic) for pattern in part.patterns)),
            ),
            tuple(part.changelogs.values()),
        )
        for part in topology.subtopologies
    ]


def _known(topology: Topology, admin: Admin, producer: Output) -> dict[str, int]:
    """Partition counts of the users' topics."""
    described = admin.describe(topology.user_topics)
    return {
        topic: described[topic].partitions if topic in described else producer.partition_count(topic)
        for topic in topology.user_topics
    }


def _create(topology: Topology, config: StreamsConfig, admin: Admin, wanted: Mapping[str, int]) -> None:
    existing = admin.describe(wanted)
    for name, description in existing.items():
        if description.partitions != wanted[name]:
            raise TopologyError(
                f"internal topic {name} has {description.partitions} partition(s), and {wanted[name]} are needed: its "
                "source topics have changed. Reset the application (`streams reset`), or give it another name"
            )
    topics = {**topology.repartition_topics, **topology.changelog_topics}
    missing = [
        NewTopic(name, count, config.replication_factor, topics[name].config)
        for name, count in wanted.items()
        if name not in existing
    ]
    if missing:
        log.info("creating internal topics: %s", ", ".join(f"{topic.name} ({topic.partitions})" for topic in missing))
        admin.create(missing)
