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
from tests.examples.taxi.debs.columns import answers


def main() -> int:
    """Run the campaign. Returns: the exit code, 1 when a list differs."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=1_000_000, help="trips")
    options.add_argument(
        "--taxis", type=int, default=300, help="size of the fleet: windows, and the recomputation, grow with it"
    )
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--kills", type=int, default=3, help="of each kind: worker, broker, command")
    options.add_argument("--query", type=int, choices=(1, 2), action="append", help="default: both")
    options.add_argument("--workers", type=int, action="append", help="default: one, then two")
    options.add_argument("--pause", type=float, default=4.0, help="seconds between two kills on average")
    options.add_argument("--dir", type=Path, help="kept: a campaign that was stopped goes on there")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="debs-") as scratch:
        home = given.dir or Path(scratch)
        home.mkdir(parents=True, exist_ok=True)
        trips = home / f"trips-{given.count}-{given.seed}-{given.taxis}.csv"
        if not trips.exists():
            write_trips(trips, given.count, given.seed, given.taxis)
        for query in given.query or (1, 2):
            outputs = [_output(given, home, trips, query, workers) for workers in given.workers or (1, 2)]
            began = time.monotonic()
            for output in outputs:
                equal, problem = difference(output, answers(trips, query, home))
                if problem:
                    print(f"query {query}, {output.name}: {problem}", flush=True)
                    return 1
                print(f"{output.name}: {equal:,} lists equal ({time.monotonic() - began:,.0f} s)", flush=True)
    return 0


def _output(given: argparse.Namespace, home: Path, trips: Path, query: int, workers: int) -> Path:
    """What a run with kills wrote, now or earlier."""
    output = home / f"{query}-{workers}.csv"
    if output.exists():
        print(f"query {query}, workers {workers}: done earlier", flush=True)
        return output
    random = Random(f"{given.seed} {query} {workers}")
    victims = [kind for kind in MARKS for _ in range(given.kills)]
    random.shuffle(victims)
    run = Run(trips, output, home / f"run-{query}-{workers}", query, workers)
    run.victims, run.random, run.pause_s = victims, random, (given.pause / 2, given.pause * 1.5)
    said = run.go(timeout_s=7_200)
    print(
        f"query {query}, workers {workers}: {said}; killed on the way: {', '.join(run.killed) or 'nobody'}", flush=True
    )
    return output


if __name__ == "__main__":
    sys.exit(main())
