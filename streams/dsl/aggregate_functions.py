"""What `@app.aggregate` makes of a user's functions: the grouping, the first total, the fold in Kafka's arity.

Rules: nothing is called; what cannot work is a TopologyError that names the function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from streams.dsl.kstream import KStream, KTable
from streams.dsl.signatures import UserFunction
from streams.dsl.windows import SessionWindows
from streams.errors import TopologyError
from streams.serdes.inference import UNKNOWN, returned_type


def grouped_by(stream: KStream, by: Callable[..., Any], key: Any) -> Any:
    """The stream grouped by `by`, in whichever arity it has; the key's type follows from it unless it is given."""
    if _chooser(by).with_key:
        return stream.group_by(by, key=key)
    kind = returned_type(by, [getattr(stream.serdes.value, "type", UNKNOWN)]) if key is None else key
    return stream.group_by(_for(by, lambda _key, value: by(value)), key=None if kind is UNKNOWN else kind)


def grouped_rows(table: KTable, by: Callable[..., Any] | None, key: Any) -> Any:
    """A table's rows grouped by `by`, or by their own key; both types follow from the table unless they are given."""
    kind = getattr(table.serdes.value, "type", UNKNOWN)
    value = None if kind is UNKNOWN else table.serdes.value
    if by is None:
        return table.group_by(lambda row, entry: (row, entry), key=key or table.serdes.key, value=value)
    if _chooser(by).with_key:
        return table.group_by(_for(by, lambda row, entry: (by(row, entry), entry)), key=key, value=value)
    found = returned_type(by, [kind]) if key is None else key
    known = None if found is UNKNOWN else found
    return table.group_by(_for(by, lambda _row, entry: (by(entry), entry)), key=known, value=value)


def expect_rows(user: UserFunction, window: Any, retract: Any) -> None:
    """Raises: TopologyError unless the rows of a table can be aggregated as it is asked."""
    if window is not None:
        raise TopologyError(f"{user.where}: a table has no time, so window= does not apply to its rows")
    if retract is None:
        raise TopologyError(
            f"{user.where}: the rows of a table change, so say retract=, a function (total, value) that takes an old value "
            "out again"
        )


def retractor(retract: Any) -> Callable[[Any, Any, Any], Any]:
    """The function that takes an old value out again, in Kafka's arity."""
    undo = UserFunction.of(retract, "aggregate(retract=...)")
    undo.expect_parameters(2, 3, meaning="(total, value) or (key, total, value)")
    return aggregator(undo)


def expect_sessions(window: Any, user: UserFunction) -> None:
    """Raises: TopologyError when the windows are none that merge."""
    if not isinstance(window, SessionWindows):
        raise TopologyError(f"{user.where}: merge= is for window=SessionWindows..., where two sessions may become one")


def total_type(user: UserFunction) -> Any:
    """The annotated type of the total, UNKNOWN without one."""
    annotated = user.types[-2]
    return user.result_type if annotated is UNKNOWN else annotated


def _chooser(by: Callable[..., Any]) -> UserFunction:
    """What `by=` was given. Raises: TopologyError when it is async, or takes other arguments."""
    chooser = UserFunction.of(by, "aggregate(by=...)")
    chooser.expect_plain()
    chooser.expect_parameters(1, 2, meaning="(value) or (key, value)")
    return chooser


def _for(function: Callable[..., Any], calling: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """What calls the user's function, with that function's place in messages and its own parameters."""
    vars(calling).update(__signature__=inspect.signature(calling), __wrapped__=function)
    return calling


def constructor(total: Any, user: UserFunction) -> Callable[[], Any]:
    """Makes the first total. Raises: TopologyError when the annotation cannot be called without arguments."""
    if not isinstance(total, type):
        raise TopologyError(
            f"{user.where}: the first total is not known; annotate the parameter with a class that can be made without "
            "arguments, or say initial="
        )
    try:
        total()
    except TypeError as problem:
        raise TopologyError(f"{user.where}: the first total cannot be made: {problem}; say initial=") from None
    return total


def aggregator(user: UserFunction) -> Callable[[Any, Any, Any], Any]:
    """The function in Kafka's arity (key, value, aggregate). Raises: TopologyError when it is async."""
    user.expect_plain()
    function = user.function
    if len(user.types) == 2:
        return lambda _key, value, total: function(total, value)
    return lambda key, value, total: function(key, total, value)
