"""What `--trace KEY` and `--counts` put around a run, and how a trace reads."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace
from rich.console import Console
from rich.text import Text

from streams.cli.json_lines import trace_writer
from streams.cli.readable import plain
from streams.errors import shown
from streams.operators.observing import Observer, Observers
from streams.record import Record
from streams.running import Application
from streams.runtime.node_counts import NodeCounts
from streams.runtime.tracing import Trace, Tracer
from streams.topology.nodes import SinkNode
from streams.topology.topology import Topology

LIMIT = 120
"""Characters of a value in a trace."""


def observed(
    application: Application, trace: str | None, console: Console | None, *, counts: bool
) -> tuple[Application, NodeCounts | None]:
    """The application with the observers that were asked for, and the counts if they were.

    Traces are printed on the console; without one, they are written as JSON lines.
    """
    counted = NodeCounts(application.topology.nodes) if counts else None
    observers: list[Observer] = [] if counted is None else [counted]
    if trace is not None:
        topology = application.topology
        show = trace_writer(partial(_target_of, topology)) if console is None else partial(_print, console, topology)
        observers.append(Tracer(trace, text, _internal_sinks(topology), show))
    return (replace(application, observer=Observers(observers)) if observers else application), counted


def text(value: Any) -> str:
    """A key or value as `--trace KEY` and a trace write it: text as it is, everything else as JSON."""
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(plain(value), enc_hook=str).decode()
    except (TypeError, ValueError):
        return shown(value)


def lines_of(trace: Trace, topology: Topology) -> Iterator[str]:
    """A trace as lines: the record, then each node it reached, with what went in and what came out."""
    record = trace.record
    yield f"trace {record.topic}[{record.partition}]@{record.offset} at {record.timestamp} from {trace.source}"
    yield f"  {_pair(record)}"
    for step in trace.steps:
        indent, node = "  " * (step.depth + 2), topology.nodes[step.node]
        if isinstance(node, SinkNode):
            yield f"{indent}{step.node}: {_pair(step.taken)} => {_target(topology, node)}"
        elif step.failed:
            yield f"{indent}{step.node}: {_pair(step.taken)} -> failed"
        else:
            yield f"{indent}{step.node}: {_pair(step.taken)} -> {', '.join(map(_pair, step.given)) or 'nothing'}"


def _print(console: Console, topology: Topology, trace: Trace) -> None:
    for line in lines_of(trace, topology):
        console.print(Text(line), soft_wrap=True)


def _pair(record: Record) -> str:
    key, value = text(record.key), text(record.value)
    return f"({key}, {value if len(value) <= LIMIT else f'{value[:LIMIT]}...'})"


def _target_of(topology: Topology, name: str) -> str | None:
    node = topology.nodes[name]
    return _target(topology, node) if isinstance(node, SinkNode) else None


def _target(topology: Topology, node: SinkNode) -> str:
    return "a topic of its choice" if node.topic is None else topology.full_name(node.topic)


def _internal_sinks(topology: Topology) -> dict[str, str]:
    return {
        name: topology.full_name(node.topic)
        for name, node in topology.nodes.items()
        if isinstance(node, SinkNode) and node.internal and node.topic is not None
    }
