"""Opens the stores of a worker's tasks: their directories, and the memory they share.

Rules: a task's directory is locked by this process from its first store on until the task lets go; stores that are not
persistent make no directory. One record-cache budget, block cache and write-buffer limit serves all tasks. A task that
becomes a standby, or the other way round, parks its engines here, and the next store goes on with them.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from state import ChangelogWriter, RecordCacheBudget, RocksDBResources, StateDirectory, TaskDirectory, open_store
from state.directory import set_aside
from state.engine import Engine
from state.errors import CorruptStore, StateError, StoreLocked
from state.stores import Store, StoreSpec
from streams.config import StreamsConfig
from streams.runtime.task import TaskId

log = logging.getLogger(__name__)

NOTE_EVERY = 10_000
"""Positions are noted when they have moved by this much: what a copy may be behind and still count as complete."""


class TaskStores:
    """Where the tasks of one worker keep their state."""

    def __init__(self, config: StreamsConfig) -> None:
        self._directory = StateDirectory(Path(config.state_dir), config.application_id)
        self._owner = f"{config.client_id} on {socket.gethostname()}"
        self._total_bytes, self._configure = config.rocksdb_total_bytes, config.rocksdb_config_setter
        self._resources: RocksDBResources | None = None
        self.record_cache = RecordCacheBudget(config.statestore_cache_max_bytes)
        self._owned: dict[TaskId, TaskDirectory] = {}
        self._parked: dict[TaskId, dict[str, Engine]] = {}
        self._parked_at: dict[TaskId, int] = {}
        self._noted: dict[TaskId, int] = {}

    def open(self, spec: StoreSpec, task: TaskId, changelog: ChangelogWriter | None) -> Store:
        """Open a store of a task; one that cannot be trusted is set aside first, and a new one takes its place.

        Raises: StoreLocked when another process has the task.
        """
        return self._open_trusted(spec, task, changelog, self.record_cache)

    def open_standby(self, spec: StoreSpec, task: TaskId) -> Store:
        """Open a store that only takes in its changelog. Raises: StoreLocked."""
        return self._open_trusted(spec, task, None, None)

    def _open_trusted(
        self, spec: StoreSpec, task: TaskId, changelog: ChangelogWriter | None, cache: RecordCacheBudget | None
    ) -> Store:
        try:
            return self._open(spec, task, changelog, cache)
        except CorruptStore as error:
            path = self.set_aside(task, spec.name)
            log.warning("store %s of task %s is not to be used, and set aside as %s: %s", spec.name, task, path, error)
            return self._open(spec, task, changelog, cache)

    def _open(
        self, spec: StoreSpec, task: TaskId, changelog: ChangelogWriter | None, cache: RecordCacheBudget | None
    ) -> Store:
        directory, resources = None, None
        if spec.persistent:
            directory, resources = self._own(task).path, self._shared()
        engine = self._parked.get(task, {}).pop(spec.name, None)
        self._parked_at.pop(task, None)  # from its first store on, who has it tells how far it is
        store = open_store(
            spec, directory=directory, changelog=changelog, cache=cache, resources=resources, engine=engine
        )
        return cast("Store", store)

    def park(self, task: TaskId, store: Store) -> None:
        """Close a store, and keep its engine for the next store of that name that the task opens."""
        self._parked_at[task] = self._parked_at.get(task, 0) + (store.position or 0)
        self._parked.setdefault(task, {})[store.name] = store.hand_over()

    def note(self, task: TaskId, stores: Iterable[Store], *, at_least: int = NOTE_EVERY) -> None:
        """Write down how complete a task's stores are, if they have moved by `at_least` since."""
        if task not in self._owned:
            return
        positions = {store.name: store.position for store in stores if store.spec.persistent}
        known = {name: position for name, position in positions.items() if position is not None}
        moved = sum(known.values())
        if known and moved - self._noted.get(task, -at_least) >= at_least:
            self._noted[task] = moved
            try:
                self._owned[task].note_positions(known)
            except OSError as error:  # a hint for others, which nobody stops for
                log.warning("how far task %s has come cannot be noted: %s", task, error)

    def release(self, task: TaskId) -> None:
        """Let other processes have a task's directory; its stores are closed."""
        for engine in self._parked.pop(task, {}).values():
            engine.close()
        self._parked_at.pop(task, None)
        self._noted.pop(task, None)
        directory = self._owned.pop(task, None)
        if directory is not None:
            directory.close()

    def set_aside(self, task: TaskId, store: str) -> Path | None:
        """Give a closed store that cannot be trusted another name; the answer is its new path, None for one in memory."""
        return set_aside(self._owned[task].path, store) if task in self._owned else None

    def positions(self) -> dict[str, int]:
        """The tasks with state here, and how far it has come: where engines were parked, else the sum of what was noted last."""
        noted = {task: sum(self._directory.noted_positions(task).values()) for task in self._directory.tasks()}
        return noted | {str(task): position for task, position in self._parked_at.items()}

    def clean(self, unused_ms: int) -> None:
        """Remove the state of tasks that nobody has had for that long."""
        owned = {str(task) for task in self._owned}
        for task in set(self._directory.tasks()) - owned:
            idle_s = self._directory.idle_s(task)
            if idle_s * 1000 < unused_ms:
                continue
            try:
                self._directory.remove(task)
            except StoreLocked:
                continue
            except (OSError, StateError) as error:
                log.warning("the state of task %s cannot be removed: %s", task, error)
            else:
                log.info("removed the state of task %s, which nobody has used for %.0f s", task, idle_s)

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
            self._resources = RocksDBResources(total_bytes=self._total_bytes, configure=self._configure)
        return self._resources
