"""How aggregates are appended: store, processor names, the repartition before them. Shared by all grouped handles.

Numbers are drawn in Kafka's order: the store's, the processor's, then the repartition's three.
Source: Kafka's KGroupedStreamImpl, GroupedStreamAggregateBuilder, CogroupedStreamAggregateBuilder, KGroupedTableImpl.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from state.serde import Serde
from state.stores import StoreKind
from streams.dsl.options import Function, Materialized
from streams.dsl.program import Program
from streams.errors import TopologyError
from streams.graph.nodes import Aggregate, Aggregation, Aggregator, Materialization, Repartition, Serdes
from streams.graph.repartitions import REPARTITION_SUFFIX
from streams.graph.windows import (
    CustomWindows,
    EmitStrategy,
    SessionWindows,
    SlidingWindows,
    TimeWindows,
    UnlimitedWindows,
    Windows,
)
from streams.serdes import DYNAMIC, SessionWindowedSerde, TimeWindowedSerde, serde_for

__all__ = ["LONG", "Fold", "Group", "append_aggregate", "append_cogroup", "append_table_aggregate"]

LONG: Serde[Any] = serde_for(int)
AGGREGATE = "KSTREAM-AGGREGATE-"
REDUCE = "KSTREAM-REDUCE-"
COGROUP_AGGREGATE = "COGROUPKSTREAM-AGGREGATE-"
COGROUP_MERGE = "COGROUPKSTREAM-MERGE-"
TABLE_AGGREGATE = "KTABLE-AGGREGATE-"
TABLE_REDUCE = "KTABLE-REDUCE-"


class Group(Struct, frozen=True):
    """What is grouped: the node, its serdes, whether its key changed since it was read, and the user's name for it."""

    program: Program
    node: str
    serdes: Serdes
    rekeyed: bool
    name: str | None
    id: int


class Fold(Struct, frozen=True):
    """What is done to a group: how records are folded in, over which windows, and what comes out.

    `value` is the serde of the aggregate, None when it is not known.
    """

    kind: Aggregation
    stored: Materialized | None
    processor: str | None
    value: Serde[Any] | None = None
    add: Function | None = None
    remove: Function | None = None
    initializer: Function | None = None
    merger: Function | None = None
    windows: Windows | None = None
    emit: EmitStrategy = EmitStrategy.ON_WINDOW_UPDATE
    key: Serde[Any] | None = field(default=None)

    def materialization(self, program: Program, prefix: str, key: Serde[Any] | None) -> Materialization:
        """The store of the aggregate, under a name drawn with `prefix` if it has none."""
        given = self.stored or Materialized()
        if self.windows is not None and given.history is not None:
            raise TopologyError(
                f"{given.name or prefix}: a windowed aggregate cannot be versioned: leave `history` out"
            )
        serdes = Serdes(self.key or key, self.value)
        return given.materialization(program.names, prefix, serdes, _kind(self.windows))


def _kind(windows: Windows | None) -> StoreKind:
    match windows:
        case None:
            return StoreKind.TIMESTAMPED_KEY_VALUE
        case SessionWindows():
            return StoreKind.SESSION
        case _:
            return StoreKind.TIMESTAMPED_WINDOW


def result_serdes(stored: Materialization, windows: Windows | None) -> Serdes:
    """The serdes of a table of aggregates: keys are windowed if there are windows."""
    key = stored.serdes.key
    match windows:
        case None:
            return stored.serdes
        case SessionWindows():
            return Serdes(SessionWindowedSerde(key or DYNAMIC), stored.serdes.value)
        case TimeWindows(size_ms=size_ms) | CustomWindows(size_ms=size_ms):
            return Serdes(TimeWindowedSerde(key or DYNAMIC, size_ms), stored.serdes.value)
        case SlidingWindows(difference_ms=difference_ms):
            return Serdes(TimeWindowedSerde(key or DYNAMIC, difference_ms), stored.serdes.value)
        case UnlimitedWindows():
            return Serdes(TimeWindowedSerde(key or DYNAMIC), stored.serdes.value)


