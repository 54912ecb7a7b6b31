"""The topics an application makes for itself: their names, their configuration, and how many partitions they get.

`<application id>-<name>-repartition` and foreign-key topics carry records between sub-topologies and are purged once
processed; `<application id>-<store>-changelog` keeps what a store would need to come back.
Rules: repartition topics adopt the largest partition count of what feeds them and of what they are joined with; topics
that are joined must have equally many. Precedence: library, `topic_settings` of the application, the store's own.
Source: Kafka's InternalTopicConfig and its kinds, RepartitionTopics, CopartitionedTopicsEnforcer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from state.stores import StoreKind, StoreSpec
from streams.errors import TopologyError
from streams.topology.nodes import InternalTopic, SubTopology

__all__ = ["changelog_name", "changelog_topic", "partition_counts", "repartition_topic"]

DAY_MS = 86_400_000
WINDOWED = {StoreKind.WINDOW, StoreKind.TIMESTAMPED_WINDOW, StoreKind.SESSION}
LIBRARY_SETTINGS = {"message.timestamp.type": "CreateTime"}
REPARTITION_SETTINGS = {"cleanup.policy": "delete", "retention.ms": "-1", "segment.bytes": str(50 * 1024**2)}


def changelog_name(application_id: str, store: str) -> str:
    """The full name of a store's changelog topic."""
    return f"{application_id}-{store}-changelog"


def repartition_topic(name: str, partitions: int | None, settings: Mapping[str, str]) -> InternalTopic:
    """A topic between two sub-topologies; `settings` are the application's own for its topics."""
    return InternalTopic(
        name=name, config={**LIBRARY_SETTINGS, **REPARTITION_SETTINGS, **settings}, partitions=partitions
    )


def changelog_topic(
    name: str, spec: StoreSpec, settings: Mapping[str, str], additional_retention_ms: int
) -> InternalTopic:
    """The topic of a store's changes: compacted, and for windows deleted some time after the store forgets them."""
    config = {"cleanup.policy": "compact"}
    if spec.kind in WINDOWED:
        kept_ms = min(spec.retention_ms + additional_retention_ms, 2**63 - 1)
        config = {"cleanup.policy": "compact,delete", "retention.ms": str(kept_ms)}
    elif spec.kind is StoreKind.VERSIONED_KEY_VALUE:
        config |= {"min.compaction.lag.ms": str(spec.retention_ms + DAY_MS)}
    return InternalTopic(
        name=name,
        config={**LIBRARY_SETTINGS, **config, **settings, **spec.topic_config},
        given=spec.changelog_topic is not None,
    )


def partition_counts(
    known: Mapping[str, int],
    subtopologies: Iterable[SubTopology],
    internal: Mapping[str, InternalTopic],
    groups: Iterable[frozenset[str]],
) -> dict[str, int]:
    """How many partitions each internal topic that joins sub-topologies gets, by full name.

    Shape: `known` has the counts of the users' topics; `internal` the repartition topics; `groups` the source topics
    that must agree. Raises: TopologyError when a topic is missing, or joined topics disagree.
    """
    counts = {name: topic.partitions for name, topic in internal.items() if topic.partitions is not None}
    parts, groups = tuple(subtopologies), tuple(groups)
    open_topics = [name for name in internal if name not in counts]
    while open_topics:
        settled = _settled(open_topics, parts, {**known, **counts}, internal)
        if not settled:
            raise TopologyError(f"the partition count of {open_topics[0]} depends on itself: give it `partitions`")
        counts |= settled
        open_topics = [name for name in open_topics if name not in counts]
    for group in groups:
        _agree(group, known, counts, internal)
    return counts


def _settled(
    open_topics: Iterable[str],
    parts: tuple[SubTopology, ...],
    counts: Mapping[str, int],
    internal: Mapping[str, InternalTopic],
) -> dict[str, int]:
    """The topics whose count follows from what is known. Where none does, as in the circle of a foreign-key join, known
    sources decide alone: Kafka leaves out the open ones always.
    """
    feeding = {topic: _feeding(topic, parts, counts, internal) for topic in open_topics}
    whole = {topic: found for topic, found in feeding.items() if None not in found}
    known = {topic: [count for count in found if count is not None] for topic, found in (whole or feeding).items()}
    return {topic: max(found, default=1) for topic, found in known.items() if found or topic in whole}


def _feeding(
    topic: str, parts: tuple[SubTopology, ...], counts: Mapping[str, int], internal: Mapping[str, InternalTopic]
) -> list[int | None]:
    """The partition counts of the sources of the sub-topologies that write to a topic, None where still open."""
    writers = [part for part in parts if topic in part.sink_topics]
    feeding = [source for part in writers for source in part.source_topics]
    if patterns := [pattern for part in writers for pattern in part.patterns if not feeding]:
        raise TopologyError(
            f"the topics that match {' or '.join(map(repr, patterns))} decide how many partitions {topic} gets, and there are "
            "none: create one before the application starts, or give the repartition `partitions`"
        )
    missing = [source for source in feeding if source not in counts and source not in internal]
    if missing:
        raise TopologyError(f"the topic {missing[0]} does not exist: create it before the application starts")
    return [counts.get(source) for source in feeding]


def _agree(
    group: frozenset[str], known: Mapping[str, int], counts: dict[str, int], internal: Mapping[str, InternalTopic]
) -> None:
    """Have the open topics of a group adopt what the fixed ones have. Raises: TopologyError when those disagree."""
    fixed = {topic: known[topic] for topic in group if topic in known}
    fixed |= {topic: counts[topic] for topic in group if topic in internal and internal[topic].partitions is not None}
    if len(set(fixed.values())) > 1:
        shown = ", ".join(f"{topic} {count}" for topic, count in sorted(fixed.items()))
        raise TopologyError(
            f"joined topics must have the same number of partitions, but they have: {shown}; "
            "repartition one of the sides, or give the topics the same number"
        )
    adopted = next(iter(fixed.values()), None) or max(counts.get(topic, 1) for topic in group)
    for topic in group:
        if topic in internal and topic not in fixed:
            counts[topic] = adopted
