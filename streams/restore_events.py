"""What an application is told of its restores and its standbys: by `@app.on_restore` and `@app.on_standby`.

Offsets are those of the changelog, `partition`. Source: Kafka's StateRestoreListener and StandbyUpdateListener, whose
methods are the stages.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from streams.record import TopicPartition


class RestoreStage(StrEnum):
    """Where a store is; it equals its text."""

    START = "start"
    BATCH = "batch"
    END = "end"
    SUSPENDED = "suspended"


class RestoreEvent(NamedTuple):
    """A store is being restored from `partition`: from `offset` (at the `start`), or as far as it (later).

    `end` is the offset behind the last record to restore.

    `records` is how many records a `batch` had, and how many there were in all at the `end`, or when the restore is
    `suspended` because its task leaves before that.
    """

    stage: RestoreStage
    store: str
    partition: TopicPartition
    offset: int
    end: int
    records: int = 0


class StandbyEvent(NamedTuple):
    """A standby's store takes in `partition`: from `offset` (at the `start`), or as far as it (with a `batch`).

    `end` is the end of the changelog as far as it is known, else None. A standby is `suspended` for a `reason`: it was
    "promoted" to a task that runs here, or "migrated": this worker keeps it no longer.
    """

    stage: RestoreStage
    store: str
    partition: TopicPartition
    task: str
    offset: int
    end: int | None = None
    records: int = 0
    reason: str | None = None


PROMOTED, MIGRATED = "promoted", "migrated"
