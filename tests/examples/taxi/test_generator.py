"""The generator of trips: repeatable, prefix-stable, and as dirty as reality."""

from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.taxi.data import open_trips
from examples.taxi.generator import COLUMNS, trips, write_trips


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), shorter=st.integers(0, 60), longer=st.integers(60, 120))
def test_a_longer_run_begins_with_the_shorter_one(seed: int, shorter: int, longer: int) -> None:
    """More trips of a seed begin with the same trips, so that a second run continues the first."""
    assert list(islice(trips(seed), longer))[:shorter] == list(islice(trips(seed), shorter))


def test_seeds_differ() -> None:
    """Another seed gives other trips."""
    assert list(islice(trips(1), 20)) != list(islice(trips(2), 20))


@pytest.fixture(scope="module")
def generated() -> list[dict[str, object]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in islice(trips(3), 20_000)]


@pytest.mark.parametrize(
    ("kind", "applies"),
    [
        ("zero distance", lambda trip: trip["distance"] == 0),
        ("negative fare", lambda trip: trip["fare"] < 0),
        ("no payment", lambda trip: trip["payment"] is None),
        ("no zone", lambda trip: trip["pickup_zone"] is None),
        ("stray date", lambda trip: trip["pickup"].year != 2024),
        ("no dropoff", lambda trip: trip["dropoff"] is None),
        ("backwards", lambda trip: trip["dropoff"] is not None and trip["dropoff"] < trip["pickup"]),
    ],
)
def test_every_kind_of_dirt_occurs_but_is_rare(generated: list[dict[str, object]], kind: str, applies) -> None:
    """Each defect of real files is there, in less than two trips of a hundred."""
    share = sum(map(applies, generated)) / len(generated)
    assert 0 < share < 0.02, kind


def test_some_trips_arrive_late(generated: list[dict[str, object]]) -> None:
    """A trip may be reported hours after later ones."""
    pickups = [trip["pickup"] for trip in generated if trip["pickup"].year == 2024]
    late = sum((before - after).total_seconds() > 600 for before, after in pairwise(pickups))
    assert late > 100


def test_written_trips_pass_the_check_of_files(tmp_path: Path) -> None:
    """A generated file is a good file, with strays and missing times turned away at the door."""
    write_trips(tmp_path / "made" / "trips.csv", 5_000, seed=3)
    opened = open_trips(tmp_path / "made" / "trips.csv")
    assert opened.count == 5_000
    assert set(opened.turned_away) == {"stray date", "no pickup or dropoff time"}
    assert len(list(opened.rides())) == 5_000 - opened.turned_away.total()
