"""Opens the stores of a worker's tasks: their directories, and the memory they share.

Rules: a task's directory is locked by this process from its first store on until the task lets go; stores that are not
persistent make no directory. One record-cache budget, block cache and write-buffer limit serves all tasks.
"""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import cast

from state import ChangelogWriter, RecordCacheBudget, RocksDBResources, StateDirectory, TaskDirectory, open_store
from state.directory import set_aside
from state.errors import CorruptStore
from state.stores import Store, StoreSpec
from streams.config import StreamsConfig
from streams.runtime.task import TaskId

log = logging.getLogger(__name__)


class TaskStores:
    """Where the tasks of one worker keep their state."""

    def __init__(self, config: StreamsConfig) -> None:
        self._directory = StateDirectory(Path(config.state_dir), config.application_id)
        self._owner = f"{config.client_id} on {socket.gethostname()}"
        self._total_bytes = config.rocksdb_total_bytes
        self._resources: RocksDBResources | None = None
        self.record_cache = RecordCacheBudget(config.statestore_cache_max_bytes)
        self._owned: dict[TaskId, TaskDirectory] = {}

    def open(self, spec: StoreSpec, task: TaskId, changelog: ChangelogWriter | None) -> Store:
        """Open a store of a task; one that is damaged is set aside first, and a new one takes its place.

        Raises: StoreLocked when another process has the task.
        """
        try:
            return self._open(spec, task, changelog)
        except CorruptStore as error:
            path = self.set_aside(task, spec.name)
            log.warning("store %s of task %s is damaged, set aside as %s: %s", spec.name, task, path, error)
            return self._open(spec, task, changelog)

    def _open(self, spec: StoreSpec, task: TaskId, changelog: ChangelogWriter | None) -> Store:
        directory, resources = None, None
        if spec.persistent:
            directory, resources = self._own(task).path, self._shared()
        store = open_store(spec, directory=directory, changelog=changelog, cache=self.record_cache, resources=resources)
        return cast("Store", store)

    def release(self, task: TaskId) -> None:
        """Let other processes have a task's directory; its stores are closed."""
        directory = self._owned.pop(task, None)
        if directory is not None:
            directory.close()

    def set_aside(self, task: TaskId, store: str) -> Path | None:
        """Give a closed store that cannot be trusted another name; the answer is its new path."""
        return set_aside(self._own(task).path, store)

    def on_disk(self) -> list[str]:
        """The tasks with state here that are this process's, or nobody's, as far as can be seen."""
        return self._directory.tasks()

    def close(self) -> None:
        """Release all directories."""
        for task in list(self._owned):
            self.release(task)

    def _own(self, task: TaskId) -> TaskDirectory:
        if task not in self._owned:
            self._owned[task] = self._directory.open_task(str(task), owner=self._owner)
        return self._owned[task]

    def _shared(self) -> RocksDBResources:
        if self._resources is None:
            self._resources = RocksDBResources(total_bytes=self._total_bytes)
        return self._resources
