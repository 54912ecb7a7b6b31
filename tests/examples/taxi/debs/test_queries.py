"""Both queries under the TopologyTestDriver: rules worked out by hand, and generated trips beside the recomputation."""

from pathlib import Path
from typing import Any

import pytest

from examples.taxi.debs.computation import QUERIES
from examples.taxi.debs.frequent_routes import frequent_routes
from examples.taxi.debs.generator import write_trips
from examples.taxi.debs.grid import HALF_KILOMETRE, QUARTER_KILOMETRE, Grid
from examples.taxi.debs.lines import line
from examples.taxi.debs.messages import DOLLAR, Change, Trip
from examples.taxi.debs.profitable_areas import profitable_areas
from examples.taxi.debs.source import Fleet, open_source
from examples.taxi.debs.trip_file import trips
from examples.taxi.zones import NUMBERS
from streams.testing import TopologyTestDriver
from tests.examples.taxi.debs import hostile
from tests.examples.taxi.debs.recomputation import answers, answers_to, written, zone_trips

SHARED = Path(__file__).parents[5] / "shared" / "data"
MINUTE = 60_000
APPS = {1: frequent_routes, 2: profitable_areas}


def trip(number: int, minute: float, start: int, end: int, *, taxi: str = "a", dollars: float = 10) -> Trip:
    """A trip of five minutes between zones, whose numbers are their names, ended at a minute."""
    end_ms = round(minute * MINUTE)
    return Trip(number, taxi, end_ms - 5 * MINUTE, end_ms, f"{start}", f"{end}", round(dollars * DOLLAR), read_ms=0)


def changes(query: int, given: list[Trip]) -> list[Change[Any]]:
    """The lists that trips lead to."""
    with TopologyTestDriver(APPS[query]()) as driver:
        trips_in = driver.input("trips")
        for each in given:
            trips_in.send(each.number, each)
        return driver.output(QUERIES[query].results).read_values()


def lists(query: int, given: list[Trip]) -> list[Any]:
    return [change.ten for change in changes(query, given)]


def test_routes_by_frequency_then_by_the_later_trip() -> None:
    """Of equals the route with the later trip is first; more trips win."""
    found = lists(1, [trip(0, 0, 1, 2), trip(1, 0, 3, 4), trip(2, 1, 1, 2), trip(3, 2, 3, 4)])
    assert found == [
        [("1", "2")],
        [("3", "4"), ("1", "2")],
        [("1", "2"), ("3", "4")],
        [("3", "4"), ("1", "2")],
    ]


def test_a_list_that_stays_is_not_written_again() -> None:
    """One more trip of the first route changes nothing."""
    assert len(lists(1, [trip(0, 0, 1, 2), trip(1, 1, 1, 2), trip(2, 2, 1, 2)])) == 1


def test_a_window_begins_after_its_first_minute() -> None:
    """A trip is out as soon as another ended exactly 30 minutes later, and in a millisecond before."""
    just_in = [trip(0, 0, 1, 2), trip(1, 30 - 1 / MINUTE, 3, 4)]
    assert lists(1, just_in)[-1] == [("3", "4"), ("1", "2")]
    assert lists(1, [trip(0, 0, 1, 2), trip(1, 30, 3, 4)])[-1] == [("3", "4")]


def test_an_outlier_is_no_trip_at_all() -> None:
    """It neither counts, nor moves the window, nor is it waited for."""
    beyond = Trip(1, "a", 0, 90 * MINUTE, "", "5", 0, 0)
    assert lists(1, [trip(0, 0, 1, 2), beyond, trip(2, 20, 3, 4)])[-1] == [("3", "4"), ("1", "2")]


def test_profitability_is_the_median_by_empty_taxi() -> None:
    """An even number of trips has the mean of the middle two; a taxi counts where its latest trip ended."""
    found = lists(
        2,
        [
            trip(0, 0, 1, 1, taxi="a", dollars=10),
            trip(1, 1, 1, 1, taxi="b", dollars=13),
            trip(2, 2, 1, 2, taxi="b", dollars=40),
        ],
    )
    assert found == [[("1", 1, 10.0, 10.0)], [("1", 2, 11.5, 5.75)], [("1", 1, 13.0, 13.0)]]


