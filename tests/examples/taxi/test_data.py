"""Files of trips: what is read from them, who is turned away, and what a bad one is told."""

from pathlib import Path

import pandas as pd
import pytest

from examples.taxi.data import open_trips
from examples.taxi.layouts import TripsError
from examples.taxi.messages import Ride

HEADER = (
    "pickup,dropoff,passengers,distance,fare,tip,tolls,total,color,payment,"
    "pickup_zone,dropoff_zone,pickup_borough,dropoff_borough"
)
TRIP = (
    "2019-03-23 20:21:09,2019-03-23 20:27:24,1,1.6,7.0,2.15,0.0,12.95,yellow,credit card,"
    "Lenox Hill West,Astoria,Manhattan,Queens"
)
TLC_HEADER = (
    "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,PULocationID,DOLocationID,"
    "payment_type,fare_amount,tip_amount,tolls_amount,total_amount"
)
RIDE = Ride(1, 141, 1_553_372_469_000, 1_553_372_844_000, 1, 1.6, 7.0, 2.15, 0.0, 12.95, "credit card")


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_seaborn_columns(tmp_path: Path) -> None:
    """Zones are names there, and become numbers."""
    assert list(open_trips(written(tmp_path / "t.csv", HEADER, TRIP)).rides()) == [RIDE]


def test_commission_columns(tmp_path: Path) -> None:
    """The commission's own columns give the same ride, in any case and order, codes resolved."""
    line = "1,2019-03-23 20:21:09,2019-03-23 20:27:24,1.0,1.6,141,7,1,7.0,2.15,0.0,12.95"
    assert list(open_trips(written(tmp_path / "t.csv", TLC_HEADER.upper(), line)).rides()) == [RIDE]


def test_parquet_equals_csv(tmp_path: Path) -> None:
    """A Parquet file, missing values as NaN, gives what its CSV gives."""
    lines = [
        "2,2020-07-01 00:03:19,2020-07-01 00:25:43,1.0,9.5,138,216,2,26.5,0,0,27.8",
        "1,2020-07-01 00:25:32,2020-07-01 00:33:39,,1.5,,75,,8.0,0,0,9.3",
    ]
    csv_file = written(tmp_path / "t.csv", TLC_HEADER, *lines)
    frame = pd.read_csv(csv_file, parse_dates=["tpep_pickup_datetime", "tpep_dropoff_datetime"])
    frame.to_parquet(tmp_path / "t.parquet")
    rides = list(open_trips(tmp_path / "t.parquet").rides())
    assert rides == list(open_trips(csv_file).rides())
    assert (rides[1].zone, rides[1].payment, rides[1].passengers) == (None, None, 0)


@pytest.mark.parametrize("year", ["1965", "2199"])
def test_a_year_that_no_broker_takes(tmp_path: Path, year: str) -> None:
    """A file of before 1970, or of the future, is refused as a whole."""
    with pytest.raises(TripsError, match=f"picked up at {year}-03-23 20:21, and a broker takes no records"):
        open_trips(written(tmp_path / "t.csv", HEADER, TRIP.replace("2019", year)))


def test_strays_and_rows_without_time_are_turned_away(tmp_path: Path) -> None:
    """Ids are rows of the file, so those turned away leave gaps."""
    stray = TRIP.replace("2019-03", "2053-03")
    timeless = "," + TRIP.split(",", 1)[1]
    trips = open_trips(written(tmp_path / "t.csv", HEADER, stray, TRIP, timeless, TRIP))
    assert trips.turned_away == {"stray date": 1, "no pickup or dropoff time": 1}
    assert [ride.id for ride in trips.rides()] == [2, 4]


def test_only_so_many_rows(tmp_path: Path) -> None:
    """A limit makes the file end early."""
    trips = open_trips(written(tmp_path / "t.csv", HEADER, TRIP, TRIP, TRIP), limit=2)
    assert trips.count == 2
    assert [ride.id for ride in trips.rides()] == [1, 2]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([], "t.csv is empty: expected a line with column names"),
        ([HEADER], "has a header but no trips"),
        (["a,b,c", "1,2,3"], "has other columns than trips have: .* missing; found a, b, c. Give a yellow or green"),
        ([HEADER, TRIP, TRIP[:70]], "line 3: expected 14 columns, found 9. The file seems cut"),
        ([HEADER, TRIP, TRIP, TRIP[:-3]], "line 4: ends without a line end, after 'Que' in column dropoff_borough"),
        ([HEADER, TRIP, TRIP, TRIP[:-6]], "line 4: ends without a line end, after '' in column dropoff_borough"),
        ([HEADER, TRIP.replace("7.0", "7,0")], "line 2: expected 14 columns, found 15"),
        ([HEADER, TRIP.replace("7.0", "seven")], "line 2, column fare: expected a number, found 'seven'"),
        ([HEADER, TRIP.replace("7.0", "inf")], "line 2, column fare: expected a number, found 'inf'"),
        ([HEADER, TRIP.replace("2019-03-23 20:21", "23/3/19")], "line 2, column pickup: expected a time such as"),
        ([HEADER, TRIP.replace("Astoria", '"Astoria')], "line 3: not a CSV file of UTF-8 text"),
    ],
)
def test_bad_files_are_told_where_and_what_to_do(tmp_path: Path, lines: list[str], sentence: str) -> None:
    """A damaged file is refused as a whole, with the place and the cure."""
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(TripsError, match=sentence):
        open_trips(path)


@pytest.mark.parametrize("cut", range(1, len(TRIP)))
def test_a_cut_at_any_byte_is_noticed(tmp_path: Path, cut: int) -> None:
    """Wherever in its last line a file was cut."""
    (tmp_path / "t.csv").write_text("\n".join([HEADER, TRIP, TRIP, TRIP[:cut]]))
    with pytest.raises(TripsError, match="seems cut"):
        open_trips(tmp_path / "t.csv")


def test_a_whole_file_may_lack_its_last_line_end(tmp_path: Path) -> None:
    """What ends as other lines end is whole."""
    (tmp_path / "t.csv").write_text(f"{HEADER}\n{TRIP}\n{TRIP}")
    assert open_trips(tmp_path / "t.csv").count == 2


def test_bad_paths(tmp_path: Path) -> None:
    """A missing file and a directory are named."""
    with pytest.raises(TripsError, match=r"nowhere.csv does not exist. Name a CSV or Parquet file"):
        open_trips(tmp_path / "nowhere.csv")
    with pytest.raises(TripsError, match=r"is a directory"):
        open_trips(tmp_path)


def test_cut_parquet(tmp_path: Path) -> None:
    """A Parquet file has its schema at the end: cut, it is not one."""
    pd.DataFrame({"a": range(1000)}).to_parquet(tmp_path / "t.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "t.parquet").read_bytes()[:500])
    with pytest.raises(TripsError, match=r"cannot be read as Parquet .* fetch it again"):
        open_trips(tmp_path / "cut.parquet")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Binary rubbish is no CSV."""
    (tmp_path / "t.csv").write_bytes(bytes(range(128, 256)) * 10)
    with pytest.raises(TripsError, match=r"not a CSV file of UTF-8 text"):
        open_trips(tmp_path / "t.csv")
