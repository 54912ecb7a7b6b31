"""How joins are appended: repartitions where a key changed, names and stores in Kafka's order.

Source: Kafka's KStreamImpl, KStreamImplJoin and KTableImpl.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from state.serde import Serde
from state.stores import StoreKind
from streams.dsl.handle import Handle, expect_arity, takes_key
from streams.dsl.options import Function, Materialized, arity, resulting_serde
from streams.dsl.program import Program
from streams.durations import Duration
from streams.errors import TopologyError
from streams.graph.nodes import (
    ForeignKeyJoin,
    JoinKind,
    Materialization,
    Serdes,
    StreamJoin,
    TableJoin,
)
from streams.graph.windows import JoinWindows, checked

__all__ = [
    "StreamSide",
    "append_foreign_key_join",
    "append_global_join",
    "append_stream_join",
    "append_stream_table_join",
    "append_table_join",
    "joiner_serde",
]


class StreamSide(Struct, frozen=True):
    """One stream of a join: its node and serdes, and whether its key changed since it was read."""

    node: str
    serdes: Serdes
    rekeyed: bool

    def repartitioned(self, program: Program, name: str | None) -> str:
        """The node to join from: behind a repartition, if the key changed.

        `name` is the user's for the topic; without one the topic is named after the node, and joins share it.
        """
        if not self.rekeyed:
            return self.node
        prefix = self.node if name is None else name
        return program.repartition_once(("join", self.node), self.node, prefix, self.serdes, again=prefix != self.node)


def joiner_serde(given: Any, joiner: Function, with_key: bool, left: Serdes, right: Serdes) -> Serde[Any] | None:
    """The serde of a join's results."""
    arguments = [left.value, right.value]
    return resulting_serde(given, joiner, [left.key, *arguments] if with_key else arguments)


def append_stream_join(
    program: Program,
    left: StreamSide,
    right: StreamSide,
    kind: JoinKind,
    joiner: Function,
    *,
    windows: JoinWindows,
    name: str | None,
    stored: Materialized | None,
    value: Any,
) -> StreamJoin:
    """Join two streams within windows."""
    if not isinstance(windows, JoinWindows):
        raise TopologyError(f"join {left.node} with {right.node}: expected within=JoinWindows.of(...), got {windows!r}")
    with_key = takes_key(joiner, 2, "the joiner")
    left_parent = left.repartitioned(program, None if name is None else f"{name}-left")
    right_parent = right.repartitioned(program, None if name is None else f"{name}-right")
    names, kept = program.names, _join_stores(stored or Materialized(), windows, f"join {left.node} with {right.node}")
    left_outer, right_outer = kind is not JoinKind.INNER, kind is JoinKind.OUTER
    left_window = names.named(name, "KSTREAM-WINDOWED-", "-this-windowed")
    right_window = names.named(name, "KSTREAM-WINDOWED-", "-other-windowed")
    this = names.processor("KSTREAM-OUTERTHIS-" if right_outer else "KSTREAM-JOINTHIS-")
    other = names.processor("KSTREAM-OUTEROTHER-" if left_outer else "KSTREAM-JOINOTHER-")
    this_suffix = "-outer-this-join" if right_outer else "-this-join"
    other_suffix = "-outer-other-join" if left_outer else "-other-join"

    def store(generated: str, suffix: str, serdes: Serdes) -> Materialization:
        base = generated if kept.name is None else f"{kept.name}{suffix}"
        serdes = Serdes(left.serdes.key or right.serdes.key, serdes.value)
        return _store(kept, f"{base}-store", serdes, StoreKind.WINDOW)

    pending = f"KSTREAM-OUTERSHARED-{this[-10:]}" if kept.name is None else _shared_name(kept.name, right_outer)
    return program.add(
        StreamJoin(
            name=names.named(name, "KSTREAM-MERGE-", "-merge"),
            parents=(left_parent, right_parent),
            serdes=Serdes(
                left.serdes.key or right.serdes.key, joiner_serde(value, joiner, with_key, left.serdes, right.serdes)
            ),
            kind=kind,
            joiner=joiner,
            with_key=with_key,
            windows=windows,
            left_window=left_window,
            right_window=right_window,
            left_join=this if name is None else name + this_suffix,
            right_join=other if name is None else name + other_suffix,
            left_store=store(this, this_suffix, left.serdes),
            right_store=store(other, other_suffix, right.serdes),
            pending=_store(kept, f"{pending}-store", Serdes()) if left_outer and not windows.eager else None,
            left_serdes=left.serdes,
            right_serdes=right.serdes,
        )
    )


