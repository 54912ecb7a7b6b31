"""Files in the challenge's format: what is read from them, and what a bad one is told."""

from pathlib import Path

import pytest

from examples.taxi.debs.generator import write_trips
from examples.taxi.debs.messages import Trip
from examples.taxi.debs.source import open_source
from examples.taxi.debs.trip_file import COLUMNS, trips
from examples.taxi.layouts import TripsError

TRIP = (
    "07290D3599E7A0D6,E7750A37CAB07D0D,2013-01-01 00:00:00,2013-01-01 00:02:00,120,0.44,-73.956528,40.716976,"
    "-73.962440,40.715008,CSH,3.50,0.50,0.50,0.25,0.00,4.75"
)
LATER = TRIP.replace("00:02:00", "00:03:00")


def read(path: Path, content: str | bytes) -> list[Trip]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(trips(path))


def facts(found: list[Trip]) -> list[tuple[object, ...]]:
    """All of the trips but when they were read."""
    return [
        (each.number, each.taxi, each.picked_up_ms, each.dropped_off_ms, each.start, each.end, each.profit)
        for each in found
    ]


def test_a_line_becomes_a_trip(tmp_path: Path) -> None:
    """Times in ms, places in degrees, fare and tip together in millionths of a dollar."""
    expected = (0, "07290D3599E7A0D6", 1_356_998_400_000, 1_356_998_520_000, (-73.956528, 40.716976))
    (found,) = facts(read(tmp_path / "t.csv", TRIP + "\n"))
    assert found == (*expected, (-73.962440, 40.715008), 3_750_000)


@pytest.mark.parametrize(
    "content",
    [
        f"{TRIP}\n{LATER}",
        f"{TRIP}\r\n{LATER}\r\n",
        f"\ufeff{TRIP}\n\n{LATER}\n",
        f"{TRIP}\n{LATER}\n".replace("CSH", '"CSH"').replace("07290D3599E7A0D6", '"07290D3599E7A0D6"'),
        f"{TRIP}\n{LATER}\n".replace("3.50", "35e-1").replace("-73.956528", " -73.95652800"),
    ],
)
def test_the_same_trips_however_they_are_written(tmp_path: Path, content: str) -> None:
    """No last line end, another platform's, a byte order mark, blank lines, quotes, other forms of numbers."""
    assert facts(read(tmp_path / "t.csv", content)) == facts(read(tmp_path / "u.csv", f"{TRIP}\n{LATER}\n"))


def test_missing_coordinates_and_amounts(tmp_path: Path) -> None:
    """An empty coordinate is off the map, an empty tip is nothing; a refund and a trip that ends before it begins stay."""
    dirty = [
        TRIP.replace("-73.956528", ""),
        TRIP.replace("0.25,", ","),
        TRIP.replace("3.50", "-3.50").replace("00:00:00,", "00:09:00,", 1),
    ]
    found = read(tmp_path / "t.csv", "\n".join(dirty))
    assert [each.start for each in found] == [(0.0, 40.716976), (-73.956528, 40.716976), (-73.956528, 40.716976)]
    assert [each.profit for each in found] == [3_750_000, 3_500_000, -3_250_000]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "t.csv is empty: expected a trip a line"),
        (
            f"{TRIP}\n{TRIP[:70]}",
            "line 2: expected the 17 columns of the DEBS 2015 challenge, found 4. The file seems cut",
        ),
        (f"{TRIP}\n{LATER[:-4]}", "line 2: ends without a line end, and its amounts do not add up"),
        (f"{TRIP}\n{LATER[:-2]}", "line 2: ends without a line end, and its amounts do not add up"),
        (
            ",".join(COLUMNS) + f"\n{TRIP}\n",
            "line 1: a header, which the challenge's files do not have",
        ),
        (
            "a,b,c\n1,2,3\n",
            r"line 1: expected the 17 columns .* found 3 \(a,b,c\)\. Name a file in the challenge's format",
        ),
        (TRIP.replace("3.50", "three"), r"line 1, column 12 \(fare_amount\): expected a number, found 'three'"),
        (TRIP.replace("-73.956528", "nan"), r"line 1, column 7 \(pickup_longitude\): expected a number, found 'nan'"),
        (TRIP.replace("2013-01-01 00:02", "1/1/13 0:02"), r"column 4 \(dropoff_datetime\): expected a time such as"),
        (f"{LATER}\n{TRIP}", "line 2: dropped off at 2013-01-01 00:02:00, which is before the line above .* sort -s"),
        (f'{TRIP}\n"{LATER}', "not a CSV file of UTF-8 text"),
        (bytes(range(128, 256)), "not a CSV file of UTF-8 text"),
    ],
)
def test_bad_files_are_told_where_and_what_to_do(tmp_path: Path, content: str | bytes, sentence: str) -> None:
    """A damaged file is refused as a whole, with the place and the cure."""
    with pytest.raises(TripsError, match=sentence):
        read(tmp_path / "t.csv", content)


def test_bad_paths(tmp_path: Path) -> None:
    """A missing file, a directory and a device are named."""
    with pytest.raises(TripsError, match=r"nowhere.csv does not exist. Name a file in the format"):
        open_source(tmp_path / "nowhere.csv")
    with pytest.raises(TripsError, match="is a directory"):
        open_source(tmp_path)
    with pytest.raises(TripsError, match="/dev/null is no file"):
        open_source(Path("/dev/null"))


def test_generated_trips_are_ordered_and_repeatable(tmp_path: Path) -> None:
    """The same seed gives the same trips, a longer file begins with them, and all of it passes the check."""
    for name, count, seed in (("a", 500, 1), ("b", 900, 1), ("c", 500, 2)):
        write_trips(tmp_path / name, count, seed, taxis=50)
    shorter, longer, other = ((tmp_path / name).read_text() for name in "abc")
    assert longer.startswith(shorter)
    assert shorter != other
    assert open_source(tmp_path / "b").count == 900
