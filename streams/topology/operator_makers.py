"""One maker per role of a processor node: how fields of a logical node become arguments of an operator.

Rules: a maker gets what follows its node, already made, and returns a stage (stateless) or an operator. Makers open
nothing and run nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from streams.graph.nodes import (
    Aggregate,
    Aggregation,
    Materialization,
    Process,
    Repartition,
    Stateless,
    Suppress,
    TableSource,
    Verb,
)
from streams.graph.windows import (
    CustomWindows,
    EmitStrategy,
    SessionWindows,
    SlidingWindows,
    TimeWindows,
    UnlimitedWindows,
    Windows,
)
from streams.operators import process, stateless, table
from streams.operators.aggregate import StreamAggregate
from streams.operators.base import Emit, Operator, OperatorContext
from streams.operators.columns import nothing
from streams.operators.folding import Fold, count_fold, reduce_fold
from streams.operators.session_aggregate import Merger, SessionAggregate, count_merger, reduce_merger
from streams.operators.sliding_aggregate import SlidingAggregate
from streams.operators.suppress import Suppress as SuppressOperator
from streams.operators.table_aggregate import Remove, TableAggregate
from streams.operators.transform_values import TableTransform, Transformer
from streams.operators.window_aggregate import CustomWindowAggregate, TimeWindowAggregate
from streams.topology.making import Made, Maker, Making
from streams.topology.nodes import ProcessorNode, Role, SourceNode
from streams.topology.value_getters import compute_of

__all__ = ["MAKERS"]


def store_of(materialized: Materialization | None) -> str | None:
    """The name of a node's store, None when it has none."""
    return None if materialized is None else materialized.store


def make_stateless(making: Making, node: ProcessorNode, emit: Emit, children: Mapping[str, Emit]) -> Made:
    """Stage (or table operator) of a Stateless node."""
    logical = node.node
    assert isinstance(logical, Stateless)
    if logical.table and logical.verb in {Verb.FILTER, Verb.FILTER_NOT, Verb.MAP_VALUES}:
        return make_table_stateless(making, node, logical, emit)
    match logical.verb:
        case Verb.SPLIT:
            branches = [children.get(name, nothing) for name in logical.branches]
            return stateless.splitting(making.context, node.name, logical.functions, branches)
        case Verb.BRANCH:
            return emit
        case Verb.TO_STREAM:
            return stateless.to_stream(emit)
        case Verb.GROUP_TABLE:
            return make_grouping(making, node, logical, emit)
        case _:
            return make_stage(making.context, node.name, logical, emit)


def make_stage(context: OperatorContext, name: str, node: Stateless, emit: Emit) -> Emit:
    """Stage of a verb on a stream with one function."""
    function = node.functions[0]
    assert function is not None, "only the default branch of a split has no function"
    match node.verb:
        case Verb.FILTER | Verb.FILTER_NOT:
            return stateless.filtering(context, name, function, emit, negate=node.verb is Verb.FILTER_NOT)
        case Verb.MAP:
            return stateless.mapping(context, name, function, emit)
        case Verb.MAP_VALUES:
            return stateless.mapping_values(context, name, function, emit, with_key=node.with_key)
        case Verb.FLAT_MAP:
            return stateless.flat_mapping(context, name, function, emit)
        case Verb.FLAT_MAP_VALUES:
            return stateless.flat_mapping_values(context, name, function, emit, with_key=node.with_key)
        case Verb.SELECT_KEY:
            return stateless.select_key(context, name, function, emit)
        case Verb.PEEK:
            return stateless.peeking(context, name, function, emit)
        case Verb.FOR_EACH | Verb.PRINT:
            return stateless.for_each(context, name, function)
        case _:
            raise AssertionError(f"{name}: {node.verb} has a maker of its own")


def make_table_stateless(making: Making, node: ProcessorNode, logical: Stateless, emit: Emit) -> Operator:
    """A filtered or mapped table."""
    filters = logical.verb is not Verb.MAP_VALUES
    return table.TableStateless(
        node.name,
        making.context.attempted(node.name, compute_of(logical)),
        store_of(logical.materialized),
        emit,
        send_old_values=logical.send_old_values,
        drops_nothings=filters and not logical.versioned,
    )


