"""Has the topics an application needs: checks the users' own, and makes repartition and changelog topics.

Rules: a source topic that is missing is an error, unless the broker makes it when it is asked; an internal topic that
exists must have the right number of partitions, for another number would send keys to the wrong stores. Every worker
does this at its start, and it is no harm when several do; when topics have come, gone or grown since, the leader of the
group does it again before it divides them.
Source: Kafka's StreamsPartitionAssignor, RepartitionTopics, ChangelogTopics and InternalTopicManager.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from streams.clients.base import Admin, NewTopic, TopicDescription
from streams.config import StreamsConfig
from streams.errors import ChangelogLost, TopologyError
from streams.runtime.assignor import TaskInputs
from streams.runtime.collector import Output
from streams.topology.internal_topics import partition_counts
from streams.topology.read_topics import copartitioned, matcher, with_matches
from streams.topology.topology import InternalTopic, SubTopology, Topology

log = logging.getLogger(__name__)


def ensure_topics(
    topology: Topology,
    config: StreamsConfig,
    admin: Admin,
    producer: Output,
    on_disk: Callable[[str], bool] = lambda _store: False,
    matched: Mapping[str, int] = {},
) -> dict[str, int]:
    """Make what is missing; the answer is the partition count of every topic that tasks read.

    `on_disk(store)` tells whether state of that store lies on this machine, `matched` has the topics that match patterns.
    Raises: ClientError for a missing source topic, TopologyError for an internal topic that does not fit, ChangelogLost
    for one that is gone.
    """
    known = _known(topology, admin, producer)
    return ensure_internal(topology, config, admin, {**known, **matched}, on_disk)


def ensure_internal(
    topology: Topology, config: StreamsConfig, admin: Admin, known: Mapping[str, int], on_disk: Callable[[str], bool]
) -> dict[str, int]:
    """The same when the partition counts of all source topics are `known`, those included that match patterns."""
    parts = with_matches(topology, known)
    repartitions = {**topology.repartition_topics, **_left_behind(topology, parts, admin)}
    internal = partition_counts(known, parts, repartitions, copartitioned(topology, known))
    counts = {**known, **internal}
    _create(topology, config, admin, {**internal, **changelog_counts(topology, parts, counts)}, on_disk)
    return counts


def _left_behind(topology: Topology, parts: Iterable[SubTopology], admin: Admin) -> dict[str, InternalTopic]:
    """Repartition topics that are there, though no topic matches any more that decided how large they are."""
    unfed = {topic for part in parts if part.patterns and not part.source_topics for topic in part.sink_topics}
    described = admin.describe(unfed & topology.repartition_topics.keys())
    return {
        name: replace(topology.repartition_topics[name], partitions=found.partitions)
        for name, found in described.items()
    }


class ReadTopics:
    """Has the internal topics fit the topics that are read, as these come, go and grow; called by the leader.

    `counts` and `matched` have the partitions at its start: of the topics that the program names, and of those that match.
    """

    def __init__(
        self,
        topology: Topology,
        config: StreamsConfig,
        admin: Admin,
        counts: Mapping[str, int],
        matched: Mapping[str, int],
        on_disk: Callable[[str], bool],
    ) -> None:
        self._topology, self._config, self._admin, self._on_disk = topology, config, admin, on_disk
        self._matches = matcher(topology) or (lambda _topic: False)
        self._changelogs = changelogs_expected(topology, counts)
        self._last = self._read({**counts, **matched})

    def prepare(self, partitions: Mapping[str, int]) -> None:
        """Before these are divided. Raises: TopologyError when an internal topic, or one that is joined, does not fit; ClientError."""
        found = self._read(partitions)
        if found == self._last:
            return
        for part in self._topology.subtopologies:
            expect_changelogs(
                part, max((found.get(topic, 0) for topic in part.source_topics), default=0) - 1, self._changelogs
            )
        repartitions = self._topology.repartition_topics
        known = {topic: count for topic, count in found.items() if topic not in repartitions}
        ensure_internal(self._topology, self._config, self._admin, known, self._on_disk)
        self._last = found

    def _read(self, partitions: Mapping[str, int]) -> dict[str, int]:
        """Those that tasks of this program read; in a rolling upgrade there are others."""
        named = set(self._topology.source_topics)
        return {
            topic: count for topic, count in partitions.items() if count and (topic in named or self._matches(topic))
        }


def ensure_dead_letters(topics: Iterable[str], config: StreamsConfig, admin: Admin) -> None:
    """Make the topics of dead letters that are missing, with the broker's number of partitions."""
    wanted = dict.fromkeys(topics)
    missing = [name for name in wanted if name not in admin.describe(wanted)] if wanted else []
    if missing:
        log.info("creating topics for dead letters: %s", ", ".join(missing))
        admin.create(NewTopic(name, -1, config.replication_factor, {}) for name in missing)


def changelog_counts(topology: Topology, parts: Iterable[SubTopology], counts: Mapping[str, int]) -> dict[str, int]:
    """How many partitions each changelog needs: one per task of its sub-topology. Without tasks it is not needed yet."""
    found: dict[str, int] = {}
    for part in parts:
        tasks = max((counts.get(topic, 0) for topic in part.source_topics), default=0)
        if tasks:
            found |= {topic: tasks for topic in part.changelogs.values() if topic in topology.changelog_topics}
    return found


