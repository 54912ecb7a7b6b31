"""Writes a case with Kafka's outputs as a file of `tests/oracle/cases`: one line per operation and step."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

SOURCE = {"origin": "not from a Kafka test: outputs recorded by running Kafka Streams", "kafka": "4.3.1"}


def recorded(case: dict[str, Any]) -> str:
    """The file's text."""
    head = {
        "id": case["id"],
        "category": "differential",
        "title": case.get("title", f"random topology and input, {case['id']}, shrunk"),
        "source": SOURCE,
        "config": case["config"],
        "types": case.get("types", {}),
    }
    parts = [f" {line(name)}: {line(value)}" for name, value in head.items()]
    parts.append(f' "topology": [\n{lines(case["topology"])}\n ]')
    parts.append(f' "steps": [\n{lines(case["steps"])}\n ]')
    if case.get("bytes"):
        topics = ",\n".join(f"  {line(topic)}: [\n{lines(records)}\n  ]" for topic, records in case["bytes"].items())
        parts.append(f' "bytes": {{\n{topics}\n }}')
    if "dropped" in case:
        parts.append(f' "dropped": {case["dropped"]}')
    outcome = "error" if case.get("error") else "describe"
    parts.append(f' "{outcome}": {line(case[outcome])}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def lines(entries: Iterable[Any]) -> str:
    return ",\n".join(f"  {line(entry)}" for entry in entries)


def line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
