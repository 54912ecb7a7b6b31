"""Which processor a decorated function becomes, and which tables it uses.

Rules: whatever cannot work is a TopologyError that names the function, when its decorator runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from streams.dsl.agent_results import Expected
from streams.dsl.agent_tables import AgentTable, WindowedAgentTable, tables_of
from streams.dsl.options import Topic
from streams.dsl.signatures import UserFunction
from streams.errors import TopologyError
from streams.numbers import whole_number

Table = AgentTable | WindowedAgentTable


def agent_supplier(
    user: UserFunction,
    concurrency: int,
    timeout_ms: int | None,
    expected: Sequence[Expected],
) -> Callable[[], Any]:
    """Makes the processor of an asynchronous function, in whichever form it is."""
    from streams.dsl.agents import RecordAgent, StreamAgent  # asyncio comes with the first agent

    if user.reads_stream:
        if timeout_ms is not None:
            raise TopologyError(
                f"{user.where} loops over its stream, so it decides itself how long a record may take: leave timeout= out, "
                "and use asyncio.timeout around what may hang"
            )
        return lambda: StreamAgent(user.function, concurrency=concurrency, expected=expected)
    user.expect_parameters(1, 2, meaning="(value), (key, value) or (stream)")
    if inspect.isasyncgenfunction(user.function):
        raise TopologyError(
            f"{user.where} yields, so it must be an agent over the stream: loop `async for value in stream` inside"
        )
    return lambda: RecordAgent(
        user.function,
        concurrency=concurrency,
        with_key=user.with_key,
        timeout_ms=timeout_ms,
        expected=expected,
    )


def blocking_supplier(user: UserFunction, threads: int | None, expected: Sequence[Expected]) -> Callable[[], Any]:
    """Makes the processor of a plain function that has threads of its own, or uses tables."""
    from streams.dsl.blocking import TableFunction, ThreadedFunction

    if threads is None:
        return lambda: TableFunction(user.function, with_key=user.with_key, many=user.many, expected=expected)
    number = whole_number(threads, f"{user.where}: threads")
    return lambda: ThreadedFunction(
        user.function, threads=number, with_key=user.with_key, many=user.many, expected=expected
    )


def expect_no_threads(user: UserFunction, threads: int | None) -> None:
    """Raises: TopologyError when an asynchronous function is to run in threads."""
    if threads is not None:
        raise TopologyError(
            f"{user.where} is async, and threads= is for functions that block: use @app.agent(concurrency={threads}), or "
            "write def"
        )


def sinks(user: UserFunction, given: Any) -> list[Topic | str | Callable[[Any], Any]]:
    """Where an agent's results go besides `to`. Raises: TopologyError for what is neither a topic nor a function."""
    found = [given] if isinstance(given, str | Topic) or callable(given) else list(given)
    for each in found:
        if not (isinstance(each, str | Topic) or callable(each)):
            raise TopologyError(
                f"{user.where}: sink= takes topics, their names, and functions of a result, got {each!r}"
            )
    return found


def tables_used(user: UserFunction, given: Iterable[Table], threads: int | None) -> list[Table]:
    """The tables that a function uses: those that were given, and those that its code names."""
    found: dict[str, Table] = {}
    for table in (*given, *tables_of(user.function)):
        if not isinstance(table, AgentTable | WindowedAgentTable):
            raise TopologyError(
                f"{user.where}: tables= takes tables made by app.table(name, default=...), got {table!r}: others are "
                "joined, or read by app.store(name)"
            )
        found.setdefault(table.name, table)
    if found and threads is not None:
        raise TopologyError(
            f"{user.where} uses the table {min(found)!r} in several threads, which would lose updates: use @app.agent, or "
            "leave threads= out"
        )
    return list(found.values())