def changelogs_expected(topology: Topology, counts: Mapping[str, int]) -> dict[str, int]:
    """The same as a worker knows it from its start on, so without those where topics come and go: the leader looks."""
    return changelog_counts(topology, [part for part in topology.subtopologies if not part.patterns], counts)


def expect_changelogs(part: SubTopology, partition: int, changelogs: Mapping[str, int]) -> None:
    """Raises: TopologyError for a task beyond its changelogs: a source topic has grown under a stateful part."""
    for store, topic in part.changelogs.items():
        if partition >= changelogs.get(topic, partition + 1):
            raise TopologyError(
                f"task {part.id}_{partition} is new, since {' or '.join(part.source_topics)} has grown, and the changelog "
                f"{topic} of store {store} has only {changelogs[topic]} partition(s): with more partitions, keys go to "
                "other tasks than those that have their state. Give the topic its old size back by moving the records to "
                "a new topic, or begin anew with `streams reset`"
            )


def expect_state(topology: Topology, missing: Iterable[str], on_disk: Callable[[str], bool]) -> None:
    """Look at changelogs that are missing, before they are made.

    Raises: ChangelogLost for one whose store lies on this disk, `on_disk(store)`: it has been in use.
    """
    gone = set(missing)
    for part in topology.subtopologies:
        for store, topic in part.changelogs.items():
            if topic in gone and on_disk(store):
                raise ChangelogLost(topic, store, "does not exist, and the store lies on this disk")


def task_inputs(topology: Topology) -> list[TaskInputs]:
    """What each sub-topology reads and keeps."""
    return [
        TaskInputs(part.id, part.source_topics, tuple(part.changelogs.values()), part.patterns)
        for part in topology.subtopologies
    ]


def subtopology_finder(topology: Topology, inputs: Iterable[TaskInputs]) -> Callable[[str], int]:
    """A function that tells which sub-topology reads a topic, one that has come meanwhile and matches a pattern too.

    It raises TopologyError for a topic that none of them reads.
    """
    known = {topic: part.subtopology for part in inputs for topic in part.topics}

    def find(topic: str) -> int:
        if topic not in known:
            found = [part.id for part in topology.subtopologies if any(re.fullmatch(p, topic) for p in part.patterns)]
            if not found:
                raise TopologyError(
                    f"this worker was given {topic}, which no source of its program reads: all workers of an application "
                    "have to run the same program"
                )
            known[topic] = found[0]
        return known[topic]

    return find


def _known(topology: Topology, admin: Admin, producer: Output) -> dict[str, int]:
    """Partition counts of the users' topics."""
    described = admin.describe(topology.user_topics)
    return {
        topic: described[topic].partitions if topic in described else producer.partition_count(topic)
        for topic in topology.user_topics
    }


def _create(
    topology: Topology,
    config: StreamsConfig,
    admin: Admin,
    wanted: Mapping[str, int],
    on_disk: Callable[[str], bool],
) -> None:
    existing = admin.describe(wanted)
    topics = {**topology.repartition_topics, **topology.changelog_topics}
    for name, description in existing.items():
        expect_fitting(description, topics[name], wanted[name])
    missing = [
        NewTopic(name, count, config.replication_factor, topics[name].config)
        for name, count in wanted.items()
        if name not in existing
    ]
    expect_state(topology, (topic.name for topic in missing), on_disk)
    if missing:
        log.info("creating internal topics: %s", ", ".join(f"{topic.name} ({topic.partitions})" for topic in missing))
        admin.create(missing)


def expect_fitting(found: TopicDescription, topic: InternalTopic, partitions: int) -> None:
    """Look at an internal topic that exists.

    Raises: TopologyError for another number of partitions, or a policy that would lose state; a name and a cure are in
    it. Other settings are the operator's to change, and only told; so are all of a topic that the user gave.
    """
    if found.partitions != partitions:
        raise TopologyError(
            f"internal topic {found.name} has {found.partitions} partition(s), and {partitions} are needed: its "
            "source topics have changed, or somebody made it anew. Reset the application (`streams reset`), or give "
            "it another name"
        )
    wanted = topic.config.get("cleanup.policy", "delete")
    policy = found.config.get("cleanup.policy", wanted)
    if _policies(policy) != _policies(wanted):
        harm = (
            "state would be deleted by its age" if "compact" in wanted else "all but a key's last record would be lost"
        )
        problem = (
            f"internal topic {found.name} has cleanup.policy={policy}, and {wanted} is needed: {harm}. Set it back "
            f"(kafka-configs --alter --topic {found.name} --add-config cleanup.policy={wanted})"
        )
        if not topic.given:
            raise TopologyError(problem)
        log.warning("%s", problem)
    kept, needed = (int(config.get("retention.ms", -1)) for config in (found.config, topic.config))
    if not topic.given and "delete" in wanted and kept >= 0 and (needed < 0 or kept < needed):
        raise TopologyError(
            f"internal topic {found.name} has retention.ms={kept}, and {needed} is needed: records that still count would "
            f"be deleted. Raise it (kafka-configs --alter --topic {found.name} --add-config retention.ms={needed})"
        )
    for name, value in topic.config.items():
        if name not in {"cleanup.policy", "retention.ms"} and found.config.get(name, value) != value:
            log.info("internal topic %s has %s=%s, not %s: left as it is", found.name, name, found.config[name], value)


def _policies(text: str) -> set[str]:
    return {each.strip() for each in text.split(",")}
