"""`python -m tests.broker.crash --seed S --rounds N`: kill the broker under load and check every promise it made."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.broker.crash.campaign import Campaign


def main() -> int:
    parser = argparse.ArgumentParser(prog="crash", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--power", action="store_true", help="lose what was not synced at every death")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="headrace-crash-"))
    campaign = Campaign(folder, arguments.seed, power=arguments.power)
    began = time.monotonic()
    try:
        for line in campaign.run(arguments.rounds):
            print(f"[{time.monotonic() - began:6.1f} s] {line}", flush=True)
    except BaseException:
        print(f"seed {arguments.seed} failed; the data directory and the broker's log are in {folder}", flush=True)
        if campaign.broker.process is not None and campaign.broker.process.poll() is None:
            campaign.broker.kill()
        raise
    print(f"seed {arguments.seed}: {arguments.rounds} rounds clean")
    return 0


if __name__ == "__main__":
    sys.exit(main())
