"""Small files of hostile shape in the challenge's format: borders, ties, equal times, odd money, odd lines.

`python -m tests.examples.taxi.debs.hostile --seed 1 --count 500` compares both queries over many of them with the
recomputation. Rules: the same seed gives the same file. Everything in it is allowed: what is refused is tested in
test_trip_file.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from examples.taxi.debs.computation import QUERIES
from examples.taxi.debs.lines import line
from examples.taxi.debs.trip_file import trips
from streams.testing import TopologyTestDriver
from tests.examples.taxi.debs.recomputation import answers, written

WEST, NORTH, EAST, SOUTH = -74.913585, 41.474937, 0.005986, 0.004491556
MINUTE, QUARTER, HALF_HOUR = 60, 900, 1_800
GAPS = (
    0,
    0,
    0,
    1,
    7,
    MINUTE,
    5 * MINUTE,
    QUARTER - 1,
    QUARTER,
    QUARTER + 1,
    HALF_HOUR - 1,
    HALF_HOUR,
    HALF_HOUR + 1,
    86_400,
)
FARES = ("12.30", "10.10", "12.3", "5", "5.00", "0", "", "-3.50", "2.5", "1e1", " 7.25", "100000", "0.01", "3.333")
TIPS = ("0.00", "2.20", "", "1.15", "0", "2.2")


def write(path: Path, seed: int) -> None:
    """A file of 1 to 120 trips."""
    random = Random(seed)
    count = random.choice((1, 2, 3, 40, 120))
    place = _outlier if random.random() < 0.02 else _place
    places = [place(random) for _ in range(random.choice((1, 2, 5, 12)))]
    quoted = random.choice((0.0, 0.0, 0.1, 1.0))
    taxis = [f"TAXI{number}" for number in range(random.choice((1, 2, 4, 30)))]
    money = [(random.choice(FARES), random.choice(TIPS)) for _ in range(random.choice((0, 0, 2, 30)))]
    money = money or [("12.30", "0.00"), ("10.10", "2.20")]  # equal in dollars and cents
    gaps = random.sample(GAPS, k=random.randrange(1, len(GAPS)))
    at, lines = datetime(random.choice((1969, 2013, 2016, 2031)), 2, 28, 23, 50), []
    for _ in range(count):
        at += timedelta(seconds=random.choice(gaps))
        begin = at - timedelta(seconds=random.choice((0, 30, 600, 4_000, -90)))
        fare, tip = random.choice(money)
        paid = f"{float(fare or 0) + 0.5 + float(tip or 0):.2f}"
        start, goal = random.choice(places), random.choice(places)
        cells = [random.choice(taxis), "LICENCE", str(begin), str(at), "60", "1.00", *start, *goal, "CSH", fare, "0.00"]
        cells += ["0.50", tip, "0.00", paid]
        lines.append(",".join(f'"{cell}"' if random.random() < quoted else cell for cell in cells))
        if random.random() < 0.05:
            lines.append(lines[-1])
        if random.random() < 0.03:
            lines.append("")
    end = random.choice(("\n", "\r\n"))
    text = end.join(lines) + random.choice((end, end, ""))
    path.write_bytes(random.choice(("", "", "\ufeff")).encode() + text.encode())


def _outlier(random: Random) -> tuple[str, str]:
    """A point beyond the map."""
    return random.choice((("", ""), ("0", "0"), ("-75.5", "41.0"), ("-73.9", "52.4")))


def _place(random: Random) -> tuple[str, str]:
    """A point of a cell, on its border, in a corner of the map, beyond it, or nowhere; as longitude and latitude."""
    columns, rows = random.choice(((0, 0), (1, 2), (40, 170), (155, 160), (299, 299), (random.randrange(300), 7)))
    across, down = random.choice(((0, 0), (0.5, 0), (0, 0.5), (-0.5, -0.5), (0.25, 0.25), (0.49999, -0.25), (0.5, 0.5)))
    longitude, latitude = WEST + (columns + across) * EAST, NORTH - (rows + down) * SOUTH
    match random.randrange(12):
        case 0:
            return random.choice((("", ""), ("0", "0"), ("0.000000", "0.000000"), ("", f"{latitude}"), ("180", "90")))
        case 1:
            return f"{WEST - 0.5 * EAST - 1e-6:.6f}", f"{latitude:.6f}"
        case 2:
            return f"{longitude!r}", f"{latitude!r}"
        case 3:
            return f"{longitude:.6e}", f"{latitude:.9f}"
    return f"{longitude:.6f}", f"{latitude:.6f}"


def problem(directory: Path, seed: int) -> str:
    """What differs between the queries and the recomputation over the file of a seed, "" if nothing does."""
    path, output = directory / f"{seed}.csv", directory / f"{seed}-out.csv"
    write(path, seed)
    for number, query in QUERIES.items():
        with TopologyTestDriver(query.app) as driver:
            into = driver.input("trips")
            for trip in trips(path):
                into.send(trip.number, trip)
            found = driver.output(query.results).read_values()
        output.write_text("".join(line(change, query.columns, change.read_ms) + "\n" for change in found))
        lists, expected = list(written(output)), list(answers(path, number))
        if lists != expected:
            place = next((at for at, pair in enumerate(zip(lists, expected, strict=False)) if pair[0] != pair[1]), -1)
            return f"seed {seed}, query {number}, list {place + 1} of {len(expected)} ({len(lists)} found)"
    return ""


def main() -> int:
    """Try many seeds. Returns: the exit code, 1 when a list differs."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--count", type=int, default=500)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="hostile-") as directory:
        for seed in range(given.seed, given.seed + given.count):
            if found := problem(Path(directory), seed):
                print(found)
                return 1
    print(f"{given.count} files from seed {given.seed}, both queries: every list equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
