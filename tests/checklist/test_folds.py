"""Rows of C (aggregations) and D (windows): what goes in, and what comes out."""

from __future__ import annotations

from typing import Any

import pytest

from streams.dsl.builder import StreamsBuilder
from streams.dsl.options import Materialized
from streams.dsl.suppressed import until_time_limit, until_window_closes
from streams.graph.windows import EmitStrategy, SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows
from streams.record import Windowed
from streams.testing import TopologyTestDriver
from tests.checklist.proofs import Proof, numbers, outcome, table, texts, topology_of

CLOSE = EmitStrategy.ON_WINDOW_CLOSE
LONG = Materialized(retention=1_000)


def grouped(builder: StreamsBuilder, windows: Any = None, topic: str = "in") -> Any:
    group = texts(builder, topic).group_by_key()
    return group if windows is None else group.windowed_by(windows)


def cogrouped(builder: StreamsBuilder) -> Any:
    one, other = numbers(builder, "one").group_by_key(), numbers(builder, "two").group_by_key()
    first = one.cogroup(lambda key, value, total: total + value)
    return first.cogroup(other, lambda key, value, total: total - value)


def written(counted: Any) -> None:
    counted.to_stream().to("out")


def sums(group: Any) -> Any:
    return group.aggregate(lambda: 0, lambda key, value, total: total + value, value=int)


def append(key: str, value: str, total: str) -> str | None:
    """Deletes on "stop"."""
    return None if value == "stop" else total + value


SESSIONS = SessionWindows.with_inactivity_gap(5)

