"""The pipeline's programs under the TopologyTestDriver, one after the other, against pandas' totals."""

from collections import Counter
from pathlib import Path

import pytest

from examples.taxi import topology
from examples.taxi.check import Totals, recompute
from examples.taxi.data import Trips, open_trips
from examples.taxi.generator import write_trips
from examples.taxi.messages import Confirmed, Refused, Ride, Takings
from examples.taxi.zones import ZONES
from streams.testing import TopologyTestDriver

REAL = Path(__file__).parents[4] / "shared" / "data" / "taxis.csv"
RIDE = Ride(17, 132, 600_000, 1_200_000, 1, 9.5, 52.0, 10.0, 6.55, 72.0, "credit card")


@pytest.fixture(scope="module", params=["generated", "real"])
def trips(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trips:
    if request.param == "real":
        if not REAL.exists():
            pytest.skip("the sample of real trips is not on this machine")
        return open_trips(REAL)
    path = tmp_path_factory.mktemp("trips") / "trips.csv"
    write_trips(path, 3_000, seed=21)
    return open_trips(path)


@pytest.fixture(scope="module")
def totals(trips: Trips) -> Totals:
    return recompute(trips.path, trips.count)


def run_transaction(rides: list[Ride]) -> tuple[list[tuple[int, Confirmed]], list[Refused]]:
    with TopologyTestDriver(topology.transaction()) as driver:
        zones, details = driver.input("zones"), driver.input("ride_details")
        for number, zone in ZONES.items():
            zones.send(key=number, value=zone, timestamp=0)
        for ride in rides:
            details.send(key=ride.id, value=ride, timestamp=ride.picked_up_ms)
        confirmed = [(record.key, record.value) for record in driver.output("ride_confirmed").read()]
        return confirmed, driver.output("ride_refused").read_values()


def test_a_ride_is_confirmed_with_its_zone_and_a_driver() -> None:
    """The zone's number becomes the key, its names part of the value."""
    confirmed, refused = run_transaction([RIDE])
    assert confirmed == [(132, Confirmed(17, "JFK Airport", "Queens", "driver_017", 52.0))]
    assert refused == []


def test_the_whole_pipeline_comes_to_pandas_totals(trips: Trips, totals: Totals) -> None:
    """Confirmed, refused by reason, and rides and fares of each zone and ten minutes are equal to pandas'."""
    confirmed, refused = run_transaction(list(trips.rides()))
    assert len(confirmed) == totals.confirmed
    assert Counter(ride.reason for ride in refused) == totals.refused
    times = {ride.id: ride.picked_up_ms for ride in trips.rides()}
    with TopologyTestDriver(topology.analytics()) as driver:
        rides_in = driver.input("ride_confirmed")
        for zone, ride in confirmed:
            rides_in.send(key=zone, value=ride, timestamp=times[ride.id])
        latest: dict[object, Takings] = driver.output("zone_takings").read_to_dict()
        assert not driver.dropped_records
    found = {(key.key, key.start_ms): (total.rides, round(total.fares * 100)) for key, total in latest.items()}
    assert found == totals.takings


def test_every_confirmed_ride_gets_an_email() -> None:
    """The function is called once a ride."""
    sent: list[Confirmed] = []
    with TopologyTestDriver(topology.email(sent.append)) as driver:
        ride = Confirmed(17, "JFK Airport", "Queens", "driver_017", 52.0)
        driver.input("ride_confirmed").send(key=132, value=ride, timestamp=600_000)
    assert sent == [ride]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"zone": None}, "no zone"),
        ({"fare": -52.0}, "nothing to pay"),
        ({"fare": 0.0}, "nothing to pay"),
        ({"payment": None}, "no payment"),
        ({"payment": "dispute"}, "no payment"),
        ({"dropped_off_ms": 599_999}, "ends before it begins"),
        ({"zone": None, "fare": 0.0}, "no zone"),
        ({"miles": 0.0, "passengers": 0}, None),
        ({"dropped_off_ms": 600_000}, None),
    ],
)
def test_refusals(change: dict[str, object], reason: str | None) -> None:
    """The first reason counts; a distance of zero is none."""
    fields = {name: getattr(RIDE, name) for name in Ride.__struct_fields__}
    assert topology.refusal(Ride(**{**fields, **change})) == reason