def _join_stores(given: Materialized, windows: JoinWindows, what: str) -> Materialized:
    """How the stores of a stream join are kept. Raises: TopologyError for what they cannot be.

    Source: Kafka's KStreamImplJoin, "Window settings mismatch".
    """
    fields = (given.history, given.max_entries, given.key, given.value)
    if any(field is not None for field in fields):
        raise TopologyError(
            f"{what}: its stores keep the records of its streams, with their serdes and for as long as the windows need them: "
            "leave history=, max_entries=, key= and value= out of store="
        )
    needed_ms = windows.size_ms + windows.grace_ms
    if given.retention is not None and checked(given.retention, f"{what}: retention", 0) != needed_ms:
        raise TopologyError(
            f"{what}: its stores must keep records for {needed_ms:,} ms, the size and grace of its windows, but their "
            f"retention is {given.retention}: leave it out"
        )
    return given


def _shared_name(base: str, right_outer: bool) -> str:
    return f"{base}-outer-shared-join" if right_outer else f"{base}-left-shared-join"


def _store(kept: Materialized, name: str, serdes: Serdes, kind: StoreKind = StoreKind.KEY_VALUE) -> Materialization:
    """A store that belongs to an operator, never cached."""
    return Materialization(
        store=name,
        kind=kind,
        queryable=kept.name is not None,
        serdes=serdes,
        persistent=kept.persistent,
        cached=False,
        logged=kept.logged,
        topic_config=dict(kept.topic_config),
        engine=kept.engine,
    )


def append_stream_table_join(
    program: Program,
    left: StreamSide,
    table: Handle,
    kind: JoinKind,
    joiner: Function,
    *,
    name: str | None,
    grace: Duration | None,
    value: Any,
) -> TableJoin:
    """Look up a stream's records in a table; with `grace`, wait for a versioned table."""
    with_key = takes_key(joiner, 2, "the joiner")
    parent = left.repartitioned(program, name)
    own = program.names.named(name, _prefix(kind))
    waits = grace is not None
    return program.add(
        TableJoin(
            name=own,
            parents=(parent, table.node),
            serdes=Serdes(left.serdes.key, joiner_serde(value, joiner, with_key, left.serdes, table.serdes)),
            kind=kind,
            joiner=joiner,
            with_key=with_key,
            stream=True,
            grace_ms=checked(grace, f"{own}: the grace of the join", 0) if grace is not None else None,
            buffer=_store(Materialized(name=name), f"{own}-Buffer", left.serdes) if waits else None,
        )
    )


def append_global_join(
    program: Program,
    left: StreamSide,
    table: Handle,
    kind: JoinKind,
    joiner: Function,
    *,
    key_mapper: Function,
    name: str | None,
    value: Any,
) -> TableJoin:
    """Look up a stream's records in a global table, by a key made from each record.

    The joiner may also take (key, mapped key, left, right).
    """
    expect_arity(key_mapper, "key, value", "on, the key of the global table's row")
    with_mapped_key = callable(joiner) and arity(joiner, 2) == 4
    with_key = not with_mapped_key and takes_key(joiner, 2, "the joiner")
    if with_mapped_key:
        arguments = [left.serdes.key, table.serdes.key, left.serdes.value, table.serdes.value]
        serde = resulting_serde(value, joiner, arguments)
    else:
        serde = joiner_serde(value, joiner, with_key, left.serdes, table.serdes)
    return program.add(
        TableJoin(
            name=program.names.named(name, _prefix(JoinKind.LEFT)),
            parents=(left.node, table.node),
            serdes=Serdes(left.serdes.key, serde),
            kind=kind,
            joiner=joiner,
            with_key=with_key,
            stream=True,
            key_mapper=key_mapper,
            with_mapped_key=with_mapped_key,
        )
    )


def _prefix(kind: JoinKind) -> str:
    return "KSTREAM-JOIN-" if kind is JoinKind.INNER else "KSTREAM-LEFTJOIN-"


