"""What happens to a record that cannot be handled: the task stops with an error that tells all, or it is skipped.

Rules: `fail` raises the RecordError with the cause chained; `continue` counts and warns, at most one warning per node
and kind in ten seconds, so that a bad topic cannot flood the log. Nothing here knows what a task is.
"""

from __future__ import annotations

import logging
import time
from collections import Counter

from streams.errors import DeserializationError, ProcessingError, ProductionError, RecordError
from streams.record import Record

log = logging.getLogger(__name__)

WARN_EVERY_S = 10.0

FAIL = "fail"
CONTINUE = "continue"


class ErrorHandlers:
    """The decisions of one worker, and what they were; `skipped` counts records by kind of error."""

    def __init__(self, *, deserialization: str = FAIL, processing: str = FAIL, production: str = FAIL) -> None:
        self.skipped: Counter[str] = Counter()
        self._deserialization = deserialization
        self._processing = processing
        self._production = production
        self._warned: dict[tuple[str, str], float] = {}

    def deserialization(self, node: str, record: Record, error: Exception) -> None:
        """Skip a record whose bytes cannot be read, or raise DeserializationError."""
        message = f"a record of {record.topic} cannot be read: {error}"
        self._decide(self._deserialization, _error(DeserializationError, message, node, record), error)

    def processing(self, node: str, record: Record, error: Exception) -> None:
        """Skip a record that user code raised for, or raise ProcessingError."""
        if isinstance(error, RecordError):
            raise error
        message = f"the code of {node} raised {type(error).__name__}: {error}"
        self._decide(self._processing, _error(ProcessingError, message, node, record), error)

    def production(self, node: str, topic: str, record: Record, error: Exception) -> None:
        """Skip a result that cannot be written, or raise ProductionError."""
        message = f"a result for {topic} cannot be written: {error}"
        self._decide(self._production, _error(ProductionError, message, node, record), error)

    def dropped(self, task: str, node: str, count: int, reason: str) -> None:
        """Say once in a while that Kafka's rules drop records."""
        self._warn(node, reason, "task %s: %s drops %d record(s): %s", task, node, count, reason)

    def _decide(self, decision: str, error: RecordError, cause: Exception) -> None:
        if decision == FAIL:
            raise error from cause
        kind = type(error).__name__
        self.skipped[kind] += 1
        self._warn(error.node, kind, "skipping a record (%d so far): %s", self.skipped[kind], error)

    def _warn(self, node: str, kind: str, message: str, *values: object) -> None:
        now = time.monotonic()
        last = self._warned.get((node, kind))
        if last is None or now - last >= WARN_EVERY_S:
            self._warned[node, kind] = now
            log.warning(message, *values)


def _error(kind: type[RecordError], message: str, node: str, record: Record) -> RecordError:
    return kind(
        message,
        node=node,
        topic=record.topic or "",
        partition=record.partition,
        offset=record.offset,
        value=record.value,
    )
