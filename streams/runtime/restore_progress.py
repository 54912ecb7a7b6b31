"""Shows how restores go: a bar on a terminal, log lines elsewhere.

A restore that is over at once says nothing. Satisfies `restorer.RestoreListener`.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from streams.record import TopicPartition
from streams.runtime.restorer import RestoreListener, SilentListener

log = logging.getLogger(__name__)

SAY_EVERY_S = 5.0
WORTH_A_BAR = 10_000


class LoggedProgress(SilentListener):
    """One line when a store begins, one every SAY_EVERY_S while it takes long, one when it is complete."""

    def __init__(self) -> None:
        self._ends: dict[TopicPartition, tuple[int, int, float]] = {}
        self._said: dict[TopicPartition, float] = {}

    def started(self, store: str, partition: TopicPartition, position: int, end: int) -> None:
        """Say what lies ahead."""
        now = time.monotonic()
        self._ends[partition] = (position, end, now)
        self._said[partition] = now
        log.info("restoring %s: %d offsets of %s", store, end - position, partition)

    def progressed(self, store: str, partition: TopicPartition, position: int, _records: int) -> None:
        """Say so once in a while."""
        now = time.monotonic()
        if now - self._said.get(partition, now) < SAY_EVERY_S:
            return
        self._said[partition] = now
        start, end, began = self._ends[partition]
        rate = (position - start) / max(now - began, 1e-9)
        left_s = (end - position) / max(rate, 1e-9)
        log.info("restoring %s: %d of %d, %.0f/s, %.0f s left", store, position - start, end - start, rate, left_s)

    def ended(self, store: str, partition: TopicPartition, records: int) -> None:
        """Say that it is complete."""
        _, _, began = self._ends.pop(partition, (0, 0, time.monotonic()))
        self._said.pop(partition, None)
        log.info("restored %s: %d record(s) of %s in %.1f s", store, records, partition, time.monotonic() - began)

    def suspended(self, store: str, partition: TopicPartition, records: int) -> None:
        """Say that its task has left."""
        self._ends.pop(partition, None)
        self._said.pop(partition, None)
        log.info("left %s after %d record(s) of %s: its task goes elsewhere, or begins anew", store, records, partition)


class ProgressBars(SilentListener):
    """A bar per store, with records, rate and time left, on the terminal's standard error."""

    def __init__(self) -> None:
        self._progress: Any = None
        self._bars: dict[TopicPartition, tuple[Any, int]] = {}

    def started(self, store: str, partition: TopicPartition, position: int, end: int) -> None:
        """Draw a bar, if it is worth one."""
        if end - position < WORTH_A_BAR:
            return
        if self._progress is None:
            self._progress = _drawn()
        bar = self._progress.add_task(f"restoring {store}[{partition.partition}]", total=end - position)
        self._bars[partition] = (bar, position)

    def progressed(self, _store: str, partition: TopicPartition, position: int, _records: int) -> None:
        """Move the bar."""
        if partition in self._bars:
            bar, start = self._bars[partition]
            self._progress.update(bar, completed=position - start)

    def ended(self, store: str, partition: TopicPartition, records: int) -> None:
        """Take the bar away with the last of its kind."""
        self._leave(partition)
        log.debug("restored %s from %s: %d record(s)", store, partition, records)

    def suspended(self, store: str, partition: TopicPartition, records: int) -> None:
        """Take the bar away as well."""
        self._leave(partition)
        log.debug("left %s after %d record(s) of %s", store, records, partition)

    def _leave(self, partition: TopicPartition) -> None:
        self._bars.pop(partition, None)
        if self._progress is not None and not self._bars:
            self._progress.stop()
            self._progress = None


def restore_listener() -> RestoreListener:
    """Bars when standard error is a terminal, else log lines."""
    return ProgressBars() if sys.stderr.isatty() else LoggedProgress()


def _drawn() -> Any:
    """A running progress display; rich is imported when it is first needed."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )

    class Rate(ProgressColumn):
        """Records per second."""

        def render(self, task: Task) -> str:
            """The rate of one bar."""
            return f"{task.speed or 0:,.0f}/s"

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    progress.start()
    return progress
