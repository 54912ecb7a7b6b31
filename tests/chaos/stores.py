"""Changelogs and RocksDB after the end: the one must give the right totals, the other must be the first up to a point.

Every store on every disk counts, also those of tasks that moved away long ago: what a store holds must be what the
committed changelog gives up to the store's position, to the byte. That is why no kill ever needs a wipe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from state import StateDirectory, StoreSpec, open_store
from streams.clients.base import Consumer
from streams.record import TopicPartition
from streams.topology.topology import Topology
from tests.chaos.inputs import Totals

OWNER = "the chaos test"

Reader = Callable[[], Consumer]
"""Makes a consumer of what is committed."""


class Log(NamedTuple):
    """The committed records of a changelog partition, as columns, and where it ends."""

    keys: list[bytes]
    values: list[bytes | None]
    timestamps: list[int]
    offsets: list[int]
    end: int

    def until(self, position: int) -> Log:
        """The records below a position."""
        count = sum(offset < position for offset in self.offsets)
        return Log(self.keys[:count], self.values[:count], self.timestamps[:count], self.offsets[:count], position)


def read_log(reader: Reader, partition: TopicPartition) -> Log:
    """All of a partition."""
    consumer = reader()
    consumer.assign([partition])
    end = consumer.end_offsets([partition])[partition]
    log = Log([], [], [], [], end)
    while consumer.position(partition) < end:
        for batch in consumer.poll(1.0):
            columns = batch.columns()
            log.keys.extend(columns.keys)
            log.values.extend(columns.values)
            log.timestamps.extend(columns.timestamps)
            log.offsets.extend(columns.offsets or ())
    consumer.close()
    return log


def replayed(spec: StoreSpec, log: Log) -> list[Any]:
    """The content of a store that took in a changelog."""
    store = open_store(replace(spec, persistent=False, logged=False, cached=False), directory=None)
    store.restore(log.keys, log.values, log.timestamps, log.end)
    return list(store.all())


def changelog_problems(topology: Topology, reader: Reader, partitions: int, totals: Totals) -> list[str]:
    """What the changelogs of counts and sums give, against the totals."""
    found = []
    for name in ("counts", "sums"):
        content: dict[str, int] = {}
        for number in range(partitions):
            log = read_log(reader, TopicPartition(topology.changelog_of(name) or "", number))
            for key, (value, _timestamp) in replayed(topology.stores[name], log):
                content[key if isinstance(key, str) else f"{key[0]}@{key[1]}"] = value
        expected = getattr(totals, name)
        wrong = [key for key in content.keys() | expected.keys() if content.get(key) != expected.get(key)]
        if wrong:
            examples = ", ".join(f"{key}: {content.get(key)} not {expected.get(key)}" for key in wrong[:5])
            found.append(f"changelog of {name}: {len(wrong)} differ ({examples})")
    return found


def disk_problems(
    topology: Topology, reader: Reader, application_id: str, state_dirs: Iterable[Path]
) -> tuple[int, list[str]]:
    """Every store on disk against its changelog up to its position; how many were compared, and what differs."""
    logs: dict[TopicPartition, Log] = {}
    compared, problems = 0, []
    for state_dir in state_dirs:
        directory = StateDirectory(state_dir, application_id)
        for task in directory.tasks():
            with directory.open_task(task, owner=OWNER) as owned:
                for name in owned.stores():
                    if "corrupt" in name:
                        problems.append(f"{owned.path}: {name} was set aside")
                        continue
                    partition = TopicPartition(topology.changelog_of(name) or "", int(task.partition("_")[2]))
                    if partition not in logs:
                        logs[partition] = read_log(reader, partition)
                    compared += 1
                    problem = store_problem(topology.stores[name], owned.path, logs[partition])
                    problems += [f"{owned.path}: {problem}"] if problem else []
    return compared, problems


def store_problem(spec: StoreSpec, directory: Path, log: Log) -> str | None:
    """How one store differs from its changelog, None when it does not."""
    store = open_store(replace(spec, logged=False, cached=False), directory=directory)
    try:
        position, content = store.position, list(store.all())
    finally:
        store.close()
    if position is None:
        return f"{spec.name} has content and no position" if content else None
    if position > log.end:
        return f"{spec.name} is at {position}, its changelog ends at {log.end}"
    expected = replayed(spec, log.until(position))
    if content == expected:
        return None
    return f"{spec.name} at {position} differs in {len(set(content) ^ set(expected))} entries from its changelog"
