"""Runs a case: builds its program, feeds its steps to the driver, and writes down what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streams.config import StreamsConfig
from streams.record import Headers, Record, Windowed
from streams.runtime.dead_letters import EXCEPTION, MESSAGE, STACKTRACE
from streams.testing import TestOutputTopic, TopologyTestDriver
from streams.topology.topology import SinkNode, Topology
from tests.oracle.functions import PYTHON_TYPES, Route, Types
from tests.oracle.internal_topics import internal_topics
from tests.oracle.program import ProgramBuilder

Case = Mapping[str, Any]

LETTERS = "errors_dead_letter_queue_topic_name"
OF_ERRORS = {EXCEPTION, MESSAGE, STACKTRACE}
SETTINGS = {"cache_max_bytes": "statestore_cache_max_bytes"}


def topology_of(case: Case, *, persistent: bool | None = None, config: StreamsConfig | None = None) -> Topology:
    """The topology of a case. `persistent` says where all stores are, None: the default; `config` is the case's unless given."""
    default = Types(case.get("key_type", "string"), case.get("value_type", "string"))
    program = ProgramBuilder(default, case.get("types") or {}, persistent=persistent)
    for operation in case["topology"]:
        program.add(operation)
    return program.builder.build(config or config_of(case))


def config_of(case: Case) -> StreamsConfig:
    """The settings of a case, under their names here."""
    settings = {SETTINGS.get(name, name): value for name, value in case.get("config", {}).items()}
    return StreamsConfig.of("oracle", settings, environment={})


def answered(case: Case, *, directory: Path | None = None, persistent: bool | None = None) -> dict[str, Any]:
    """The case with its own `steps[].out` and `describe`, or with an `error`."""
    try:
        topology = topology_of(case, persistent=persistent)
        outcome = run(case, topology, directory)
    except Exception as error:
        return {**case, "error": f"{type(error).__name__}: {error}"}
    return {**case, **outcome, "describe": topology.describe()}


def run(case: Case, topology: Topology, directory: Path | None) -> dict[str, Any]:
    """The steps, each with what it wrote to output topics; and the bytes on internal topics, where a case asks for them."""
    topics = list(dict.fromkeys(topic for each in case["topology"] if each["op"] == "to" for topic in written_to(each)))
    letters = case.get("config", {}).get(LETTERS)
    with TopologyTestDriver(topology, config=config_of(case), start_ms=0, directory=directory) as driver:
        outputs = [output_of(driver, topic) for topic in topics]
        dead = driver.output(letters, bytes, bytes) if letters else None
        inputs: dict[str, Any] = {}
        steps = []
        for step in case["steps"]:
            if "clock" in step:
                driver.advance_wall_clock(step["clock"])
            else:
                topic, key, value, timestamp, *headers = step["in"]
                if topic not in inputs:
                    inputs[topic] = driver.input(topic, *python_types(case, topic))
                inputs[topic].send(key, value, timestamp, headers_of(*headers))
            out = [entry(each.topic, record) for each in outputs for record in each.read()]
            out += [letter(record) for record in dead.read()] if dead else []
            steps.append({**step, "out": out})
        outcome: dict[str, Any] = {"steps": steps, "dropped": sum(driver.dropped_records.values())}
        return {**outcome, "bytes": internal_topics(driver)} if case.get("bytes") else outcome


def output_of(driver: TopologyTestDriver, topic: str) -> TestOutputTopic:
    """A topic to read; one that a sink chooses, with the serdes of that sink."""
    for node in driver.topology.nodes.values():
        if isinstance(node, SinkNode) and isinstance(node.chooser, Route) and topic in node.chooser.topics:
            return driver.output(topic, node.serdes.key, node.serdes.value)
    return driver.output(topic)


def written_to(operation: Mapping[str, Any]) -> tuple[str, ...]:
    """The topics of a sink: one, or two that it chooses from."""
    return Route(operation["topic"], operation["route"]).topics if "route" in operation else (operation["topic"],)


def letter(record: Record) -> list[Any]:
    """A dead letter, without what its headers say of the error."""
    key, value = (None if data is None else data.hex() for data in (record.key, record.value))
    headers = [[name, (content or b"").decode()] for name, content in record.headers if name not in OF_ERRORS]
    return ["dead", key, value, record.timestamp, headers]


def python_types(case: Case, topic: str) -> tuple[Any, Any]:
    """The types of an input topic."""
    key, value = (case.get("types") or {}).get(topic) or (
        case.get("key_type", "string"),
        case.get("value_type", "string"),
    )
    return PYTHON_TYPES[key], PYTHON_TYPES[value]


def entry(topic: str, record: Record) -> list[Any]:
    """A record as the format writes it; ours has its headers behind, if there are any."""
    headers = [[name, (value or b"").decode()] for name, value in record.headers]
    return [topic, shown(record.key), shown(record.value), record.timestamp, *([headers] if headers else [])]


def headers_of(written: Sequence[Sequence[str]] = ()) -> Headers:
    """Headers as our own cases have them: [name, text]."""
    return tuple((name, value.encode()) for name, value in written)


def shown(value: Any) -> Any:
    """A key or value as the format writes it."""
    if isinstance(value, Windowed):
        return {"key": shown(value.key), "window": [value.start_ms, value.end_ms]}
    return value
