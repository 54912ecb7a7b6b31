"""Trips through the window: however often a task starts anew on its store, and whatever a killed reader writes again."""

from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from examples.taxi.debs.frequent_routes import FrequentRoutes
from examples.taxi.debs.generator import write_trips
from examples.taxi.debs.grid import HALF_KILOMETRE, QUARTER_KILOMETRE, Grid
from examples.taxi.debs.messages import Change, Trip
from examples.taxi.debs.profitable_areas import ProfitableAreas
from examples.taxi.debs.top_ten import WINDOW, TopTen
from examples.taxi.debs.trip_file import trips
from streams import Batch
from streams.testing import MockProcessorContext

QUERIES = [(FrequentRoutes, HALF_KILOMETRE), (ProfitableAreas, QUARTER_KILOMETRE)]


def located(path: Path, grid: Grid, count: int) -> list[Trip]:
    """Trips that are no outliers."""
    write_trips(path, count, seed=7, taxis=30)
    return [on_map for trip in trips(path) if (on_map := grid.locate(trip))]


def passed(
    query: type[TopTen[Any, Any, Any]], context: MockProcessorContext, given: list[Trip], lots: list[int]
) -> list[Change[Any]]:
    """The lists that trips lead to; they come in lots of these sizes, and a new task takes over after each."""
    left, found = iter(given), []
    for size in lots:
        task = query()
        task.init(context)
        for part in (list(islice(left, size // 2)), list(islice(left, size - size // 2))):
            found += task.process_batch(Batch([trip.number for trip in part], part, [0] * len(part))).values
    return found


@pytest.mark.parametrize(("query", "grid"), QUERIES)
def test_a_new_task_goes_on_where_the_last_one_was(
    tmp_path: Path, query: type[TopTen[Any, Any, Any]], grid: Grid
) -> None:
    """Tasks that start anew, lots of any size, and trips that come again, change no list."""
    given, random = located(tmp_path / "trips.csv", grid, 2_000), Random(3)
    expected = passed(query, MockProcessorContext(stores=[WINDOW]), given, [len(given)])
    again = []
    for place in range(0, len(given), 50):
        again += given[max(0, place - random.randrange(20)) : place + 50]
    lots = [random.randrange(60) for _ in range(200)]
    assert len(expected) > 200
    assert sum(lots) > len(again)
    assert passed(query, MockProcessorContext(stores=[WINDOW]), again, lots) == expected


@pytest.mark.parametrize(("query", "grid"), QUERIES)
def test_lots_go_when_none_of_their_trips_is_needed(
    tmp_path: Path, query: type[TopTen[Any, Any, Any]], grid: Grid
) -> None:
    """The store holds the window, and little more."""
    given, context = located(tmp_path / "trips.csv", grid, 2_000), MockProcessorContext(stores=[WINDOW])
    passed(query, context, given, [40] * 50)
    kept = [trip for _, lot in context.store("window").all() for trip in lot]
    begin_ms = given[-1].dropped_off_ms - 30 * 60_000
    window = [trip for trip in given if trip.dropped_off_ms > begin_ms]
    assert kept[-len(window) :] == window
    assert len(kept) < len(window) + 20
