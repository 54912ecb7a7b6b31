"""`python -m tests.broker.fuzz --seed S --count N`: N random requests against a live broker."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.broker.fuzz.campaign import Campaign


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20_000)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="headrace-fuzz-"))
    began = time.monotonic()
    try:
        outcome = Campaign(folder, arguments.seed).run(arguments.count)
    except BaseException:
        print(f"seed {arguments.seed} failed; the data directory and the broker's log are in {folder}", flush=True)
        raise
    print(
        f"seed {arguments.seed}: {outcome.sent} requests, {outcome.answered} answered, {outcome.closed} connections "
        f"closed by the broker, at most {outcome.memory_bytes >> 20} MB, {time.monotonic() - began:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
