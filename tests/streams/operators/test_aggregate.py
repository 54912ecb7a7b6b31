"""Aggregates over keys and windows: what is dropped, what is passed on, and when."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.dsl.builder import StreamsBuilder
from streams.dsl.options import Materialized
from streams.errors import ProcessingError
from streams.graph.windows import EmitStrategy, SessionWindows, TimeWindows, UnlimitedWindows
from streams.on_error import dead_letter
from streams.operators.window_aggregate import starts_of
from streams.record import Record, Windowed
from streams.runtime.error_handlers import ErrorHandlers
from streams.serdes import serde_for
from streams.testing import TopologyTestDriver
from tests.streams.operators.cutting import Cutter, skipping, texts, topology_of

UNCACHED = Materialized(cached=False)


def grouped(builder: StreamsBuilder) -> Any:
    return builder.stream("in", key=str, value=str).group_by_key()


def driver_of(say: Any) -> TopologyTestDriver:
    return TopologyTestDriver(topology_of(say))


def test_a_count_needs_key_and_value() -> None:
    """Records without either are dropped and counted as dropped."""
    with driver_of(lambda builder: grouped(builder).count().to_stream().to("out")) as driver:
        for key, value in (("a", "x"), (None, "x"), ("a", None)):
            driver.input("in").send(key, value, 1)
        assert driver.output("out").read_key_values() == [("a", 1)]
        assert sum(driver.dropped_records.values()) == 2


def test_a_result_has_the_highest_time_of_its_records() -> None:
    """A late record does not move it back."""
    with driver_of(
        lambda builder: grouped(builder).reduce(lambda one, other: one + other).to_stream().to("out")
    ) as driver:
        for value, timestamp in (("a", 5), ("b", 3), ("c", 9)):
            driver.input("in").send("k", value, timestamp)
        assert driver.output("out").read() == [Record("k", "a", 5), Record("k", "ab", 5), Record("k", "abc", 9)]


def test_an_adder_that_returns_none_deletes_the_entry() -> None:
    """A tombstone is passed on, and the next record begins anew."""

    def add(key: str, value: str, total: int) -> int | None:
        return None if value == "stop" else total + 1

    say = lambda builder: grouped(builder).aggregate(int, add, value=int).to_stream().to("out")  # noqa: E731
    with driver_of(say) as driver:
        for value in ("go", "go", "stop", "go"):
            driver.input("in").send("k", value, 1)
        assert driver.output("out").read_values() == [1, 2, None, 1]


def test_an_aggregate_changed_in_place_does_not_change_what_was_passed_on() -> None:
    """Each result of a batch is what it was at its record, and so is the changelog."""

    def add(key: str, value: str, total: list[str]) -> list[str]:
        total.append(str(value))
        return total

    say = lambda builder: grouped(builder).aggregate(list, add, value=list, store=UNCACHED).to_stream().to("out")  # noqa: E731
    cutter = Cutter(topology_of(say))
    cutter.feed(texts("in", ("k", "a", 1), ("k", "b", 2)))
    assert [value for _, value, _ in cutter.written("out")] == [b'["a"]', b'["a","b"]']


def test_a_record_cache_passes_on_the_last_update_at_a_commit() -> None:
    """Kafka's visible effect of caching: updates in between vanish."""
    topology = topology_of(lambda builder: grouped(builder).count().to_stream().to("out"))
    cutter = Cutter(topology, cache_bytes=1 << 20)
    cutter.feed(texts("in", ("a", "x", 1), ("b", "x", 2), ("a", "x", 3)))
    counts = [(key, int.from_bytes(value or b"", "big"), timestamp) for key, value, timestamp in cutter.written("out")]
    assert counts == [(b"b", 1, 2), (b"a", 2, 3)]


def test_an_error_in_an_adder_names_its_node() -> None:
    """The task stops by default."""

    def add(key: str, value: str, total: int) -> int:
        return total + int(value)

    say = lambda builder: grouped(builder).aggregate(int, add, value=int, processor="sum").to_stream().to("out")  # noqa: E731
    with driver_of(say) as driver, pytest.raises(ProcessingError, match="node: sum"):
        driver.input("in").send("k", "x", 1)


@pytest.mark.parametrize(
    ("timestamp", "size", "advance", "expected"),
    [
        (0, 10, 10, [0]),
        (9, 10, 10, [0]),
        (10, 10, 10, [10]),
        (12, 10, 5, [5, 10]),
        (3, 10, 5, [0]),
        (10, 10, 3, [3, 6, 9]),
    ],
)
def test_a_time_lies_in_windows_that_start_at_multiples_of_the_advance(
    timestamp: int, size: int, advance: int, expected: list[int]
) -> None:
    """Ascending, and none below zero."""
    assert list(starts_of(timestamp, size, advance)) == expected


