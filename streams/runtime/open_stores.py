"""The stores that a query may read: those of tasks that run, or all that are open.

Rules: an answer from a part of the store is none, so a task that does not run yet makes it StoreNotReady; whoever asks for
one partition waits for its task alone, and whoever takes stale answers for none. Where there is nothing of the store, it is
not empty, but elsewhere. Source: Kafka's StreamThreadStateStoreProvider and WrappingStoreProvider.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from state.stores import Store
from streams.errors import StoreMoved, StoreNotReady
from streams.runtime.task import Task
from streams.runtime.task_states import TaskState


def open_stores(
    name: str, tasks: Iterable[Task], copies: Sequence[Store], partition: int | None, *, stale: bool, settled: bool
) -> list[Store]:
    """The open stores of a name among the tasks', or the one of a partition, and `copies` of it, which are stale ones.

    `settled`: the group has assigned its tasks. Raises: StoreNotReady; StoreMoved when nothing of it is here.
    """
    having = [task for task in tasks if task.has_store(name) and partition in {None, task.id.partition}]
    found = [*(task.stores[name] for task in having if name in task.stores), *copies]
    if stale and found:
        return found
    waiting = [task.task_id for task in having if task.state is not TaskState.RUNNING]
    if waiting or not settled:
        reason = f"task {', '.join(waiting)} is being restored" if waiting else "the group is assigning its tasks"
        raise StoreNotReady(f"store {name} cannot be read yet: {reason}; ask again")
    if not found:
        which = "partition" if partition is None else f"partition {partition}"
        raise StoreMoved(f"store {name} has no {which} on this worker: metadata_for_store({name!r}) says who has it")
    return found
