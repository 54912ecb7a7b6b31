"""Tests for streams.graph.key_types: keys that records are kept by have a type."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from streams import App, JoinWindows, TimeWindows, TopologyError
from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder

READ = r"say key=str \(or another type, or a serde\) where in is read"
WINDOW = JoinWindows.of(10)

UNKNOWN: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "a table": (lambda b, s: b.table("table"), "a table is kept by key; .* where table is read"),
    "a global table": (lambda b, s: b.global_table("g"), "a table is kept by key; .* where g is read"),
    "a stream as table": (lambda b, s: s.to_table(), f"a table is kept by key; {READ}"),
    "a fold": (lambda b, s: s.filter(lambda k, v: True).group_by_key().count(), f"kept by key; {READ}"),
    "windows": (
        lambda b, s: s.group_by_key().windowed_by(TimeWindows.of(10)).count(),
        f"KSTREAM-AGGREGATE-.*kept by key; {READ}",
    ),
    "a repartition": (lambda b, s: s.repartition(), f"brings records together by key; {READ}"),
    "a new key": (
        lambda b, s: s.group_by(lambda k, v: v.lower()).count(),
        r"together by key; .* at KSTREAM-KEY-SELECT-0000000001 \(the verb with the function in .*\.py:\d+\), or annotate",
    ),
    "a processor's keys": (
        lambda b, s: s.process(object, name="made").to_table(),
        "brings records together by key; .* at made, or annotate",
    ),
    "a join of streams": (
        lambda b, s: b.stream("typed", key=str).join(s, lambda a, b: a, within=WINDOW),
        f"both sides of a join are kept by key; {READ}",
    ),
    "a join with a table": (
        lambda b, s: s.join(b.table("typed", key=str), lambda a, b: a),
        f"looks records up by key; {READ}",
    ),
}


def built(say: Callable[[Any, Any], Any], **settings: Any) -> None:
    builder = StreamsBuilder()
    say(builder, builder.stream("in"))
    builder.build(StreamsConfig.of("app", settings, environment={}))


@pytest.mark.parametrize("case", UNKNOWN)
def test_keys_of_unknown_type_are_refused_where_they_are_needed(case: str) -> None:
    """When the program is built, by the name of the step, with the place where to say it."""
    say, message = UNKNOWN[case]
    with pytest.raises(TopologyError, match=message):
        built(say)


@pytest.mark.parametrize("case", UNKNOWN)
def test_a_default_serde_is_an_answer(case: str) -> None:
    """As it is in Kafka Streams."""
    built(UNKNOWN[case][0], default_key_serde="str")


def lowered(key: object, value: str) -> str:
    return value.lower()


@pytest.mark.parametrize(
    "say",
    [
        lambda b, s: s.map_values(lambda v: v).to("out"),
        lambda b, s: s.group_by(lowered).count(),
        lambda b, s: s.group_by(lambda k, v: v.lower(), key=str).count(),
        lambda b, s: s.select_key(lambda k, v: v, key=object).group_by_key().count(),
        lambda b, s: s.left_join(b.global_table("g", key=str), lambda a, b: a, on=lowered).to("out"),
    ],
)
def test_what_is_known_or_not_needed_builds(say: Callable[[Any, Any], Any]) -> None:
    """Annotations, declared types, JSON that was asked for, and steps that keep nothing."""
    built(say)


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        return function(*arguments)

    return call


CHOOSERS: dict[str, Callable[..., Any]] = {
    "a value": lambda v: v.lower(),
    "a key and a value": lambda k, v: v.lower(),
    "a function that others wrap": logged(lambda v: v.lower()),
}


@pytest.mark.parametrize("of_table", [False, True])
@pytest.mark.parametrize("case", CHOOSERS)
def test_by_of_an_aggregate_is_named_by_its_own_line(case: str, of_table: bool) -> None:
    """Not by that of the function which calls it in Kafka's arity: nobody wrote that one."""
    app, by = App("app"), CHOOSERS[case]
    retract = (lambda total, value: total - 1) if of_table else None

    @app.aggregate(app.table("in", key=str) if of_table else app.topic("in", key=str), by=by, retract=retract)
    def total(total: int, value: str) -> int:
        return total + 1

    line = inspect.unwrap(by).__code__.co_firstlineno
    with pytest.raises(TopologyError, match=rf"the verb with the function in .*test_key_types\.py:{line}\)"):
        app.build()
