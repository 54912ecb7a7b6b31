"""Aggregates and joins against the plainest models of what they mean."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.dsl.builder import StreamsBuilder
from streams.dsl.options import Materialized
from streams.graph.windows import JoinWindows, SessionWindows, SlidingWindows, TimeWindows
from tests.streams.operators.cutting import Cutter, Input, texts, topology_of

KEEP = Materialized(name="store", cached=False, retention=1_000_000)
LATE = 100_000
KEYS = st.sampled_from(["a", "b"])
EVENTS = st.lists(st.tuples(KEYS, st.integers(20, 120)), min_size=1, max_size=25)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["left", "right"]), st.sampled_from(["a", "b", "c"]), st.sampled_from(["a", "b", "c", None])
    ),
    min_size=1,
    max_size=20,
)
MODEL = settings(max_examples=60, deadline=None)


def windows_counted(windows: Any, events: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """(key, window start) -> count, out of the operator's store."""

    def say(builder: StreamsBuilder) -> None:
        builder.stream("in", key=str, value=str).group_by_key().windowed_by(windows).count(store=KEEP)

    cutter = Cutter(topology_of(say))
    cutter.feed(texts("in", *((key, "v", time) for key, time in events)))
    store: Any = cutter.task.stores["store"]
    return {entry: value[0] for entry, value in store.all()}


@MODEL
@given(events=EVENTS, size=st.integers(1, 20), advance=st.integers(1, 20))
def test_hopping_windows_count_what_they_span(events: list[tuple[str, int]], size: int, advance: int) -> None:
    """Every window [start, start + size) whose start is a multiple of the advance."""
    advance = min(advance, size)
    expected: Counter[tuple[str, int]] = Counter()
    for key, time in events:
        for start in range(0, time + 1, advance):
            expected[key, start] += start <= time < start + size
    found = windows_counted(TimeWindows.of(size, advance=advance, grace=LATE), events)
    assert found == {entry: count for entry, count in expected.items() if count}


@MODEL
@given(events=EVENTS, difference=st.integers(0, 20))
def test_sliding_windows_are_those_of_distinct_records(events: list[tuple[str, int]], difference: int) -> None:
    """One window ends with each record, one begins right after it if anything falls into that."""
    expected = {}
    for key in {key for key, _ in events}:
        times = [time for other, time in events if other == key]
        for start in {time - difference for time in times} | {time + 1 for time in times}:
            inside = sum(start <= time <= start + difference for time in times)
            if inside:
                expected[key, start] = inside
    assert windows_counted(SlidingWindows.of(difference, grace=LATE), events) == expected


@MODEL
@given(events=EVENTS, gap=st.integers(1, 20))
def test_sessions_are_runs_of_records_a_gap_apart(events: list[tuple[str, int]], gap: int) -> None:
    """However they come in."""

    def say(builder: StreamsBuilder) -> None:
        windows = SessionWindows.with_inactivity_gap(gap, grace=LATE)
        builder.stream("in", key=str, value=str).group_by_key().windowed_by(windows).count(store=KEEP)

    cutter = Cutter(topology_of(say))
    cutter.feed(texts("in", *((key, "v", time) for key, time in events)))
    expected = {}
    for key in {key for key, _ in events}:
        times = sorted(time for other, time in events if other == key)
        run = [times[0]]
        for time in [*times[1:], 10**9]:
            if time - run[-1] > gap:
                expected[key, run[0], run[-1]] = len(run)
                run = []
            run.append(time)
    store: Any = cutter.task.stores["store"]
    assert {(key, start, end): count for key, start, end, count in store.all()} == expected


@MODEL
@given(
    events=st.lists(st.tuples(st.sampled_from(["left", "right"]), KEYS, st.integers(0, 60)), max_size=20),
    before=st.integers(0, 15),
    after=st.integers(0, 15),
)
def test_an_inner_join_finds_every_pair_within_its_window(
    events: list[tuple[str, str, int]], before: int, after: int
) -> None:
    """Once each, with the later time of the two."""

    def say(builder: StreamsBuilder) -> None:
        left, right = (builder.stream(topic, key=str, value=str) for topic in ("left", "right"))
        within = JoinWindows.of(0, grace=LATE).before(before).after(after)
        left.join(right, lambda one, other: f"{one} {other}", within=within, value=str).to("out")

    cutter = Cutter(topology_of(say))
    for index, (topic, key, time) in enumerate(events):
        cutter.feed(texts(topic, (key, str(index), time)))
    expected = Counter(
        (key.encode(), f"{one} {other}".encode(), max(time, other_time))
        for one, (topic, key, time) in enumerate(events)
        for other, (other_topic, other_key, other_time) in enumerate(events)
        if (topic, other_topic) == ("left", "right") and key == other_key and -before <= other_time - time <= after
    )
    assert Counter(cutter.written("out") if expected else []) == expected


