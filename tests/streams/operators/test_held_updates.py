"""Aggregates that cannot be written: the record that made one is blamed, whatever is held back with it.

As in Kafka, where a store serializes inside the processor: it keeps its old value, and everything else goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec import Struct

from streams.dsl.builder import StreamsBuilder
from streams.dsl.options import Materialized
from streams.graph.windows import SessionWindows, SlidingWindows, TimeWindows
from streams.on_error import dead_letter
from streams.runtime.error_handlers import ErrorHandlers
from streams.serdes import serde_for
from streams.serdes.primitives import Float32, Int32
from tests.streams.operators.cutting import ALL, Cutter, Input, texts, topology_of

ROOMY = 10 << 20
CUTS = ((1, 0), (ALL, 0), (1, ROOMY), (3, ROOMY), (ALL, ROOMY), (ALL, 60_000))
"""(records at a time, bytes of the record cache)"""


class Flat(Struct):
    """A count in a struct."""

    count: Any = 0


class Nested(Struct):
    """A count that is held by others."""

    counts: dict[str, Any]


@dataclass
class Data:
    """A count in a dataclass."""

    counts: list[Any] = field(default_factory=lambda: [0])


def number(_value: str, count: Any) -> Any:
    return count + 1


Next = Callable[[str, Any], Any]
KINDS: dict[str, tuple[Any, Callable[[], Any], Next, Any]] = {
    "text in an int": (int, lambda: 0, number, "bad"),
    "a float in an int": (int, lambda: 0, number, 1.5),
    "an int of 65 bits": (int, lambda: 0, number, 1 << 63),
    "a short int": (Int32, lambda: 0, number, 1 << 31),
    "text in a float": (float, lambda: 0.0, number, "bad"),
    "an int beyond floats": (float, lambda: 0.0, number, 10**400),
    "a short float": (Float32, lambda: 0.0, number, 1e300),
    "a number in a text": (str, str, lambda value, text: text + value, 7),
    "half a character": (str, str, lambda value, text: text + value, "\ud800"),
    "text in bytes": (bytes, bytes, lambda value, data: data + value.encode(), "bad"),
    "a struct": (Flat, Flat, lambda _, flat: Flat(flat.count + 1), Flat(object())),
    "another class": (Flat, Flat, lambda _, flat: Flat(flat.count + 1), Data()),
    "a nested struct": (Nested, lambda: Nested({"n": 0}), lambda _, held: nested(held), Nested({"n": object()})),
    "a dict": (dict, lambda: {"n": 0}, lambda _, held: {"n": held["n"] + 1}, {"n": object()}),
    "a dict of a dict": (
        dict,
        lambda: {"n": {"n": 0}},
        lambda _, held: {"n": {"n": held["n"]["n"] + 1}},
        {"n": {"n": object()}},
    ),
    "a list changed in place": (list, list, lambda value, held: [*held, value], [object()]),
    "a dataclass": (Data, Data, lambda _, data: Data([data.counts[0] + 1]), Data([object()])),
    "an undeclared type": (None, lambda: 0, number, b"bad"),
}


def nested(held: Nested) -> Nested:
    held.counts["n"] += 1
    return held


def adder(make: Next, bad: Any) -> Callable[[str, str, Any], Any]:
    return lambda _key, value, aggregate: bad if value == "bad" else make(value, aggregate)


def plain(builder: StreamsBuilder, kind: Any, initial: Any, add: Any) -> None:
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    grouped.aggregate(initial, add, value=kind, store="sums")


def tumbling(builder: StreamsBuilder, kind: Any, initial: Any, add: Any) -> None:
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    kept = Materialized(name="sums", retention="1 h")  # what is in a cache outlives the retention, as in Kafka
    grouped.windowed_by(TimeWindows.of("10 ms")).aggregate(initial, add, value=kind, store=kept)


def hopping(builder: StreamsBuilder, kind: Any, initial: Any, add: Any) -> None:
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    windows = TimeWindows.of("10 ms", advance="5 ms")
    grouped.windowed_by(windows).aggregate(initial, add, value=kind, store="sums")


def sliding(builder: StreamsBuilder, kind: Any, initial: Any, add: Any) -> None:
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    grouped.windowed_by(SlidingWindows.of("1 s")).aggregate(initial, add, value=kind, store="sums")


def session(builder: StreamsBuilder, kind: Any, initial: Any, add: Any) -> None:
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    windows = SessionWindows.with_inactivity_gap("10 ms")
    last = lambda _key, one, other: other  # noqa: E731
    grouped.windowed_by(windows).aggregate(initial, add, last, value=kind, store="sums")


def table(builder: StreamsBuilder, kind: Any, initial: Any, add: Any) -> None:
    rows = builder.table("in", key=str, value=str, store=Materialized(cached=False))
    grouped = rows.group_by(lambda key, value: (key, value), key=str, value=str)
    grouped.aggregate(initial, add, lambda _key, _value, aggregate: aggregate, value=kind, store="sums")


WARM = texts("in", *[(key, "x", 0) for key in "abcd"], ("a", "x", 1))


def outcome(say: Any, kind: str, records: list[Input], cut: tuple[int, int]) -> dict[str, Any]:
    """The store in the end and after a commit, and the dead letters; sessions' order of use is not asked for."""
    hint, initial, make, bad = KINDS[kind]
    made = topology_of(lambda builder: say(builder, hint, initial, adder(make, bad)))
    cutter = Cutter(made, *cut, ErrorHandlers(processing=dead_letter("letters")))
    cutter.feed(WARM)
    cutter.feed(records)
    (changelog,) = [topic for topic in cutter.broker.topics() if topic.endswith("sums-changelog")]
    logged = {key: value for key, value, _ in cutter.written(changelog)}
    sums: Any = cutter.task.stores["sums"]
    store, dropped = list(sums.all()), cutter.task.dropped_records
    return {"store": store, "log": logged, "letters": cutter.written("letters"), "dropped": dropped}