def test_a_window_takes_records_until_its_grace_has_passed() -> None:
    """It is closed when its end is not after the highest time seen minus the grace; then records are dropped."""
    windows = TimeWindows.of(10, grace=5)
    with driver_of(lambda builder: grouped(builder).windowed_by(windows).count().to_stream().to("out")) as driver:
        for timestamp in (3, 14, 4, 15, 5):
            driver.input("in").send("k", "v", timestamp)
        first = [record.value for record in driver.output("out").read() if record.key.start_ms == 0]
        assert first == [1, 2]
        assert sum(driver.dropped_records.values()) == 1


def test_windows_fold_null_values_in() -> None:
    """Unlike aggregates without windows."""
    say = lambda builder: grouped(builder).windowed_by(TimeWindows.of(10)).count().to_stream().to("out")  # noqa: E731
    with driver_of(say) as driver:
        driver.input("in").send("k", None, 1)
        assert driver.output("out").read_values() == [1]


def test_an_unlimited_window_never_ends() -> None:
    """Records before its start belong to no window."""
    say = lambda builder: grouped(builder).windowed_by(UnlimitedWindows.of(10)).count().to_stream().to("out")  # noqa: E731
    with driver_of(say) as driver:
        for timestamp in (5, 10, 10**12):
            driver.input("in").send("k", "v", timestamp)
        assert [(record.key.start_ms, record.value) for record in driver.output("out").read()] == [(10, 1), (10, 2)]


def test_on_close_a_window_is_passed_on_once() -> None:
    """By the record that closes it, with the window's own time."""

    def say(builder: StreamsBuilder) -> None:
        windows = grouped(builder).windowed_by(TimeWindows.of(10)).emit_strategy(EmitStrategy.ON_WINDOW_CLOSE)
        windows.count(store=Materialized(retention=1_000)).to_stream().to("out")

    with driver_of(say) as driver:
        for timestamp in (1, 2, 11):
            driver.input("in").send("k", "v", timestamp)
        assert driver.output("out").read() == [Record(Windowed("k", 0, 10), 2, 2)]


def test_sessions_that_meet_leave_as_tombstones() -> None:
    """The merged session comes at its end."""
    windows = SessionWindows.with_inactivity_gap(10, grace=100)
    with driver_of(lambda builder: grouped(builder).windowed_by(windows).count().to_stream().to("out")) as driver:
        for timestamp in (0, 20, 10):
            driver.input("in").send("k", "v", timestamp)
        last = driver.output("out").read()[2:]
        assert sorted((record.key.start_ms, record.key.end_ms, record.value) for record in last) == [
            (0, 0, None),
            (0, 20, 3),
            (20, 20, None),
        ]


def test_results_carry_the_headers_of_the_record_that_set_them_off() -> None:
    """So they do through a record cache."""
    with driver_of(lambda builder: grouped(builder).count().to_stream().to("out")) as driver:
        driver.input("in").send("k", "v", 1, headers=(("trace", b"7"),))
        assert driver.output("out").read_record().headers == (("trace", b"7"),)


def test_records_that_fail_or_are_dropped_leave_no_trace_between_updates_that_were_held_back() -> None:
    """With room in the record cache a batch's updates are put late; errors, nulls and deletions cut it as they came."""

    def add(key: str, value: str, total: str) -> str | None:
        if value == "bad":
            raise ValueError("bad")
        return None if value == "gone" else total + value

    say = lambda builder: grouped(builder).aggregate(str, add, value=str).to_stream().to("out")  # noqa: E731
    warm = texts("in", ("a", "1", 1), ("b", "2", 2), ("c", "3", 3))
    fed = [
        ("a", "4", 9),
        ("b", "5", 4),
        ("a", "bad", 5),
        ("c", "6", 6),
        (None, "x", 7),
        ("a", None, 8),
        ("b", "gone", 9),
    ]
    more = texts("in", *fed, ("b", "7", 3), ("d", "8", 2), ("c", "bad", 20), ("a", "9", 11))
    seen = []
    for size in (1, 1_000):
        cutter = Cutter(topology_of(say), size, 1 << 20, skipping())
        cutter.feed(warm)
        cutter.feed(more)
        seen.append(cutter.seen())
    assert seen[0] == seen[1]
    assert [(key, value) for key, value, _ in cutter.written("out")][3:] == [
        (b"c", b"36"), (b"b", b"7"), (b"d", b"8"), (b"a", b"149"),
    ]  # fmt: skip


def gather(_key: str, value: str | None, total: list[str]) -> list[str] | None:
    """Changes the list in place, as users do, and fails after that."""
    total.append(str(value))
    if value == "bad":
        raise ValueError("bad")
    return None if value == "gone" else total


