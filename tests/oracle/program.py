"""Builds a program of the DSL from a case's list of operations, in their order, since generated names depend on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streams.dsl.builder import StreamsBuilder
from streams.dsl.options import Materialized
from streams.dsl.stores import key_value_store, timestamped_key_value_store, window_store
from streams.dsl.suppressed import until_time_limit, until_window_closes
from streams.graph.windows import (
    EmitStrategy,
    JoinWindows,
    SessionWindows,
    SlidingWindows,
    TimeWindows,
    UnlimitedWindows,
)
from streams.operators.window_aggregate import UNLIMITED_END_MS
from tests.oracle import functions
from tests.oracle.functions import PYTHON_TYPES, Types, WindowedType
from tests.oracle.processors import Counting, Doing, Processing, Transforming

Operation = Mapping[str, Any]

GRACE_NAME = "Grace"
"""Kafka gives a grace to a join only together with a name: cases use this one."""


@dataclass(frozen=True, slots=True)
class Result:
    """What an operation gave: a handle of the DSL, the types on it, and whether it is a table."""

    handle: Any
    types: Types
    kind: str = "stream"
    """stream, table, global, grouped, cogrouped, windowed (or sessions)"""


class ProgramBuilder:
    """One case's program; `topic_types` are the types of input topics."""

    def __init__(self, default_types: Types, topic_types: Mapping[str, list[str]], *, persistent: bool | None) -> None:
        self.builder = StreamsBuilder()
        self._default_types = default_types
        self._topic_types = topic_types
        self._persistent = persistent
        self._results: dict[str, Result] = {}

    def add(self, operation: Operation) -> None:
        """Append one operation. Raises: KeyError for one that the format does not have."""
        made = getattr(self, f"_op_{snake_case(operation['op'])}", None)
        if made is None:
            raise KeyError(f"unknown operation {operation['op']!r}")
        result = made(operation)
        if result is not None and "id" in operation:
            self._results[operation["id"]] = result

    def types_of(self, topic: str) -> Types:
        """The types of an input topic."""
        return Types(*self._topic_types.get(topic, self._default_types))

    def _of(self, operation: Operation, field: str = "from") -> Result:
        return self._results[operation[field]]

    def _store(self, operation: Operation, types: Types, *, always: bool = False) -> Materialized | None:
        """How a result is stored, None when the case says nothing of it."""
        if not always and not ({"store", "cache", "versionedMs"} & operation.keys()):
            return None
        max_entries = operation.get("maxEntries")
        return Materialized(
            name=operation.get("store"),
            cached=operation.get("cache", True),
            history=operation.get("versionedMs"),
            retention=operation.get("retention"),
            max_entries=max_entries,
            persistent=None if max_entries else self._persistent,
            value=types.value_type,
        )

    # Sources

    def _op_stream(self, operation: Operation) -> Result:
        types = self.types_of(operation["topic"])
        handle = self.builder.stream(operation["topic"], **read_as(operation, types))
        return Result(handle, types)

    def _op_table(self, operation: Operation) -> Result:
        types = self.types_of(operation["topic"])
        stored = self._store(operation, types, always=self._persistent is not None)
        handle = self.builder.table(operation["topic"], **read_as(operation, types), store=stored)
        return Result(handle, types, "table")

    def _op_global_table(self, operation: Operation) -> Result:
        types = self.types_of(operation["topic"])
        handle = self.builder.global_table(operation["topic"], **read_as(operation, types))
        return Result(handle, types, "global")

    # Stateless steps

    def _op_filter(self, operation: Operation) -> Result:
        return self._filtered(operation, "filter")

    def _op_filter_not(self, operation: Operation) -> Result:
        return self._filtered(operation, "filter_not")

    def _filtered(self, operation: Operation, verb: str) -> Result:
        source = self._of(operation)
        options = self._stored_option(operation, source, source.types)
        handle = getattr(source.handle, verb)(functions.predicate(operation["fn"]), **options)
        return Result(handle, source.types, source.kind)

    def _stored_option(self, operation: Operation, source: Result, types: Types) -> dict[str, Any]:
        stored = self._store(operation, types)
        return {} if source.kind != "table" or stored is None else {"store": stored}

    def _op_map_values(self, operation: Operation) -> Result:
        source, named = self._of(operation), functions.value_mapper(operation["fn"])
        types = named.types(source.types)
        options = self._stored_option(operation, source, types)
        return Result(source.handle.map_values(named.call, value=types.value_type, **options), types, source.kind)

    def _op_transform_values(self, operation: Operation) -> Result:
        source, named = self._of(operation), functions.value_mapper(operation["fn"])
        types = named.types(source.types)

        def mapper() -> Counting:
            return Counting(named.call, counts=operation.get("counts", False))

        if source.kind == "stream":
            handle = source.handle.process_values(lambda: Processing(mapper()), value=types.value_type)
            return Result(handle, types)
        options = self._stored_option(operation, source, types)
        handle = source.handle.transform_values(lambda: Transforming(mapper()), value=types.value_type, **options)
        return Result(handle, types, "table")

    def _op_flat_map_values(self, operation: Operation) -> Result:
        source, named = self._of(operation), functions.value_mapper(operation["fn"])
        types = named.types(source.types)
        return Result(source.handle.flat_map_values(named.call, value=types.value_type), types)

    def _op_map(self, operation: Operation) -> Result:
        return self._mapped(operation, "map")

    def _op_flat_map(self, operation: Operation) -> Result:
        return self._mapped(operation, "flat_map")

    def _mapped(self, operation: Operation, verb: str) -> Result:
        source, named = self._of(operation), functions.mapper(operation["fn"])
        types = named.types(source.types)
        handle = getattr(source.handle, verb)(named.call, key=types.key_type, value=types.value_type)
        return Result(handle, types)

    def _op_select_key(self, operation: Operation) -> Result:
        source, named = self._of(operation), functions.selector(operation["fn"])
        types = Types(named.types(source.types).key, source.types.value)
        return Result(source.handle.select_key(named.call, key=types.key_type), types)

    def _op_merge(self, operation: Operation) -> Result:
        left, right = self._of(operation, "left"), self._of(operation, "right")
        return Result(left.handle.merge(right.handle), left.types)

    def _op_split(self, operation: Operation) -> None:
        source = self._of(operation)
        split = source.handle.split(name=operation.get("name"))
        for branch in operation["branches"]:

            def keep(stream: Any, branch: Operation = branch) -> Any:
                self._results[branch["id"]] = Result(stream, source.types)
                return stream

            if branch.get("default"):
                split.default_branch(use=keep)
            else:
                split = split.branch(functions.predicate(branch["fn"]), use=keep)

    def _op_repartition(self, operation: Operation) -> Result:
        source = self._of(operation)
        key, value = source.types.key_type, source.types.value_type
        return Result(source.handle.repartition(key=key, value=value), source.types)

    def _op_to_table(self, operation: Operation) -> Result:
        source = self._of(operation)
        stored = self._store(operation, source.types, always=self._persistent is not None)
        key, value = source.types.key_type, source.types.value_type
        return Result(source.handle.to_table(store=stored, key=key, value=value), source.types, "table")

    def _op_to_stream(self, operation: Operation) -> Result:
        source = self._of(operation)
        return Result(source.handle.to_stream(), source.types)

    # Processors, which our own cases have

    def _op_add_store(self, operation: Operation) -> None:
        name, key, cached = operation["store"], PYTHON_TYPES[operation["key"]], operation.get("cache", False)
        if "window" in operation:
            window = operation["window"]
            spec = window_store(
                name, key, str, size=window["size"], retention=window["retention"], timestamped=False, cached=cached
            )
            self.builder.add_state_store(spec)
        elif operation.get("headers"):
            self.builder.add_state_store(timestamped_key_value_store(name, key, str, cached=cached, headers=True))
        else:
            self.builder.add_state_store(key_value_store(name, key, str, cached=cached))

    def _op_process(self, operation: Operation) -> Result:
        source = self._of(operation)
        types = Types(source.types.key, "string")
        stores = [operation["store"]] if "store" in operation else []
        handle = source.handle.process(
            lambda: Doing(operation), stores=stores, key=types.key_type, value=types.value_type
        )
        return Result(handle, types)

    # Grouping

    def _op_group_by_key(self, operation: Operation) -> Result:
        source = self._of(operation)
        handle = source.handle.group_by_key(key=source.types.key_type, value=source.types.value_type)
        return Result(handle, source.types, "grouped")

    def _op_group_by(self, operation: Operation) -> Result:
        source = self._of(operation)
        if source.kind == "table":
            named = functions.mapper(operation["fn"])
            types = named.types(source.types)
            handle = source.handle.group_by(named.call, key=types.key_type, value=types.value_type)
            return Result(handle, types, "grouped-table")
        named = functions.selector(operation["fn"])
        types = Types(named.types(source.types).key, source.types.value)
        return Result(source.handle.group_by(named.call, key=types.key_type, value=types.value_type), types, "grouped")

    def _op_cogroup(self, operation: Operation) -> Result:
        streams = [(self._of(entry), functions.aggregator(entry["add"])) for entry in operation["streams"]]
        (first, add), *others = streams
        handle = first.handle.cogroup(add)
        for other, add_other in others:
            handle = handle.cogroup(other.handle, add_other)
        return Result(handle, Types(first.types.key, "string"), "cogrouped")

    def _op_windowed_by(self, operation: Operation) -> Result:
        source, window = self._of(operation), windows_of(operation["window"])
        handle = source.handle.windowed_by(window)
        if operation.get("emit") == "close":
            handle = handle.emit_strategy(EmitStrategy.ON_WINDOW_CLOSE)
        kind = "sessions" if isinstance(window, SessionWindows) else "windowed"
        size = operation["window"].get("size", operation["window"].get("diff"))
        if isinstance(window, UnlimitedWindows):
            size = UNLIMITED_END_MS
        types = Types(WindowedType(source.types.key, size), source.types.value)
        return Result(handle, types, f"{source.kind}-{kind}")

    # Aggregates

    def _op_count(self, operation: Operation) -> Result:
        source = self._of(operation)
        types = Types(source.types.key, "long")
        handle = source.handle.count(store=self._store(operation, types, always=True))
        return Result(handle, types, "table")

    def _op_reduce(self, operation: Operation) -> Result:
        source = self._of(operation)
        stored = self._store(operation, source.types, always=True)
        names = [operation["add"], operation["remove"]] if source.kind == "grouped-table" else [operation["fn"]]
        return Result(source.handle.reduce(*map(functions.reducer, names), store=stored), source.types, "table")

    def _op_aggregate(self, operation: Operation) -> Result:
        source = self._of(operation)
        value = "string" if isinstance(operation["init"], str) else "int"
        types = Types(source.types.key, value)
        steps = [functions.aggregator(operation[field]) for field in ("add", "remove") if field in operation]
        if "merger" in operation:
            steps.append(functions.merger(operation["merger"]))
        stored = self._store(operation, types, always=True)
        handle = source.handle.aggregate(lambda: operation["init"], *steps, value=types.value_type, store=stored)
        return Result(handle, types, "table")

    def _op_suppress(self, operation: Operation) -> Result:
        source = self._of(operation)
        if operation["until"] == "windowCloses":
            suppressed = until_window_closes()
        else:
            suppressed = until_time_limit(
                operation["ms"], max_records=operation.get("maxRecords"), max_bytes=operation.get("maxBytes")
            )
        return Result(source.handle.suppress(suppressed), source.types, "table")

    # Joins

    def _op_join(self, operation: Operation) -> Result:
        return self._joined(operation, "join")

    def _op_left_join(self, operation: Operation) -> Result:
        return self._joined(operation, "left_join")

    def _op_outer_join(self, operation: Operation) -> Result:
        return self._joined(operation, "outer_join")

    def _joined(self, operation: Operation, verb: str) -> Result:
        left, right = self._of(operation, "left"), self._of(operation, "right")
        types = Types(left.types.key, "string")
        options: dict[str, Any] = {"value": str}
        if left.kind == "table":
            options["store"] = self._store(operation, types)
        if "foreignKey" in operation:
            select = functions.selector(operation["foreignKey"]).call
            options["on"] = lambda value: select(None, value)
        if "keySelector" in operation:
            options["on"] = functions.selector(operation["keySelector"]).call
        if "window" in operation:
            options["within"] = join_windows_of(operation["window"])
            if self._persistent is not None:
                options["store"] = Materialized(persistent=self._persistent)
        if "graceMs" in operation:
            options["grace"] = operation["graceMs"]
            options["name"] = GRACE_NAME
        handle = getattr(left.handle, verb)(right.handle, functions.joiner(operation["joiner"]), **options)
        return Result(handle, types, left.kind)

    def _op_to(self, operation: Operation) -> None:
        source, topic = self._of(operation), operation["topic"]
        source.handle.to(functions.Route(topic, operation["route"]) if "route" in operation else topic)


