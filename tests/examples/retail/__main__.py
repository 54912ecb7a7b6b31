"""`python -m tests.examples.retail`: a year of many lines, generated or real, with kills, and its books."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from random import Random

from examples.retail.rows import write_rows
from tests.examples.retail.campaign import MARKS, Run


def main() -> int:
    """Run the campaign. Returns: the exit code; AssertionError when the books are wrong."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lines", type=Path, help="CSV file of invoice lines (default: generated)")
    options.add_argument("--count", type=int, default=20_000, help="lines to generate (%(default)s)")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--steps", type=int, default=52)
    options.add_argument("--kills", type=int, default=4, help="of each kind: command, worker, broker")
    options.add_argument("--pause", type=float, default=3.0, help="seconds between two kills on average")
    options.add_argument("--timeout", type=float, default=3_600.0, help="seconds")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="retail-") as name:
        lines = given.lines or Path(name) / "lines.csv"
        if given.lines is None:
            write_rows(lines, given.count, given.seed)
        random = Random(given.seed)
        victims = [kind for kind in MARKS for _ in range(given.kills)]
        random.shuffle(victims)
        run = Run(lines, Path(name) / "retail", given.steps, victims, random, (given.pause / 2, given.pause * 1.5))
        print(run.go(given.timeout))
        print(f"killed on the way: {', '.join(run.killed) or 'nobody'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
