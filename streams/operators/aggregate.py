"""Aggregates without windows: a stream's records of a key folded into one value.

Rules: a record without key or value is dropped. The result's time is the highest of the record's and the stored one's.
A None out of the adder deletes the entry and is passed on as a tombstone; the next record begins anew. A store that keeps
no history has no time for what it deletes: on the changelog, and out of a record cache, that is the record's alone. With a
record cache the operator only puts, and results come out of the cache's flush. Source: Kafka's KStreamAggregate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import chain, compress, count, islice
from operator import length_hint
from typing import Any

from state.copies import IMMUTABLE, copied
from state.engine import any_none
from state.stores import Cause, Flushed, StoreKind
from streams.operators.base import Emit, OperatorContext
from streams.operators.causes import causes_of, set_causes
from streams.operators.columns import UNHANDLED, Output, Rows, report
from streams.operators.folding import Fold, held_add
from streams.operators.held_updates import HeldKeys, Unwritable
from streams.record import Batch

__all__ = ["NOT_PUT", "StreamAggregate", "flushed_batch", "passes_on_itself"]

NOT_PUT = -(2**63)
"""What a versioned store's put returns for an update that is older than its history."""

LATEST = -1
"""What it returns for the newest version of its key."""


def flushed_batch(flushed: Flushed, *, old_values: bool) -> Batch:
    """What a record cache let go, as a table's changes, with the origin of the records that caused them, where it is known."""
    batch = Batch(
        flushed.keys,
        flushed.new_values,
        flushed.timestamps,
        old_values=flushed.old_values if old_values else None,
    )
    if flushed.causes:
        set_causes(batch, flushed.causes)
    return batch


def passes_on_itself(store: Any, emit: Emit, *, old_values: bool) -> bool:
    """Have a cached store's flushes passed on to `emit`. False for uncached ones: the operator then emits."""
    if not store.cached:
        return False

    def pass_on(flushed: Flushed) -> None:
        emit(flushed_batch(flushed, old_values=old_values))

    store.set_flush_listener(pass_on, send_old_values=old_values)
    return True


def not_at_once(_keys: list[Any]) -> None:
    """Of stores that look keys up one by one."""


