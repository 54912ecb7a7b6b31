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
    """A store that is restored from `partition`: from `offset` (`start`), up to it (later), of `end`, which is not included.

    `records` is how many records a `batch` had, and how many there were in all at the `end` and when it is `suspended`,
    since its task leaves before that.
    """

    stage: RestoreStage
    store: str
    partition: TopicPartition
    offset: int
    end: int
    records: int = 0


class StandbyEvent(NamedTuple):
    """A standby's store that takes in `partition`, as far as `offset`: it begins at (`start`), or has come to (`batch`).

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