CASES = {
    "others of the batch": [("a", "x", 1), ("b", "bad", 2), ("c", "x", 4)],
    "the same key again": [("a", "x", 1), ("b", "x", 2), ("b", "bad", 2), ("b", "x", 3), ("c", "x", 4), ("b", "x", 9)],
    "with what is dropped": [("b", "bad", 2), (None, "x", 2), ("b", "x", 3), ("c", None, 4), ("b", "bad", 4)],
    "with new keys": [
        ("a", "bad", 2),
        ("b", "x", 2),
        ("new", "x", 3),
        ("a", "x", 4),
        ("new", "bad", 5),
        ("new", "x", 6),
    ],
    "with what is late": [
        ("a", "bad", 8),
        ("b", "x", 25),
        ("a", "x", 3),
        ("a", "bad", 26),
        ("c", "x", 4),
        ("a", "x", 27),
    ],
}


FEW = ("text in an int", "an int of 65 bits", "a struct", "a dict of a dict")
EACH = [(kind, "the same key again") for kind in KINDS] + [(kind, case) for kind in FEW for case in CASES]


@pytest.mark.parametrize(("kind", "case"), dict.fromkeys(EACH))
@pytest.mark.parametrize("say", [plain, tumbling])
def test_the_record_that_made_it_is_blamed(say: Any, kind: str, case: str) -> None:
    """Alone, in every cut, with a cache or without one: the others count, and the key's old value stays."""
    records = texts("in", *CASES[case])
    seen = [outcome(say, kind, records, cut) for cut in CUTS]
    assert seen[0]["letters"]
    assert {value for _, value, _ in seen[0]["letters"]} <= {b"bad", None}, (
        "windows take nulls in, which some cannot add"
    )
    for cut, found in zip(CUTS, seen, strict=True):
        assert found == seen[0], cut


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("say", [hopping, sliding, session, table])
def test_so_it_is_where_nothing_is_held(say: Any, kind: str) -> None:
    """Other windows and grouped tables put one by one, mostly without measuring what they put."""
    records = texts("in", *CASES["others of the batch"])
    seen = [outcome(say, kind, records, cut) for cut in CUTS]
    (letter,) = seen[0]["letters"]
    assert b"bad" in letter[1], "of a table's grouping it is the change"
    for cut, found in zip(CUTS, seen, strict=True):
        assert (found["store"], found["letters"]) == (seen[0]["store"], seen[0]["letters"]), cut


def test_a_full_cache_of_numbers_stays_whole_when_a_record_fails() -> None:
    """What came before the failure is counted once, so that nothing is dropped for it that still waits to be written."""

    def say(builder: StreamsBuilder) -> None:
        add = lambda _key, value, total: "bad" if value == "bad" else total + 1  # noqa: E731
        builder.stream("in", key=int, value=str).group_by_key().aggregate(int, add, value=int, store="sums")

    seen = []
    for size, cache_bytes in ((1, 0), (ALL, 10_000)):
        cutter = Cutter(topology_of(say), size, cache_bytes, ErrorHandlers(processing=dead_letter("letters")))
        for chunk in range(4):
            rows = [(row % 200, b"bad" if (row * 7 + chunk) % 97 == 0 else b"x", row) for row in range(300)]
            cutter.feed([("in", key.to_bytes(8, "big"), value, time) for key, value, time in rows])
        sums: Any = cutter.task.stores["sums"]
        seen.append((sorted(sums.all()), cutter.written("letters")))
    assert seen[1] == seen[0]


@pytest.mark.parametrize("say", [plain, tumbling])
def test_numbers_that_are_rounded_where_they_are_kept(say: Any) -> None:
    """A sum of floats of 32 bits goes on from what a store gives back, in every cut, as if it had been closed in between."""
    fifth = serde_for(Float32).deserialize(serde_for(Float32).serialize(0.2))
    made = topology_of(lambda builder: say(builder, Float32, lambda: 0.0, lambda _key, _value, total: total + fifth))
    expected = 0.0
    for _ in range(42):
        expected = serde_for(Float32).deserialize(serde_for(Float32).serialize(expected + fifth))
    for cut in CUTS:
        cutter = Cutter(made, *cut)
        cutter.feed(texts("in", ("a", "x", 0), ("b", "x", 0)))
        cutter.feed(texts("in", *[("a", "x", 0)] * 41))
        (total, _), _ = (row for _, row in cutter.task.stores["sums"].all())
        assert total == expected
