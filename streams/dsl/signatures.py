"""What a decorated function says of itself: its parameters, its types, its form, and where it stands.

Rules: everything is read when the decorator runs, nothing is called. Errors name the function with file and line, say
what was expected and what to write instead.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from types import FunctionType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

from streams.dsl.agent_results import Expected
from streams.dsl.options import asynchronous
from streams.errors import TopologyError
from streams.serdes.inference import UNKNOWN, annotations_of
from streams.serdes.registry import one_of_type, type_name

_MANY = (Iterator, Iterable, Generator)
_STREAM = (AsyncIterator, AsyncIterable)
_STREAM_METHODS = {"items", "records", "events", "take"}
_CALLING = ("LOAD_", "PRECALL", "CALL", "PUSH_NULL", "KW_NAMES")


class UserFunction(Struct, frozen=True):
    """A function as its decorator sees it. `types` are its parameters' annotations in order, UNKNOWN where missing."""

    function: Callable[..., Any]
    decorator: str
    types: tuple[Any, ...]
    returns: Any

    @classmethod
    def of(cls, function: Callable[..., Any], decorator: str) -> UserFunction:
        """Raises: TopologyError when it is no function, or cannot be called with positional arguments alone."""
        if not callable(function):
            raise TopologyError(f"@app.{decorator}: expected a function, got {function!r}")
        hints = _hints(function, decorator)
        types = tuple(hints.get(each.name, UNKNOWN) for each in _positional(function, decorator))
        return cls(function, decorator, types, hints.get("return", UNKNOWN))

    @property
    def where(self) -> str:
        """The function's name and place, for messages."""
        return place(self.function)

    @property
    def value_type(self) -> Any:
        """The annotated type of its last parameter, UNKNOWN without one."""
        return self.types[-1] if self.types else UNKNOWN

    @property
    def with_key(self) -> bool:
        """Whether it takes (key, value) rather than (value)."""
        return len(self.types) == 2

    @property
    def many(self) -> bool:
        """Whether it yields its results."""
        return inspect.isgeneratorfunction(self.function) or get_origin(self.returns) in _MANY

    @property
    def asynchronous(self) -> bool:
        """Whether it is `async def`."""
        return asynchronous(self.function)

    @property
    def reads_stream(self) -> bool:
        """Whether it is an agent of Faust's form: its one parameter is looped over with `async for`."""
        if len(self.types) != 1 or not self.asynchronous:
            return False
        annotated = self.types[0]
        if annotated is not UNKNOWN:
            return get_origin(annotated) in _STREAM or annotated in _STREAM or type_name(annotated).startswith("Stream")
        return _loops_over_parameter(self.function)

    @property
    def result_type(self) -> Any:
        """The type of one result: what is yielded, or returned other than None; UNKNOWN without an annotation."""
        kind = self.returns
        if get_origin(kind) in (*_MANY, *_STREAM) or str(get_origin(kind)).endswith("AsyncGenerator'>"):
            kind = get_args(kind)[0] if get_args(kind) else UNKNOWN
        if get_origin(kind) in (Union, UnionType):
            members = [member for member in get_args(kind) if member is not NoneType]
            return members[0] if len(members) == 1 else Union[tuple(members)]  # noqa: UP007  from a tuple
        return UNKNOWN if kind is Any else kind

    def expected_by(self, carried: Any, target: str) -> list[Expected]:
        """What a target takes, to be checked result by result, where its type is a plain class."""
        if not isinstance(carried, type) or get_origin(carried) is not None or carried in {object, dict, list}:
            return []
        return [] if hasattr(carried, "__total__") else [Expected(carried, target, self.where)]

    def expect_plain(self) -> None:
        """Raises: TopologyError when it is `async def` where its result is wanted at once."""
        if self.asynchronous:
            raise TopologyError(
                f"{self.where} is async, but @app.{self.decorator} would not await it: write def, and have @app.agent do what "
                "must be awaited"
            )

    def expect_parameters(self, *counts: int, meaning: str) -> None:
        """Raises: TopologyError unless it takes one of these numbers of parameters."""
        if len(self.types) not in counts:
            raise TopologyError(
                f"{self.where}: @app.{self.decorator} calls it with {meaning}, but it takes {len(self.types)} parameters"
            )

    def expect_value_type(self, carried: Any, source: str, annotated: Any = None) -> None:
        """Raises: TopologyError when its annotation and what `source` carries cannot be the same.

        `annotated` is the parameter's type, by default that of the last.
        """
        kind = self.value_type if annotated is None else annotated
        if _disjoint(carried, kind):
            raise TopologyError(
                f"{self.where} takes {one_of_type(kind)}, but {source} carries {type_name(carried)}: "
                "change the annotation, or the topic's value="
            )

    def expect_result_type(self, carried: Any, target: str) -> None:
        """Raises: TopologyError when its results cannot be what `target` carries, or there are none."""
        if self.returns is NoneType:
            raise TopologyError(f"{self.where} is annotated to return None, so nothing would be written to {target}")
        if _disjoint(carried, self.result_type):
            raise TopologyError(
                f"{self.where} gives {one_of_type(self.result_type)}, but {target} carries {type_name(carried)}: "
                "change the annotation, or the topic's value="
            )

    def expect_no_result(self) -> None:
        """Raises: TopologyError when it is annotated to return something that would be lost."""
        if self.many or self.result_type not in (UNKNOWN, NoneType, None):
            raise TopologyError(
                f"{self.where} gives {_shown_type(self.returns)}, but @app.{self.decorator} has no to=: its results would be "
                "lost; add to=TOPIC, or annotate it -> None"
            )


