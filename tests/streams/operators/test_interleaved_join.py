"""Both sides of a join in one pass: what comes out is what the sides one by one give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.errors import StateError
from streams.dsl.builder import StreamsBuilder
from streams.errors import ProcessingError
from streams.graph.windows import JoinWindows
from tests.streams.operators.cutting import ALL, Cutter, Input, skipping, topology_of

Say = Callable[[StreamsBuilder], Any]

SIDES = ((0, "left"), (1, "right"))
WITHIN = JoinWindows.of("5 ms", grace="5 ms")


def joiner(left: str, right: str) -> str:
    if left == right == "x":
        raise ValueError("x does not join x")
    return f"{left}+{right}"


def plain(builder: StreamsBuilder) -> None:
    left, right = builder.stream("left", key=str, value=str), builder.stream("right", key=str, value=str)
    left.join(right, joiner, within=WITHIN).to("out", value=str)


def dressed(builder: StreamsBuilder) -> None:
    """Records go, multiply and change on both ways to the join, and behind it."""
    left = builder.stream("left", key=str, value=str).filter(lambda _, value: value != "y")
    right = builder.stream("right", key=str, value=str).flat_map_values(
        lambda value: [] if value == "y" else [f"{value}1", f"{value}2"], value=str
    )
    joined = left.join(right, joiner, within=WITHIN)
    joined.flat_map_values(lambda value: [value, value[::-1]], value=str).filter(lambda *_: True).to("out", value=str)


def bare_bytes(builder: StreamsBuilder) -> None:
    """Values that one side cannot write into its window, now and then."""
    left = builder.stream("left", key=str, value=str).map_values(lambda value: 1 if value == "y" else value, value=str)
    right = builder.stream("right", key=str, value=str)
    left.join(right, joiner, within=WITHIN).to("out", value=str)


RECORDS = st.lists(
    st.tuples(
        st.sampled_from(["left", "right"]),
        st.sampled_from([b"a", b"b", None]),
        st.sampled_from([b"x", b"y", b"z", None]),
        st.integers(0, 40),
    ),
    max_size=40,
)


def run(say: Say, size: int, records: list[Input]) -> dict[str, Any]:
    cutter = Cutter(topology_of(say), size, handlers=skipping())
    cutter.feed(records[: len(records) // 2])
    cutter.feed(records[len(records) // 2 :])
    return cutter.seen()


@pytest.mark.parametrize("say", [plain, dressed, bare_bytes])
@settings(max_examples=40, deadline=None)
@given(records=RECORDS)
def test_together_or_one_by_one(say: Say, records: list[Input]) -> None:
    """Outputs with time, changelogs, stores and drops are equal, through errors, nulls, late records and ties."""
    assert run(say, ALL, records) == run(say, 1, records)


def test_what_follows_knows_where_each_record_was_read() -> None:
    """A step behind the join blames the record that triggered it, by its own topic and offset."""

    def failing(value: str) -> str:
        raise ValueError(value)

    def say(builder: StreamsBuilder) -> None:
        left, right = builder.stream("left", key=str, value=str), builder.stream("right", key=str, value=str)
        joined = left.join(right, joiner, within=WITHIN)
        joined.map_values(lambda value: failing(value) if value == "u+v" else value, value=str).to("out")

    cutter = Cutter(topology_of(say))
    values = [(b"a", b"b"), (b"u", b"v"), (b"c", b"d")]
    records = [(topic, b"%d" % at, pair[side], at) for at, pair in enumerate(values) for side, topic in SIDES]
    with pytest.raises(ProcessingError) as raised:
        cutter.feed(records)
    assert (raised.value.topic, raised.value.offset) == ("right", 1)


def test_errors_of_the_store_pass_through() -> None:
    """A closed store is nobody's record's fault."""
    cutter = Cutter(topology_of(plain))
    for store in cutter.task.stores.values():
        store.close()
    with pytest.raises(StateError):
        cutter.feed([("left", b"a", b"z", 1), ("right", b"a", b"z", 1), ("left", b"a", b"z", 2)])


def kept(mutating: bool, value: bytes) -> list[bytes | None]:
    """What the left window's changelog holds after records with this value have met."""

    def say(builder: StreamsBuilder) -> None:
        left, right = (builder.stream(topic, key=str, value=dict) for topic in ("left", "right"))
        if mutating:
            left = left.peek(lambda _key, value: value.update(at=9))
        left.join(right, lambda one, _other: one, within=WITHIN, name="met").to("out", value=dict)

    cutter = Cutter(topology_of(say))
    cutter.feed([(topic, b"k", value, time) for time in range(4) for topic in ("left", "right")])
    (changelog,) = [topic for topic in cutter.broker.topics() if "JOINTHIS" in topic]
    return [value for _, value, _ in cutter.written(changelog)]


@pytest.mark.parametrize(
    ("mutating", "value", "written"),
    [(False, b'{"at":1}', b'{"at":1}'), (False, b'{"at": 1}', b'{"at":1}'), (True, b'{"at":1}', b'{"at":9}')],
)
def test_windows_keep_values_as_their_serde_writes_them(mutating: bool, value: bytes, written: bytes) -> None:
    """Also where they could be kept as they were read: what would be written otherwise, or was changed since, is written."""
    assert kept(mutating, value) == [written] * 4
