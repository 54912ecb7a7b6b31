"""What agents of all kinds share: lanes of keys, results in the order of their records, and how much to take at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from streams.errors import shown
from streams.numbers import counted
from streams.operators.columns import UNHANDLED
from streams.processor import ProcessorContext
from streams.record import Batch
from streams.serdes.registry import type_name

QUICK_S = 0.05
SLOW_S = 0.2


class Failure:
    """What stands in the place of a result."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


def blame_cancellation(error: BaseException) -> None:
    """Raise an error like others for a CancelledError out of a user's function that nobody has cancelled.

    It came out of something that the function waited for. Being no Exception, it would pass by every handler.
    """
    if isinstance(error, Exception):
        return
    import asyncio  # it comes with the first agent

    if not isinstance(error, asyncio.CancelledError):
        return
    raise RuntimeError("it was cancelled, and not by the worker") from error


class Expected(NamedTuple):
    """What a target takes: values of `kind`, told as `target`; `where` is the function that makes them."""

    kind: type
    target: str
    where: str

    def problem(self, value: Any) -> TypeError | None:
        """The error for a value of another type, None for one that fits."""
        if isinstance(value, self.kind) or (self.kind in (int, float) and counted(value) is not None):
            return None
        return TypeError(
            f"{self.where} gave {shown(value)}, but {self.target} carries {type_name(self.kind)}: give that, or change the "
            "topic's value="
        )


class Pace:
    """How many records an agent takes at once: as many as it can do in a moment, so that commits, a stop and other
    tasks never wait for long.
    """

    def __init__(self, concurrency: int) -> None:
        self._least = concurrency
        self.records_at_once = concurrency
        self._began = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Around a batch."""
        begin = time.monotonic()
        yield
        self.note(time.monotonic() - begin)

    def begin(self) -> None:
        """A batch begins that ends later, with `end`."""
        self._began = time.monotonic()

    def end(self) -> None:
        """The batch is done."""
        self.note(time.monotonic() - self._began)

    def note(self, seconds: float) -> None:
        """A batch took so long: take more the next time, or fewer."""
        if seconds < QUICK_S:
            self.records_at_once = min(self.records_at_once * 2, 1 << 20)
        elif seconds > SLOW_S:
            self.records_at_once = max(self._least, self.records_at_once // 2)


class RunAhead:
    """Results of records that were run before they were taken for processing, by their place in the topic."""

    def __init__(self) -> None:
        self._results: dict[tuple[str | None, int, int], list[Any]] = {}

    def add(self, batch: Batch, results: Iterable[tuple[int, Any]]) -> None:
        """Keep what a batch gave; a record may give several results, or none."""
        places = _places(batch)
        self._results.update((place, []) for place in places)
        for index, result in results:
            self._results[places[index]].append(result)

    def take(self, batch: Batch) -> list[tuple[int, Any]] | None:
        """The results of a batch, None unless all of it was run; they are forgotten here."""
        if not self._results or batch.offsets is None:
            return None
        places = _places(batch)
        if not all(place in self._results for place in places):
            return None
        return [(index, result) for index, place in enumerate(places) for result in self._results.pop(place)]

    def clear(self) -> None:
        """Forget all: the records will be read again."""
        self._results.clear()


class RunsAhead:
    """What processors share that may run records before their turn; see `streams.processor.AheadProcessor`."""

    def __init__(self, concurrency: int) -> None:
        self._ahead = RunAhead()
        self._pace = Pace(concurrency)

    @property
    def records_at_once(self) -> int:
        """How many records to hand over in one batch."""
        return self._pace.records_at_once

    def settle(self, batch: Batch, results: Iterable[tuple[int, Any]]) -> None:
        """Keep what `begin` came to, until its records are processed."""
        self._pace.end()
        self._ahead.add(batch, results)

    def _results_of(self, batch: Batch, run: Callable[[], list[tuple[int, Any]]]) -> list[tuple[int, Any]]:
        """What was made of a batch ahead of its turn; of one that was not run, what `run` makes of it now."""
        results = self._ahead.take(batch)
        if results is None:
            with self._pace.timed():
                results = run()
        return results


def _places(batch: Batch) -> list[tuple[str | None, int, int]]:
    return [(batch.topic, batch.partition, offset) for offset in batch.offsets or ()]


def lanes_of(keys: list[Any]) -> Iterable[list[int]]:
    """Indices by key, in order: what must run one after another. Records without a key are free of each other."""
    lanes: dict[Any, list[int]] = {}
    for index, key in enumerate(keys):
        lanes.setdefault(("none", index) if key is None else ("key", _hashable(key)), []).append(index)
    return lanes.values()


def _hashable(key: Any) -> Any:
    try:
        hash(key)
    except TypeError:
        return repr(key)
    return key


def collected(
    context: ProcessorContext, batch: Batch, results: Iterable[tuple[int, Any]], expected: Iterable[Expected] = ()
) -> Batch | None:
    """Results with the key, timestamp and headers of their records; failures go to the handler. None when empty.

    Raises: errors of ours, for which no record is to blame.
    """
    rows: list[int] = []
    values: list[Any] = []
    for index, result in results:
        if isinstance(result, Failure):
            if isinstance(result.error, UNHANDLED):
                raise result.error
            context.failed(batch.record(index), result.error)
        elif result is not None:
            wrong = next((problem for each in expected if (problem := each.problem(result))), None)
            if wrong is not None:
                context.failed(batch.record(index), wrong)
            else:
                rows.append(index)
                values.append(result)
    if not rows:
        return None
    return Batch(
        [batch.keys[row] for row in rows],
        values,
        [batch.timestamps[row] for row in rows],
        [batch.headers[row] for row in rows] if batch.headers else None,
        offsets=[batch.offsets[row] for row in rows] if batch.offsets else None,
        topic=batch.topic,
        partition=batch.partition,
    )