class Names:
    """The functions that an application decorates, by module and name.

    Two of one name are a copy that was not renamed, or a notebook's cell that ran again; one of several sources is one.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], UserFunction] = {}

    def user(self, function: Callable[..., Any], decorator: str) -> UserFunction:
        """The function as its decorator sees it. Raises: TopologyError as `UserFunction.of`, and for a name used twice."""
        user = UserFunction.of(function, decorator)
        target = inspect.unwrap(function)
        if not isinstance(target, FunctionType) or "<" in target.__qualname__:  # methods, lambdas, what functions make
            return user
        first = self._first.setdefault((target.__module__, target.__qualname__), user)
        if inspect.unwrap(first.function) is not target:
            raise TopologyError(
                f"{user.where}: @app.{decorator} is given a second function called {target.__name__}, and both would run; the "
                f"first is {first.where}: give one of them another name (in a notebook, run the cell that makes the App again)"
            )
        return user


def expect_source(source: Any, decorator: str) -> None:
    """Raises: TopologyError when a decorator without parentheses was given the function in place of a source."""
    if isinstance(source, FunctionType):
        raise TopologyError(f"{place(source)}: @app.{decorator} wants to know what it reads: @app.{decorator}(topic)")


def _disjoint(one: Any, other: Any) -> bool:
    """Whether two types are classes of which no value can be an instance of both; False when that is not known."""
    if not (isinstance(one, type) and isinstance(other, type)) or object in {one, other}:
        return False
    if {one, other} <= {int, float}:
        return False  # Python's own rule for annotations
    return not issubclass(one, other) and not issubclass(other, one)


def place(function: Callable[..., Any]) -> str:
    """A function's name, file and line."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    name = getattr(function, "__qualname__", repr(function))
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code else name


@contextmanager
def placed(user: UserFunction) -> Iterator[None]:
    """While inside, an error of the verbs that a decorator calls names the decorated function and its place."""
    try:
        yield
    except TopologyError as error:
        if user.where in str(error):
            raise
        raise TopologyError(f"{user.where}: @app.{user.decorator}: {error}") from error


def _hints(function: Callable[..., Any], decorator: str) -> dict[str, Any]:
    """Evaluated annotations, also of names that are local where the decorator stands.

    Raises: TopologyError for an annotation that names nothing.
    """
    target = inspect.unwrap(getattr(function, "__func__", function))
    if not isinstance(target, FunctionType):
        return annotations_of(function)
    frame, problem = inspect.currentframe(), ""
    while frame is not None:
        try:
            hints = get_type_hints(target, localns=None if frame.f_locals is frame.f_globals else dict(frame.f_locals))
        except NameError as error:
            problem, frame = str(error), frame.f_back
        except Exception:
            return annotations_of(function)
        else:
            return {name: hint for name, hint in hints.items() if hint is not Any and hint is not object}
    raise TopologyError(
        f"{place(function)}: @app.{decorator} cannot read its annotations: {problem}; import that name, or define it before"
    )


def _shown_type(kind: Any) -> str:
    return "results" if kind is UNKNOWN else type_name(kind)


def _positional(function: Callable[..., Any], decorator: str) -> list[inspect.Parameter]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise TopologyError(
            f"{place(function)}: @app.{decorator} cannot read its parameters; wrap it in a def"
        ) from None
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    required = [each for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is each.empty]
    if required:
        raise TopologyError(
            f"{place(function)}: nobody gives its keyword parameter {required[0].name}; give it a default"
        )
    return [each for each in positional if each.default is each.empty]


def _loops_over_parameter(function: Callable[..., Any]) -> bool:
    """Whether its code says `async for ... in parameter` or `... in parameter.items()` and the like."""
    code = inspect.unwrap(function).__code__
    instructions = [each for each in dis.get_instructions(code) if each.opname != "CACHE"]
    loops = [index for index, each in enumerate(instructions) if each.opname == "GET_AITER"]
    return any(_starts_from(code.co_varnames[0], instructions[:index]) for index in loops)


def _starts_from(variable: str, before: list[dis.Instruction]) -> bool:
    """Whether the expression just evaluated is the variable, or the call of a stream's method on it."""
    followed_by: dis.Instruction | None = None
    for instruction in reversed(before):
        if instruction.opname.startswith("LOAD_FAST") and instruction.argval == variable:
            return followed_by is None or followed_by.argval in _STREAM_METHODS
        if not instruction.opname.startswith(_CALLING):
            return False
        followed_by = instruction
    return False
