"""What streams and tables have in common: the program they belong to, the node they stand for, and its serdes."""

from __future__ import annotations

from typing import Any, Self

from msgspec import Struct

from streams.dsl.options import Function, Topic, arity, callable_or_error, serde_of
from streams.dsl.program import Program
from streams.errors import TopologyError
from streams.graph.names import checked_name
from streams.graph.nodes import Serdes
from streams.on_error import OnError, on_error_of
from streams.record import Windowed
from streams.serdes.json import DynamicSerde
from streams.serdes.primitives import PrimitiveSerde
from streams.serdes.registry import type_name

__all__ = [
    "Handle",
    "checked_on_error",
    "checked_partitioner",
    "expect_arity",
    "expect_initializer",
    "processor_name",
    "retyped",
    "takes_key",
    "topic_or_chooser",
]


class Handle(Struct, frozen=True, eq=False):
    """One step of a program. `program` and `serdes` are for verbs, not for users."""

    program: Program
    node: str
    serdes: Serdes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.node})"

    def on_error(self, policy: Any) -> Self:
        """What becomes of a record that this step cannot handle: read (a topic's first step) or process.

        "fail", "continue", `dead_letter(TOPIC)`, `retry(ERROR, ...)` or a function (error, record); the application's
        `on_error` without it. Shape: this handle again.
        """
        self.program.set_on_error(self.node, checked_on_error(policy, self.node))
        return self

    def named(self, name: str | None, prefix: str) -> str:
        """The name of a new node: the user's, or one drawn with `prefix`."""
        return self.program.names.named(name, prefix)

    def expect_same_program(self, other: Handle, what: str) -> None:
        """Raises: TopologyError when `other` was made by another App."""
        if other.program is not self.program:
            raise TopologyError(f"{self.node}: cannot {what} {other.node}, which belongs to another App")


def retyped(handle: Handle, key: Any, value: Any, what: str) -> Serdes:
    """The serdes that a handle's records go on with: those of the types given, else its own.

    Raises: TopologyError when its keys are windowed, and the type given for them is for others.
    """
    own, given = handle.serdes, serde_of(key)
    if getattr(own.key, "type", None) is Windowed and isinstance(given, PrimitiveSerde | DynamicSerde):
        raise TopologyError(
            f"{what}: the keys of {handle.node} are windowed, Windowed(key, start_ms, end_ms), and the type given for them "
            f"is {type_name(given.type)}: leave key= out, or give them such keys before, by "
            "select_key(lambda windowed, value: windowed.key)"
        )
    return Serdes(given or own.key, serde_of(value) or own.value)


def checked_on_error(policy: Any, where: str) -> OnError | None:
    """A policy, if there is one. Raises: TopologyError that says what was expected."""
    try:
        return None if policy is None else on_error_of(policy)
    except (TypeError, ValueError) as problem:
        raise TopologyError(f"{where}: on_error: {problem}") from None


def processor_name(name: str | None) -> str | None:
    """A checked name for a processor, if there is one."""
    return None if name is None else checked_name(name, "the name of a processor")


def takes_key(function: Any, values: int, what: str) -> bool:
    """Whether a function wants the key before its `values` arguments. Raises: TopologyError when it wants neither."""
    callable_or_error(function, what)
    wanted = arity(function, values)
    if wanted not in {values, values + 1}:
        shown = ", ".join(["value"] if values == 1 else ["left", "right"])
        raise TopologyError(
            f"{what}: expected a function of ({shown}) or (key, {shown}), but {_name(function)} takes {wanted} arguments"
        )
    return wanted == values + 1


def expect_arity(function: Any, shape: str, what: str) -> None:
    """Raises: TopologyError when a function does not take what it will be called with, such as "key, value"."""
    callable_or_error(function, what)
    expected = shape.count(",") + 1
    wanted = arity(function, expected)
    if wanted != expected:
        raise TopologyError(
            f"{what}: expected a function of ({shape}), but {_name(function)} takes {wanted} "
            f"argument{'' if wanted == 1 else 's'}"
        )


def topic_or_chooser(topic: Any, key: Any, value: Any, what: str) -> tuple[Topic | None, Function | None]:
    """Where a sink writes: a topic with its types, or a function that names one per record. Raises: TopologyError."""
    if isinstance(topic, Topic | str):
        return Topic.of(topic, key=key, value=value), None
    if not callable(topic):
        raise TopologyError(
            f"{what}: expected a topic, its name or a function (key, value, record) that names one, got {topic!r}"
        )
    expect_arity(topic, "key, value, record", f"{what}: the function that names its topic")
    return None, topic


def expect_initializer(initializer: Any) -> None:
    """Raises: TopologyError when the first value of an aggregate was given in place of what makes it."""
    what = "aggregate: the initializer"
    if not callable(initializer):
        raise TopologyError(f"{what}: expected a function, got {initializer!r}; write lambda: {initializer!r}")
    callable_or_error(initializer, what)
    if wanted := arity(initializer, 0):
        raise TopologyError(
            f"{what}: expected a function without arguments, but {_name(initializer)} takes {wanted} "
            f"argument{'' if wanted == 1 else 's'}"
        )


def checked_partitioner(partitioner: Any, what: str) -> None:
    """Raises: TopologyError when a partitioner is no function."""
    if partitioner is not None:
        callable_or_error(partitioner, f"{what}: the partitioner")


def _name(function: Function) -> str:
    return getattr(function, "__qualname__", repr(function))