def upserts(rows: list[tuple[str, str, str | None]]) -> list[list[Input]]:
    return [texts(topic, (key, value, time)) for time, (topic, key, value) in enumerate(rows)]


def tables(rows: list[tuple[str, str, str | None]]) -> tuple[dict[str, str], dict[str, str]]:
    """Both tables in the end."""
    ends: dict[str, dict[str, str | None]] = {"left": {}, "right": {}}
    for topic, key, value in rows:
        ends[topic][key] = value
    left, right = ({key: value for key, value in end.items() if value is not None} for end in ends.values())
    return left, right


def result(say: Any, rows: list[tuple[str, str, str | None]]) -> dict[str, Any]:
    """The table that a program writes to `out`, as it is in the end."""
    cutter = Cutter(topology_of(say))
    for chunk in upserts(rows):
        cutter.feed(chunk)
    written = cutter.written("out") if "out" in cutter.broker.topics() else []
    latest = {(key or b"").decode(): value for key, value, _ in written}
    return {key: value.decode() for key, value in latest.items() if value is not None}


@pytest.mark.parametrize("verb", ["join", "left_join", "outer_join"])
@MODEL
@given(rows=ROWS)
def test_joined_tables_end_as_the_join_of_their_ends(verb: str, rows: list[tuple[str, str, str | None]]) -> None:
    """Whatever was updated and deleted on the way."""

    def say(builder: StreamsBuilder) -> None:
        left, right = (builder.table(topic, key=str, value=str) for topic in ("left", "right"))
        joined = getattr(left, verb)(right, lambda one, other: f"{one}+{other}", value=str)
        joined.to_stream().to("out")

    left, right = tables(rows)
    keys = {"join": left.keys() & right.keys(), "left_join": left.keys(), "outer_join": left.keys() | right.keys()}
    assert result(say, rows) == {key: f"{left.get(key)}+{right.get(key)}" for key in keys[verb]}


@pytest.mark.parametrize("verb", ["join", "left_join"])
@MODEL
@given(rows=ROWS)
def test_foreign_keys_lead_to_the_rows_they_name(verb: str, rows: list[tuple[str, str, str | None]]) -> None:
    """A left row's value is the key of its right row here."""

    def say(builder: StreamsBuilder) -> None:
        left, right = (builder.table(topic, key=str, value=str) for topic in ("left", "right"))
        joined = getattr(left, verb)(right, lambda one, other: f"{one}+{other}", on=lambda value: value, value=str)
        joined.to_stream().to("out")

    left, right = tables(rows)
    expected = {key: f"{name}+{right.get(name)}" for key, name in left.items() if verb == "left_join" or name in right}
    assert result(say, rows) == expected


@MODEL
@given(rows=ROWS)
def test_a_regrouped_table_holds_the_groups_of_its_end(rows: list[tuple[str, str, str | None]]) -> None:
    """Rows leave their old group when they change."""

    def add(key: str, value: str, group: list[str]) -> list[str]:
        group.append(value)
        return sorted(group)

    def remove(key: str, value: str, group: list[str]) -> list[str]:
        group.remove(value)
        return group

    def say(builder: StreamsBuilder) -> None:
        table = builder.table("left", key=str, value=str)
        grouped = table.group_by(lambda key, value: (value, key), key=str, value=str)
        grouped.aggregate(list, add, remove, value=list).to_stream().to("out")

    left, _ = tables(rows)
    groups: dict[str, list[str]] = {}
    for key, value in sorted(left.items()):
        groups.setdefault(value, []).append(key)
    only_left = [row for row in rows if row[0] == "left"]
    found = {key: json.loads(group) for key, group in result(say, only_left).items()}
    assert {key: group for key, group in found.items() if group} == groups
