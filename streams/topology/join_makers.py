"""The makers of joins: how fields of a logical join become arguments of its operators. See `making`."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from streams.graph.nodes import ForeignKeyJoin, JoinKind, StreamJoin, TableJoin
from streams.operators import foreign_key_join as foreign
from streams.operators.base import Emit
from streams.operators.buffered_join import BufferedStreamTableJoin
from streams.operators.pending_joins import PendingJoins
from streams.operators.stream_join import JoinWindow, SelfJoin, StreamJoinSide
from streams.operators.table import TableSource
from streams.operators.table_join import StreamTableJoin, TableJoinMerge, TableJoinSide
from streams.topology.making import Made, Maker, Making
from streams.topology.nodes import ProcessorNode, Role, SinkNode

__all__ = ["JOIN_MAKERS", "make_foreign_key_sink"]

Children = Mapping[str, Emit]


def make_join_window(_making: Making, node: ProcessorNode, emit: Emit, _children: Children) -> Made:
    """The store of one side of a stream join."""
    logical = node.node
    assert isinstance(logical, StreamJoin)
    side = logical.left_store if node.role is Role.JOIN_WINDOW_LEFT else logical.right_store
    return JoinWindow(node.name, side.store, emit)


def make_stream_join(making: Making, node: ProcessorNode, emit: Emit, _children: Children) -> Made:
    """One side of a stream join."""
    logical = node.node
    assert isinstance(logical, StreamJoin)
    from_left = node.role is Role.STREAM_JOIN_LEFT
    windows = logical.windows
    before, after = windows.before_ms, windows.after_ms
    return StreamJoinSide(
        node.name,
        (logical.right_store if from_left else logical.left_store).store,
        making.joiner(node, logical),
        emit,
        from_left=from_left,
        before_ms=before if from_left else after,
        after_ms=after if from_left else before,
        grace_ms=windows.grace_ms,
        outer=logical.kind is JoinKind.OUTER or (from_left and logical.kind is JoinKind.LEFT),
        time=making.join_time(logical.name),
        pending=pending_of(making, logical),
        lookback_ms=(before, after),
    )


def pending_of(making: Making, node: StreamJoin) -> PendingJoins | None:
    """Where records without a partner wait; None in inner and eager joins."""
    if node.pending is None:
        return None
    topic = making.changelog(node.pending.store)
    key = node.left_serdes.key or node.right_serdes.key
    left = making.complete(replace(node.left_serdes, key=key), topic)
    right = making.complete(node.right_serdes, topic)
    return PendingJoins(node.pending.store, left.key, left.value, right.value)


def make_self_join(making: Making, node: ProcessorNode, emit: Emit, _children: Children) -> Made:
    """A stream joined with itself."""
    logical = node.node
    assert isinstance(logical, StreamJoin)
    return SelfJoin(
        node.name,
        logical.left_store.store,
        making.joiner(node, logical),
        emit,
        before_ms=logical.windows.before_ms,
        after_ms=logical.windows.after_ms,
        retention_ms=making.topology.stores[logical.left_store.store].retention_ms,
    )


def make_stream_table_join(making: Making, node: ProcessorNode, emit: Emit, _children: Children) -> Made:
    """A stream looked up in a table, at once or when its grace has passed."""
    logical = node.node
    assert isinstance(logical, TableJoin)
    getter = making.getter(logical.parents[1])
    left, mapper = logical.kind is not JoinKind.INNER, logical.key_mapper
    if mapper is not None:
        mapper = making.context.attempted(node.name, mapper)
    if logical.with_mapped_key:
        joiner = making.context.attempted(node.name, logical.joiner)
        return StreamTableJoin(node.name, getter, joiner, emit, left=left, mapper=mapper, with_mapped_key=True)
    if logical.grace_ms is None or logical.buffer is None:
        joiner = making.context.attempted(node.name, logical.joiner)
        return StreamTableJoin(node.name, getter, joiner, emit, left=left, mapper=mapper, with_key=logical.with_key)
    joiner = making.joiner(node, logical)
    serdes = making.table_serdes(logical.parents[0], node.name)  # as in Kafka, not the buffer's changelog
    return BufferedStreamTableJoin(
        node.name, logical.buffer.store, getter, joiner, serdes, emit, grace_ms=logical.grace_ms, left=left
    )


def make_table_join_side(making: Making, node: ProcessorNode, emit: Emit, _children: Children) -> Made:
    """One side of a join of two tables."""
    logical = node.node
    assert isinstance(logical, TableJoin)
    from_left = node.role is Role.TABLE_JOIN_LEFT
    left, right = logical.parents
    keeps_left, keeps_right = logical.kind is not JoinKind.INNER, logical.kind is JoinKind.OUTER
    return TableJoinSide(
        node.name,
        making.getter(right if from_left else left),
        making.joiner(node, logical),
        emit,
        from_left=from_left,
        alone=keeps_left if from_left else keeps_right,
        other_alone=keeps_right if from_left else keeps_left,
        versioned=logical.left_versioned if from_left else logical.right_versioned,
        send_old_values=logical.send_old_values,
    )


def make_table_join_merge(_making: Making, node: ProcessorNode, emit: Emit, _children: Children) -> Made:
    """The end of a join of two tables."""
    logical = node.node
    assert isinstance(logical, TableJoin)
    store = None if logical.materialized is None else logical.materialized.store
    return TableJoinMerge(node.name, store, emit, send_old_values=logical.send_old_values)


def make_register(making: Making, node: ProcessorNode, emit: Emit, _children: Children) -> Made:
    """Changes of the left table, as subscriptions."""
    logical = node.node
    assert isinstance(logical, ForeignKeyJoin)
    function = making.context.attempted(node.name, logical.foreign_key)
    serdes = making.foreign_key_serdes(logical)
    return foreign.Register(
        node.name,
        function if logical.foreign_key_with_key else lambda _key, value: function(value),
        serdes.left,
        serdes.foreign_key,
        emit,
        left_join=logical.kind is JoinKind.LEFT,
        versioned=logical.left_versioned,
    )


def make_receive(_making: Making, node: ProcessorNode, emit: Emit, _children: Children) -> Made:
    """Subscriptions, kept."""
    logical = node.node
    assert isinstance(logical, ForeignKeyJoin)
    return foreign.Receive(node.name, logical.subscriptions.store, emit)


def make_answer(making: Making, node: ProcessorNode, emit: Emit, _children: Children) -> Made:
    """Answers to subscriptions."""
    logical = node.node
    assert isinstance(logical, ForeignKeyJoin)
    serdes = making.foreign_key_serdes(logical)
    return foreign.Answer(node.name, making.getter(logical.parents[1]), serdes.right, emit)


def make_answer_on_change(making: Making, node: ProcessorNode, emit: Emit, _children: Children) -> Made:
    """Answers when the right table changes."""
    logical = node.node
    assert isinstance(logical, ForeignKeyJoin)
    return foreign.AnswerOnChange(
        node.name,
        logical.subscriptions.store,
        making.foreign_key_serdes(logical).right,
        emit,
        versioned=logical.right_versioned,
    )


def make_resolve(making: Making, node: ProcessorNode, emit: Emit, _children: Children) -> Made:
    """Answers, joined with the left table's rows."""
    logical = node.node
    assert isinstance(logical, ForeignKeyJoin)
    serdes = making.foreign_key_serdes(logical)
    return foreign.Resolve(
        node.name,
        making.getter(logical.parents[0]),
        serdes.left,
        serdes.right_value,
        making.joiner(node, logical),
        emit,
        left_join=logical.kind is JoinKind.LEFT,
    )