RECORDS = st.lists(
    st.tuples(
        st.just("in"),
        st.sampled_from([b"a", b"b", b"c", None]),
        st.sampled_from([b"1", b"2", b"3", b"bad", b"gone", None]),
        st.integers(0, 40),
    ),
    max_size=30,
)


def table_of_groups(builder: StreamsBuilder) -> Any:
    table = builder.table("in", key=str, value=str, store=UNCACHED)
    return table.group_by(lambda key, value: (value, value)).aggregate(
        str, lambda key, value, total: refusing(value, total), lambda key, value, total: total[:-1], value=str
    )


def refusing(value: str, total: str) -> str:
    if value == "bad":
        raise ValueError("bad")
    return f"{total}{value}"


@pytest.mark.parametrize(
    "say",
    [
        lambda builder: grouped(builder).aggregate(str, lambda key, value, total: refusing(value, total), value=str),
        lambda builder: grouped(builder).windowed_by(TimeWindows.of(10)).reduce(lambda old, new: refusing(new, old)),
        table_of_groups,
    ],
    ids=["aggregate", "window", "table"],
)
def test_what_was_evicted_before_a_record_that_fails_is_passed_on_before_its_dead_letter(say: Any) -> None:
    """Dead letters among the results: they lie where they would if each record came alone."""
    fed = [("a", "1", 1), ("b", "2", 2), ("a", "3", 3), ("a", "bad", 4), ("b", "bad", 5), ("c", "4", 6), ("b", "5", 7)]
    seen = []
    for size in (1, 1_000):
        letters = ErrorHandlers(processing=dead_letter("out"))
        cutter = Cutter(
            topology_of(lambda builder: say(builder).to_stream(key=str).to("out")),
            size,
            cache_bytes=1,
            handlers=letters,
        )
        cutter.feed(texts("in", *fed))
        seen.append(cutter.written("out"))
    assert seen[0] == seen[1]
    is_letter = [(value or b"").startswith(b"bad") for _, value, _ in seen[0]]
    assert 0 < is_letter.index(True) < len(is_letter) - 1 - is_letter[::-1].index(True) < len(is_letter) - 2


ROOMY, NEVER_ROOMY = 1 << 20, 60_000
CUTS = ((1, NEVER_ROOMY, False), (1, ROOMY, False), (3, ROOMY, False), (1_000, ROOMY, False), (1_000, ROOMY, True))
"""(records at a time, bytes of the record cache, whether each update says its cause)"""


def seen_at_all_cuts(say, warm, more):
    """What a program shows at each of CUTS, fed with the one and then the other."""
    seen = []
    for size, cache_bytes, causes in CUTS:
        cutter = Cutter(topology_of(say), size, cache_bytes, skipping(), causes=causes)
        cutter.feed(warm)
        cutter.feed(more)
        seen.append(cutter.seen())
    return seen


@given(warm=RECORDS, more=RECORDS)
@example(  # an entry that failed counts as used; one that is deleted and comes again is put one by one
    warm=[("in", b"a", b"1", 5), ("in", b"b", b"1", 5)],
    more=[
        ("in", b"a", b"2", 5), ("in", b"a", b"bad", 6), ("in", b"b", b"gone", 4), ("in", b"b", b"2", 3),
        ("in", None, b"1", 9), ("in", b"c", b"1", 40), ("in", b"a", b"3", 2), ("in", b"c", b"2", 38),
    ],
)  # fmt: skip
def test_windows_whose_updates_are_held_back_are_those_of_single_puts(warm, more):
    """Whatever is late, null, failing or deleted in between, and with aggregates that user code changes in place."""
    for size in (10, 30, 100):  # of a batch, mostly some, two, and all records in one

        def say(builder: StreamsBuilder, size: int = size) -> None:
            windows = grouped(builder).windowed_by(TimeWindows.of(size, grace=12))
            windows.aggregate(list, gather, value=list[str]).to_stream().to("out")

        seen = seen_at_all_cuts(say, warm, more)
        assert seen[1:] == [seen[0]] * 4


LONG = st.lists(
    st.tuples(
        st.just("in"),
        st.sampled_from([b"a", b"b", b"c", b"d", b"e"]),
        st.sampled_from([b"1", b"200", b"900", b"bad", b"gone", b"odd"]),
        st.integers(0, 40),
    ),
    max_size=30,
)


