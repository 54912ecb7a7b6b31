"""Tables of agents: as mappings, in windows, and only while a record is in hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streams import App, StreamsError, TopologyError
from streams.errors import ProcessingError
from streams.operators.window_aggregate import starts_of
from streams.pytest_plugin import RunningBroker
from streams.testing import TopologyTestDriver

Use = Callable[[str, Any], Any]


class Lines:
    """Runs functions of (key, value) that use a table, one per record, at the times of the records."""

    def __init__(self, table: Any, start_ms: int | None = None) -> None:
        app = App("tables")
        self.uses: list[Use] = []

        @app.process(app.topic("in", key=str, value=int), to=app.topic("out", key=str), tables=[table])
        def use(key: str, value: int) -> Any:
            return repr(self.uses.pop()(key, value))

        self.driver = TopologyTestDriver(app, start_ms=start_ms)
        self._out = self.driver.output("out")

    def __call__(self, use: Use, key: str = "k", value: int = 1, timestamp: int = 0) -> Any:
        self.uses.append(use)
        self.driver.input("in").send(key, value, timestamp)
        return eval(self._out.read_values()[-1])


@pytest.fixture
def lines() -> Iterator[Callable[..., Lines]]:
    """A function that makes Lines over a table."""
    made: list[Lines] = []

    def make(table: Any, start_ms: int | None = None) -> Lines:
        made.append(Lines(table, start_ms))
        return made[-1]

    yield make
    for each in made:
        each.driver.close()


def test_it_is_a_mapping(lines: Callable[..., Lines]) -> None:
    """Items, deletes, defaults and all that mappings have; a key read and not there stores nothing."""
    table = App("t").table("counts", key=str, value=int, default=int)
    run = lines(table)

    def add(key: str, value: int) -> int:
        table[key] += value
        return table[key]

    assert run(lambda key, _: (table[key], key in table, len(table), table.get(key), table.get(key, 7))) == (
        0,
        False,
        0,
        None,
        7,
    )
    assert [run(add, "a", 2), run(add, "a", 3), run(add, "b", 1)] == [2, 5, 1]
    assert run(lambda *_: (sorted(table.items()), sorted(table), sorted(table.values()))) == (
        [("a", 5), ("b", 1)],
        ["a", "b"],
        [1, 5],
    )
    assert run(lambda *_: (table.pop("b"), table.setdefault("c", 9), "b" in table, table.pop("b", 3))) == (
        1,
        9,
        False,
        3,
    )
    assert dict(run.driver.store("counts")) == {"a": 5, "c": 9}


def test_a_key_without_default_is_a_key_error(lines: Callable[..., Lines]) -> None:
    """As in a dict; None is no key."""
    table = App("t").table("names", key=str, value=str, default=None)
    run = lines(table)
    for use in (lambda key, _: table[key], lambda key, _: table.__delitem__(key), lambda *_: table[None]):
        with pytest.raises(ProcessingError, match="KeyError|no key None"):
            run(use)


MINUTE = 60_000


def test_tumbling_windows(lines: Callable[..., Lines]) -> None:
    """`+= 1` counts in the window of the record's time; current, earlier and all keys of a window can be read."""
    table = App("t").table("views", key=str, value=int, default=int).tumbling("1 minute", expires="1 hour")
    run = lines(table)

    def view(key: str, value: int) -> int:
        table[key] += value
        return table[key].current()

    assert [run(view, "a", timestamp=at) for at in (0, MINUTE - 1, MINUTE, MINUTE + 1)] == [1, 2, 1, 2]
    assert run(view, "b", timestamp=MINUTE) == 1

    def read(*_: Any) -> Any:
        return (
            table["a"].value(),
            table["a"].delta("1 minute"),
            table["c"].current(),
            "a" in table,
            "c" in table,
        )

    assert run(read, timestamp=MINUTE + 5) == (2, 2, 0, True, False)
    assert run(lambda *_: (dict(table.items()), dict(table.items("1 m"))), timestamp=MINUTE) == (
        {"a": 2, "b": 1},
        {"a": 2},
    )
    assert run(lambda *_: (sorted(table.keys()), sorted(table.values())), timestamp=MINUTE) == (["a", "b"], [1, 2])
    windows = {(key.key, key.start_ms, key.end_ms): value for key, value in run.driver.store("views").all()}
    assert windows == {("a", 0, MINUTE): 2, ("a", MINUTE, 2 * MINUTE): 2, ("b", MINUTE, 2 * MINUTE): 1}


