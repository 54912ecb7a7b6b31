"""The pandas recomputation against totals worked out by hand, and against plain Python."""

from collections import Counter
from pathlib import Path

from examples.taxi.check import recompute
from examples.taxi.data import open_trips
from examples.taxi.generator import write_trips

HEADER = "pickup,dropoff,passengers,distance,fare,tip,tolls,total,payment,pickup_zone"
TEN_MINUTES_MS = 600_000
NOON_MS = 1_551_441_600_000  # 2019-03-01 12:00


def test_totals_worked_out_by_hand(tmp_path: Path) -> None:
    """Two rides of one zone in one window, one in the next, one elsewhere, and one for each rule."""
    lines = [
        "2019-03-01 12:00:00,2019-03-01 12:05:00,1,1,7.5,0,0,7.5,cash,Astoria",
        "2019-03-01 12:09:59,2019-03-01 12:30:00,1,0,2.5,0,0,2.5,credit card,Astoria",
        "2019-03-01 12:10:00,2019-03-01 12:30:00,1,1,5,0,0,5,credit card,Astoria",
        "2019-03-01 11:59:59,2019-03-01 12:30:00,1,1,4,0,0,4,credit card,Corona",
        "2019-03-01 12:00:00,2019-03-01 12:05:00,1,1,7.5,0,0,7.5,cash,Atlantis",
        "2019-03-01 12:00:00,2019-03-01 12:05:00,1,1,-7.5,0,0,7.5,cash,Astoria",
        "2019-03-01 12:00:00,2019-03-01 12:05:00,1,1,7.5,0,0,7.5,,Astoria",
        "2019-03-01 12:00:00,2019-03-01 11:05:00,1,1,7.5,0,0,7.5,cash,Astoria",
        "2019-05-01 12:00:00,2019-05-01 12:05:00,1,1,7.5,0,0,7.5,cash,Astoria",
        ",2019-03-01 12:05:00,1,1,7.5,0,0,7.5,cash,Astoria",
    ]
    (tmp_path / "t.csv").write_text("\n".join([HEADER, *lines]))
    totals = recompute(tmp_path / "t.csv", 100)
    assert totals.rides == 8
    assert totals.turned_away == {"stray date": 1, "no pickup or dropoff time": 1}
    assert totals.refused == {"no zone": 1, "nothing to pay": 1, "no payment": 1, "ends before it begins": 1}
    assert totals.takings == {(7, NOON_MS): (2, 1000), (7, NOON_MS + TEN_MINUTES_MS): (1, 500),
                              (56, NOON_MS - TEN_MINUTES_MS): (1, 400)}  # fmt: skip
    assert (totals.confirmed, totals.fares) == (4, 19.0)


def test_pandas_and_the_reader_agree_on_generated_trips(tmp_path: Path) -> None:
    """The file's own reader turns away the same rows, and leaves the same rides in every zone."""
    write_trips(tmp_path / "t.csv", 5_000, seed=11)
    totals = recompute(tmp_path / "t.csv", 4_000)
    trips = open_trips(tmp_path / "t.csv", limit=4_000)
    assert totals.turned_away == trips.turned_away
    assert totals.rides == sum(1 for _ in trips.rides())
    zones = Counter(ride.zone for ride in trips.rides() if ride.zone is not None)
    taken = Counter(dict.fromkeys(zones, 0))
    for (zone, _), (rides, _) in totals.takings.items():
        taken[zone] += rides
    assert 0 <= (zones - taken).total() < sum(totals.refused.values())
