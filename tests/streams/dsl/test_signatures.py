"""What decorators read from functions."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from streams.app import App
from streams.dsl.signatures import UserFunction
from streams.errors import TopologyError
from streams.serdes.inference import UNKNOWN


async def loops(stream):
    async for value in stream:
        yield value


async def loops_over_items(stream):
    async for _key, _value in stream.items():
        pass


async def takes_lists(stream, size=10):
    async for _values in stream.take(size, within=size):
        pass


async def annotated(events: AsyncIterator[int]) -> None:
    return None


async def per_record(ride):
    return ride


async def loops_over_something_else(ride):
    async for value in loops(ride):
        yield value


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (loops, True),
        (loops_over_items, True),
        (takes_lists, True),
        (annotated, True),
        (per_record, False),
        (loops_over_something_else, False),
    ],
)
def test_which_form_an_agent_has(function: Any, expected: bool) -> None:
    """An agent that loops over its parameter is Faust's form, any other async function is called per record."""
    assert UserFunction.of(function, "agent").reads_stream is expected


def test_types_and_result() -> None:
    """Annotations are read as types, with None taken away from the result."""

    def confirm(key: str, ride: int) -> float | None: ...

    def many(ride: int) -> Iterator[bytes]: ...

    user = UserFunction.of(confirm, "process")
    assert (user.with_key, user.value_type, user.result_type, user.many) == (True, int, float, False)
    assert (UserFunction.of(many, "process").result_type, UserFunction.of(many, "process").many) == (bytes, True)
    assert UserFunction.of(lambda value: value, "process").result_type is UNKNOWN


def test_parameters_with_defaults_are_not_counted() -> None:
    """A function may have parameters of its own, as long as they have defaults."""

    def confirm(ride: int, rate: float = 1.0, *, log: bool = False) -> int: ...

    assert UserFunction.of(confirm, "process").types == (int,)


def test_errors_point_to_the_function() -> None:
    """The message has the function's name, its file and its line."""

    def wants_more(value: int, *, rate: float) -> None: ...

    line = wants_more.__code__.co_firstlineno
    with pytest.raises(TopologyError, match=rf"wants_more \(.*test_signatures\.py:{line}\): nobody gives .* rate"):
        UserFunction.of(wants_more, "process")
    with pytest.raises(TopologyError, match="@app.process: expected a function, got 5"):
        UserFunction.of(5, "process")  # type: ignore[arg-type]


async def later(value: str) -> str:
    return value


async def add_later(total: int, value: str) -> int:
    return total + len(value)


def add(total: int, value: str) -> int:
    return total + len(value)


@pytest.mark.parametrize(
    ("options", "function", "named"),
    [
        ({}, add_later, r"add_later .*:\d+\) is async, but @app\.aggregate would not await it"),
        ({"by": later}, add, r"later .*:\d+\) is async, but @app\.aggregate\(by=\.\.\.\) would not await it"),
    ],
)
def test_async_functions_of_an_aggregate_are_refused(
    options: dict[str, Any], function: Callable[..., Any], named: str
) -> None:
    """A total that is a coroutine could only fail with the first record; the message names the function and its place."""
    app = App("app")
    with pytest.raises(TopologyError, match=named):
        app.aggregate(app.topic("in", key=str, value=str), **options)(function)


def test_a_fields_name_in_place_of_the_function_that_reads_it() -> None:
    """As DataFrames are grouped: the message says which argument it is about."""
    app = App("app")
    with pytest.raises(TopologyError, match=r"@app\.aggregate\(by=\.\.\.\): expected a function, got 'zone'"):
        app.aggregate(app.topic("in", key=str, value=str), by="zone")(add)  # type: ignore[arg-type]