def make_grouping(making: Making, node: ProcessorNode, logical: Stateless, emit: Emit) -> Emit:
    """A table's changes under the keys to group by."""
    function = logical.functions[0]
    assert function is not None, "a grouping has its function"
    return table.grouping_table(
        making.context,
        node.name,
        making.context.attempted(node.name, function),
        emit,
        two_records=is_before_3_5(making.topology.upgrade_from),
        versioned=logical.versioned,
    )


def is_before_3_5(version: str | None) -> bool:
    """Whether instances of that version of Kafka Streams read changes that are either new or old, never both."""
    return version is not None and tuple(map(int, version.split(".")[:2])) < (3, 5)


def make_table_source(making: Making, node: ProcessorNode, emit: Emit, _children: Mapping[str, Emit]) -> Made:
    """A table of a topic or a stream."""
    logical = node.node
    assert isinstance(logical, TableSource)
    store = logical.materialized.store if logical.stored or logical.is_global else None
    as_read = store is not None and logical.topic is not None and reads_as_kept(making, logical, store)
    return table.TableSource(node.name, store, emit, send_old_values=logical.send_old_values, as_read=as_read)


def reads_as_kept(making: Making, table: TableSource, store: str) -> bool:
    """Whether a topic's values are read by the very serde that a table's store writes them by."""
    kept = making.topology.stores.get(store)
    given = making.topology.nodes[table.source]
    return kept is not None and isinstance(given, SourceNode) and given.serdes.value is kept.value_serde


def make_process(making: Making, node: ProcessorNode, emit: Emit, children: Mapping[str, Emit]) -> Made:
    """A user's processor."""
    logical = node.node
    assert isinstance(logical, Process)
    everywhere = [each.store.name for each in making.topology.global_stores]
    fills = logical.global_topic is not None  # and may write to all global stores, as in Kafka
    stores = process.Stores(everywhere if fills else node.stores, everywhere, fills_global=fills)
    if logical.table:
        transformer = Transformer(node.name, logical.supplier, stores)
        store = store_of(logical.materialized)
        return TableTransform(node.name, transformer, store, emit, send_old_values=logical.send_old_values)
    processor = making.processors[node.name]
    if process.takes_batches(processor):
        return process.BatchProcess(node.name, processor, children, stores)
    return process.Process(node.name, processor, children, stores, fixed_key=logical.fixed_key)


def make_pass(_making: Making, _node: ProcessorNode, emit: Emit, _children: Mapping[str, Emit]) -> Made:
    """What only passes on: merges."""
    return emit


def make_repartition_filter(making: Making, node: ProcessorNode, emit: Emit, _children: Mapping[str, Emit]) -> Made:
    """Keeps null keys out of a repartition topic."""
    logical = node.node
    assert isinstance(logical, Repartition)
    return emit if logical.keep_null_keys else stateless.filter_keys(making.context, node.name, emit)


def fold_of(making: Making, node: ProcessorNode, logical: Aggregate) -> Fold:
    """How one input of an aggregate is taken in."""
    fold = plain_fold(logical, node.index)
    return replace(fold, add=making.context.attempted(node.name, fold.add))


def plain_fold(node: Aggregate, index: int) -> Fold:
    """The same, without retries."""
    add = node.aggregators[index].add
    if node.kind is Aggregation.COUNT:
        return count_fold()
    assert add is not None, "only a count has no function"
    if node.kind is Aggregation.REDUCE:
        return reduce_fold(add)
    assert node.initializer is not None, "an aggregate has an initializer"
    return Fold(node.initializer, add)


