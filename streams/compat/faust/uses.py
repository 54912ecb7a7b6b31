"""Which tables an agent uses, found in its code: the stores of its tasks have to be known before it runs.

Followed are the names a function loads (globals, closures, attributes of what they stand for, defaults), what
`functools.partial` was given, through the functions and methods it calls, and into lists, dicts and tuples of tables.
"""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType, FunctionType, ModuleType
from typing import Any

from streams.compat.faust.tables import Table, WindowWrapper

_DEEPEST = 6
_LIBRARIES = sys.stdlib_module_names | {"streams"}


def named(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that others know by its name: the one behind functools.partial."""
    while isinstance(function, partial):
        function = function.func
    return function


def tables_of(function: Callable[..., Any]) -> list[Table]:
    """The tables that a function uses, in the order in which they are met."""
    found: dict[str, Table] = {}
    for thing in _within_reach(function):
        for table in _tables_in(thing):
            found.setdefault(table.name, table)
    return list(found.values())


def mentions(function: Callable[..., Any], *names: str) -> bool:
    """Whether a function, or one that it calls, uses one of these attributes; libraries are not looked into."""
    for thing in _within_reach(function):
        own = _function_of(thing)
        if own is None or (own.__module__ or "").partition(".")[0] in _LIBRARIES:
            continue
        if any(name in code.co_names for code in _codes(own.__code__) for name in names):
            return True
    return False


def reads_stream(function: Callable[..., Any]) -> bool:
    """Whether a function of a stream does anything at all with it."""
    stream = next(iter(inspect.signature(function).parameters), None)
    own = _function_of(named(function))
    if own is None or stream is None:
        return True
    used: set[Any] = set()
    for code in _codes(own.__code__):
        for instruction in dis.get_instructions(code):
            if not instruction.opname.startswith(("STORE", "MAKE_CELL", "COPY_FREE")):
                found = instruction.argval
                used.update(found if isinstance(found, tuple) else [found] if isinstance(found, str) else [])
    return stream in used


def _within_reach(function: Callable[..., Any]) -> Iterator[Any]:
    """A function and all that it can get hold of, the nearest first."""
    seen: set[int] = set()
    waiting: list[tuple[Any, int]] = [(function, 0)]
    while waiting:
        thing, depth = waiting.pop(0)
        if id(thing) in seen or depth > _DEEPEST:
            continue
        seen.add(id(thing))
        yield thing
        if isinstance(thing, partial):
            waiting += [(each, depth) for each in (thing.func, *thing.args, *thing.keywords.values())]
        elif (own := _function_of(thing)) is not None:
            waiting += [(each, depth + 1) for each in _reached(own, getattr(thing, "__self__", None))]


def _function_of(thing: Any) -> FunctionType | None:
    """The function behind a function, a decorated one or a method."""
    own = inspect.unwrap(thing) if callable(thing) else thing
    own = own.__func__ if inspect.ismethod(own) else own
    return own if isinstance(own, FunctionType) else None


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


def _reached(function: FunctionType, bound: Any) -> Iterator[Any]:
    """What a function can get hold of by name; a method also by the object that it is bound to."""
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    values = [function.__globals__[name] for name in names if name in function.__globals__]
    values += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    if bound is not None:
        values.append(bound)
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
