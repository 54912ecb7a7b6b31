"""Finds the worker that holds a key: its partition by who writes there, its task by the store, the rest was told.

Rules: the partitioner is the one asked with, else that of the program's own sink which writes the records of the store's
task, else Kafka's; it is called without a value. Answers are those of the last assignment; they may be asked for on any thread. A store that every worker holds
whole (a global one) is everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from state.stores import StoreSpec
from streams.clients.partitioner import partition_for
from streams.errors import StreamsError
from streams.metadata import KeyQueryMetadata, StreamsMetadata
from streams.operators.sink import Partitioner, chosen_partitions
from streams.record import Windowed
from streams.runtime.group_view import GroupView
from streams.runtime.member_info import task_named
from streams.runtime.task import TaskId
from streams.settings import nearest
from streams.topology.nodes import SinkNode, SubTopology
from streams.topology.topology import Topology


class StoreLocations:
    """See the module.

    `counts` has the partitions of every topic that tasks read, at the start; `running` the tasks of this worker.
    """

    def __init__(
        self,
        topology: Topology,
        counts: Mapping[str, int],
        group: GroupView,
        running: Callable[[], Collection[str]],
    ) -> None:
        self._stores: dict[str, tuple[StoreSpec, int]] = {
            spec.name: (spec, part.id) for part in topology.subtopologies for spec in part.stores
        }
        self._global = {each.store.name for each in topology.global_stores}
        self._topics = {
            part.id: max(part.source_topics, key=lambda topic: counts.get(topic, 0), default="")
            for part in topology.subtopologies
        }
        self._counts = counts
        self._by_pattern = {part.id for part in topology.subtopologies if part.patterns}
        self._writers = {part.id: _written_by(topology, part) for part in topology.subtopologies}
        self._group = group
        self._running = running

    def of_key(self, store: str, key: Any, partitioner: Partitioner | None = None) -> KeyQueryMetadata:
        """The worker of a key. Raises: StreamsError for an unknown store, and for a partitioner that does not tell."""
        if store in self._global:
            return KeyQueryMetadata(self._group.address or None, tuple(sorted(self._group.hosts)), 0, local=True)
        spec, part = self._found(store)
        partition = self._partition(spec, part, key.key if isinstance(key, Windowed) else key, partitioner)
        task = TaskId(part, partition)
        hosts = self._group.hosts
        local = str(task) in self._running()
        active = next((address for address, tasks in hosts.items() if task in tasks.running), None)
        standbys = tuple(sorted(address for address, tasks in hosts.items() if task in tasks.standbys))
        return KeyQueryMetadata(active, standbys, partition, local)

    def _partition(self, spec: StoreSpec, part: int, key: Any, partitioner: Partitioner | None) -> int:
        """The partition of a key, in the topic with most of them among those that the store's task reads."""
        topic, written = self._writers[part] or (self._topics[part], None)
        count, data = self._count(part, topic), spec.key_serde.serialize(key)
        asked = partitioner or written
        if asked is None:
            return partition_for(data, count)
        try:
            chosen = chosen_partitions(asked(topic, key, None, count), data, count, topic)
        except Exception as error:
            raise StreamsError(
                f"store {spec.name}: the partitioner of {topic} does not tell the partition of {key!r} by the key alone "
                f"({type(error).__name__}: {error}): give metadata_for_key one that does, by partitioner="
            ) from error
        if len(set(chosen)) != 1:
            raise StreamsError(f"store {spec.name}: expected one partition of {key!r}, the partitioner gave {chosen}")
        return chosen[0]

    def _count(self, part: int, topic: str) -> int:
        """How many partitions keys are divided among; where topics come, go and grow, it follows from the tasks there are."""
        known = max(self._counts.get(topic, 0), 1)
        if part not in self._by_pattern and known < self._counts.get(self._topics[part], 0):
            return known  # another topic of the part is larger, and has tasks of its own
        tasks = {task for host in self._group.hosts.values() for task in host.running}
        tasks |= set(map(task_named, self._running()))
        found = max([task.partition + 1 for task in tasks if task.subtopology == part], default=known)
        return found if part in self._by_pattern else max(found, known)

    def of_store(self, store: str) -> list[StreamsMetadata]:
        """The workers that have some of a store, by address. Raises: StreamsError for an unknown store."""
        hosts = self._group.hosts
        if store in self._global:
            return [StreamsMetadata(address, (0,), ()) for address in sorted(hosts)]
        _, part = self._found(store)
        found = [
            StreamsMetadata(
                address,
                tuple(sorted(task.partition for task in tasks.running if task.subtopology == part)),
                tuple(sorted(task.partition for task in tasks.standbys if task.subtopology == part)),
            )
            for address, tasks in sorted(hosts.items())
        ]
        return [each for each in found if each.partitions or each.standby_partitions]

    def _found(self, store: str) -> tuple[StoreSpec, int]:
        if store not in self._stores:
            raise StreamsError(f"there is no store {store!r}{nearest(store, [*self._stores, *self._global])}")
        return self._stores[store]


def _written_by(topology: Topology, part: SubTopology) -> tuple[str, Partitioner] | None:
    """A topic of a sub-topology that the program writes by a partitioner of its own, and that one; None if there is none.

    Topics that are read side by side are written alike, or their records would not meet: the first tells.
    """
    for node in topology.nodes.values():
        if isinstance(node, SinkNode) and node.partitioner is not None and node.topic is not None:
            topic = topology.full_name(node.topic)
            if topic in part.source_topics:
                return topic, node.partitioner
    return None