def make_aggregate(making: Making, node: ProcessorNode, emit: Emit, _children: Mapping[str, Emit]) -> Made:
    """An aggregate of streams, by its windows; or of a grouped table."""
    logical = node.node
    assert isinstance(logical, Aggregate)
    fold, store = fold_of(making, node, logical), logical.materialized.store
    if logical.table:
        remove = making.context.attempted(node.name, remove_of(logical))
        return TableAggregate(node.name, store, fold, remove, emit, send_old_values=logical.send_old_values)
    if logical.windows is None:
        return StreamAggregate(node.name, store, fold, emit, send_old_values=logical.send_old_values)
    return make_windowed(making.context, node.name, logical, logical.windows, fold, emit)


def make_windowed(
    context: OperatorContext, name: str, node: Aggregate, windows: Windows, fold: Fold, emit: Emit
) -> Operator:
    """An aggregate over windows."""
    store, old = node.materialized.store, node.send_old_values
    on_close = node.emit is EmitStrategy.ON_WINDOW_CLOSE
    match windows:
        case TimeWindows(size, advance, grace):
            return TimeWindowAggregate(
                name,
                store,
                fold,
                emit,
                size_ms=size,
                advance_ms=advance,
                grace_ms=grace,
                on_close=on_close,
                send_old_values=old,
            )
        case CustomWindows():
            of_time = context.attempted(name, windows.holding)
            return CustomWindowAggregate(
                name,
                store,
                fold,
                emit,
                of_time=of_time,
                size_ms=windows.size_ms,
                grace_ms=windows.grace_ms,
                send_old_values=old,
            )
        case UnlimitedWindows(start):
            return TimeWindowAggregate(name, store, fold, emit, size_ms=None, start_ms=start, send_old_values=old)
        case SlidingWindows(difference, grace):
            return SlidingAggregate(
                name,
                store,
                fold,
                emit,
                difference_ms=difference,
                grace_ms=grace,
                on_close=on_close,
                send_old_values=old,
            )
        case SessionWindows(gap, grace):
            return SessionAggregate(
                name,
                store,
                fold,
                context.attempted(name, merger_of(node)),
                emit,
                gap_ms=gap,
                grace_ms=grace,
                on_close=on_close,
                send_old_values=old,
            )


def merger_of(node: Aggregate) -> Merger:
    """How two sessions' aggregates become one."""
    if node.kind is Aggregation.COUNT:
        return count_merger
    if node.kind is Aggregation.REDUCE:
        add = node.aggregators[0].add
        assert add is not None, "only a count has no function"
        return reduce_merger(add)
    assert node.merger is not None, "an aggregate over sessions has a merger"
    return node.merger


def remove_of(node: Aggregate) -> Remove:
    """How a grouped table's old value is taken out."""
    if node.kind is Aggregation.COUNT:
        return lambda _key, _value, count: count - 1
    remove = node.aggregators[0].remove
    assert remove is not None, "only a count has no function"
    if node.kind is Aggregation.REDUCE:
        return lambda _key, value, aggregate: remove(aggregate, value)
    return remove


def make_suppress(making: Making, node: ProcessorNode, emit: Emit, _children: Mapping[str, Emit]) -> Made:
    """Updates held back."""
    logical = node.node
    assert isinstance(logical, Suppress)
    serdes = making.table_serdes(logical.parents[0], making.changelog(logical.buffer.store))
    made = SuppressOperator(
        node.name,
        logical.buffer.store,
        serdes.key,
        serdes.value,
        emit,
        wait_ms=logical.wait_ms,
        final=logical.until_window_closes,
        max_records=logical.max_records,
        max_bytes=logical.max_bytes,
        emit_early=logical.emit_early,
    )
    making.suppresses[node.name] = made
    return made


MAKERS: Mapping[Role, Maker] = {
    Role.STATELESS: make_stateless,
    Role.TABLE_SOURCE: make_table_source,
    Role.PROCESS: make_process,
    Role.MERGE: make_pass,
    Role.COGROUP_MERGE: make_pass,
    Role.REPARTITION_FILTER: make_repartition_filter,
    Role.AGGREGATE: make_aggregate,
    Role.SUPPRESS: make_suppress,
}
"""The makers of everything but joins."""
