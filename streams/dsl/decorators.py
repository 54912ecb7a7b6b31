"""The decorators of an App: sugar over the DSL's verbs.

Each reads the function's annotations, calls the verb you could have called, and returns the function unchanged, so
that it stays testable. Errors come when the decorator runs, and name the function. There is no registry but the app's.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, TypeVar

from streams.dsl.agents import RecordAgent, StreamAgent
from streams.dsl.builder import StreamsBuilder
from streams.dsl.crontab import Crontab
from streams.dsl.frame_processor import FrameProcessor
from streams.dsl.kstream import KStream
from streams.dsl.options import Topic
from streams.dsl.signatures import UserFunction, place
from streams.dsl.windows import SessionWindows
from streams.durations import Duration, milliseconds
from streams.errors import TopologyError
from streams.serdes import declared
from streams.serdes.inference import UNKNOWN, returned_type

F = TypeVar("F", bound=Callable[..., Any])
Source = KStream | Topic | str


@dataclass(frozen=True, slots=True)
class Timer:
    """A function of the application that runs by the clock: every `interval_ms`, or when `crontab` says so."""

    function: Callable[[], Any]
    interval_ms: int = 0
    crontab: Crontab | None = None

    def after(self, time_ms: int) -> int:
        """When it is due next, in ms since 1970."""
        return self.crontab.after(time_ms) if self.crontab else time_ms + self.interval_ms


class Decorators:
    """What App inherits: the decorators, and the functions they gathered."""

    def __init__(self) -> None:
        self.builder = StreamsBuilder()
        self.timers: list[Timer] = []
        self.start_functions: list[Callable[[], Any]] = []
        self.stop_functions: list[Callable[[], Any]] = []
        self.state_functions: list[Callable[[Any, Any], Any]] = []
        self.uncaught_functions: list[Callable[[BaseException], Any]] = []
        self._uses: Counter[str] = Counter()

    def topic(self, name: str, *, key: Any = None, value: Any = None) -> Topic:
        """Defined by App."""
        raise NotImplementedError

    def process(
        self, source: Source, *, to: Topic | str | None = None, batch: str | None = None, on_error: Any = None
    ) -> Callable[[F], F]:
        """Call the function for each value of `source`, or each (key, value) if it takes two parameters.

        With `to`, what it returns is written there: None drops the record, an iterator emits many. Without, it is the
        end of the stream. An `async def` runs as an agent of concurrency 1. With `batch="pandas"` it is given a
        DataFrame of many records at once, and may return one: see `streams.dsl.frame_processor`.
        `on_error` says what becomes of a value that the function raises for: "continue", `dead_letter(TOPIC)`, ...
        Is `stream(source).map_values(f).on_error(on_error).filter(not None).to(to)`, or `.flat_map_values`, or `.for_each`.
        """

        def decorate(function: F) -> F:
            user = UserFunction.of(function, "process")
            if batch is not None:
                if on_error is not None:
                    raise TopologyError(
                        f"{user.where}: on_error is for single records; a function of DataFrames has none"
                    )
                self._process_frames(source, to, batch, user)
                return function
            if user.asynchronous:
                return self.agent(source, to=to, on_error=on_error)(function)
            user.expect_parameters(1, 2, meaning="(value) or (key, value)")
            stream, name = self._read(source, user), self._step(function)
            if to is None:
                user.expect_no_result()
                stream.for_each(function if user.with_key else _without_key(function), name=name, on_error=on_error)
            elif user.many:
                self._write(stream.flat_map_values(function, name=name).on_error(on_error), to, user)
            else:
                results = stream.map_values(function, name=name).on_error(on_error)
                self._write(results.filter(lambda _key, value: value is not None), to, user)
            return function

        return decorate

    def agent(
        self,
        source: Source,
        *,
        to: Topic | str | None = None,
        sink: Iterable[Topic | str | Callable[[Any], Any]] = (),
        concurrency: int = 1,
        on_error: Any = None,
    ) -> Callable[[F], F]:
        """Run an `async def` over `source`, up to `concurrency` at a time, results and commits in order.

        Per record (`async def f(value)` or `f(key, value)`), or in Faust's form: `async def f(stream)` that loops
        `async for value in stream` and may `yield`. Results other than None go to the topic `to` and to every `sink`,
        which are topics or functions. `on_error` says what becomes of a record that the function raises for.
        Is `stream(source).process_values(agent).on_error(on_error).to(to)`.
        """
        if concurrency < 1:
            raise TopologyError(f"@app.agent: expected a concurrency of at least 1, got {concurrency}")

        def decorate(function: F) -> F:
            user = UserFunction.of(function, "agent")
            if not user.asynchronous:
                raise TopologyError(f"{user.where} is not async: use @app.process, or write async def")
            targets = [*([to] if to is not None else []), *sink]
            if not targets and not user.reads_stream:
                user.expect_no_result()
            stream = self._read(source, user)
            results = stream.process_values(_agent(user, concurrency), name=self._step(function)).on_error(on_error)
            for target in targets:
                if isinstance(target, str | Topic):
                    self._write(results, target, user)
                else:
                    results.for_each(_without_key(target))
            return function

        return decorate

    def aggregate(
        self,
        source: Source,
        *,
        by: Callable[..., Any] | None = None,
        window: Any = None,
        name: str | None = None,
        to: Topic | str | None = None,
        initial: Callable[[], Any] | None = None,
        merge: Callable[[Any, Any, Any], Any] | None = None,
        key: Any = None,
        on_error: Any = None,
    ) -> Callable[[F], F]:
        """Fold the values of a key, and of a window, with `f(total, value)` or `f(key, total, value)`.

        `by` chooses the key from (value) or (key, value); without it the record's own key counts. The first total is
        made by `initial`, else by the class that annotates `total`. Sessions need `merge(key, total, total)`. `name` is
        the store's, by default the function's; `to` a topic for the updates. `key` is the type of the key, where `by` does not tell it;
        `on_error` what becomes of a value that the function raises for.
        Is `stream(source).group_by(by).windowed_by(window).aggregate(initial, f, name=name).to_stream().to(to)`.
        """

        def decorate(function: F) -> F:
            user = UserFunction.of(function, "aggregate")
            user.expect_parameters(2, 3, meaning="(total, value) or (key, total, value)")
            stream = self._read(source, user)
            grouped: Any = stream.group_by_key(key=key) if by is None else _grouped(stream, by, key)
            windowed = grouped if window is None else grouped.windowed_by(window)
            total = _total_type(user)
            options: dict[str, Any] = {"name": name or self._step(function)}
            if total is not UNKNOWN:
                options["value"] = total
            if merge is not None:
                _expect_sessions(window, user)
                options["merge"] = merge
            table = windowed.aggregate(initial or _constructor(total, user), _aggregator(user), **options)
            table.on_error(on_error)
            if to is not None:
                updates = table.to_stream()
                updates.to(self._typed(to, updates))
            return function

        return decorate

    def timer(self, interval: Duration) -> Callable[[F], F]:
        """Call the function every `interval` on each worker, between two batches; it may be `async def`."""
        interval_ms = _duration(interval, "timer")
        return self._timed(lambda function: Timer(function, interval_ms=interval_ms))

    def crontab(self, expression: str, *, timezone: tzinfo | None = None) -> Callable[[F], F]:
        """Call the function by a cron expression, such as "0 * * * *"; local time unless `timezone` is given."""
        try:
            parsed = Crontab.parse(expression, timezone)
        except ValueError as problem:
            raise TopologyError(f"@app.crontab({expression!r}): {problem}") from None
        return self._timed(lambda function: Timer(function, crontab=parsed))

    def on_start(self, function: F) -> F:
        """Call the function once on each worker, before the first record."""
        _expect_no_parameters(function, "on_start")
        self.start_functions.append(function)
        return function

    def on_stop(self, function: F) -> F:
        """Call the function once on each worker, after the last commit."""
        _expect_no_parameters(function, "on_stop")
        self.stop_functions.append(function)
        return function

    def on_state(self, function: F) -> F:
        """Call `function(new, old)` whenever the worker's state changes: `WorkerState`s, with Kafka's names."""
        _expect_parameters(function, "on_state", ("new", "old"))
        self.state_functions.append(function)
        return function

    def on_uncaught(self, function: F) -> F:
        """Ask `function(error)` what follows when a worker ends with an error.

        It answers "replace_worker", "stop_worker" or "stop_application" (Kafka's StreamsUncaughtExceptionHandler), or
        None to leave it to the setting `uncaught`.
        """
        _expect_parameters(function, "on_uncaught", ("error",))
        self.uncaught_functions.append(function)
        return function

    def _process_frames(self, source: Source, to: Topic | str | None, batch: str, user: UserFunction) -> None:
        if batch != "pandas":
            raise TopologyError(f'{user.where}: @app.process(batch=...) knows "pandas", got {batch!r}')
        user.expect_parameters(1, meaning="(frame)")
        if user.asynchronous:
            raise TopologyError(f"{user.where}: a function of DataFrames cannot be async def; write def")
        stream = source if isinstance(source, KStream) else self.builder.stream(self._topic(source))
        target = None if to is None else self._topic(to)
        kind = None if target is None else getattr(target.value_serde, "type", None)
        results = stream.process(lambda: FrameProcessor(user.function, kind), name=self._step(user.function))
        if target is not None:
            results.to(target)

    def _timed(self, make: Callable[[Callable[[], Any]], Timer]) -> Callable[[F], F]:
        def decorate(function: F) -> F:
            _expect_no_parameters(function, "timer")
            self.timers.append(make(function))
            return function

        return decorate

    def _read(self, source: Source, user: UserFunction) -> KStream:
        """The stream behind a decorator's first argument; a bare name takes its types from the annotations."""
        if isinstance(source, KStream):
            return source
        if isinstance(source, str):
            plain = not user.reads_stream and user.value_type is not UNKNOWN
            source = self.topic(source, value=user.value_type) if plain else self.topic(source)
        elif not isinstance(source, Topic):
            raise TopologyError(
                f"{user.where}: @app.{user.decorator} reads a topic, its name or a stream, got {source!r}"
            )
        elif not user.reads_stream:
            user.expect_value_type(getattr(source.value_serde, "type", None), f"topic {source.name}")
        return self.builder.stream(source)

    def _write(self, results: KStream, to: Topic | str, user: UserFunction) -> None:
        """End a stream in a topic; a bare name takes its value type from the annotation."""
        result = user.result_type
        if isinstance(to, str):
            to = self._typed(self.topic(to) if result is UNKNOWN else self.topic(to, value=result), results)
        user.expect_result_type(getattr(to.value_serde, "type", None), f"topic {to.name}")
        results.to(to)

    def _typed(self, to: Topic | str, results: KStream) -> Topic:
        """The topic with the types of what is written to it, where it has none: whoever reads it by name knows them."""
        topic = self._topic(to)
        serdes = {
            "key": None if topic.key_serde else results.serdes.key,
            "value": None if topic.value_serde else results.serdes.value,
        }
        return self.topic(topic.name, **{name: serde for name, serde in serdes.items() if declared(serde)})

    def _step(self, function: Callable[..., Any]) -> str | None:
        """The function's name for the step it becomes, numbered from its second use on; None for a lambda."""
        name = getattr(function, "__name__", "<>")
        if not name.isidentifier():
            return None
        self._uses[name] += 1
        return name if self._uses[name] == 1 else f"{name}-{self._uses[name]}"

    def _topic(self, topic: Topic | str) -> Topic:
        return self.topic(topic) if isinstance(topic, str) else topic


def _agent(user: UserFunction, concurrency: int) -> Callable[[], Any]:
    if user.reads_stream:
        return lambda: StreamAgent(user.function, concurrency=concurrency)
    user.expect_parameters(1, 2, meaning="(value), (key, value) or (stream)")
    if inspect.isasyncgenfunction(user.function):
        raise TopologyError(
            f"{user.where} yields, so it must be an agent over the stream: loop `async for value in stream` inside"
        )
    return lambda: RecordAgent(user.function, concurrency=concurrency, with_key=user.with_key)


def _without_key(function: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda _key, value: function(value)


def _grouped(stream: KStream, by: Callable[..., Any], key: Any) -> Any:
    """The stream grouped by `by`, in whichever arity it has; the key's type follows from it unless it is given."""
    chooser = UserFunction.of(by, "aggregate(by=...)")
    chooser.expect_parameters(1, 2, meaning="(value) or (key, value)")
    if chooser.with_key:
        return stream.group_by(by, key=key)
    kind = returned_type(by, [getattr(stream.serdes.value, "type", UNKNOWN)]) if key is None else key
    return stream.group_by(lambda _key, value: by(value), key=None if kind is UNKNOWN else kind)


def _expect_sessions(window: Any, user: UserFunction) -> None:
    if not isinstance(window, SessionWindows):
        raise TopologyError(f"{user.where}: merge= is for window=SessionWindows..., where two sessions may become one")


def _total_type(user: UserFunction) -> Any:
    annotated = user.types[-2]
    return user.result_type if annotated is UNKNOWN else annotated


def _constructor(total: Any, user: UserFunction) -> Callable[[], Any]:
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


def _aggregator(user: UserFunction) -> Callable[[Any, Any, Any], Any]:
    """The function in Kafka's arity (key, value, aggregate)."""
    function = user.function
    if len(user.types) == 2:
        return lambda _key, value, total: function(total, value)
    return lambda key, value, total: function(key, total, value)


def _duration(interval: Duration, decorator: str) -> int:
    try:
        interval_ms = milliseconds(interval)
    except (TypeError, ValueError) as problem:
        raise TopologyError(f"@app.{decorator}: {problem}") from None
    if interval_ms < 1:
        raise TopologyError(f"@app.{decorator}: expected an interval of at least 1 ms, got {interval!r}")
    return interval_ms


def _expect_parameters(function: Callable[..., Any], decorator: str, names: tuple[str, ...]) -> None:
    user = UserFunction.of(function, decorator)
    user.expect_parameters(len(names), meaning=f"({', '.join(names)})")


def _expect_no_parameters(function: Callable[..., Any], decorator: str) -> None:
    user = UserFunction.of(function, decorator)
    if user.types:
        raise TopologyError(
            f"{place(function)}: @app.{decorator} calls it without arguments, but it wants {len(user.types)}"
        )