def read_as(operation: Operation, types: Types) -> dict[str, Any]:
    """How a source reads its topic."""
    options: dict[str, Any] = {"key": types.key_type, "value": types.value_type}
    if "extractor" in operation:
        options["timestamp"] = functions.extractor(operation["extractor"])
    return options


def snake_case(name: str) -> str:
    """`leftJoin` as `left_join`."""
    return re.sub("[A-Z]", lambda letter: "_" + letter.group().lower(), name)


def windows_of(window: Mapping[str, Any]) -> Any:
    """The windows of an aggregation."""
    match window["type"]:
        case "time":
            return TimeWindows.of(window["size"], advance=window.get("advance"), grace=window.get("grace", 0))
        case "sliding":
            return SlidingWindows.of(window["diff"], grace=window.get("grace", 0))
        case "unlimited":
            return UnlimitedWindows.of(window["start"])
        case "session":
            return SessionWindows.with_inactivity_gap(window["gap"], grace=window.get("grace", 0))
        case other:
            raise KeyError(f"unknown windows {other!r}")


def join_windows_of(window: Mapping[str, Any]) -> JoinWindows:
    """The windows of a stream join."""
    if "legacyOf" in window:
        return JoinWindows.eager_of(window["legacyOf"], grace=window.get("grace"))
    before, after = window["before"], window["after"]
    return JoinWindows.of(max(before, after, 0), grace=window.get("grace", 0)).before(before).after(after)
