"""Tells an application's functions of restores and standbys, beside whoever shows them.

Rules: a function is called on the processing thread; what it raises ends the worker, but for what is suspended: the task
has to be let go of whatever somebody makes of it, so that is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from streams.record import TopicPartition
from streams.restore_events import RestoreEvent, RestoreStage, StandbyEvent
from streams.runtime.restore_progress import restore_listener
from streams.runtime.restorer import RestoreListener

log = logging.getLogger(__name__)

Told = Sequence[Callable[[Any], Any]]


class RestoresTold:
    """See the module. A `RestoreListener`; `shown` is another one that is told the same."""

    def __init__(self, restores: Told, standbys: Told, shown: RestoreListener | None = None) -> None:
        self._restores = restores
        self._standbys = standbys
        self._shown = shown or restore_listener()
        self._ends: dict[tuple[str, TopicPartition], int] = {}
        self._offsets: dict[tuple[str, TopicPartition], int] = {}

    def started(self, store: str, partition: TopicPartition, position: int, end: int) -> None:
        """From where, and how far."""
        self._shown.started(store, partition, position, end)
        self._ends[store, partition] = end
        self._tell(RestoreStage.START, store, partition, position, 0)

    def progressed(self, store: str, partition: TopicPartition, position: int, records: int) -> None:
        """How far, and by how much."""
        self._shown.progressed(store, partition, position, records)
        self._tell(RestoreStage.BATCH, store, partition, position, records)

    def ended(self, store: str, partition: TopicPartition, records: int) -> None:
        """How much it was."""
        self._shown.ended(store, partition, records)
        self._tell(RestoreStage.END, store, partition, self._ends[store, partition], records)
        self._forget(store, partition)

    def suspended(self, store: str, partition: TopicPartition, records: int) -> None:
        """How far it came."""
        self._shown.suspended(store, partition, records)
        try:
            self._tell(RestoreStage.SUSPENDED, store, partition, self._offsets[store, partition], records)
        except Exception:
            log.exception("on_restore: of %s, which is suspended", store)
        self._forget(store, partition)

    def standby(self, event: StandbyEvent) -> None:
        """As it is."""
        self._shown.standby(event)
        try:
            for function in self._standbys:
                function(event)
        except Exception:
            if event.stage is not RestoreStage.SUSPENDED:
                raise
            log.exception("on_standby: of %s, which is suspended", event.store)

    def _tell(self, stage: RestoreStage, store: str, partition: TopicPartition, offset: int, records: int) -> None:
        self._offsets[store, partition] = offset
        event = RestoreEvent(stage, store, partition, offset, self._ends[store, partition], records)
        for function in self._restores:
            function(event)

    def _forget(self, store: str, partition: TopicPartition) -> None:
        del self._ends[store, partition], self._offsets[store, partition]
