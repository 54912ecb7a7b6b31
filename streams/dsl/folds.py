"""What grouped handles share: the folds of streams, with and without windows, of tables, and of cogrouped streams.

Children say over which windows (`_over`); sessions add how those that meet are merged. `TableT` is the table that folds
give (`KTable`); naming it by a parameter keeps this module below `kstream`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from msgspec import Struct

from streams.dsl.aggregates import LONG, Fold, Group, append_aggregate, append_cogroup
from streams.dsl.handle import expect_arity, expect_initializer, processor_name
from streams.dsl.options import Function, Materialized, resulting_serde, serde_of
from streams.dsl.program import Program
from streams.graph.nodes import Aggregate, Aggregation, Serdes

__all__ = ["CogroupFolds", "GroupFolds", "MakeTable", "StreamFolds", "TableT", "fold_of", "made"]

TableT = TypeVar("TableT")
MakeTable = Callable[[Program, str, Serdes], TableT]


def fold_of(
    kind: Aggregation, name: str | None, store: Materialized | str | None, processor: str | None, **fields: Any
) -> Fold:
    """A fold whose store and processor are named as the user says; `fields` are its other fields."""
    return Fold(kind, Materialized.of(store, name), processor_name(processor), **fields)


def made(node: Aggregate, program: Program, make_table: MakeTable[TableT]) -> TableT:
    """The table that an aggregate gives."""
    return make_table(program, node.name, node.serdes)


class GroupFolds(Struct, Generic[TableT], frozen=True, eq=False):
    """What the folds of one group share, be it of a stream's records or of a table's rows."""

    group: Group
    make_table: MakeTable[TableT]

    def count(
        self, *, name: str | None = None, store: Materialized | str | None = None, processor: str | None = None
    ) -> TableT:
        """How many records (of a table: rows) each key has, window by window if there are windows."""
        return self._table(fold_of(Aggregation.COUNT, name, store, processor, value=LONG))

    def _append(self, fold: Fold) -> Aggregate:
        """The node that folds this group."""
        raise NotImplementedError

    def _table(self, fold: Fold) -> TableT:
        return made(self._append(fold), self.group.program, self.make_table)


def aggregate_serde(initializer: Function, aggregator: Function, value: Any, role: str = "the aggregator") -> Any:
    """The serde of an aggregate: declared, or by the first annotation that tells it."""
    expect_initializer(initializer)
    expect_arity(aggregator, "key, value, aggregate", f"aggregate: {role}")
    return resulting_serde(value, aggregator, ()) or resulting_serde(None, initializer, ())


class StreamFolds(GroupFolds[TableT], frozen=True, eq=False):
    """The folds of one grouped stream."""

    def reduce(
        self,
        reducer: Function,
        *,
        name: str | None = None,
        store: Materialized | str | None = None,
        processor: str | None = None,
    ) -> TableT:
        """Combine the values of a key (and window) by `reducer(aggregate, value)`; the first value starts it."""
        expect_arity(reducer, "aggregate, value", "reduce")
        value = self.group.serdes.value
        return self._table(fold_of(Aggregation.REDUCE, name, store, processor, value=value, add=reducer))

    def aggregate(
        self,
        initializer: Function,
        aggregator: Function,
        *,
        value: Any = None,
        name: str | None = None,
        store: Materialized | str | None = None,
        processor: str | None = None,
    ) -> TableT:
        """Fold values by `aggregator(key, value, aggregate)`, starting each key (and window) from `initializer()`.

        None as an aggregate deletes the key. `value` is the type of the aggregate, where the functions' annotations do
        not tell it.
        """
        serde = aggregate_serde(initializer, aggregator, value)
        fold = fold_of(
            Aggregation.AGGREGATE, name, store, processor, value=serde, add=aggregator, initializer=initializer
        )
        return self._table(fold)

    def _over(self, fold: Fold) -> Fold:
        """The fold over this handle's windows."""
        return fold

    def _append(self, fold: Fold) -> Aggregate:
        return append_aggregate(self.group, self._over(fold))


class CogroupFolds(Struct, Generic[TableT], frozen=True, eq=False):
    """The fold of several grouped streams that feed one aggregate, each by its own aggregator."""

    entries: tuple[tuple[Group, Function], ...]
    make_table: MakeTable[TableT]
    id: int

    def aggregate(
        self,
        initializer: Function,
        *,
        value: Any = None,
        name: str | None = None,
        store: Materialized | str | None = None,
        processor: str | None = None,
    ) -> TableT:
        """Fold all streams, starting each key (and window) from `initializer()`."""
        return self._cogrouped(initializer, value, name, store, processor)

    def _cogrouped(
        self,
        initializer: Function,
        value: Any,
        name: str | None,
        store: Materialized | str | None,
        processor: str | None,
        **fields: Any,
    ) -> TableT:
        expect_initializer(initializer)
        serde = self._result(value, initializer)
        fold = fold_of(Aggregation.AGGREGATE, name, store, processor, value=serde, initializer=initializer, **fields)
        node = append_cogroup(self.entries, self._over(fold), self.id)
        return made(node, self.entries[0][0].program, self.make_table)

    def _result(self, value: Any, initializer: Function) -> Any:
        """The serde of the aggregate, from its type or the first annotation that tells it."""
        functions = [function for _, function in self.entries]
        found = (resulting_serde(None, function, ()) for function in [*functions, initializer])
        return serde_of(value) or next((serde for serde in found if serde is not None), None)

    def _over(self, fold: Fold) -> Fold:
        """The fold over this handle's windows."""
        return fold
