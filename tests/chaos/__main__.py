"""python -m tests.chaos --seed S --rounds N: kill, stop and wipe workers and broker, and compare everything afterwards.

Ends with 1 when something is lost or counted twice, and leaves the logs of all processes in the folder it names.
"""

from __future__ import annotations

import argparse
import math
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from random import Random

from streams.config import AT_LEAST_ONCE, EXACTLY_ONCE
from tests.chaos.faults import FAULTS
from tests.chaos.kafka import KafkaBroker
from tests.chaos.processes import BrokerProcess, BundledBroker
from tests.chaos.run import Failed, Plan, Run


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all processes end with this one
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{options.seed}-"))
    chosen = tuple(fault for fault in FAULTS if not options.fault or fault.__name__ in options.fault)
    settings = dict(pair.split("=", 1) for pair in options.set)
    plan = Plan(options.seed, options.rounds, options.guarantee, options.orders, settings, chosen, options.seconds)
    print(f"seed {options.seed}, {options.rounds} rounds, {options.guarantee}, in {folder}", flush=True)
    try:
        rounds = Run(plan, broker_of(options, folder), folder, lambda line: print(line, flush=True)).run()
    except Failed as failed:
        print(f"FAILED: {failed}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    print(f"seed {options.seed}: {rounds} rounds, nothing missing, nothing twice")
    return 0


def broker_of(options: argparse.Namespace, folder: Path) -> BrokerProcess:
    """The broker that was asked for."""
    if options.against == "bundled":
        return BundledBroker(folder)
    return KafkaBroker(folder, options.nodes, Random(options.seed))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="where all chance comes from (default 1)")
    parser.add_argument("--rounds", type=int, default=20, help="how many faults (default 20)")
    parser.add_argument("--seconds", type=float, default=math.inf, help="after so many no further round begins")
    parser.add_argument("--orders", type=int, default=2_000, help="orders written per round (default 2,000)")
    parser.add_argument("--guarantee", default=EXACTLY_ONCE, choices=(EXACTLY_ONCE, AT_LEAST_ONCE))
    parser.add_argument(
        "--against",
        default="bundled",
        choices=("bundled", "kafka"),
        help="which broker; kafka: from KAFKA_LIBS or by Maven",
    )
    parser.add_argument("--nodes", type=int, default=3, help="of Apache Kafka (default 3)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the workers")
    names = sorted({fault.__name__ for fault in FAULTS})
    parser.add_argument("--fault", action="append", choices=names, help="only these faults (may be repeated)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
