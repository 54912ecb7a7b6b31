"""Functions that only read fields of the aggregate they are given: such may have it itself, where others get a copy.

Seen from a function's code, instruction by instruction: what is not understood counts as if it could change the
aggregate, or keep it. Rules: the aggregate's parameter is loaded for nothing but the attribute that is loaded next, it
is no closure's, and the class makes such a load of a field what it looks like: a struct whose fields never change by
themselves, so that what is read is what a copy would give. Debuggers and those who look into frames may do as they like.
"""

from __future__ import annotations

import dis
from collections.abc import Callable
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, getattr_static
from types import FunctionType, MemberDescriptorType
from typing import Any

from msgspec import Struct

from state.copies import Copier, Copiers, copier_of

__all__ = ["copier_for", "fields_read"]

_LATER = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR
_LOOKS = frozenset({"locals", "vars", "dir", "eval", "exec", "_getframe", "currentframe"})
"""Names of what sees local variables."""
_LOADS = frozenset({"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW"})
_TWO_LOADS = frozenset({"LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW", "STORE_FAST_LOAD_FAST"})
_OTHERS = frozenset({"STORE_FAST", "STORE_FAST_STORE_FAST", "DELETE_FAST", "LOAD_FAST_AND_CLEAR"})


def copier_for(add: Callable[[Any, Any, Any], Any]) -> Callable[[type], Copier]:
    """As `copier_of`, of aggregates that are to be given to `add`: no copy where that only reads."""
    fields = fields_read(add)
    if fields is None:
        return copier_of
    return Copiers(lambda kind: None if _loads_plainly(kind, fields) else copier_of(kind)).__getitem__


def fields_read(add: Callable[[Any, Any, Any], Any]) -> frozenset[str] | None:
    """The attributes that a function loads from its third argument; None where it may do anything else with it."""
    code = add.__code__ if isinstance(add, FunctionType) else None
    if code is None or code.co_argcount < 3 or code.co_flags & _LATER or not _LOOKS.isdisjoint(code.co_names):
        return None
    aggregate = code.co_varnames[2]
    if aggregate in code.co_cellvars:
        return None
    fields: set[str] = set()
    loaded = False
    for instruction in dis.get_instructions(code):
        if loaded:
            if instruction.opname != "LOAD_ATTR":
                return None
            fields.add(instruction.argval)
        loaded = False
        if "_FAST" in instruction.opname:
            understood, loaded = _local(instruction, aggregate)
            if not understood:
                return None
    return frozenset(fields)


def _local(instruction: dis.Instruction, aggregate: str) -> tuple[bool, bool]:
    """Whether what an instruction does to local variables is understood, and whether it leaves the aggregate on top."""
    name, of = instruction.opname, instruction.argval
    if name in _LOADS:
        return True, of == aggregate
    if name in _TWO_LOADS:
        return of[0] != aggregate, of[1] == aggregate
    return name in _OTHERS and of != aggregate and aggregate not in of, False


def _loads_plainly(kind: type, fields: frozenset[str]) -> bool:
    """Whether to load these from an object of a class gives what its copy would give, and runs nobody's code."""
    return (
        copier_of(kind) is Struct.__copy__  # type: ignore[attr-defined]
        and getattr_static(kind, "__getattribute__") is object.__getattribute__
        and not hasattr(kind, "__getattr__")
        and all(isinstance(getattr_static(kind, field, None), MemberDescriptorType) for field in fields)
    )
