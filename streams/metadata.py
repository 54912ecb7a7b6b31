"""Which worker holds what: the answers of `app.metadata_for_key` and `app.metadata_for_store`.

Addresses are those that workers give themselves with `application_server`, and reach all others with the group's
assignments; a worker without one holds its tasks unseen. Source: Kafka's KeyQueryMetadata and StreamsMetadata.
"""

from __future__ import annotations

from typing import NamedTuple


class KeyQueryMetadata(NamedTuple):
    """Where a key is: host:port of the worker that runs its task, and of those that have a warm copy.

    `active` is None while nobody runs the task who says where it is; `local` says that this process runs it. Warm copies
    answer `app.store(name, stale=True)`.
    """

    active: str | None
    standbys: tuple[str, ...]
    partition: int
    local: bool


class StreamsMetadata(NamedTuple):
    """A worker's part of a store: the partitions it answers for, and those it has warm copies of."""

    address: str
    partitions: tuple[int, ...]
    standby_partitions: tuple[int, ...]