class StreamAggregate:
    """Folds a stream's records by key into a table."""

    def __init__(self, node: str, store: str, fold: Fold, emit: Emit, *, send_old_values: bool) -> None:
        self._node = node
        self._store_name = store
        self._fold = fold
        self._emit = emit
        self._send_old_values = send_old_values
        self._output = Output()
        self._nulls = 0
        self._row = -1

    def init(self, context: OperatorContext) -> None:
        """Take the store."""
        self._context = context
        self._store = context.store(self._store_name)
        self._cached = passes_on_itself(self._store, self._emit, old_values=self._send_old_values)
        self._versioned = self._store.spec.kind is StoreKind.VERSIONED_KEY_VALUE
        self._preload: Callable[[list[Any]], None] = getattr(self._store, "preload", not_at_once)
        self._lookup: Callable[[Any], Any] = getattr(self._store, "lookup", self._store.get)
        self._holds_updates = self._cached and hasattr(self._store, "holds_updates")
        self._folds: bool = self._cached and getattr(self._store, "folds", False)
        self._folds_columns = self._cached and hasattr(self._store, "fold_columns")

    def process(self, batch: Batch) -> None:
        """Fold a batch in, and pass the new aggregates on if no cache does."""
        with self._store.flushes:
            self._fold_batch(batch)
        if self._nulls:
            self._context.dropped(self._node, self._nulls, "its key or value is null, and an aggregate needs both")
            self._nulls = 0
        self._output.pass_on(batch, self._emit, old_values=self._send_old_values)

    def _fold_batch(self, batch: Batch) -> None:
        done = self._fold_numbers(batch) if self._folds_columns else 0
        if done == len(batch):
            return
        holds = self._holds_updates and self._store.holds_updates
        if holds and not done and self._fold.repeated is not None and self._fold_repeated(batch, self._fold.repeated):
            return
        if not holds:
            self._preload_all(batch.keys[done:] if done else batch.keys)
        self._fold_from(batch, done, len(batch), causes_of(self._store, batch), holds=holds)

    def _fold_from(self, batch: Batch, first: int, stop: int, causes: list[Cause] | None, *, holds: bool) -> None:
        """Fold in the rows from `first` up to, not including, `stop`; `holds`: by `_fold_held` as far as that goes."""
        indices = iter(range(first, stop))
        columns = (islice(column, first, None) for column in (batch.keys, batch.values, batch.timestamps))
        rows: Rows = zip(indices, *columns, strict=False)
        self._row = first - 1
        while True:
            try:
                if holds:
                    self._fold_held(batch, rows, causes)
                if length_hint(indices):
                    self._fold_rows(rows, causes)
                break
            except UNHANDLED:
                raise
            except Exception as error:
                self._row = stop - length_hint(indices) - 1
                self._store.get(batch.keys[self._row])  # no put follows, so this time it was a use
                self._store.flushes.tell()
                report(self._context, self._node, batch, self._row, error)

    def _preload_all(self, keys: list[Any]) -> None:
        if not any_none(keys):
            with suppress(TypeError):  # the fold finds the key to blame
                self._preload(keys)

    def _fold_rows(self, rows: Rows, causes: list[Cause] | None) -> None:
        """Fold the rows in, until they end or user code raises."""
        get, put, add, initial = self._lookup, self._store.put, self._fold.add, self._fold.initial
        emits, output, versioned = not self._cached, self._output.add, self._versioned
        if self._folds and not causes:
            counts = self._fold.repeated is not None
            while self._store.fold(rows, initial, add, counts=counts) is not None:
                self._nulls += 1
            return
        for row, key, value, timestamp in rows:
            if key is None or value is None:
                self._nulls += 1
                continue
            stored = get(key)
            old, before = (initial(), timestamp) if stored is None else stored
            new = add(key, value, old if old.__class__ in IMMUTABLE else copied(old))
            latest = before if before > timestamp else timestamp  # noqa: FURB136  max() is four times slower
            time = latest if new is not None or versioned else timestamp
            code = put(key, new, time, causes[row] if causes else None)
            if emits and code != NOT_PUT:
                output(row, key, new, latest, old, latest=code is None or code == LATEST)

    def _fold_numbers(self, batch: Batch) -> int:
        """Leave a batch to a store of numbers, by columns: how many records are done, dropped ones included."""
        store, keys, values, times = self._store, batch.keys, batch.values, batch.timestamps
        if not store.folds_columns(len(batch)) or batch.headers or batch.topics or causes_of(store, batch):
            return 0
        complete = None
        if any_none(keys) or any_none(values):
            complete = [key is not None and value is not None for key, value in zip(keys, values, strict=True)]
            keys, values, times = (list(compress(column, complete)) for column in (keys, values, times))
        fold = self._fold
        done: int = store.fold_columns(keys, values, times, fold.initial, fold.add, fold.repeated)
        if complete is None:
            return done
        rows = len(batch) if done == len(keys) else next(islice(compress(count(), complete), done, None))
        self._nulls += rows - done
        return rows

    def _fold_repeated(self, batch: Batch, repeated: Callable[[Any, int], Any]) -> bool:
        """Fold a batch in by columns, key by key, if the cache knows all of its keys and nothing else is to be told.

        What `_fold_held` would do, one record after the other, which is left to do it where the answer is False.
        """
        store, keys = self._store, batch.keys
        if batch.headers or batch.topics or causes_of(store, batch):
            return False
        try:
            counts = Counter(keys)
        except TypeError:
            return False  # the loop finds the key to blame
        stored = list(map(store.known, counts))
        if None in counts or not all(stored):
            return False
        aggregates, befores = zip(*stored, strict=True)
        latest = dict(zip(counts, befores, strict=True))
        for key, value, timestamp in zip(keys, batch.values, batch.timestamps, strict=True):
            if value is None:
                return False
            if timestamp > latest[key]:  # noqa: PLR1730  max() is four times slower
                latest[key] = timestamp
        try:
            new = store.kept(list(map(repeated, aggregates, counts.values())))
        except UNHANDLED:
            raise
        except Exception:
            return False  # as above
        store.put_known(keys, counts, zip(new, latest.values(), strict=True))
        return True

    def _fold_held(self, batch: Batch, rows: Rows, causes: list[Cause] | None) -> None:
        """As `_fold_rows`, while updates of a key may replace each other here, and are put when something else happens.

        Something else is a key that the cache does not know yet, a deletion, or a record that is dropped or fails. With the
        first unknown key begins what the store folds in itself, if it does: more of them will follow. Where what is put
        cannot be written, the rows that were held are folded in one by one; the user's functions are called again for them.
        """
        store = self._store
        if batch.headers or batch.topics or not store.holds_updates:
            return
        held = HeldKeys(store, batch.keys, causes, self._row + 1)
        try:
            self._hold(held, batch.keys, rows, causes)
        except Unwritable:
            self._fold_from(batch, held.first, self._row + 1, causes, holds=False)

    def _hold(self, held: HeldKeys, keys: list[Any], rows: Rows, causes: list[Cause] | None) -> None:
        """Have the rows held, until they end or something else needs to. Raises: Unwritable, and `_row` is the last one then."""
        store, updates, get = self._store, held.updates, held.updates.get
        known, add, initial, pure = store.known, held_add(self._fold, store), self._fold.initial, self._fold.pure
        row, stop = self._row, held.first
        preloaded = False
        try:
            for row, key, value, timestamp in rows:
                if key is None or value is None:
                    held.put(row)
                    held.first = row + 1
                    self._nulls += 1
                    continue
                stored = get(key) or known(key)
                alone = stored is None
                if alone:
                    held.put(row)
                    if not preloaded:
                        preloaded = True
                        self._preload_all(keys[row:])
                    if self._folds and not causes:
                        self._fold_rows(chain([(row, key, value, timestamp)], rows), None)
                        return
                    stored = self._lookup(key)
                old, before = (initial(), timestamp) if stored is None else stored
                new = add(key, value, old if pure or old.__class__ in IMMUTABLE else copied(old))
                latest = before if before > timestamp else timestamp  # noqa: FURB136  max() is four times slower
                if not alone and new is not None:
                    updates[key] = new, latest
                    continue
                held.put(row)
                held.first = row + 1
                store.put(key, new, latest if new is not None else timestamp, causes[row] if causes else None)
                if not store.holds_updates:
                    return
            stop = row + 1
        finally:
            self._row = row
            held.put(max(stop, row))

    def close(self) -> None:
        """Nothing is held."""
