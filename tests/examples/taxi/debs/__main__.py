"""`python -m tests.examples.taxi.debs`: both queries over many generated trips, with kills, against the recomputation."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from examples.taxi.debs.generator import write_trips
from tests.examples.taxi.debs.campaign import MARKS, Run, difference


def main() -> int:
    """Run the campaign. Returns: the exit code, 1 when a list differs."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=1_000_000, help="trips")
    options.add_argument(
        "--taxis", type=int, default=300, help="size of the fleet: the recomputation takes as long as that"
    )
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--kills", type=int, default=3, help="of each kind: worker, broker, command")
    options.add_argument("--query", type=int, choices=(1, 2), action="append", help="default: both")
    options.add_argument("--workers", type=int, action="append", help="default: one, then two")
    options.add_argument("--pause", type=float, default=10.0, help="seconds between two kills on average")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="debs-") as name:
        home = Path(name)
        trips = home / "trips.csv"
        write_trips(trips, given.count, given.seed, given.taxis)
        for query in given.query or (1, 2):
            for workers in given.workers or (1, 2):
                random = Random(f"{given.seed} {query} {workers}")
                victims = [kind for kind in MARKS for _ in range(given.kills)]
                random.shuffle(victims)
                run = Run(trips, home / f"{query}-{workers}.csv", home / f"run-{query}-{workers}", query, workers)
                run.victims, run.random, run.pause_s = victims, random, (given.pause / 2, given.pause * 1.5)
                print(f"query {query}, workers {workers}: {run.go(timeout_s=7_200)}", flush=True)
        for query in given.query or (1, 2):
            for workers in given.workers or (1, 2):
                began = time.monotonic()
                equal, problem = difference(trips, query, home / f"{query}-{workers}.csv")
                seconds = time.monotonic() - began
                verdict = problem or f"{equal:,} lists equal ({seconds:,.0f} s to recompute)"
                print(f"query {query}, workers {workers}: {verdict}", flush=True)
                if problem:
                    return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