def make_foreign_key_output(_making: Making, node: ProcessorNode, emit: Emit, _children: Children) -> Made:
    """The table that a foreign-key join makes."""
    logical = node.node
    assert isinstance(logical, ForeignKeyJoin)
    store = logical.materialized.store if logical.stored else None
    return TableSource(node.name, store, emit, send_old_values=logical.send_old_values)


def make_foreign_key_sink(making: Making, node: SinkNode, topic: str) -> Emit:
    """The way of subscriptions to the right table's task, or of answers back to the left row's."""
    logical = node.node
    assert isinstance(logical, ForeignKeyJoin)
    if node.role is Role.FOREIGN_KEY_REGISTRATION_SINK:
        key = making.foreign_key_serdes(logical).foreign_key
        return foreign.subscription_sink(making.context, node.name, topic, key, node.partitioner)
    return foreign.response_sink(making.context, topic)


JOIN_MAKERS: Mapping[Role, Maker] = {
    Role.JOIN_WINDOW_LEFT: make_join_window,
    Role.JOIN_WINDOW_RIGHT: make_join_window,
    Role.STREAM_JOIN_LEFT: make_stream_join,
    Role.STREAM_JOIN_RIGHT: make_stream_join,
    Role.SELF_JOIN: make_self_join,
    Role.STREAM_TABLE_JOIN: make_stream_table_join,
    Role.TABLE_JOIN_LEFT: make_table_join_side,
    Role.TABLE_JOIN_RIGHT: make_table_join_side,
    Role.TABLE_JOIN_MERGE: make_table_join_merge,
    Role.FOREIGN_KEY_REGISTRATION: make_register,
    Role.FOREIGN_KEY_RECEIVE: make_receive,
    Role.FOREIGN_KEY_ANSWER: make_answer,
    Role.FOREIGN_KEY_CHANGE: make_answer_on_change,
    Role.FOREIGN_KEY_RESOLVE: make_resolve,
    Role.FOREIGN_KEY_OUTPUT: make_foreign_key_output,
}
