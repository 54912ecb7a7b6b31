"""A run as JSON lines, for programs: what a terminal would show, an object per line, on standard error.

Rules: standard output stays the application's own. Every line has `event`, `time` (ms since 1970) and `process`; events are
start, state, status, counts, trace, log and error. Nothing here can stop a run.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from msgspec.structs import replace

from streams.cli.readable import plain
from streams.errors import RecordError
from streams.record import Record
from streams.runner import Runner
from streams.running import Application, Listener
from streams.runtime.node_counts import NodeCounts
from streams.runtime.tracing import Trace
from streams.runtime.worker_states import WorkerStatus

LOOK_EVERY_S = 1.0


def write(event: str, **fields: Any) -> None:
    """Write one line at once, so that lines of several threads and processes do not mix."""
    line = {"event": event, "time": time.time_ns() // 1_000_000, "process": os.getpid(), **fields}
    try:
        text = msgspec.json.encode(line, enc_hook=str).decode()
    except ValueError:  # text that is no UTF-8, as names of files may be
        text = json.dumps(line, default=str)
    if not text.isascii() and (sys.stderr.encoding or "").lower() not in {"utf-8", "utf8"}:
        text = json.dumps(json.loads(text))
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def write_error(error: BaseException, code: int, trace: str = "") -> None:
    """Write what ended a command with an exit code; of a record also where it was, of user code its traceback."""
    fields: dict[str, Any] = {"error": type(error).__name__, "message": str(error), "exit_code": code}
    if isinstance(error, RecordError):
        fields |= {"node": error.node, "topic": error.topic, "partition": error.partition, "offset": error.offset}
    if trace:
        fields["traceback"] = trace
    write("error", **fields)


class JsonHandler(logging.Handler):
    """Log records as lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one; what it raised stands beside its message. Whoever logs goes on, whatever he logs."""
        raised = record.exc_info and {"traceback": logging.Formatter().formatException(record.exc_info)}
        try:
            message = record.getMessage()
        except Exception as problem:
            message = f"{record.msg} {record.args!r} ({type(problem).__name__}: {problem})"
        with suppress(OSError, ValueError):  # nobody reads any more
            write("log", level=record.levelname.lower(), logger=record.name, message=message, **(raised or {}))


class JsonScreen(Listener):
    """Shows a run as lines: its start, every change of its state, and its numbers when they have changed."""

    def __init__(self, counts: NodeCounts | None = None) -> None:
        self._counts = counts
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def of(self, application: Application) -> Application:
        """The application, with its states told."""
        return replace(application, state_functions=(*application.state_functions, _tell_state))

    def starting(self, application: Application) -> None:
        """Broker, guarantee, and the parts of the topology."""
        config, topology = application.config, application.topology
        write(
            "start",
            application=config.application_id,
            broker=config.broker,
            guarantee=config.processing_guarantee,
            commit_interval_ms=config.commit_interval_ms,
            state_dir=config.state_dir,
            subtopologies=[
                {
                    "id": part.id,
                    "sources": part.source_topics,
                    "sinks": part.sink_topics,
                    "stores": [spec.name for spec in part.stores],
                }
                for part in topology.subtopologies
            ],
            unnamed=topology.unnamed,
        )

    def running(self, worker: Runner) -> None:
        """Follow the worker."""
        self._thread = threading.Thread(target=self._follow, args=(worker,), name="status", daemon=True)
        self._thread.start()

    def stopping(self) -> None:
        """The last numbers."""
        self._over.set()
        if self._thread:
            self._thread.join()
        self._tell_counts()

    def _follow(self, worker: Runner) -> None:
        told: WorkerStatus | None = None
        while not self._over.is_set():
            self._over.wait(LOOK_EVERY_S)
            status = worker.status()
            if status != told:
                write("status", **{**status._asdict(), "state": status.state.name.lower()})
                self._tell_counts()
            told = status

    def _tell_counts(self) -> None:
        if self._counts is not None:
            write(
                "counts", nodes=[{"node": row.node, "in": row.taken, "out": row.given} for row in self._counts.rows()]
            )


def _tell_state(new: Any, old: Any) -> None:
    write("state", state=new.name.lower(), before=old.name.lower())


def trace_writer(target: Callable[[str], str | None]) -> Callable[[Trace], None]:
    """Writes traces; `target` tells the topic that a node writes, None for one that is no sink."""

    def tell(trace: Trace) -> None:
        record = trace.record
        steps = [
            {
                "node": step.node,
                "depth": step.depth,
                "in": _pair(step.taken),
                "out": [_pair(each) for each in step.given],
                "failed": step.failed,
                "to": target(step.node),
            }
            for step in trace.steps
        ]
        place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        write("trace", source=trace.source, **place, timestamp=record.timestamp, **_pair(record), steps=steps)

    return tell


def _pair(record: Record) -> dict[str, Any]:
    return {"key": _shown(record.key), "value": _shown(record.value)}


def _shown(value: Any) -> Any:
    try:
        return plain(value)
    except (TypeError, ValueError):
        return str(value)
