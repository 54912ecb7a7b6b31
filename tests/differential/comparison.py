"""Compares what Headrace and Kafka Streams make of a case.

Both may refuse it: that counts as equal, as long as ours is a sentence of ours and no accident. Failures of Kafka
itself are no model to follow, nor is what is left of a record where a handler has Kafka go on after one of them.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.differential.kafka import fast_directory
from tests.oracle.cases import answered
from tests.oracle.internal_topics import first_difference

NO_ANSWER = "no answer within"
KAFKAS_OWN_FAILURES = (
    "-repartition-filter is already added",  # a cogroup over two unnamed inputs that are to be repartitioned
    "Found a null keyChangingChild node",  # the optimizer loses its way
    "KTable source state store must implement",  # a table join with a windowed table made by cogroup
    # A cached session store, and a time less than a gap after 1970: for the earliest end that is looked for, a negative
    # time, CachingSessionStore finds another segment at the end of its segment than at its beginning.
    "Error iterating over segments",
    'because "next.value" is null',  # sliding windows, of which a cache knows that one is deleted
    "Windowed.key()",  # a sink with windowed keys is asked to partition a null key
    "Invalid partition: -1",  # a foreign-key join of rows that a punctuator put out answers to no partition
    NO_ANSWER,  # emit on close over cached windows walks every segment since 1970
)
SMALL_CACHE = 1 << 20
OUR_SENTENCES = ("TopologyError", "ConfigError", "ProcessingError", "DeserializationError", "ProductionError")


@dataclass(frozen=True)
class Difference:
    """Where the two part: `kind` names the way, `text` shows it."""

    kind: str
    text: str


def difference(kafkas: dict[str, Any], ours: dict[str, Any]) -> Difference | None:
    """The first difference between two answers to one case, None when they agree."""
    theirs, error = kafkas.get("error"), ours.get("error")
    if error and not error.startswith(OUR_SENTENCES):
        return Difference(
            f"accident {error.split(':')[0]}", f"ours fails by accident: {error}\nKafka: {theirs or 'runs it'}"
        )
    if any(
        known in said for said in (theirs or "", *kafkas.get("continued_after", ())) for known in KAFKAS_OWN_FAILURES
    ):
        return None
    if error and not theirs and ends_on_a_type(kafkas, error):
        return None
    if error and not theirs:
        return Difference("refused", f"ours refuses what Kafka runs: {error}")
    if theirs and not error:
        return Difference("accepted", f"ours runs what Kafka refuses: {theirs}")
    if theirs:
        return None
    if counts_windows_twice(kafkas):
        return described(kafkas, ours)
    return described(kafkas, ours) or put_out(kafkas, ours) or dropped(kafkas, ours) or logged(kafkas, ours)


def ends_on_a_type(case: dict[str, Any], error: str) -> bool:
    """Whether a result is not of its topic's type, where errors of processing say to go on: Kafka takes it for one."""
    return "processing_on_error" in case["config"] and error.startswith("ProductionError")


def counts_windows_twice(case: dict[str, Any]) -> bool:
    """Whether a small record cache of Kafka's is full sooner than ours: see docs/from-kafka-streams.md."""
    config = case["config"]
    if config.get("dsl_store_format") != "HEADERS" or not 0 < config.get("cache_max_bytes", 0) < SMALL_CACHE:
        return False
    return any(step["op"] == "windowedBy" and step.get("emit") == "close" for step in case["topology"])


def described(kafkas: dict[str, Any], ours: dict[str, Any]) -> Difference | None:
    """A difference between the descriptions."""
    if kafkas["describe"] == ours["describe"]:
        return None
    lines = difflib.unified_diff(
        kafkas["describe"].splitlines(), ours["describe"].splitlines(), "Kafka", "ours", lineterm="", n=1
    )
    return Difference("describe", "\n".join(lines))


def put_out(kafkas: dict[str, Any], ours: dict[str, Any]) -> Difference | None:
    """The first step whose outputs differ."""
    for number, (theirs, own) in enumerate(zip(kafkas["steps"], ours["steps"], strict=True)):
        if compared(kafkas, theirs["out"]) != compared(kafkas, own["out"]):
            text = f"step {number}: {line(fed(theirs))}\n  Kafka: {line(theirs['out'])}\n  ours:  {line(own['out'])}"
            return Difference("out", text)
    return None


def compared(case: dict[str, Any], out: list[Any]) -> list[Any]:
    """What is compared of outputs: of dead letters only that they are there, where a record may come later than it was read.

    Kafka keeps the bytes that it was read from, mostly; ours has what is in hand: see `streams.runtime.dead_letters`.
    """
    if case["config"].get("cache_max_bytes") == 0 and not any(map(holds_back, case["topology"])):
        return out
    return [row[:1] if row[0] == "dead" else row for row in out]


def holds_back(operation: dict[str, Any]) -> bool:
    """Whether an operation puts records out later, or makes them itself."""
    windowed_join = "window" in operation and operation["op"] in ("leftJoin", "outerJoin")
    closes = operation["op"] in ("suppress", "transformValues") or operation.get("emit") == "close"
    return windowed_join or closes or "graceMs" in operation or operation.get("do") in ("later", "tick")


def dropped(kafkas: dict[str, Any], ours: dict[str, Any]) -> Difference | None:
    """A difference between how many records were dropped, as too late or without a key.

    Kafka counts those among them that a function raised for, which have a count of their own here.
    """
    if kafkas["dropped"] == ours["dropped"] or "processing_on_error" in kafkas["config"]:
        return None
    return Difference("dropped", f"Kafka dropped {kafkas['dropped']} records, ours {ours['dropped']}")


def logged(kafkas: dict[str, Any], ours: dict[str, Any]) -> Difference | None:
    """The first difference between the bytes on internal topics."""
    found = first_difference(kafkas.get("bytes", {}), ours.get("bytes", {}))
    if found is None:
        return None
    topic, number, theirs, own = found
    text = f"{topic} record {number}\n  Kafka: {line(theirs)}\n  ours:  {line(own)}"
    return Difference(f"bytes {topic.rsplit('-', 1)[-1]}", text)


def fed(step: dict[str, Any]) -> Any:
    """What a step feeds: a record, or time on the clock."""
    return step.get("in", step.get("clock"))


def line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def compare(kafkas: dict[str, Any], *, rocksdb: bool = False) -> Difference | None:
    """Run a case that Kafka has answered, with our stores in memory or in RocksDB, and compare.

    What it gave no answer to is not tried: most such programs double what they hold with each record.
    """
    if NO_ANSWER in (kafkas.get("error") or ""):
        return None
    case = {**kafkas, "error": None}
    if not rocksdb:
        return difference(kafkas, answered(case))
    with TemporaryDirectory(dir=fast_directory()) as directory:
        return difference(kafkas, answered(case, directory=Path(directory)))
