"""Finds the worker that holds a key: its partition by Kafka's partitioner, its task by the store, the rest was told.

Rules: answers are those of the last assignment; they may be asked for on any thread. A store that every worker holds
whole (a global one) is everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from state.stores import StoreSpec
from streams.clients.partitioner import partitions_for
from streams.errors import StreamsError
from streams.metadata import KeyQueryMetadata, StreamsMetadata
from streams.record import Windowed
from streams.runtime.group_view import GroupView
from streams.runtime.task import TaskId
from streams.settings import nearest
from streams.topology.topology import Topology


class StoreLocations:
    """See the module. `counts` has the partitions of every topic that tasks read, `running` the tasks of this worker."""

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
        self._partitions = {
            part.id: max((counts.get(topic, 0) for topic in part.source_topics), default=0)
            for part in topology.subtopologies
        }
        self._group = group
        self._running = running

    def of_key(self, store: str, key: Any) -> KeyQueryMetadata:
        """The worker of a key. Raises: StreamsError for an unknown store."""
        if store in self._global:
            return KeyQueryMetadata(self._group.address or None, tuple(sorted(self._group.hosts)), 0, local=True)
        spec, part = self._found(store)
        data = spec.key_serde.serialize(key.key if isinstance(key, Windowed) else key)
        (partition,) = partitions_for([data], max(self._partitions[part], 1))
        task = TaskId(part, partition)
        hosts = self._group.hosts
        local = str(task) in self._running()
        active = next((address for address, tasks in hosts.items() if task in tasks.running), None)
        standbys = tuple(sorted(address for address, tasks in hosts.items() if task in tasks.standbys))
        return KeyQueryMetadata(active, standbys, partition, local)

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
