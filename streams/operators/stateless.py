"""What keeps nothing: filter, map and their kin, on streams, as functions over whole batches.

Rules: each maker takes the user's function and what follows, and returns a stage `Batch -> None`. Timestamps, headers
and origin pass through; columns that a stage does not touch are passed on as they are. Nulls reach the user's function.
A stage passes nothing on for an empty result. The makers know neither topics nor stores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from typing import Any

from state.engine import any_none
from streams.operators.base import Emit, OperatorContext
from streams.operators.columns import kept, mapped
from streams.record import Batch

__all__ = [
    "filter_keys",
    "filtering",
    "flat_mapping",
    "flat_mapping_values",
    "for_each",
    "mapping",
    "mapping_values",
    "peeking",
    "select_key",
    "splitting",
    "to_stream",
]

Function = Callable[..., Any]


def filtering(context: OperatorContext, node: str, predicate: Function, emit: Emit, *, negate: bool = False) -> Emit:
    """Passes on the records for which predicate(key, value) holds, or with `negate` does not."""
    predicate = context.attempted(node, predicate)

    def stage(batch: Batch) -> None:
        verdicts, failed = mapped(context, node, batch, predicate, batch.keys, batch.values)
        mask = [not verdict for verdict in verdicts] if negate else verdicts
        for index in failed:
            mask[index] = False
        pass_selected(batch, mask, emit)

    return stage


def pass_selected(batch: Batch, mask: Sequence[Any], emit: Emit) -> None:
    """Pass on the records whose entry in `mask` is true; all of them without copying."""
    if all(mask):
        emit(batch)
    elif any(mask):
        emit(batch.select(mask))


def filter_keys(context: OperatorContext, node: str, emit: Emit) -> Emit:
    """Drops records without a key, before a repartition topic; as in Kafka, they are not counted as dropped."""

    def stage(batch: Batch) -> None:
        if not any_none(batch.keys):
            emit(batch)
            return
        mask = [key is not None for key in batch.keys]
        context.dropped(node, mask.count(False), "its key is null, and a repartition needs one", counted=False)
        pass_selected(batch, mask, emit)

    return stage


def mapping_values(context: OperatorContext, node: str, function: Function, emit: Emit, *, with_key: bool) -> Emit:
    """Replaces each value by function(value), or function(key, value)."""
    function = context.attempted(node, function)

    def stage(batch: Batch) -> None:
        columns = (batch.keys, batch.values) if with_key else (batch.values,)
        values, failed = mapped(context, node, batch, function, *columns)
        result = kept(batch.with_columns(batch.keys, values), failed)
        if result.keys:
            emit(result)

    return stage


def select_key(context: OperatorContext, node: str, function: Function, emit: Emit) -> Emit:
    """Replaces each key by function(key, value)."""
    function = context.attempted(node, function)

    def stage(batch: Batch) -> None:
        keys, failed = mapped(context, node, batch, function, batch.keys, batch.values)
        result = kept(batch.with_columns(keys, batch.values), failed)
        if result.keys:
            emit(result)

    return stage


def mapping(context: OperatorContext, node: str, function: Function, emit: Emit) -> Emit:
    """Replaces each record's key and value by the pair function(key, value)."""
    paired = context.attempted(node, pair_of(function, node))

    def stage(batch: Batch) -> None:
        pairs, failed = mapped(context, node, batch, paired, batch.keys, batch.values)
        batch = kept(batch, failed)
        if not batch.keys:
            return
        pairs = [pair for pair in pairs if pair is not None] if failed else pairs
        keys, values = zip(*pairs, strict=True)
        emit(batch.with_columns(list(keys), list(values)))

    return stage


def pair_of(function: Function, node: str) -> Function:
    """The function, checked to return a pair."""

    def checked(key: Any, value: Any) -> tuple[Any, Any]:
        pair = function(key, value)
        if pair.__class__ is tuple and len(pair) == 2:
            return pair
        raise TypeError(f"{node} expects its function to return a pair (key, value), got {pair!r}")

    return checked


