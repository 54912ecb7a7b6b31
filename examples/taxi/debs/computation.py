"""One query over one file, from the first line to the last: topics filled, workers run, results written.

Rules: the file is checked before anything is started, and the output appears whole or not at all. A run that was killed
is continued by the same command: what the topics hold is not written again, what was committed is not computed again.
The reader stays a little ahead of the workers, no more, so that the delay of a list is theirs and not that of a queue.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from examples.taxi.debs.frequent_routes import frequent_routes
from examples.taxi.debs.lines import line
from examples.taxi.debs.messages import Trip
from examples.taxi.debs.profitable_areas import profitable_areas
from examples.taxi.debs.source import Source
from examples.taxi.debs.workers import Workers
from examples.taxi.layouts import TripsError
from streams import App, Connection, Record, Records

CHUNK = 500
AHEAD = 4_000
"""Trips that may be on their way at a time."""
SECONDS_BETWEEN_LOOKS = 0.01
SECONDS_BETWEEN_MEASURES = 0.05


@dataclass(frozen=True)
class Query:
    """A query: its application, the topic of its results, and how many columns each of the ten has."""

    app: App
    results: str
    columns: int


QUERIES = {
    1: Query(frequent_routes(), "frequent_routes", columns=2),
    2: Query(profitable_areas(), "profitable_areas", columns=4),
}


@dataclass
class Progress:
    """How far a run is: trips read and done, lists written, and their delays in ms."""

    total: int
    read: int = 0
    done: int = 0
    delays: list[int] = field(default_factory=list)


Show = Callable[[Progress], None]


def compute(
    query: Query,
    source: Source,
    output: Path,
    directory: Path,
    *,
    workers: int = 1,
    rate: float | None = None,
    show: Show = lambda _: None,
) -> Progress:
    """Run a query over the trips of `source`, and write its lines to `output`.

    Raises: StreamsError for what stopped it; OSError when the output cannot be written.
    """
    output = output.resolve()  # through a link: what it leads to is replaced, not the link
    partial = output.with_name(f".{output.name}.partial")
    progress = Progress(source.count)
    with ExitStack() as stack:
        file = stack.enter_context(partial.open("w", encoding="utf-8", newline=""))
        stack.callback(partial.unlink, missing_ok=True)
        query.app.configure({"broker": f"embedded://{directory.absolute()}"})
        connection = stack.enter_context(query.app.connect())
        crew = stack.enter_context(Workers(query.app.name, workers, directory))
        results = stack.enter_context(connection.read(query.results, follow=True))
        run = _Run(query, connection, crew, results, file, progress, show)
        run.feed(source.trips(), rate)
        run.finish()
        file.flush()
        partial.replace(output)
    return progress


class _Run:
    def __init__(
        self,
        query: Query,
        connection: Connection,
        crew: Workers,
        results: Records,
        file: Any,
        progress: Progress,
        show: Show,
    ) -> None:
        self._query = query
        self._connection = connection
        self._crew = crew
        self._results = results
        self._file = file
        self._progress = progress
        self._show = show
        self._topics = query.app.build().source_topics
        self._measured_s = 0.0

    def feed(self, trips: Iterator[Trip], rate: float | None) -> None:
        """Write the trips that are not there yet, a little ahead of the workers."""
        due = time.monotonic()
        chunk = CHUNK if rate is None else max(1, min(CHUNK, round(rate / 50)))
        stored = self._stored()
        trips = islice(trips, stored, None)
        self._progress.read = stored
        while some := list(islice(trips, chunk if self._progress.done else 1)):  # one, until the workers are at it
            self._connection.write("trips", some, key="number")
            self._progress.read += len(some)
            self._look(0.0)
            while self._progress.read - self._progress.done > self._ahead:
                self._look(SECONDS_BETWEEN_LOOKS)
            if rate:
                due = max(due, time.monotonic() - 1.0) + len(some) / rate  # a longer stall is not made up for
                while (left := due - time.monotonic()) > 0:
                    self._look(min(left, SECONDS_BETWEEN_LOOKS))
        self._connection.flush()

    def finish(self) -> None:
        """Wait until all is done, and write what is left."""
        while self._measure():
            self._look(SECONDS_BETWEEN_LOOKS)
        self._write(self._results.catch_up())

    @property
    def _ahead(self) -> int:
        """How many trips may be on their way: one before the workers are at it, which takes seconds."""
        return AHEAD if self._progress.done else 0

    def _stored(self) -> int:
        """How many trips an earlier run wrote."""
        return max((record.value.number + 1 for record in self._connection.read("trips", last=1)), default=0)

    def _measure(self) -> int:
        """How many trips are on their way, but for those that are not acknowledged yet."""
        lag = self._connection.lag(self._query.app.name, self._topics)
        left = self._progress.read if lag is None else sum(lag.values())
        self._progress.done = max(self._progress.done, self._progress.read - left)
        return left

    def _look(self, seconds: float) -> None:
        self._write(self._results.poll(seconds))
        now_s = time.monotonic()
        if now_s - self._measured_s > SECONDS_BETWEEN_MEASURES:
            self._measured_s = now_s
            self._crew.check()
            self._measure()
        self._show(self._progress)

    def _write(self, records: list[Record]) -> None:
        now_ms = time.time_ns() // 1_000_000
        for record in records:
            self._file.write(line(record.value, self._query.columns, now_ms) + "\n")
            self._progress.delays.append(now_ms - record.value.read_ms)


def forget(query: Query, directory: Path) -> None:
    """Delete all that a run left, once its broker has stopped."""
    if directory.exists():
        query.app.configure({"broker": f"embedded://{directory.absolute()}"})
        query.app.remove_data()


def refuse_output(output: Path, trips: Path | None = None) -> None:
    """Raises: TripsError when nothing can be written there, or it would replace the trips."""
    if trips is not None and output.exists() and trips.exists() and output.samefile(trips):
        raise TripsError(f"{output} holds the trips, and would be replaced. Name another file with --output.")
    place = output.resolve()
    if place.is_dir():
        what = "is a directory"
    elif place.exists() and not place.is_file():
        what = "is no file, and cannot appear whole or not at all"
    elif not place.parent.is_dir():
        what = f"cannot be written: there is no directory {place.parent}"
    else:
        return
    raise TripsError(f"{output} {what}. Name a file with --output.")