def append_table_join(
    left: Handle,
    right: Handle,
    kind: JoinKind,
    joiner: Function,
    *,
    stored: Materialized | None,
    processor: str | None,
    value: Any,
) -> TableJoin:
    """Join two tables by their keys."""
    program = left.program
    with_key = takes_key(joiner, 2, "the joiner")
    result = Serdes(left.serdes.key, joiner_serde(value, joiner, with_key, left.serdes, right.serdes))
    materialized = stored.materialization(program.names, "KTABLE-MERGE-", result) if stored else None
    name = program.names.named(processor, "KTABLE-MERGE-")
    return program.add(
        TableJoin(
            name=name,
            parents=(left.node, right.node),
            serdes=materialized.serdes if materialized else result,
            kind=kind,
            joiner=joiner,
            with_key=with_key,
            left_join=program.names.named(processor, "KTABLE-JOINTHIS-", "-join-this"),
            right_join=program.names.named(processor, "KTABLE-JOINOTHER-", "-join-other"),
            materialized=materialized,
        )
    )


FOREIGN_KEY_NAMES: tuple[tuple[str, str, str], ...] = (
    ("registration_topic", "SUBSCRIPTION-REGISTRATION-", "-subscription-registration"),
    ("registration", "SUBSCRIPTION-REGISTRATION-", "-subscription-registration-processor"),
    ("registration_sink", "SINK-", "-subscription-registration-sink"),
    ("registration_source", "SOURCE-", "-subscription-registration-source"),
    ("store", "SUBSCRIPTION-STATE-STORE-", "-subscription-store"),
    ("subscription_receive", "SUBSCRIPTION-PROCESSOR-", "-subscription-receive"),
    ("subscription_join", "SUBSCRIPTION-PROCESSOR-", "-subscription-join-foreign"),
    ("foreign_table", "SUBSCRIPTION-PROCESSOR-", "-foreign-join-subscription"),
    ("response_topic", "SUBSCRIPTION-RESPONSE-", "-subscription-response"),
    ("response_sink", "SINK-", "-subscription-response-sink"),
    ("response_source", "SOURCE-", "-subscription-response-source"),
    ("resolver", "SUBSCRIPTION-RESPONSE-RESOLVER-PROCESSOR-", "-subscription-response-resolver"),
    ("name", "OUTPUT-", "-result"),
)
"""Field of the node, Kafka's prefix behind KTABLE- or KTABLE-FK-JOIN-, suffix of a user's name; in Kafka's order."""


def append_foreign_key_join(
    left: Handle,
    right: Handle,
    kind: JoinKind,
    joiner: Function,
    foreign_key: Function,
    *,
    stored: Materialized | None,
    processor: str | None,
    value: Any,
    partitioner: Function | None,
    other_partitioner: Function | None,
) -> ForeignKeyJoin:
    """Join a table with another, whose key is made from the rows of the first."""
    program = left.program
    with_key = takes_key(joiner, 2, "the joiner")
    drawn = {
        field: program.names.named(processor, _foreign_key_prefix(prefix), suffix)
        for field, prefix, suffix in FOREIGN_KEY_NAMES
    }
    for topic in ("registration_topic", "response_topic"):
        drawn[topic] += "-topic"
    subscriptions = _store(Materialized(name=processor), drawn.pop("store"), Serdes())
    result = Serdes(left.serdes.key, joiner_serde(value, joiner, with_key, left.serdes, right.serdes))
    kept = stored or Materialized()
    materialized = kept.materialization(program.names, "KTABLE-FK-JOIN-OUTPUT-", result)
    return program.add(
        ForeignKeyJoin(
            parents=(left.node, right.node),
            serdes=materialized.serdes,
            kind=kind,
            joiner=joiner,
            with_key=with_key,
            foreign_key=foreign_key,
            foreign_key_with_key=takes_key(foreign_key, 1, "on, the foreign key"),
            subscriptions=subscriptions,
            materialized=materialized,
            stored=materialized.queryable,
            partitioner=partitioner,
            other_partitioner=other_partitioner,
            left_serdes=left.serdes,
            right_serdes=right.serdes,
            name=drawn["name"],
            registration=drawn["registration"],
            registration_topic=drawn["registration_topic"],
            registration_sink=drawn["registration_sink"],
            registration_source=drawn["registration_source"],
            subscription_receive=drawn["subscription_receive"],
            subscription_join=drawn["subscription_join"],
            foreign_table=drawn["foreign_table"],
            response_topic=drawn["response_topic"],
            response_sink=drawn["response_sink"],
            response_source=drawn["response_source"],
            resolver=drawn["resolver"],
        )
    )


def _foreign_key_prefix(prefix: str) -> str:
    return f"KTABLE-{prefix}" if prefix in {"SINK-", "SOURCE-"} else f"KTABLE-FK-JOIN-{prefix}"