def test_an_area_without_an_empty_taxi_has_no_profitability() -> None:
    """Nothing is written before there is an area, and an empty list when the last one goes."""
    found = lists(2, [trip(0, 0, 1, 2), trip(1, 1, 2, 3, taxi="b"), trip(2, 2, 4, 5)])
    assert found == [[("2", 1, 10.0, 10.0)], []]


def test_profits_last_15_minutes_and_empty_taxis_30() -> None:
    """An area is gone when its trips are 15 minutes old, and taxis are fewer when they have waited 30."""
    first = [trip(0, 0, 1, 1, taxi="a"), trip(1, 14, 1, 9, taxi="b", dollars=20)]
    assert lists(2, [*first, trip(2, 15, 8, 9, taxi="c")])[-1] == [("1", 1, 20.0, 20.0)]
    assert lists(2, [*first, trip(2, 29, 8, 9, taxi="c")])[-1] == []
    again = trip(2, 20, 1, 1, taxi="d")
    assert lists(2, [*first, again, trip(3, 30, 8, 7, taxi="c")])[-1] == [("1", 1, 10.0, 10.0)]


def test_equal_money_is_a_tie_whatever_its_parts() -> None:
    """10.10 + 2.20 and 12.30 are the same, so the area of the later trip is first."""
    given = [
        Trip(0, "a", 0, 0, "1", "1", round(12.3 * DOLLAR), 0),
        Trip(1, "b", 0, 0, "2", "2", round(10.1 * DOLLAR) + round(2.2 * DOLLAR), 0),
        Trip(2, "c", 0, 0, "3", "3", round(12.3 * DOLLAR), 0),
    ]
    assert [area[0] for area in lists(2, given)[-1]] == ["3", "2", "1"]


def test_a_nameless_taxi_is_taken_by_the_next_trip_that_begins_where_it_stands() -> None:
    """Without names, a trip takes the taxi that came last before it began."""
    fleet = Fleet()
    assert [fleet.drive("1", "1", -5, 0), fleet.drive("1", "1", -2, 3), fleet.drive("1", "9", 1, 6)] == ["1", "2", "1"]
    assert [fleet.drive("1", "1", 4, 9), fleet.drive("9", "1", 5, 10)] == ["2", "3"]


@pytest.mark.parametrize("grid", [HALF_KILOMETRE, QUARTER_KILOMETRE])
def test_cells_are_centred_and_counted_east_and_south(grid: Grid) -> None:
    """The given point is the middle of 1.1; half a cell beyond the first and the last there is nothing."""
    west, north = -74.913585, 41.474937
    assert grid.cell((west, north)) == "1.1"
    assert grid.cell((west + 2 * grid.east, north - 6 * grid.south)) == "3.7"
    assert grid.cell((west - 0.49 * grid.east, north + 0.49 * grid.south)) == "1.1"
    assert grid.cell((west - 0.51 * grid.east, north)) == ""
    assert grid.cell((west, north + 0.51 * grid.south)) == ""
    last = (west + (grid.cells - 0.51) * grid.east, north - (grid.cells - 0.51) * grid.south)
    assert grid.cell(last) == f"{grid.cells}.{grid.cells}"
    assert grid.cell((west + (grid.cells - 0.49) * grid.east, north)) == ""


def in_cells(taxi: str, begin: str, end: str, cells: tuple[int, int], fare: str = "10.00") -> str:
    """A line of a trip from one cell of query 2 to another, numbered from west to east in the northernmost row."""
    start, goal = (f"{-74.913585 + 0.002993 * (x - 1):.6f},41.474937" for x in cells)
    return f"{taxi},licence,{begin},{end},60,1.00,{start},{goal},CSH,{fare},0.00,0.50,0.00,0.00,{fare}\n"