def test_hopping_windows(lines: Callable[..., Lines]) -> None:
    """A record counts in every window that holds its time; a plain value is set in all of them."""
    table = App("t").table("views", key=str, value=int, default=int).hopping(10, 5)
    run = lines(table)

    def change(key: str, value: int) -> list[int]:
        table[key] += value
        table[key] -= 1
        table[key] *= 2
        return table.starts()

    assert run(change, value=3, timestamp=12) == [5, 10]
    assert run(change, value=3, timestamp=3) == [0]

    def values() -> dict[int, int]:
        return {key.start_ms: value for key, value in run.driver.store("views").all()}

    assert values() == {0: 4, 5: 4, 10: 4}

    def put(key: str, value: int) -> None:
        table[key] = value
        table[key] |= 8

    run(put, value=1, timestamp=14)
    assert values() == {0: 4, 5: 9, 10: 9}


def test_a_step_need_not_divide_the_size(lines: Callable[..., Lines]) -> None:
    """Every window that holds the time counts, as Kafka's TimeWindows.of("10 ms", advance="4 ms") has them."""
    table = App("t").table("views", key=str, value=int, default=int).hopping("10 ms", "4 ms")
    run = lines(table)

    def count(key: str, _value: int) -> list[int]:
        table[key] += 1
        return table.starts()

    for at in range(40):
        holding = [start for start in range(0, 40, 4) if start <= at < start + 10]
        assert run(count, timestamp=at) == holding == list(starts_of(at, 10, 4))
    windows = {key.start_ms: value for key, value in run.driver.store("views").all()}
    assert windows == {start: min(10, 40 - start) for start in range(0, 40, 4)}


def test_there_are_no_windows_before_1970(lines: Callable[..., Lines]) -> None:
    """Who looks back further than that finds what there is for a key that is not there."""
    table = App("t").table("views", key=str, value=int, default=int).tumbling(10)
    run = lines(table)

    def look_back(key: str, _value: int) -> Any:
        table[key] += 1
        return table[key].delta("1 hour"), list(table.items("1 hour")), table.starts("1 hour"), key in table

    assert run(look_back, timestamp=5) == (0, [], [], True)


def test_windows_relative_to_something_else(lines: Callable[..., Lines]) -> None:
    """The time may be the wall clock's or a field's, and the record's again."""
    table = App("t").table("views", key=str, value=int, default=int).tumbling(10)
    field, now = table.relative_to_field(lambda value: value), table.relative_to_now()
    run = lines(table, start_ms=1_005)

    def count(key: str, _value: int) -> tuple[list[int], list[int], list[int]]:
        field[key] += 1
        return field.starts(), field.relative_to_stream().starts(), now.starts()

    assert run(count, value=37, timestamp=5) == ([30], [0], [1_000])
    assert run(lambda key, _: (field[key].value(), table[key].now()), value=31) == (1, 0)


def test_the_wall_clock_is_the_drivers(lines: Callable[..., Lines]) -> None:
    """Windows by the wall clock begin where the driver's stands, and go on when it is advanced."""
    table = App("t").table("views", key=str, value=int, default=int).tumbling(10)
    now = table.relative_to_now()
    run = lines(table, start_ms=0)

    def count(key: str, _value: int) -> tuple[list[int], int]:
        now[key] += 1
        return now.starts(), table[key].now()

    assert [run(count, timestamp=at) for at in (500, 7)] == [([0], 1), ([0], 2)]
    run.driver.advance_wall_clock("10 ms")
    assert run(count, timestamp=3) == ([10], 1)


def test_nowhere_else(lines: Callable[..., Lines]) -> None:
    """Without a record in hand, or in a function it is not connected to, a table says what to do."""
    app = App("t")
    table, other = (app.table(name, key=str, value=int, default=int) for name in ("counts", "other"))
    run = lines(table)
    run(lambda key, _: table[key])
    with pytest.raises(StreamsError, match="'counts' was used while no record is in hand: use it inside a function of"):
        table["k"]
    with pytest.raises(TopologyError, match=r"not connected to a store 'other'.*say tables=\[...\] in the decorator"):
        run(lambda key, _: other[key])


@pytest.mark.broker
def test_a_table_outlives_its_worker(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """What agents wrote is in the changelog: a worker with no state of its own goes on where the last commit was."""

    def run(state: str, words: list[tuple[str, int]]) -> dict[str, int]:
        app = App(
            "agent-tables",
            broker=streams_broker.url,
            processing_guarantee="exactly_once_v2",
            state_dir=str(tmp_path / state),
        )
        table = app.table("sums", key=str, value=int, default=int)
        topic = app.topic("agent-tables-in", key=str, value=int, partitions=2)

        @app.agent(topic, concurrency=4)
        async def add(key: str, value: int) -> None:
            table[key] += value

        app.write(topic, words)
        with app.running() as running:
            running.catch_up()
            return dict(app.store("sums").all())

    assert run("one", [("a", 1), ("b", 2), ("a", 3)]) == {"a": 4, "b": 2}
    assert run("two", [("a", 10), ("c", 1)]) == {"a": 14, "b": 2, "c": 1}
