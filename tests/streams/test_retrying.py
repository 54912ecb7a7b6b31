"""Every function that a program gives to a verb is tried again where the policy says so, those of tables too."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from streams import App, retry
from streams.graph.windows import SessionWindows
from streams.testing import TopologyTestDriver

ONCE_MORE = retry(TimeoutError, times=3, first="1 ms")


def flaky(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which gets no answer at every other call."""
    calls = count()

    def every_other(*arguments: Any) -> Any:
        if next(calls) % 2 == 0:
            raise TimeoutError("no answer")
        return function(*arguments)

    return every_other


class Doubling:
    """A transformer that doubles."""

    def __init__(self) -> None:
        self._double = flaky(lambda _, value: 2 * (value or 0))

    def transform(self, key: str, value: int | None) -> int:
        return int(self._double(key, value))


def table(app: App) -> Any:
    return app.table("in", key=str, value=int)


def summed(app: App) -> Any:
    grouped = table(app).group_by(lambda _, value: ("all", value), key=str, value=int)
    add, subtract = (lambda _, value, total: total + value), flaky(lambda _, value, total: total - value)
    return grouped.aggregate(int, add, subtract, value=int)


def sessions(app: App) -> Any:
    grouped = app.stream("in", key=str, value=int).group_by_key()
    merge = flaky(lambda _, one, other: one + other)
    windows = SessionWindows.with_inactivity_gap("1 m")
    merged = grouped.windowed_by(windows).aggregate(int, lambda _, value, total: total + value, merge, value=int)
    return (
        merged.to_stream().filter(lambda _, value: value is not None).select_key(lambda window, _: window.key, key=str)
    )


def met_by_foreign_key(app: App) -> Any:
    on, rows = flaky(lambda key, _: key), app.table("rows", key=str, value=int)
    return table(app).join(rows, lambda left, right: left + right, on=lambda key, value: on(key, value), value=int)


def met_in_a_global_table(app: App) -> Any:
    stream, rows = app.stream("in", key=str, value=int), app.global_table("rows", key=str, value=int)
    return stream.join(rows, lambda left, right: left + right, on=flaky(lambda key, _: key), value=int)


def looked_up(app: App) -> Any:
    rows = app.table("rows", key=str, value=int).map_values(flaky(lambda value: value), value=int)
    return app.stream("in", key=str, value=int).join(rows, lambda left, right: left + right, value=int)


def looked_up_in_a_join(app: App) -> Any:
    other = app.table("rows", key=str, value=int)
    join = flaky(lambda left, right: left + right)
    rows = table(app).join(other, lambda left, right: join(left, right), value=int)
    return rows.join(app.table("more", key=str, value=int), lambda left, right: left + right, value=int)


VERBS: dict[str, tuple[Callable[[App], Any], int]] = {
    "map_values": (lambda app: table(app).map_values(flaky(lambda value: 2 * value), value=int), 4),
    "filter": (lambda app: table(app).filter(flaky(lambda _, value: value > 0)), 2),
    "filter_not": (lambda app: table(app).filter_not(flaky(lambda _, value: value < 0)), 2),
    "transform_values": (lambda app: table(app).transform_values(Doubling, value=int), 4),
    "group_by": (
        lambda app: table(app).group_by(flaky(lambda _, value: ("all", value)), key=str, value=int).count(),
        1,
    ),
    "subtractor": (summed, 2),
    "merger": (sessions, 3),
    "foreign key": (met_by_foreign_key, 12),
    "global key": (met_in_a_global_table, 12),
    "row of a table": (looked_up, 12),
    "row of a join": (looked_up_in_a_join, 22),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_function_without_an_answer_is_asked_again(verb: str) -> None:
    """By the policy of the application: nothing of it is to be seen in the results."""
    app = App("again", broker="kafka://nowhere:1", on_error=ONCE_MORE)
    say, last = VERBS[verb]
    made = say(app)
    (made.to_stream() if hasattr(made, "to_stream") else made).to("out", value=int)
    with TopologyTestDriver(app) as driver:
        if "topics: [rows]" in driver.describe():
            driver.input("rows", key=str, value=int).send("a", 10, 1)
        for value, time in ((1, 1), (2, 2)):
            driver.input("in", key=str, value=int).send("a", value, time)
        if "topics: [more]" in driver.describe():
            driver.input("more", key=str, value=int).send("a", 10, 3)
        assert driver.output("out", key=str, value=int).read_values()[-1] == last


def test_a_step_of_a_table_has_its_own_policy() -> None:
    """Also where the application has none."""
    app = App("again", broker="kafka://nowhere:1")
    rows = table(app).map_values(flaky(lambda value: 2 * value), value=int).on_error(ONCE_MORE)
    rows.to_stream().to("out")
    with TopologyTestDriver(app) as driver:
        driver.input("in", key=str, value=int).send("a", 1, 1)
        assert driver.output("out", key=str, value=int).read_values() == [2]
