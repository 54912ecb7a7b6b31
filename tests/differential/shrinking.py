"""Makes a failing case small: fewer records, fewer operations, plainer settings, as long as it fails in the same way.

Greedy, in rounds, until a round takes nothing away. Every attempt is answered by Kafka anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Case = dict[str, Any]
REFERENCES = ("from", "left", "right")
OPTIONAL = (
    "counts",
    "extractor",
    "route",
    "clears",
    "inside",
    "start",
    "times",
    "maxEntries",
    "store",
    "cache",
    "maxRecords",
    "maxBytes",
    "retention",
    "name",
    "graceMs",
)


def shrunk(case: Case, fails: Callable[[Case], bool], *, attempts: int = 600) -> Case:
    """The smallest case found that `fails` in at most that many attempts."""
    left = attempts
    smaller = True
    while smaller and left > 0:
        smaller = False
        for way in (without_operations, without_steps, without_options, with_plainer_inputs):
            candidates = way(case)
            while left > 0 and (candidate := next(candidates, None)) is not None:
                left -= 1
                if candidate["topology"] and fails(candidate):
                    case, smaller = candidate, True
                    candidates = way(case)
    return case


def without_steps(case: Case) -> Iterator[Case]:
    """Halves, quarters and so on of the records left out, at last single ones, the last ones first."""
    steps = case["steps"]
    size = len(steps) // 2
    while size:
        for start in range(len(steps) - size, -1, -size):
            yield {**case, "steps": steps[:start] + steps[start + size :]}
        size //= 2


def without_operations(case: Case) -> Iterator[Case]:
    """One operation left out with all that builds on it, or bridged: what builds on it takes its input."""
    operations = case["topology"]
    for index in range(len(operations) - 1, -1, -1):
        yield tidied(case, remaining(operations, index))
    for index, operation in enumerate(operations):
        for field in REFERENCES:
            if field in operation and "id" in operation:
                bridged = [renamed(each, operation["id"], operation[field]) for each in operations]
                yield tidied(case, bridged[:index] + bridged[index + 1 :])


def remaining(operations: list[Case], dropped: int) -> list[Case]:
    """The operations without one, and without those that need it."""
    known: set[str] = set()
    kept = []
    for index, operation in enumerate(operations):
        if index == dropped or not needs(operation) <= known:
            continue
        known |= {operation["id"]} if "id" in operation else {branch["id"] for branch in operation.get("branches", ())}
        kept.append(operation)
    return kept


def needs(operation: Case) -> set[str]:
    """The results an operation takes up."""
    fields = {operation[field] for field in REFERENCES if field in operation}
    return fields | {entry["from"] for entry in operation.get("streams", ())}


def renamed(operation: Case, name: str, other: str) -> Case:
    """The operation with one input exchanged for another."""
    changed = {field: other for field in REFERENCES if operation.get(field) == name}
    streams = [
        {**entry, "from": other if entry["from"] == name else entry["from"]} for entry in operation.get("streams", ())
    ]
    return {**operation, **changed, **({"streams": streams} if streams else {})}


def tidied(case: Case, operations: list[Case]) -> Case:
    """The case with these operations, and the records and types of the topics they read."""
    read = {operation["topic"] for operation in operations if "topic" in operation and operation["op"] != "to"}
    steps = [step for step in case["steps"] if "clock" in step or step["in"][0] in read]
    types = {topic: types for topic, types in case.get("types", {}).items() if topic in read}
    return {**case, "topology": operations, "steps": steps, "types": types}


def without_options(case: Case) -> Iterator[Case]:
    """A setting or an option left out, or made plainer; no cache is plainer than Kafka's default."""
    for setting in [name for name, value in case["config"].items() if value != 0]:
        yield {**case, "config": {name: value for name, value in case["config"].items() if name != setting}}
    if case["config"].get("cache_max_bytes") != 0:
        yield {**case, "config": {**case["config"], "cache_max_bytes": 0}}
    operations = case["topology"]
    for index, operation in enumerate(operations):
        for changed in plainer(operation):
            yield {**case, "topology": [*operations[:index], changed, *operations[index + 1 :]]}


def plainer(operation: Case) -> Iterator[Case]:
    for option in OPTIONAL:
        bound_to_its_name = option == "store" and "maxEntries" in operation
        if option in operation and "versionedMs" not in operation and not bound_to_its_name:
            yield {name: value for name, value in operation.items() if name != option}
    for option in ("streams", "branches"):
        for index in range(len(operation.get(option, ())) if len(operation.get(option, ())) > 1 else 0):
            yield {**operation, option: operation[option][:index] + operation[option][index + 1 :]}
    if operation.get("emit") == "update":
        yield {name: value for name, value in operation.items() if name != "emit"}


def with_plainer_inputs(case: Case) -> Iterator[Case]:
    """Records with an equal key, or an earlier time."""
    steps = case["steps"]
    for index, step in enumerate(steps):
        if "clock" in step:
            continue
        topic, key, value, timestamp = step["in"][:4]
        before = steps[index - 1].get("in") if index else None
        before = before or [topic, key, value, 0]
        for changed in (
            [topic, before[1], value, timestamp],
            [topic, key, value, before[3]],
            [topic, key, value, timestamp],
        ):
            if changed != step["in"] and (index == 0 or types_of(case, topic) == types_of(case, before[0])):
                yield {**case, "steps": [*steps[:index], {"in": changed}, *steps[index + 1 :]]}


def types_of(case: Case, topic: str) -> Any:
    return case.get("types", {}).get(topic)