@given(warm=LONG, more=LONG)
@example(  # behind a deletion one that cannot be written; what was before both makes another late
    warm=[("in", b"a", b"1", 20), ("in", b"b", b"1", 20)],
    more=[
        ("in", b"a", b"1", 29), ("in", b"a", b"gone", 20), ("in", b"b", b"odd", 20), ("in", b"b", b"1", 21),
        ("in", b"b", b"1", 5),
    ],
)  # fmt: skip
@example(  # an entry that failed was used after one that waits, which goes first
    warm=[("in", b"a", b"1", 1), ("in", b"b", b"1", 1)],
    more=[
        ("in", b"b", b"1", 2), ("in", b"a", b"bad", 3), ("in", b"c", b"1", 1), ("in", b"d", b"1", 1),
        ("in", b"e", b"1", 1), ("in", b"d", b"1", 11), ("in", b"c", b"1", 1), ("in", b"e", b"1", 11),
    ],
)  # fmt: skip
@example(  # one that is new grows until the others have no room either
    warm=[("in", b"a", b"1", 1)],
    more=[*(("in", b"b", b"900", at) for at in range(10)), ("in", b"a", b"200", 3), ("in", b"b", b"1", 3)],
)
@example(  # the third and the fourth entry have no room beside the others; those that are new grow
    warm=[("in", b"a", b"1", 1)],
    more=[("in", key, b"900", at) for key, at in ((b"b", 1), (b"b", 2), (b"c", 1), (b"d", 9), (b"e", 2), (b"a", 3))],
)
def test_new_windows_that_the_record_cache_has_no_room_for_are_put_one_by_one(warm, more):
    """They are held back among the others only as long as nothing can be evicted for them: what goes, and when, is the same."""

    def grow(_key: str, value: str, total: str) -> str | None:
        if value == "bad":
            raise ValueError("bad")
        if value == "odd":
            return total + "\ud800"  # half of a character, which cannot be written
        return None if value == "gone" else total + "+" * int(value)

    for size in (10, 100):

        def say(builder: StreamsBuilder, size: int = size) -> None:
            windows = grouped(builder).windowed_by(TimeWindows.of(size, grace=12))
            windows.aggregate(lambda: "+" * 12_000, grow, value=str).to_stream().to("out")

        seen = []
        for at_once in (1, 4, 1_000):
            cutter = Cutter(topology_of(say), at_once, 1 << 16, skipping())
            cutter.feed(warm)
            cutter.feed(more)
            seen.append(cutter.seen())
        assert seen[1:] == [seen[0]] * 2


@given(warm=RECORDS, more=RECORDS)
@example(  # late records, of which one is later than the last of its key, and one is earlier than what is stored
    warm=[("in", b"a", b"1", 20), ("in", b"b", b"1", 5), ("in", b"c", b"1", 5)],
    more=[("in", b"b", b"1", 9), ("in", b"a", b"2", 7), ("in", b"b", b"3", 8), ("in", b"a", b"3", 6)],
)
def test_counts_of_a_whole_batch_are_those_of_its_records_one_by_one(warm, more):
    """Values, times and their order, also with nulls, keys that are new, and room that runs out."""

    def say(builder: StreamsBuilder) -> None:
        grouped(builder).count().to_stream().to("out")

    seen = seen_at_all_cuts(say, warm, more)
    assert seen[1:] == [seen[0]] * 4


@pytest.mark.parametrize(
    ("size", "again", "key"),
    [(100, False, int), (1_000, False, int), (1_000, True, int), (1_000, True, str), (100, False, str)],
)
def test_counts_of_more_keys_than_the_record_cache_holds(tmp_path, size, again, key):
    """Values, times, order and changelog are those of a store in memory, also with nulls, evictions and commits between.

    And where what is evicted is counted once more, by another record cache.
    """

    def say(builder: StreamsBuilder) -> None:
        counts = builder.stream("in", key=key, value=int).group_by_key().count(name="counts").to_stream()
        if again:
            counts = counts.group_by_key().count(name="again").to_stream()
        counts.to("out")

    order, one, key_bytes = random.Random(8), (1).to_bytes(8, "big"), serde_for(key).serialize
    chunks = [
        [("in", key_bytes(key(order.randrange(40_000))), one, order.randrange(99)) for _ in range(count)]
        for count in (9_000, 30_000, 7_000, 5_000)
    ]
    for row in range(50, 30_000, 300):
        chunks[1][row : row + 2] = [("in", None, one, 5), ("in", chunks[1][row][1], None, 5)]
    seen, counts = [], []
    for directory in (tmp_path, None):
        cutter = Cutter(topology_of(say), size, ROOMY, directory=directory)
        for chunk in chunks:
            cutter.feed(chunk)
            rows = getattr(cutter.task.stores["counts"], "_rows", None)
            counts.append(rows and rows.begun)
        seen.append(cutter.seen())
        cutter.task.close()
    assert counts[0] is (size > 100)
    assert key is str or all(counts[1:4])  # those of names end with the room
    assert counts[4:] == [None] * 4
    assert seen[0] == seen[1]
    assert set(seen[0]["dropped"].values()) == {200}