def flat_mapping_values(context: OperatorContext, node: str, function: Function, emit: Emit, *, with_key: bool) -> Emit:
    """Replaces each record by one per value of the iterable function(value), or function(key, value)."""
    listed = context.attempted(node, listed_by(function, node))

    def stage(batch: Batch) -> None:
        columns = (batch.keys, batch.values) if with_key else (batch.values,)
        lists, failed = mapped(context, node, batch, listed, *columns)
        pass_expanded(batch, lists, failed, emit)

    return stage


def flat_mapping(context: OperatorContext, node: str, function: Function, emit: Emit) -> Emit:
    """Replaces each record by one per pair of the iterable function(key, value)."""
    listed = context.attempted(node, listed_by(function, node, pairs=True))

    def stage(batch: Batch) -> None:
        lists, failed = mapped(context, node, batch, listed, batch.keys, batch.values)
        pass_expanded(batch, lists, failed, emit, pairs=True)

    return stage


def listed_by(function: Function, node: str, *, pairs: bool = False) -> Function:
    """The function, its iterable drawn into a list while errors still belong to the record."""

    def listed(*arguments: Any) -> list[Any]:
        results = function(*arguments)
        if results is None or isinstance(results, str | bytes) or not isinstance(results, Iterable):
            raise TypeError(f"{node} expects its function to return an iterable of results, got {results!r}")
        drawn = list(results)
        if pairs:
            for pair in drawn:
                if not isinstance(pair, tuple) or len(pair) != 2:
                    raise TypeError(
                        f"{node} expects its function to return pairs (key, value), got {pair!r} among them"
                    )
        return drawn

    return listed


def pass_expanded(batch: Batch, lists: list[Any], failed: list[int], emit: Emit, *, pairs: bool = False) -> None:
    """Pass on one record per entry of each record's list."""
    for index in failed:
        lists[index] = ()
    counts = list(map(len, lists))
    results = list(chain.from_iterable(lists))
    if not results:
        return
    keys = [pair[0] for pair in results] if pairs else repeated(batch.keys, counts)
    values = [pair[1] for pair in results] if pairs else results
    emit(
        Batch(
            keys,
            values,
            repeated(batch.timestamps, counts),
            batch.headers and repeated(batch.headers, counts),
            offsets=None if batch.offsets is None else repeated(batch.offsets, counts),
            topic=batch.topic,
            topics=batch.topics and repeated(batch.topics, counts),
            partition=batch.partition,
        )
    )


def repeated(column: Sequence[Any], counts: list[int]) -> list[Any]:
    """Each entry as often as its count says."""
    return list(chain.from_iterable(map(repeat, column, counts)))


def peeking(context: OperatorContext, node: str, function: Function, emit: Emit) -> Emit:
    """Shows each record to function(key, value) and passes it on unchanged."""
    function = context.attempted(node, function)

    def stage(batch: Batch) -> None:
        _, failed = mapped(context, node, batch, function, batch.keys, batch.values)
        batch = kept(batch, failed)
        if batch.keys:
            emit(batch)

    return stage


def for_each(context: OperatorContext, node: str, function: Function) -> Emit:
    """Hands each record to function(key, value); nothing follows."""
    function = context.attempted(node, function)

    def stage(batch: Batch) -> None:
        mapped(context, node, batch, function, batch.keys, batch.values)

    return stage


def splitting(
    context: OperatorContext, node: str, predicates: Sequence[Function | None], branches: Sequence[Emit]
) -> Emit:
    """Passes each record on to the branch of the first predicate(key, value) that holds; None always holds."""

    def branch_of(key: Any, value: Any) -> int:
        for index, predicate in enumerate(predicates):
            if predicate is None or predicate(key, value):
                return index
        return -1

    choose = context.attempted(node, branch_of)

    def stage(batch: Batch) -> None:
        chosen, _ = mapped(context, node, batch, choose, batch.keys, batch.values)
        for index, branch in enumerate(branches):
            pass_selected(batch, [choice == index for choice in chosen], branch)

    return stage


def to_stream(emit: Emit) -> Emit:
    """A table's changes as a stream: the new values, a deletion as null."""

    def stage(batch: Batch) -> None:
        if batch.old_values is None and batch.latest is None:
            emit(batch)
            return
        emit(batch.with_columns(batch.keys, batch.values))

    return stage
