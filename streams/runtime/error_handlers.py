"""What happens to a record that cannot be handled: the task stops with an error that tells all, or it goes on.

Rules: a node's own policy counts, else that of the kind of error. `fail` raises the RecordError with the cause chained;
to go on counts and warns, at most one warning per node and kind in ten seconds, so that a bad topic cannot flood the
log. Nothing here knows what a task is: a decision for dead letters is returned, and the task writes the letter, and fails
after that if it is to fail.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, NamedTuple

from streams.config import StreamsConfig
from streams.errors import ConfigError, DeserializationError, ProcessingError, ProductionError, RecordError
from streams.on_error import FAIL, Decision, OnError, on_error_of
from streams.record import Record
from streams.retrying import Patience, Retrying
from streams.topology.topology import Topology

log = logging.getLogger(__name__)

WARN_EVERY_S = 10.0


class DeadLetter(NamedTuple):
    """Where a record goes, and why; if `fails`, the task fails for it all the same."""

    topic: str
    error: RecordError
    fails: bool = False


class ErrorHandlers:
    """The decisions of one worker, and what they were.

    `skipped` counts the records it went on without, by kind of error; `dead_letters` those among them that were written
    to a topic, by topic. `steps` are the policies of single nodes; `globally`: they speak of what fills global stores, too.
    """

    def __init__(
        self,
        *,
        deserialization: OnError = FAIL,
        processing: OnError = FAIL,
        production: OnError = FAIL,
        steps: Mapping[str, OnError] | None = None,
        globally: bool = False,
    ) -> None:
        self.skipped: Counter[str] = Counter()
        self.dead_letters: Counter[str] = Counter()
        self._deserialization = deserialization
        self._processing = processing
        self._production = production
        self._steps = steps or {}
        self._globally_asked = globally
        self._writes_letters = self._asked_of_code = True
        self._warned: dict[tuple[str, str], float] = {}

    @classmethod
    def of(cls, topology: Topology, config: StreamsConfig) -> ErrorHandlers:
        """Those of an application. Raises: ConfigError for retries that would outlast `max_poll_interval_ms`."""
        handlers = cls(
            deserialization=config.deserialization_on_error,
            processing=config.processing_on_error,
            production=config.production_on_error,
            steps={name: node.node.on_error for name, node in topology.nodes.items() if node.node.on_error is not None},
            globally=config.processing_exception_handler_global_enabled,
        )
        for name, policy in (("processing_on_error", handlers._processing), *handlers._steps.items()):
            waited_ms = sum(policy.retry.pauses_ms()) if policy.retry else 0
            if waited_ms >= config.max_poll_interval_ms:
                raise ConfigError(
                    f"{name}: its retries wait up to {waited_ms:,} ms, and after max_poll_interval_ms "
                    f"({config.max_poll_interval_ms:,}) the task is given to another worker: retry less, or raise that"
                )
        return handlers

    def for_global_stores(self) -> ErrorHandlers:
        """The same for global stores, without letters: each worker reads their topics, and would write every one once more.

        What their processors raise fails, unless the configuration says otherwise. Source: Kafka's
        processing.exception.handler.global.enabled (KIP-1270).
        """
        handlers = copy(self)
        handlers._writes_letters = False
        handlers._asked_of_code = self._globally_asked
        return handlers

    @property
    def dead_letter_topics(self) -> tuple[str, ...]:
        """The topics of dead letters that are known from the start."""
        policies = (self._deserialization, self._processing, self._production, *self._steps.values())
        return tuple(dict.fromkeys(policy.topic for policy in policies if policy.topic))

    def deserialization(self, node: str, record: Record, error: Exception) -> DeadLetter | None:
        """Go on without a record whose bytes cannot be read, or raise DeserializationError."""
        message = f"a record of {record.topic} cannot be read: {error}"
        return self._decide(self._deserialization, _error(DeserializationError, message, node, record), record, error)

    def processing(self, node: str, record: Record, error: Exception) -> DeadLetter | None:
        """Go on without a record that user code raised for, or raise ProcessingError."""
        if isinstance(error, RecordError):
            raise error
        message = f"the code of {node} raised {type(error).__name__}: {error}"
        if not self._asked_of_code:
            message += (
                "; it fills a global store, so processing_exception_handler_global_enabled says if on_error= counts"
            )
            raise _error(ProcessingError, message, node, record) from error
        return self._decide(self._processing, _error(ProcessingError, message, node, record), record, error)

    def production(self, node: str, topic: str, record: Record, error: Exception) -> DeadLetter | None:
        """Go on without a result that cannot be written, or raise ProductionError."""
        message = f"a result for {topic} cannot be written: {error}"
        return self._decide(self._production, _error(ProductionError, message, node, record), record, error)

    def retrying(self, node: str, patience: Patience) -> Retrying | None:
        """How what a node's function raises is tried again; None where it is not."""
        retry = self._steps.get(node, self._processing).retry
        if retry is None:
            return None

        def tell(error: Exception, pause_ms: int) -> None:
            kind = type(error).__name__
            self._warn(node, f"retried {kind}", "%s raised %s: %s; once more in %d ms", node, kind, error, pause_ms)

        return Retrying(retry, patience, tell)

    def dropped(self, task: str, node: str, count: int, reason: str, level: int) -> None:
        """Say once in a while that Kafka's rules drop records."""
        self._tell(level, node, reason, "task %s: %s drops %d record(s): %s", task, node, count, reason)

    def _decide(self, default: OnError, error: RecordError, record: Record, cause: Exception) -> DeadLetter | None:
        error.__cause__ = cause
        policy = self._steps.get(error.node, default)
        if policy.handler is not None:
            policy = _asked(policy.handler, error, record)
        kind, fails, writes = type(error).__name__, policy.decision is Decision.FAIL, self._writes_letters
        if fails and (policy.topic is None or not writes):
            raise error from cause
        if not fails:
            self.skipped[kind] += 1
        if policy.topic is None or not writes:
            self._warn(error.node, kind, "skipping a record (%d so far): %s", self.skipped[kind], error)
            return None
        self.dead_letters[policy.topic] += 1
        so_far = self.dead_letters[policy.topic]
        self._warn(error.node, kind, "a record goes to %s (%d so far): %s", policy.topic, so_far, error)
        return DeadLetter(policy.topic, error, fails)

    def _warn(self, node: str, kind: str, message: str, *values: object) -> None:
        self._tell(logging.WARNING, node, kind, message, *values)

    def _tell(self, level: int, node: str, kind: str, message: str, *values: object) -> None:
        """Log something of a node and a kind, unless that was done a moment ago."""
        now = time.monotonic()
        last = self._warned.get((node, kind))
        if last is None or now - last >= WARN_EVERY_S:
            self._warned[node, kind] = now
            log.log(level, message, *values)


def _asked(handler: Callable[[RecordError, Record], Any], error: RecordError, record: Record) -> OnError:
    """What the user's handler decides. Raises: ConfigError when that is no decision."""
    answer = handler(error, record)
    try:
        policy = on_error_of(answer)
    except (TypeError, ValueError):
        policy = None
    if policy is None or policy.handler is not None or policy.retry is not None:
        name = getattr(handler, "__qualname__", repr(handler))
        raise ConfigError(
            f'the error handler {name} returns "fail", "continue" or dead_letter(TOPIC), got {answer!r}'
        ) from error
    return policy


def _error(kind: type[RecordError], message: str, node: str, record: Record) -> RecordError:
    return kind(
        message,
        node=node,
        topic=record.topic or "",
        partition=record.partition,
        offset=record.offset,
        value=record.value,
    )
