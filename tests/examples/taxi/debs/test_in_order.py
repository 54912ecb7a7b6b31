"""Trips in order, lot by lot: whatever the lots are, and however often a task starts anew on its stores."""

from pathlib import Path
from random import Random

import pytest

from examples.taxi.debs.frequent_routes import FrequentRoutes
from examples.taxi.debs.generator import write_trips
from examples.taxi.debs.grid import HALF_KILOMETRE, QUARTER_KILOMETRE, Grid, locator
from examples.taxi.debs.in_order import LOTS, STORES, InOrder
from examples.taxi.debs.messages import Located, Ten
from examples.taxi.debs.profitable_areas import ProfitableAreas
from examples.taxi.debs.trip_file import trips
from streams import Batch
from streams.testing import MockProcessorContext

QUERIES = [(FrequentRoutes, HALF_KILOMETRE), (ProfitableAreas, QUARTER_KILOMETRE)]


def located(path: Path, grid: Grid, count: int) -> list[Located]:
    write_trips(path, count, seed=7, taxis=30)
    return [locator(grid)(trip) for trip in trips(path)]


def lists(
    query: type[InOrder], context: MockProcessorContext, lots: list[list[Located]], starts: set[int]
) -> list[Ten]:
    """What comes of lots; a new task takes over before those whose place is in `starts`."""
    task, found = query(), []
    task.init(context)
    for place, lot in enumerate(lots):
        if place in starts:
            task = query()
            task.init(context)
        result = task.process_batch(Batch([trip.number for trip in lot], lot, [0] * len(lot)))
        found += result.values if result else []
    return found


@pytest.mark.parametrize(("query", "grid"), QUERIES)
def test_a_new_task_goes_on_where_the_last_one_was(tmp_path: Path, query: type[InOrder], grid: Grid) -> None:
    """Lots of any size, trips that overtake each other or come again, tasks that start anew: the lists are the same."""
    given, random = located(tmp_path / "trips.csv", grid, 2_000), Random(3)
    expected = lists(query, MockProcessorContext(stores=STORES), [given], set())
    mixed = sorted(given, key=lambda trip: trip.number + random.random() * 40)
    lots = []
    while mixed:
        size = random.randrange(1, 60)
        lots.append(mixed[:size] + random.sample(given[: mixed[0].number + 1], k=min(3, mixed[0].number + 1)))
        del mixed[:size]
    starts = set(random.sample(range(len(lots)), k=len(lots) // 2))
    assert len(expected) > 200
    assert lists(query, MockProcessorContext(stores=STORES), lots, starts) == expected


@pytest.mark.parametrize(("query", "grid"), QUERIES)
def test_lots_go_when_none_of_their_trips_is_needed(tmp_path: Path, query: type[InOrder], grid: Grid) -> None:
    """The store holds little more than the window."""
    given, context = located(tmp_path / "trips.csv", grid, 2_000), MockProcessorContext(stores=STORES)
    lists(query, context, [given[place : place + 20] for place in range(0, 2_000, 20)], set())
    kept = [trip for _, lot in context.store(LOTS).all() for trip in lot.trips]
    begin_ms = given[-1].dropped_off_ms - query.window_ms
    assert {trip.number for trip in given if trip.dropped_off_ms > begin_ms} <= {trip.number for trip in kept}
    assert len(kept) <= sum(trip.dropped_off_ms > begin_ms for trip in given) + 60
