"""Trips through the window: however often a task starts anew on its store, and whatever a killed reader writes again."""

from pathlib import Path
from random import Random

import pytest

from examples.taxi.debs.frequent_routes import FrequentRoutes
from examples.taxi.debs.generator import write_trips
from examples.taxi.debs.grid import HALF_KILOMETRE, QUARTER_KILOMETRE, Grid
from examples.taxi.debs.messages import Trip
from examples.taxi.debs.profitable_areas import ProfitableAreas
from examples.taxi.debs.top_ten import WINDOW, TopTen
from examples.taxi.debs.trip_file import trips
from streams import Record
from streams.testing import MockProcessorContext

QUERIES = [(FrequentRoutes, HALF_KILOMETRE), (ProfitableAreas, QUARTER_KILOMETRE)]


def located(path: Path, grid: Grid, count: int) -> list[Trip]:
    """Trips that are no outliers."""
    write_trips(path, count, seed=7, taxis=30)
    return [on_map for trip in trips(path) if (on_map := grid.locate(trip))]


def passed(
    query: type[TopTen[object]], context: MockProcessorContext, given: list[Trip], starts: set[int]
) -> list[Record]:
    """The lists that trips lead to; a new task takes over before those whose place is in `starts`."""
    task = query()
    task.init(context)
    for place, trip in enumerate(given):
        if place in starts:
            task = query()
            task.init(context)
        task.process(Record(trip.number, trip, trip.read_ms))
    return context.forwarded()


@pytest.mark.parametrize(("query", "grid"), QUERIES)
def test_a_new_task_goes_on_where_the_last_one_was(tmp_path: Path, query: type[TopTen[object]], grid: Grid) -> None:
    """Tasks that start anew, and trips that come again, change no list."""
    given, random = located(tmp_path / "trips.csv", grid, 2_000), Random(3)
    expected = passed(query, MockProcessorContext(stores=[WINDOW]), given, set())
    again = []
    for place in range(0, len(given), 50):
        again += given[max(0, place - random.randrange(20)) : place + 50]
    starts = set(random.sample(range(len(again)), k=100))
    assert len(expected) > 200
    assert passed(query, MockProcessorContext(stores=[WINDOW]), again, starts) == expected


@pytest.mark.parametrize(("query", "grid"), QUERIES)
def test_the_store_holds_the_window(tmp_path: Path, query: type[TopTen[object]], grid: Grid) -> None:
    """The trips of half an hour, and no others."""
    given, context = located(tmp_path / "trips.csv", grid, 2_000), MockProcessorContext(stores=[WINDOW])
    passed(query, context, given, set())
    begin_ms = given[-1].dropped_off_ms - 30 * 60_000
    assert [trip for _, trip in context.store("window").all()] == [
        trip for trip in given if trip.dropped_off_ms > begin_ms
    ]
