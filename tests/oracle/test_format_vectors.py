"""Bytes on changelog, repartition and foreign-key topics are Kafka's, so that applications can be taken over.

The vectors were recorded by running Kafka Streams. Where Kafka gives a record no time of its own (a suppress buffer's
changelog), its producer writes the time of the day, and so does ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.dsl.options import Materialized
from streams.dsl.suppressed import until_time_limit
from streams.graph.windows import JoinWindows, SessionWindows, TimeWindows
from streams.operators.murmur3 import fingerprint
from streams.testing import TopologyTestDriver

VECTORS = Path(__file__).parents[3] / "shared" / "oracle" / "executed" / "format-vectors.json"
pytestmark = pytest.mark.skipif(not VECTORS.exists(), reason="no recorded vectors beside this repository")


def stream(builder: StreamsBuilder, topic: str = "in") -> Any:
    return builder.stream(topic, key=str, value=str)


def table(builder: StreamsBuilder, topic: str = "in", **options: Any) -> Any:
    return builder.table(topic, key=str, value=str, **options)


def second(value: str) -> str:
    return value.split("|")[1]


def key_value_count(builder: StreamsBuilder) -> None:
    stream(builder).group_by_key().count(name="c")


def tombstones(builder: StreamsBuilder) -> None:
    table(builder, name="s")


def window_count(builder: StreamsBuilder) -> None:
    stream(builder).group_by_key().windowed_by(TimeWindows.of(10)).count(name="w")


def session_count(builder: StreamsBuilder) -> None:
    stream(builder).group_by_key().windowed_by(SessionWindows.with_inactivity_gap(10)).count(name="se")


def changes(builder: StreamsBuilder) -> None:
    rows = table(builder, name="s")
    rows.group_by(lambda key, value: (value, key), key=str, value=str).count(name="c")


def outer_join(builder: StreamsBuilder) -> None:
    one, other = stream(builder, "l"), stream(builder, "r")
    within = JoinWindows.of(10)
    joined = one.outer_join(
        other, lambda left, right: f"{left or 'null'}+{right or 'null'}", within=within, store="js", value=str
    )
    joined.to("out")


def suppress(builder: StreamsBuilder) -> None:
    table(builder, name="s").suppress(until_time_limit(10, name="sup")).to_stream().to("out")


def versioned(builder: StreamsBuilder) -> None:
    table(builder, store=Materialized(name="vs", history=1_000))


def foreign_key_join(builder: StreamsBuilder) -> None:
    one, other = table(builder, "l"), table(builder, "r")
    joined = one.join(
        other,
        lambda left, right: f"{left},{right}",
        on=second,
        processor="fk",
        store=Materialized(name="out-store"),
        value=str,
    )
    joined.to_stream().to("out")


PROGRAMS: dict[str, Callable[[StreamsBuilder], None]] = {
    "kv-count": key_value_count,
    "table": tombstones,
    "window-count": window_count,
    "session-count": session_count,
    "ktable-groupBy-count (repartition Change format, as 'c')": changes,
    "outer-join": outer_join,
    "suppress": suppress,
    "versioned": versioned,
    "fk-join": foreign_key_join,
}


def vectors(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(VECTORS.read_text())
    return next(value for key, value in found.items() if key.startswith(part))


def hexed(data: bytes | None) -> str | None:
    return None if data is None else data.hex()


def produced(driver: TopologyTestDriver, positions: dict[str, int]) -> list[tuple[Any, ...]]:
    """What was written to topics since the last look; the input topics' records are left out."""
    found = []
    for topic in sorted(driver.produced_topics()):
        for record in driver.written(topic, positions.get(topic, 0)):
            positions[topic] = record.offset + 1
            headers = [[name, hexed(value)] for name, value in record.headers]
            found.append((topic, hexed(record.key), hexed(record.value), record.timestamp, headers))
    return [entry for entry in found if entry[0] not in {"in", "l", "r"}]


@pytest.mark.parametrize("name", PROGRAMS)
def test_topics_carry_kafkas_bytes(name: str) -> None:
    """Keys, values and times of everything a step sends, by topic."""
    builder = StreamsBuilder()
    PROGRAMS[name](builder)
    settings = {"statestore_cache_max_bytes": 0}
    topology = builder.build(StreamsConfig.of("app", settings, environment={}))
    steps = next(steps for title, steps in vectors("topologies").items() if title.split(":")[0] == name)
    positions: dict[str, int] = {}
    with TopologyTestDriver(topology, statestore_cache_max_bytes=0) as driver:
        for step in steps:
            topic, key, value, timestamp, *headers = step["in"]
            sent = tuple(("h", header.encode()) for header in headers)
            driver.input(topic).send(key, value, timestamp, sent)
            expected = [
                (each["topic"], each["key"], each["value"], each["timestamp"], each["headers"])
                for each in step["produced"]
            ]
            found = produced(driver, positions)
            assert len(found) == len(expected)
            for ours, kafkas in zip(found, sorted(expected, key=lambda each: each[0]), strict=True):
                assert ours[:3] == kafkas[:3]
                assert kafkas[3] in {ours[3], None}
                assert ours[4] == kafkas[4]


def test_fingerprints_are_kafkas() -> None:
    """Foreign-key joins compare rows by 128-bit Murmur3."""
    for text, words in vectors("murmur3").items():
        data = fingerprint(text.encode())
        signed = [int.from_bytes(data[at : at + 8], "big", signed=True) for at in (0, 8)]
        assert ",".join(map(str, signed)) == words
