"""Both sides of an inner stream join in one pass over their records, as they alternate by timestamp.

Joined streams mostly alternate record by record, and a batch ends where the other side is due, so that each batch would
be of one record. Here both sides run up to their windows as batches; then one loop takes the records in the order in
which they are due, each meets what the other side has up to then, and all results go on as one batch.

Rules: results, stores and changelogs are those of the sides one by one (`stream_join`), which stay the reference; what
cannot be done so (a value that does not serialize, a read from before the store was opened) is left to them. User
functions ahead of the windows see one side's records before the other's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from state.appended import AppendedWindowStore, EncodedColumns
from state.engine import any_none
from streams.operators.base import Emit, OperatorContext
from streams.operators.columns import UNHANDLED, report
from streams.operators.matching import Arriving, Way, matches_of
from streams.operators.stream_join import NOTHING_TO_JOIN, JoinWindow, StreamJoinSide
from streams.record import Batch

__all__ = ["InterleavedJoin", "Side"]


class Side(NamedTuple):
    """One side: what runs its source's records, where they arrive, and what joins them.

    `as_read`: values arrive as they were read, by the serde that the window keeps them by.
    """

    topic: str
    process: Emit
    window: JoinWindow
    join: StreamJoinSide
    as_read: bool = False


class _Input(NamedTuple):
    """A side's records at the join, and the same as bytes."""

    batch: Batch
    columns: EncodedColumns


class InterleavedJoin:
    """See the module. `sides` are left and right, `emit` is what follows their merge."""

    def __init__(self, sides: tuple[Side, Side], emit: Emit, context: OperatorContext) -> None:
        self.sides = sides
        self._emit = emit
        self._context = context

    def process(self, batches: Sequence[Batch], turns: Sequence[int]) -> None:
        """Join a batch of each side; `turns` says whose record is next, 0 for left and 1 for right."""
        arrived = [side.window.collected(side.process, batch) for side, batch in zip(self.sides, batches, strict=True)]
        turns = remaining(batches, arrived, turns)
        if any(any_none(batch.values) for batch in arrived):  # each is logged between its neighbours
            self._one_by_one(arrived, turns)
            return
        usable, turns = self._with_keys(arrived, turns)
        inputs = self._inputs(usable)
        if inputs is None:
            self._one_by_one(usable, turns)
            return
        results = self._joined(inputs, turns)
        for side, (batch, columns) in zip(self.sides, inputs, strict=True):
            side.join.time.advance(max(batch.timestamps, default=-1))
            side.window.store.append(columns, batch.timestamps, batch.timestamps, batch.headers)
        if results.keys:
            self._emit(results)

    def _with_keys(self, batches: Sequence[Batch], turns: Sequence[int]) -> tuple[Sequence[Batch], Sequence[int]]:
        """What can be joined; the rest still moves the join's time."""
        if not any(any_none(batch.keys) for batch in batches):
            return batches, turns
        masks = [[key is not None for key in batch.keys] for batch in batches]
        for side, batch, mask in zip(self.sides, batches, masks, strict=True):
            side.join.time.advance(max(batch.timestamps, default=-1))
            if not all(mask):
                self._context.dropped(side.join.node, mask.count(False), NOTHING_TO_JOIN)
        keeps = [iter(mask) for mask in masks]
        turns = [turn for turn in turns if next(keeps[turn])]
        return [batch.select(mask) for batch, mask in zip(batches, masks, strict=True)], turns

    def _inputs(self, batches: Sequence[Batch]) -> list[_Input] | None:
        """Both sides as bytes too; None when they must be taken one by one."""
        inputs = []
        for side, batch in zip(self.sides, batches, strict=True):
            store = side.join.other
            if not isinstance(store, AppendedWindowStore) or not isinstance(side.window.store, AppendedWindowStore):
                return None
            if batch.keys and not store.recent.knows(max(0, min(batch.timestamps) - side.join.before_ms)):
                return None
            try:
                read = batch.value_bytes if side.as_read else None
                inputs.append(_Input(batch, side.window.store.encoded(batch.keys, batch.values, read)))
            except Exception:  # the window itself finds the record to blame, and reports it
                return None
        return inputs

    def _one_by_one(self, batches: Sequence[Batch], turns: Sequence[int]) -> None:
        at = [0, 0]
        for turn in turns:
            start = at[turn]
            at[turn] += 1
            self.sides[turn].window.process(batches[turn].slice(start, start + 1))

    def _joined(self, inputs: Sequence[_Input], turns: Sequence[int]) -> Batch:
        """Join what meets, in the order in which it does. A record that fails is reported, and joins no more."""
        left, right = (
            Arriving(columns.identities, batch.timestamps, batch.values, columns.values) for batch, columns in inputs
        )
        batches = [batch for batch, _ in inputs]
        joins = [side.join.joined for side in self.sides]
        keys: list[Any] = []
        values: list[Any] = []
        timestamps: list[int] = []
        triggers: list[tuple[int, int]] = []
        failed = -1
        for place, turn, row, other_time, other in matches_of((left, right), (self._way(0), self._way(1)), turns):
            if place == failed:
                continue
            batch = batches[turn]
            key, timestamp = batch.keys[row], batch.timestamps[row]
            try:
                values.append(joins[turn](key, batch.values[row], other))
            except UNHANDLED:
                raise
            except Exception as error:
                failed = place
                report(self._context, self.sides[turn].join.node, batch, row, error)
                continue
            keys.append(key)
            timestamps.append(other_time if other_time > timestamp else timestamp)  # noqa: FURB136  max() is slow
            triggers.append((turn, row))
        return results_of(batches, keys, values, timestamps, triggers)

    def _way(self, turn: int) -> Way:
        """How a record of a side meets the other."""
        window, join = self.sides[turn].window, self.sides[turn].join
        other = join.other
        return Way(
            window.store.recent,
            other.recent,
            join.before_ms,
            join.after_ms,
            other.spec.value_serde.deserialize,
            other.given_all,
        )


def remaining(before: Sequence[Batch], after: Sequence[Batch], turns: Sequence[int]) -> Sequence[int]:
    """The turns of what is left of two batches (records may have gone or multiplied); offsets tell which."""
    if all(one.offsets is other.offsets for one, other in zip(before, after, strict=True)):
        return turns
    counts = [Counter(batch.offsets) for batch in after]
    offsets = [iter(batch.offsets or ()) for batch in before]
    return [turn for turn in turns for _ in range(counts[turn][next(offsets[turn])])]


def results_of(
    batches: Sequence[Batch], keys: list[Any], values: list[Any], timestamps: list[int], triggers: list[tuple[int, int]]
) -> Batch:
    """Results as a batch, with headers and origin of the records that triggered them."""
    headers = [batch.headers or [()] * len(batch) for batch in batches]
    offsets = [batch.offsets for batch in batches]
    topics = [batch.topic or "" for batch in batches]
    return Batch(
        keys,
        values,
        timestamps,
        [headers[turn][row] for turn, row in triggers] if any(batch.headers for batch in batches) else None,
        offsets=[offsets[turn][row] for turn, row in triggers],  # type: ignore[index]  # fetched records have offsets
        topics=[topics[turn] for turn, _ in triggers],
        partition=batches[0].partition,
    )
