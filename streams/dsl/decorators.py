"""The decorators of an App: sugar over the DSL's verbs.

Each reads the function's annotations, calls the verb you could have called, and returns the function unchanged, so
that it stays testable. Errors come when the decorator runs, and name the function. There is no registry but the app's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import tzinfo
from typing import Any, TypeVar

from msgspec import Struct

from streams.dsl.agent_results import Expected
from streams.dsl.agent_suppliers import agent_supplier, blocking_supplier, expect_no_threads, sinks, tables_used
from streams.dsl.agent_tables import AgentTable, WindowedAgentTable
from streams.dsl.aggregate_functions import (
    aggregator,
    constructor,
    expect_rows,
    expect_sessions,
    grouped_by,
    grouped_rows,
    retractor,
    total_type,
)
from streams.dsl.builder import StreamsBuilder
from streams.dsl.crontab import Crontab
from streams.dsl.frame_processor import FrameProcessor
from streams.dsl.kstream import KStream, KTable
from streams.dsl.ktable import GlobalKTable
from streams.dsl.options import Topic, arity
from streams.dsl.restore_decorators import RestoreDecorators
from streams.dsl.signatures import Names, UserFunction, expect_source, placed
from streams.dsl.windows import JoinWindows
from streams.durations import Duration, milliseconds
from streams.errors import TopologyError
from streams.numbers import whole_number
from streams.serdes import declared
from streams.serdes.inference import UNKNOWN
from streams.serdes.registry import one_of_type, type_name
from streams.settings import nearest

F = TypeVar("F", bound=Callable[..., Any])
Source = KStream | Topic | str
Table = AgentTable | WindowedAgentTable

JOINS = {"inner": "join", "left": "left_join", "outer": "outer_join"}


class Timer(Struct, frozen=True):
    """A function of the application that runs by the clock: every `interval_ms`, or when `crontab` says so."""

    function: Callable[[], Any]
    interval_ms: int = 0
    crontab: Crontab | None = None

    def after(self, time_ms: int) -> int:
        """When it is due next, in ms since 1970."""
        return self.crontab.after(time_ms) if self.crontab else time_ms + self.interval_ms


class Decorators(RestoreDecorators):
    """What App inherits: the decorators, and the functions they gathered."""

    def __init__(self) -> None:
        super().__init__()
        self.builder = StreamsBuilder()
        self.timers: list[Timer] = []
        self.start_functions: list[Callable[[], Any]] = []
        self.stop_functions: list[Callable[[], Any]] = []
        self.state_functions: list[Callable[[Any, Any], Any]] = []
        self.uncaught_functions: list[Callable[[BaseException], Any]] = []
        self._names = Names()
        self._uses: Counter[str] = Counter()
        self._owners: dict[str, UserFunction] = {}
        self._tables: dict[str, KTable] = {}

    def topic(self, name: str, *, key: Any = None, value: Any = None) -> Topic:
        """Defined by App."""
        raise NotImplementedError

    def process(
        self,
        source: Source,
        *,
        to: Topic | str | None = None,
        batch: str | None = None,
        threads: int | None = None,
        tables: Iterable[Table] = (),
        on_error: Any = None,
    ) -> Callable[[F], F]:
        """Call the function for each value of `source`, or each (key, value) if it takes two parameters.

        With `to`, what it returns is written there: None drops the record, an iterator emits many. Without, it is the
        end of the stream. An `async def` runs as an agent of concurrency 1. With `batch="pandas"` it is given a
        DataFrame of many records at once, and may return one; when it raises, it is called again with fewer of them, down
        to those that it raises for: see `streams.dsl.frame_processor`. With `threads=N` it runs in up to N threads of its
        own, because it blocks: records of one key one after another, results and commits in order. `tables` that it uses (`app.table(..., default=...)`) are found by their names in its code.
        `on_error` says what becomes of a value that the function raises for: "continue", `dead_letter(TOPIC)`, ...
        Is `stream(source).map_values(f).on_error(on_error).filter(not None).to(to)`, or `.flat_map_values`, or `.for_each`.
        """
        expect_source(source, "process")

        def decorate(function: F) -> F:
            user = self._names.user(function, "process")
            used = tables_used(user, tables, threads)
            with placed(user):
                if batch is not None:
                    if on_error is not None:
                        raise TopologyError("on_error is for single records; a function of DataFrames has none")
                    self._process_frames(source, to, batch, user)
                elif user.asynchronous:
                    expect_no_threads(user, threads)
                    self._run_agent(source, user, [to] if to is not None else [], used, on_error=on_error)
                elif threads is not None or used:
                    self._run_blocking(source, user, to, threads, used, on_error)
                else:
                    self._process(source, user, to, on_error)
            return function

        return decorate

    def _process(self, source: Source, user: UserFunction, to: Topic | str | None, on_error: Any) -> None:
        function = user.function
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

    def _run_blocking(
        self,
        source: Source,
        user: UserFunction,
        to: Topic | str | None,
        threads: int | None,
        tables: list[Table],
        on_error: Any,
    ) -> None:
        """A plain function as a processor of batches: it blocks, or uses tables."""
        user.expect_parameters(1, 2, meaning="(value) or (key, value)")
        if to is None:
            user.expect_no_result()
        expected = self._expected(user, [] if to is None else [to])
        supplier = blocking_supplier(user, threads, expected)
        results = self._read(source, user).process_values(
            supplier, stores=[each.spec for each in tables], name=self._step(user.function)
        )
        results.on_error(on_error)
        if to is not None:
            self._write(results, to, user)

    def agent(
        self,
        source: Source,
        *,
        to: Topic | str | None = None,
        sink: Iterable[Topic | str | Callable[[Any], Any]] = (),
        concurrency: int = 1,
        timeout: Duration | None = None,
        tables: Iterable[Table] = (),
        on_error: Any = None,
    ) -> Callable[[F], F]:
        """Run an `async def` over `source`, up to `concurrency` at a time, results and commits in order.

        Per record (`async def f(value)` or `f(key, value)`), or in Faust's form: `async def f(stream)` that loops
        `async for value in stream` and may `yield`. Results other than None go to the topic `to` and to every `sink`,
        which are topics or functions. A record that takes longer than `timeout` is cancelled and fails, as one that
        raises does. `tables` that it uses are found by their names in its code.
        `on_error` says what becomes of a record that the function raises for.
        Is `stream(source).process_values(agent).on_error(on_error).to(to)`.
        """
        concurrency = whole_number(concurrency, "@app.agent: concurrency")
        timeout_ms = None if timeout is None else _duration(timeout, "agent(timeout=...)")
        expect_source(source, "agent")

        def decorate(function: F) -> F:
            user = self._names.user(function, "agent")
            if not user.asynchronous:
                raise TopologyError(f"{user.where} is not async: use @app.process, or write async def")
            targets = [*([to] if to is not None else []), *sinks(user, sink)]
            with placed(user):
                used = tables_used(user, tables, None)
                self._run_agent(source, user, targets, used, concurrency, timeout_ms, on_error)
            return function

        return decorate

    def _run_agent(
        self,
        source: Source,
        user: UserFunction,
        targets: list[Topic | str | Callable[[Any], Any]],
        tables: list[Table],
        concurrency: int = 1,
        timeout_ms: int | None = None,
        on_error: Any = None,
    ) -> None:
        if not targets and not user.reads_stream:
            user.expect_no_result()
        stream = self._read(source, user)
        expected = self._expected(user, targets)
        supplier = agent_supplier(user, concurrency, timeout_ms, expected)
        stores = [each.spec for each in tables]
        results = stream.process_values(supplier, stores=stores, name=self._step(user.function)).on_error(on_error)
        for target in targets:
            if isinstance(target, str | Topic):
                self._write(results, target, user)
            else:
                results.for_each(_without_key(target))

    def _expected(self, user: UserFunction, targets: Iterable[Any]) -> list[Expected]:
        """What the typed topics among the targets take."""
        topics = [self._topic(target) for target in targets if isinstance(target, str | Topic)]
        return [
            each
            for topic in topics
            for each in user.expected_by(getattr(topic.value_serde, "type", None), f"topic {topic.name}")
        ]

    def join(
        self,
        left: Source,
        right: KStream | KTable | GlobalKTable | Topic | str,
        *,
        how: str = "inner",
        within: JoinWindows | None = None,
        on: Callable[..., Any] | None = None,
        to: Topic | str | None = None,
        name: str | None = None,
    ) -> Callable[[F], F]:
        """Call `f(left, right)`, or `f(key, left, right)`, for records of `left` and their partners of the same key.

        `right` is a table, or with `within=JoinWindows.of(...)` a stream; a topic, or its name, is read as what is needed.
        `how` is "inner", "left" (None for a missing partner) or "outer" (two streams). `on(value)` or `on(key, value)`
        makes the key for a global table. What the function returns is written to `to`; None drops it.
        Is `stream(left).join(table(right), f).filter(not None).to(to)`.
        """
        if how not in JOINS:
            raise TopologyError(f"@app.join: how is one of {', '.join(JOINS)}, got {how!r}{nearest(str(how), JOINS)}")

        def decorate(function: F) -> F:
            user = self._names.user(function, "join")
            user.expect_parameters(2, 3, meaning="(left, right) or (key, left, right)")
            if to is None:
                user.expect_no_result()
            with placed(user):
                stream = self._read(left, user, user.types[-2])
                partner = self._partner(right, user, within, stream)
                options: dict[str, Any] = {"within": within, "name": name or self._step(function)}
                if on is not None:
                    options["on"] = on if arity(on, 1) == 2 else _without_key(on)
                joined = getattr(stream, JOINS[how])(partner, function, **options)
                if to is not None:
                    self._write(joined.filter(lambda _key, value: value is not None), to, user)
            return function

        return decorate

    def _partner(self, right: Any, user: UserFunction, within: JoinWindows | None, left: KStream) -> Any:
        """The right side of a join: as it was given, else a stream for a join within a time, else a table.

        Keys that no type was declared for have that of the left side, or equal ones would not meet.
        """
        if not isinstance(right, str | Topic):
            return right
        topic = self.topic(right, value=_known(user.value_type)) if isinstance(right, str) else right
        user.expect_value_type(getattr(topic.value_serde, "type", None), f"topic {topic.name}")
        if topic.key_serde is None and declared(left.serdes.key):
            topic = self.topic(topic.name, key=left.serdes.key)
        if within is not None:
            return self.builder.stream(topic)
        if topic.name not in self._tables:
            self._tables[topic.name] = self.builder.table(topic)
        return self._tables[topic.name]

    def aggregate(
        self,
        source: Source | KTable,
        *,
        by: Callable[..., Any] | None = None,
        window: Any = None,
        name: str | None = None,
        to: Topic | str | None = None,
        initial: Callable[[], Any] | None = None,
        merge: Callable[[Any, Any, Any], Any] | None = None,
        retract: Callable[..., Any] | None = None,
        key: Any = None,
        on_error: Any = None,
    ) -> Callable[[F], F]:
        """Fold the values of a key, and of a window, with `f(total, value)` or `f(key, total, value)`.

        `by` chooses the key from (value) or (key, value); without it the record's own key counts. The first total is
        made by `initial`, else by the class that annotates `total`. Sessions need `merge(key, total, total)`. The rows of
        a table need `retract(total, value)`, or (key, total, value), which takes the old value of a changed row out
        again. `name` is the store's, by default the function's; `to` a topic for the updates. `key` is the type of the
        key, where `by` does not tell it; `on_error` what becomes of a value that the function raises for.
        Is `stream(source).group_by(by).windowed_by(window).aggregate(initial, f, name=name).to_stream().to(to)`.
        """
        expect_source(source, "aggregate")

        def decorate(function: F) -> F:
            user = self._names.user(function, "aggregate")
            user.expect_parameters(2, 3, meaning="(total, value) or (key, total, value)")
            if merge is not None:
                expect_sessions(window, user)
            with placed(user):
                options = self._store_options(user, name)
                first = constructor(total_type(user), user) if initial is None else initial
                if isinstance(source, KTable):
                    expect_rows(user, window, retract)
                    grouped: Any = grouped_rows(source, by, key)
                    table = grouped.aggregate(first, aggregator(user), retractor(retract), **options)
                else:
                    if retract is not None:
                        raise TopologyError("retract= is for the rows of a table, whose old values are taken out again")
                    stream = self._read(source, user)
                    grouped = stream.group_by_key(key=key) if by is None else grouped_by(stream, by, key)
                    windowed = grouped if window is None else grouped.windowed_by(window)
                    if merge is not None:
                        options["merge"] = merge
                    table = windowed.aggregate(first, aggregator(user), **options)
                table.on_error(on_error)
                if to is not None:
                    updates = table.to_stream()
                    updates.to(self._typed(to, updates))
            return function

        return decorate

    def _store_options(self, user: UserFunction, name: str | None) -> dict[str, Any]:
        """The name and type of an aggregate's store. Raises: TopologyError when another function has that store."""
        store = name or str(getattr(user.function, "__name__", ""))
        owner = self._owners.setdefault(store, user)
        if owner.function is not user.function and store.isidentifier():
            raise TopologyError(
                f"{user.where}: the store {store!r} is that of {owner.where} already; give one of the two another name="
            )
        options: dict[str, Any] = {"name": name or self._step(user.function)}
        total = total_type(user)
        return options if total is UNKNOWN else {**options, "value": total}

    def timer(self, interval: Duration) -> Callable[[F], F]:
        """Call the function every `interval` on each worker, between two batches; it may be `async def`."""
        interval_ms = _duration(interval, "timer")
        return self._timed(lambda function: Timer(function, interval_ms=interval_ms))

    def crontab(self, expression: str, *, timezone: tzinfo | None = None) -> Callable[[F], F]:
        """Call the function by a cron expression, such as "0 * * * *"; local time unless `timezone` is given."""
        try:
            parsed = Crontab.parse(expression, timezone)
        except (AttributeError, ValueError) as problem:
            reason = problem if isinstance(expression, str) else "expected text such as '0 * * * *'"
            raise TopologyError(f"@app.crontab({expression!r}): {reason}") from None
        return self._timed(lambda function: Timer(function, crontab=parsed))

    def on_start(self, function: F) -> F:
        """Call the function once on each worker, before the first record."""
        _expect_no_parameters(self._names.user(function, "on_start"))
        self.start_functions.append(function)
        return function

    def on_stop(self, function: F) -> F:
        """Call the function once on each worker, after the last commit."""
        _expect_no_parameters(self._names.user(function, "on_stop"))
        self.stop_functions.append(function)
        return function

    def on_state(self, function: F) -> F:
        """Call `function(new, old)` whenever the worker's state changes: `WorkerState`s, with Kafka's names."""
        self._names.user(function, "on_state").expect_parameters(2, meaning="(new, old)")
        self.state_functions.append(function)
        return function

    def on_uncaught(self, function: F) -> F:
        """Ask `function(error)` what follows when a worker ends with an error.

        It answers "replace_worker", "stop_worker" or "stop_application" (Kafka's StreamsUncaughtExceptionHandler), or
        None to leave it to the setting `uncaught`.
        """
        self._names.user(function, "on_uncaught").expect_parameters(1, meaning="(error)")
        self.uncaught_functions.append(function)
        return function

    def _process_frames(self, source: Source, to: Topic | str | None, batch: str, user: UserFunction) -> None:
        if batch != "pandas":
            raise TopologyError(f'{user.where}: @app.process: expected batch="pandas", got {batch!r}')
        user.expect_parameters(1, meaning="(frame)")
        if user.value_type is not UNKNOWN and type_name(user.value_type) != "DataFrame":
            raise TopologyError(
                f"{user.where} takes {one_of_type(user.value_type)}, but with batch= it is given a pandas.DataFrame: change the "
                "annotation, or leave batch= out"
            )
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
            _expect_no_parameters(self._names.user(function, "timer"))
            self.timers.append(make(function))
            return function

        return decorate

    def _read(self, source: Source, user: UserFunction, annotated: Any = None) -> KStream:
        """The stream behind a decorator's first argument; a bare name takes its types from the annotations.

        `annotated` is the type that the function gives its values, by default that of its last parameter.
        """
        if isinstance(source, KStream):
            return source
        kind = user.value_type if annotated is None else annotated
        if isinstance(source, str):
            plain = not user.reads_stream and kind is not UNKNOWN
            source = self.topic(source, value=kind) if plain else self.topic(source)
        elif not isinstance(source, Topic):
            raise TopologyError(
                f"{user.where}: @app.{user.decorator} reads a topic, its name or a stream, got {source!r}"
            )
        elif not user.reads_stream:
            user.expect_value_type(getattr(source.value_serde, "type", None), f"topic {source.name}", kind)
        return self.builder.stream(source)

    def _write(self, results: KStream, to: Topic | str, user: UserFunction) -> None:
        """End a stream in a topic; a bare name takes its value type from the annotation."""
        result = user.result_type
        if isinstance(to, str):
            to = self._typed(self.topic(to) if result is UNKNOWN else self.topic(to, value=result), results)
        to = self._topic(to)
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
        if not isinstance(topic, str | Topic):
            raise TopologyError(f"expected a topic or its name, got {topic!r}")
        return self.topic(topic) if isinstance(topic, str) else topic


def _without_key(function: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda _key, value: function(value)


def _known(kind: Any) -> Any:
    return None if kind is UNKNOWN else kind


def _duration(interval: Duration, decorator: str) -> int:
    try:
        interval_ms = milliseconds(interval)
    except (TypeError, ValueError) as problem:
        raise TopologyError(f"@app.{decorator}: {problem}") from None
    if interval_ms < 1:
        raise TopologyError(f"@app.{decorator}: expected an interval of at least 1 ms, got {interval!r}")
    return interval_ms


def _expect_no_parameters(user: UserFunction) -> None:
    if user.types:
        raise TopologyError(
            f"{user.where}: @app.{user.decorator} calls it without arguments, but it takes {len(user.types)}"
        )