def append_aggregate(group: Group, fold: Fold) -> Aggregate:
    """Fold a grouped stream."""
    program = group.program
    prefix = REDUCE if fold.kind is Aggregation.REDUCE else AGGREGATE
    if _burns_a_number(fold):
        program.names.store(AGGREGATE)
    stored = fold.materialization(program, prefix, group.serdes.key)
    name = program.names.named(fold.processor, prefix)
    parent = _repartitioned(group, stored.store) if group.rekeyed else group.node
    return program.add(
        Aggregate(
            name=name,
            parents=(parent,),
            serdes=result_serdes(stored, fold.windows),
            kind=fold.kind,
            aggregators=(Aggregator(processor=name, add=fold.add),),
            materialized=stored,
            initializer=fold.initializer,
            merger=fold.merger,
            windows=fold.windows,
            emit=fold.emit,
        )
    )


def _burns_a_number(fold: Fold) -> bool:
    """Kafka draws a store name too many for a count with an unnamed store, save over sliding windows."""
    unnamed = fold.stored is not None and fold.stored.name is None
    return fold.kind is Aggregation.COUNT and unnamed and not isinstance(fold.windows, SlidingWindows)


def _repartitioned(group: Group, store: str) -> str:
    """The repartition before an aggregate: shared by the aggregates of a group that the user named."""
    program = group.program
    name = program.repartition_once(group.id, group.node, group.name or store, group.serdes, again=group.name is None)
    program.build_later(name)
    return name


def append_cogroup(entries: Sequence[tuple[Group, Function]], fold: Fold, owner: object) -> Aggregate:
    """Fold several grouped streams into one aggregate, each with its own function."""
    program = entries[0][0].program
    stored = fold.materialization(program, COGROUP_AGGREGATE, _first_key(entries))
    unnamed = [group.id for group, _ in entries if group.rekeyed and group.name is None]
    parents = tuple(_cogroup_parent(group, stored.store, owner, unnamed) for group, _ in entries)
    aggregators = tuple(
        Aggregator(
            processor=program.names.named(fold.processor, COGROUP_AGGREGATE, f"-cogroup-agg-{index}"), add=function
        )
        for index, (_, function) in enumerate(entries)
    )
    return program.add(
        Aggregate(
            name=program.names.named(fold.processor, COGROUP_MERGE, "-cogroup-merge"),
            parents=parents,
            serdes=result_serdes(stored, fold.windows),
            kind=Aggregation.AGGREGATE,
            aggregators=aggregators,
            materialized=stored,
            initializer=fold.initializer,
            merger=fold.merger,
            windows=fold.windows,
            cogrouped=True,
        )
    )


def _first_key(entries: Sequence[tuple[Group, Function]]) -> Serde[Any] | None:
    return next((group.serdes.key for group, _ in entries if group.serdes.key is not None), None)


def _cogroup_parent(group: Group, store: str, owner: object, unnamed: Sequence[int]) -> str:
    """What feeds one input. Unnamed repartitions of one cogroup are all named after its store."""
    if not group.rekeyed:
        return group.node
    like = unnamed.index(group.id) if group.name is None else 0
    program, prefix = group.program, group.name or store
    return program.repartition_once((owner, group.id), group.node, prefix, group.serdes, again=False, like=like)


def append_table_aggregate(group: Group, fold: Fold) -> Aggregate:
    """Fold a grouped table: old values are taken out, new ones put in."""
    program = group.program
    prefix = TABLE_REDUCE if fold.kind is Aggregation.REDUCE else TABLE_AGGREGATE
    stored = fold.materialization(program, TABLE_AGGREGATE, group.serdes.key)
    sink = program.names.named(fold.processor, "KSTREAM-SINK-", "-sink")
    source = program.names.named(fold.processor, "KSTREAM-SOURCE-", "-source")
    name = program.names.named(fold.processor, prefix)
    repartition = Repartition(
        name=source,
        parents=(group.node,),
        serdes=group.serdes,
        topic=(group.name or stored.store) + REPARTITION_SUFFIX,
        sink=sink,
        changes=True,
        optimizable=False,
    )
    parent = program.share(("table", group.id), repartition, again=group.name is None)
    program.build_later(parent)
    return program.add(
        Aggregate(
            name=name,
            parents=(parent,),
            serdes=stored.serdes,
            kind=fold.kind,
            aggregators=(Aggregator(processor=name, add=fold.add, remove=fold.remove),),
            materialized=stored,
            initializer=fold.initializer,
            table=True,
        )
    )