PROOFS = [
    Proof(
        rows=(55, 71),
        title="reduce: the first value starts it, the highest time stays",
        say=lambda b: written(grouped(b).reduce(lambda total, value: total + value)),
        sent=[("in", "a", "x", 9), ("in", "a", "y", 3)],
        expected=[("a", "x", 9), ("a", "xy", 9)],
    ),
    Proof(
        rows=(56, 70),
        title="aggregate: None deletes, and the next record starts anew",
        say=lambda b: written(grouped(b).aggregate(str, append, value=str)),
        sent=[("in", "a", "x", 1), ("in", "a", "stop", 2), ("in", "a", "y", 3)],
        expected=[("a", "x", 1), ("a", None, 2), ("a", "y", 3)],
    ),
    Proof(
        rows=(57, 58),
        title="cogroup: each stream folds in its own way",
        say=lambda b: written(cogrouped(b).aggregate(lambda: 0, value=int)),
        sent=[("one", "a", 5, 1), ("two", "a", 2, 2)],
        expected=[("a", 5, 1), ("a", 3, 2)],
    ),
    Proof(
        rows=(59, 62, 72),
        title="tumbling windows, null values counted",
        say=lambda b: written(grouped(b, TimeWindows.of(10)).count()),
        sent=[("in", "a", "x", 9), ("in", "a", None, 5), ("in", "a", "x", 10)],
        expected=[(Windowed("a", 0, 10), 1, 9), (Windowed("a", 0, 10), 2, 9), (Windowed("a", 10, 20), 1, 10)],
    ),
    Proof(
        rows=(72,),
        title="hopping windows, in the order of their start",
        say=lambda b: written(grouped(b, TimeWindows.of(10, grace=5).advance_by(5)).reduce(lambda one, two: one + two)),
        sent=[("in", "a", "x", 7)],
        expected=[(Windowed("a", 0, 10), "x", 7), (Windowed("a", 5, 15), "x", 7)],
    ),
    Proof(
        rows=(80,),
        title="a window takes records while its end is within the grace",
        say=lambda b: written(grouped(b, TimeWindows.of(10, grace=5)).count()),
        sent=[
            ("in", "a", "x", 1),
            ("in", "b", "x", 14),
            ("in", "a", "x", 2),
            ("in", "b", "x", 15),
            ("in", "a", "x", 3),
        ],
        expected=[
            (Windowed("a", 0, 10), 1, 1),
            (Windowed("b", 10, 20), 1, 14),
            (Windowed("a", 0, 10), 2, 2),
            (Windowed("b", 10, 20), 2, 15),
        ],
    ),
    Proof(
        rows=(60, 73),
        title="sliding windows: left of a record, right of the one before",
        say=lambda b: written(grouped(b, SlidingWindows.of(5)).count()),
        sent=[("in", "a", "x", 10), ("in", "a", "x", 13)],
        expected=[
            (Windowed("a", 5, 10), 1, 10),
            (Windowed("a", 11, 16), 1, 13),
            (Windowed("a", 8, 13), 2, 13),
        ],
    ),
    Proof(
        rows=(74,),
        title="sliding windows of early records are one window from 0",
        say=lambda b: written(grouped(b, SlidingWindows.of(10)).count()),
        sent=[("in", "a", "x", 2), ("in", "a", "x", 4)],
        expected=[(Windowed("a", 0, 10), 1, 2), (Windowed("a", 3, 13), 1, 4), (Windowed("a", 0, 10), 2, 4)],
    ),
    Proof(
        rows=(75,),
        title="sliding windows take records out of order",
        say=lambda b: written(grouped(b, SlidingWindows.of(5, grace=20)).count()),
        sent=[("in", "a", "x", 20), ("in", "a", "x", 17)],
        expected=[
            (Windowed("a", 15, 20), 1, 20),
            (Windowed("a", 15, 20), 2, 20),
            (Windowed("a", 12, 17), 1, 17),
            (Windowed("a", 18, 23), 1, 20),
        ],
    ),
    Proof(
        rows=(61, 63, 76, 77),
        title="sessions that meet: a tombstone for the old one",
        say=lambda b: written(grouped(b, SESSIONS).count()),
        sent=[("in", "a", "x", 1), ("in", "a", "x", 6), ("in", "a", "x", 20)],
        expected=[
            (Windowed("a", 1, 1), 1, 1),
            (Windowed("a", 1, 1), None, 1),
            (Windowed("a", 1, 6), 2, 6),
            (Windowed("a", 20, 20), 1, 20),
        ],
    ),
    Proof(
        rows=(63,),
        title="sessions are merged by the user's function",
        say=lambda b: written(
            grouped(b, SESSIONS).aggregate(str, append, lambda key, one, two: f"({one}{two})", value=str)
        ),
        sent=[("in", "a", "x", 1), ("in", "a", "y", 6)],
        expected=[(Windowed("a", 1, 1), "x", 1), (Windowed("a", 1, 1), None, 1), (Windowed("a", 1, 6), "(x)y", 6)],
    ),
    Proof(
        rows=(64,),
        title="a cogroup in time windows",
        say=lambda b: written(cogrouped(b).windowed_by(TimeWindows.of(10)).aggregate(lambda: 0, value=int)),
        sent=[("one", "a", 5, 1), ("two", "a", 2, 2)],
        expected=[(Windowed("a", 0, 10), 5, 1), (Windowed("a", 0, 10), 3, 2)],
    ),
    Proof(
        rows=(65,),
        title="a cogroup in sessions",
        say=lambda b: written(
            cogrouped(b).windowed_by(SESSIONS).aggregate(lambda: 0, lambda key, one, two: one + two, value=int)
        ),
        sent=[("one", "a", 5, 1), ("two", "a", 2, 2)],
        expected=[(Windowed("a", 1, 1), 5, 1), (Windowed("a", 1, 1), None, 1), (Windowed("a", 1, 2), 3, 2)],
    ),
    Proof(
        rows=(66,),
        title="emit on update: a result per record",
        say=lambda b: written(grouped(b, TimeWindows.of(10)).emit_strategy(EmitStrategy.ON_WINDOW_UPDATE).count()),
        sent=[("in", "a", "x", 1), ("in", "a", "x", 2)],
        expected=[(Windowed("a", 0, 10), 1, 1), (Windowed("a", 0, 10), 2, 2)],
    ),
    Proof(
        rows=(67,),
        title="emit on close, time windows: end at or below observed - grace",
        say=lambda b: written(grouped(b, TimeWindows.of(10, grace=5)).emit_strategy(CLOSE).count(store=LONG)),
        sent=[("in", "a", "x", 1), ("in", "a", "x", 2), ("in", "b", "x", 14), ("in", "b", "x", 15)],
        expected=[(Windowed("a", 0, 10), 2, 2)],
    ),
    Proof(
        rows=(68,),
        title="emit on close, sliding windows: end below observed - grace",
        say=lambda b: written(grouped(b, SlidingWindows.of(5)).emit_strategy(CLOSE).count(store=LONG)),
        sent=[("in", "a", "x", 10), ("in", "b", "x", 10), ("in", "b", "x", 30)],
        expected=[(Windowed("a", 5, 10), 1, 10), (Windowed("b", 5, 10), 1, 10)],
    ),
    Proof(
        rows=(69,),
        title="emit on close, sessions: end below observed - grace - gap",
        say=lambda b: written(grouped(b, SESSIONS).emit_strategy(CLOSE).count(store=LONG)),
        sent=[("in", "a", "x", 1), ("in", "b", "x", 6), ("in", "b", "x", 7)],
        expected=[(Windowed("a", 1, 1), 1, 1)],
    ),
    Proof(
        rows=(78,),
        title="one window from a moment on",
        say=lambda b: written(
            grouped(b, UnlimitedWindows.of(5)).count().to_stream(lambda windowed, count: "k", key=str).to_table()
        ),
        sent=[("in", "a", "x", 4), ("in", "a", "x", 5), ("in", "a", "x", 500)],
        expected=[("k", 1, 5), ("k", 2, 500)],
    ),
    Proof(
        rows=(85, 94),
        title="suppress until a time limit: the last update, at the time of the first",
        say=lambda b: table(b).suppress(until_time_limit(10)).to_stream().to("out"),
        sent=[("table", "a", "1", 1), ("table", "a", "2", 4), ("table", "b", "x", 11)],
        expected=[("a", "2", 4)],
    ),
    Proof(
        rows=(86,),
        title="suppress until windows close: one result each",
        say=lambda b: written(grouped(b, TimeWindows.of(10, grace=5)).count().suppress(until_window_closes())),
        sent=[("in", "a", "x", 1), ("in", "a", "x", 2), ("in", "b", "x", 15)],
        expected=[(Windowed("a", 0, 10), 2, 2)],
    ),
    Proof(
        rows=(87,),
        title="a full buffer lets its oldest go",
        say=lambda b: table(b).suppress(until_time_limit(100, max_records=1)).to_stream().to("out"),
        sent=[("table", "a", "1", 1), ("table", "b", "2", 2)],
        expected=[("a", "1", 1)],
    ),
    Proof(
        rows=(88,),
        title="who looks a suppressed table up sees what was passed on",
        say=lambda b: (
            texts(b).join(table(b).suppress(until_time_limit(10)), lambda one, row: f"{one}{row}", value=str).to("out")
        ),
        sent=[("table", "a", "1", 1), ("in", "a", "x", 2), ("table", "b", "2", 11), ("in", "a", "y", 12)],
        expected=[("a", "y1", 12)],
    ),
]


@pytest.mark.parametrize("proof", PROOFS, ids=str)
def test_proof(proof: Proof) -> None:
    """The row's rule, by a small program."""
    assert outcome(proof) == list(proof.expected)


def test_expired_windows_are_not_read() -> None:
    """Row 81: nothing older than the store's time less its retention, and one more."""
    windows = TimeWindows.of(10)
    topology = topology_of(
        lambda b: grouped(b, windows).count(store=Materialized(name="w", retention=100_000, cached=False))
    )
    with TopologyTestDriver(topology) as driver:
        for timestamp in (5, 100_010, 100_020):
            driver.input("in").send("a", "x", timestamp)
        starts = [start for (_, start), _ in driver.stores()["w"].all()]
    assert starts == [100_010, 100_020]


def test_late_records_are_counted() -> None:
    """Row 80: what is dropped is said, by node."""
    with TopologyTestDriver(topology_of(lambda b: written(grouped(b, TimeWindows.of(10)).count()))) as driver:
        for timestamp in (1, 10, 2):
            driver.input("in").send("a", "x", timestamp)
        assert list(driver.dropped_records.values()) == [1]