def written_for(tmp_path: Path, query: int, content: str) -> list[str]:
    """The lines of the output for the lines of a file, without NULL and delay."""
    (tmp_path / "trips.csv").write_text(content)
    found = [
        line(change, QUERIES[query].columns, change.read_ms)
        for change in changes(query, list(trips(tmp_path / "trips.csv")))
    ]
    return [",".join(cell for cell in each.split(",")[:-1] if cell != "NULL") for each in found]


@pytest.mark.parametrize("year", ["0900", "1960", "2013", "9998"])
def test_trips_may_be_of_any_year(tmp_path: Path, year: str) -> None:
    """Before 1970, and after the clock of the broker, which would refuse records of the future."""
    begin, end = f"{year}-12-31 23:59:59", f"{year}-12-31 23:59:59"
    assert written_for(tmp_path, 1, in_cells("a", begin, end, (1, 3))) == [f"{begin},{end},1.1,2.1"]


def test_dollars_have_no_exponents(tmp_path: Path) -> None:
    """However little or much it is."""
    at = "2013-01-01 00:00:00"
    lines = [in_cells("a", at, at, (1, 1), "0.00001"), in_cells("b", at, at, (2, 2), "123456789012")]
    little, much = "1.1,1,0.00001,0.00001", "2.1,1,123456789012.0,123456789012.0"
    assert written_for(tmp_path, 2, "".join(lines)) == [f"{at},{at},{little}", f"{at},{at},{much},{little}"]


def test_trips_that_are_told_twice_count_twice(tmp_path: Path) -> None:
    """A file may hold the same line again: two trips, but one taxi."""
    at = "2013-01-01 00:00:00"
    first, again = in_cells("a", at, at, (5, 5), "6.00"), in_cells("b", at, at, (5, 5), "9.00")
    assert written_for(tmp_path, 2, first + again + again) == [
        f"{at},{at},5.1,1,6.0,6.0",
        f"{at},{at},5.1,2,7.5,3.75",
        f"{at},{at},5.1,2,9.0,4.5",
    ]


@pytest.mark.parametrize("query", [1, 2])
@pytest.mark.parametrize("taxis", [4, 40])
def test_generated_trips_come_to_the_recomputed_lists(tmp_path: Path, query: int, taxis: int) -> None:
    """Sparse and dense, dirt and gaps included, line by line but for the delay."""
    write_trips(tmp_path / "trips.csv", 1_500, seed=query, taxis=taxis)
    found = changes(query, list(trips(tmp_path / "trips.csv")))
    (tmp_path / "out.csv").write_text(
        "".join(line(change, QUERIES[query].columns, change.read_ms) + "\n" for change in found)
    )
    assert len(found) > 100
    assert list(written(tmp_path / "out.csv")) == list(answers(tmp_path / "trips.csv", query))


@pytest.mark.parametrize("seed", range(12))
def test_hostile_files_come_to_the_recomputed_lists(tmp_path: Path, seed: int) -> None:
    """Borders, ties, equal times, odd money and odd lines; `python -m tests.examples.taxi.debs.hostile` tries many."""
    assert hostile.problem(tmp_path, seed) == ""


@pytest.mark.parametrize("query", [1, 2])
@pytest.mark.parametrize("name", ["taxis.csv", "rides.csv"])
def test_real_trips_come_to_the_recomputed_lists(tmp_path: Path, query: int, name: str) -> None:
    """Zones instead of cells: the commission's trips and seaborn's sample of them, put in order of drop-off."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip("the sample of real trips is not on this machine")
    found = changes(query, list(open_source(path).trips()))
    (tmp_path / "out.csv").write_text(
        "".join(line(change, QUERIES[query].columns, change.read_ms) + "\n" for change in found)
    )
    assert len(found) > 100
    assert list(written(tmp_path / "out.csv")) == list(answers_to(zone_trips(path, NUMBERS), query))
