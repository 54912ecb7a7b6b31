"""The type that a function returns, where its annotations or its plain form tell, so that its serde need not be given.

A lambda that only reads attributes and calls classes or annotated functions (`lambda key, ride: ride.zone.borough`,
`lambda ride, zone: Enriched(ride, zone)`, or a tuple of such) has no annotation, but its result's type follows from the
fields of its argument or from what it calls. It is read from the bytecode and never called: a function that does
anything else (methods, operators) counts as unknown, which is always safe.
"""

from __future__ import annotations

import builtins
import dis
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, get_origin, get_type_hints

from msgspec import Struct

UNKNOWN: Any = object()
"""The type is not known; distinct from None, which is a type."""

_IGNORED = {"RESUME", "NOP", "CACHE", "COPY_FREE_VARS", "PRECALL", "PUSH_NULL", "KW_NAMES"}


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
        return _evaluate(function, argument_types)
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


class _Named(Struct, frozen=True):
    """A global or closure variable that was loaded by name: what may be called."""

    value: Any


def _evaluate(function: FunctionType, argument_types: Sequence[Any]) -> Any:
    """Run the lambda on types instead of values; what cannot be followed ends in UNKNOWN."""
    known = dict(zip(function.__code__.co_varnames, argument_types, strict=False))
    stack: list[Any] = []
    for instruction in dis.get_instructions(function.__code__):
        name, argument = instruction.opname, instruction.argval
        if name == "RETURN_VALUE":
            result = stack.pop()
            return UNKNOWN if stack or isinstance(result, _Named) else result
        if name.startswith("LOAD_FAST"):
            names = argument if isinstance(argument, tuple) else (argument,)
            stack.extend(known.get(each, UNKNOWN) for each in names)
        elif name in {"LOAD_GLOBAL", "LOAD_DEREF"}:
            stack.append(_Named(_variable(function, argument)))
        elif name in {"LOAD_CONST", "LOAD_SMALL_INT"}:
            stack.append(UNKNOWN)
        elif name == "LOAD_ATTR":
            stack.append(field_type(stack.pop(), argument))
        elif name in {"CALL", "CALL_KW"}:  # the latter from Python 3.13 on, with its keywords' names on the stack
            del stack[len(stack) - argument - (name == "CALL_KW") :]
            stack.append(_called_type(stack.pop()))
        elif name == "BUILD_TUPLE":
            members = stack[len(stack) - argument :]
            del stack[len(stack) - argument :]
            stack.append(UNKNOWN if UNKNOWN in members else tuple[tuple(members)])  # type: ignore[misc]
        elif name not in _IGNORED:
            return UNKNOWN
    return UNKNOWN


def _variable(function: FunctionType, name: str) -> Any:
    """What a name in the function means now, outside its parameters; UNKNOWN when it means nothing yet."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=False))
    if name in cells:
        try:
            return cells[name].cell_contents
        except ValueError:
            return UNKNOWN
    return function.__globals__.get(name, getattr(builtins, name, UNKNOWN))


def _called_type(callee: Any) -> Any:
    """The type of what a class or an annotated function gives when it is called."""
    if not isinstance(callee, _Named):
        return UNKNOWN
    if isinstance(callee.value, type):
        return callee.value
    return return_annotation(callee.value) if isinstance(callee.value, FunctionType) else UNKNOWN
