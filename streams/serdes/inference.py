"""The type that a function returns, where its annotations or its plain form tell, so that its serde need not be given.

A lambda that only reads attributes (`lambda key, ride: ride.zone.borough`, or a tuple of such) has no annotation, but
its result's type follows from the fields of its argument. It is read from the bytecode and never called: a function
that does anything else (calls, operators, globals) counts as unknown, which is always safe.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Sequence
from types import CodeType, FunctionType
from typing import Any, get_origin, get_type_hints

UNKNOWN: Any = object()
"""The type is not known; distinct from None, which is a type."""

_IGNORED = {"RESUME", "NOP", "CACHE", "COPY_FREE_VARS", "PRECALL"}


def returned_type(function: Callable[..., Any], argument_types: Sequence[Any] = ()) -> Any:
    """The type of what `function` returns, or UNKNOWN.

    Shape: `argument_types` are the types of its positional arguments in order, UNKNOWN where not known.
    """
    if isinstance(function, type):
        return function
    hint = return_annotation(function)
    if hint is not UNKNOWN:
        return hint
    if isinstance(function, FunctionType) and function.__name__ == "<lambda>":
        return _evaluate(function.__code__, argument_types)
    return UNKNOWN


def return_annotation(function: Callable[..., Any]) -> Any:
    """The evaluated return annotation, or UNKNOWN when there is none or it cannot be evaluated."""
    return annotations_of(function).get("return", UNKNOWN)


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Evaluated annotations by parameter name, `return` included; empty when they cannot be evaluated.

    An annotation of None is given as NoneType, and `Any` and `object` are left out: they tell nothing.
    """
    target = getattr(function, "__func__", function)
    if not isinstance(target, FunctionType):
        target = vars(type(function)).get("__call__", function)
    try:
        hints = get_type_hints(target)
    except Exception:
        return {}
    return {name: hint for name, hint in hints.items() if hint is not Any and hint is not object}


def field_type(owner: Any, name: str) -> Any:
    """The annotated type of an attribute of instances of `owner`, or UNKNOWN."""
    owner = get_origin(owner) or owner
    if not isinstance(owner, type):
        return UNKNOWN
    try:
        hint = get_type_hints(owner).get(name, UNKNOWN)
    except Exception:
        return UNKNOWN
    if hint is UNKNOWN and isinstance(member := getattr(owner, name, None), property) and member.fget:
        hint = return_annotation(member.fget)
    return UNKNOWN if hint is Any or hint is object else hint


def _evaluate(code: CodeType, argument_types: Sequence[Any]) -> Any:
    """Run the lambda on types instead of values; any instruction beyond reading attributes ends in UNKNOWN."""
    known = dict(zip(code.co_varnames, argument_types, strict=False))
    stack: list[Any] = []
    for instruction in dis.get_instructions(code):
        name = instruction.opname
        if name == "RETURN_VALUE":
            return stack.pop() if len(stack) == 1 else UNKNOWN
        if name.startswith("LOAD_FAST"):
            names = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
            stack.extend(known.get(each, UNKNOWN) for each in names)
        elif name == "LOAD_ATTR":
            stack.append(field_type(stack.pop(), instruction.argval))
        elif name == "BUILD_TUPLE":
            members = stack[len(stack) - instruction.argval :]
            del stack[len(stack) - instruction.argval :]
            stack.append(UNKNOWN if UNKNOWN in members else tuple[tuple(members)])  # type: ignore[misc]
        elif name not in _IGNORED:
            return UNKNOWN
    return UNKNOWN
