"""Which tables an agent uses, found in its code: the stores of its tasks have to be known before it runs.

Followed are the names a function loads (globals, closures, attributes of what they stand for, defaults), through the
functions and methods it calls, and into lists, dicts and tuples of tables.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from streams.compat.faust.tables import Table, WindowWrapper

_DEEPEST = 6


def tables_of(function: Callable[..., Any]) -> list[Table]:
    """The tables that a function uses, in the order in which they are met."""
    found: dict[str, Table] = {}
    seen: set[int] = set()
    waiting: list[tuple[Any, int]] = [(function, 0)]
    while waiting:
        thing, depth = waiting.pop(0)
        if id(thing) in seen or depth > _DEEPEST:
            continue
        seen.add(id(thing))
        for table in _tables_in(thing):
            found.setdefault(table.name, table)
        if isinstance(own := inspect.unwrap(thing) if callable(thing) else thing, FunctionType):
            waiting += [(each, depth + 1) for each in _reached(own)]
        elif inspect.ismethod(thing):
            waiting += [(thing.__func__, depth + 1)]
    return list(found.values())


def mentions(function: Callable[..., Any], *names: str) -> bool:
    """Whether a function's own code uses one of these attributes."""
    return any(name in code.co_names for code in _codes(function.__code__) for name in names)


def _tables_in(thing: Any) -> Iterator[Table]:
    if isinstance(thing, Table):
        yield thing
    elif isinstance(thing, WindowWrapper):
        yield thing.table
        if thing.key_index_table is not None:
            yield thing.key_index_table
    elif isinstance(thing, list | tuple | set):
        for each in thing:
            yield from _tables_in(each)
    elif isinstance(thing, dict):
        for each in thing.values():
            yield from _tables_in(each)


def _reached(function: FunctionType) -> Iterator[Any]:
    """What a function can get hold of by name."""
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    values = [function.__globals__[name] for name in names if name in function.__globals__]
    values += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    for cell in function.__closure__ or ():
        try:
            values.append(cell.cell_contents)
        except ValueError:
            continue
    for value in values:
        yield value
        if isinstance(value, Table | WindowWrapper | FunctionType):
            continue
        attributes = vars(value) if hasattr(value, "__dict__") else {}
        own_class = {} if isinstance(value, ModuleType | type) else vars(type(value))
        for name in names:
            if name in attributes:
                yield attributes[name]
            elif name in own_class:
                yield own_class[name]


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
