"""`python -m benchmarks.peers`: measure other systems and ours side by side, against one broker."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape

from benchmarks import machine
from benchmarks.peers.campaign import Key, Ledger, Plan, carry_out
from benchmarks.peers.environments import UnavailableError
from benchmarks.peers.kafka import apache_kafka
from benchmarks.peers.systems import Peer, peers
from benchmarks.processes import BenchmarkError, broker
from benchmarks.report import RESULTS
from benchmarks.systems import AT_LEAST_ONCE, EXACTLY_ONCE
from benchmarks.workloads import WORKLOADS

SEVEN = tuple(name for name in WORKLOADS if name != "taxi")
GUARANTEES = {"at-least-once": [AT_LEAST_ONCE], "exactly-once": [EXACTLY_ONCE], "both": [AT_LEAST_ONCE, EXACTLY_ONCE]}


def main(arguments: list[str] | None = None) -> int:
    """Measure what was asked for. Returns the exit code: 0, or 1 when a run failed or wrote wrong results."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # so that brokers and systems are stopped too
    console = Console(width=None if sys.stdout.isatty() else 160)
    chosen, versions = _prepared(console, peers(), options.system)
    about = {
        "machine": machine.describe(),
        "versions": versions,
        "caveats": {name: peer.caveat for name, peer in chosen.items()},
        "broker": options.broker,
    }
    plan = Plan(
        [peer.system for peer in chosen.values()],
        [WORKLOADS[name] for name in options.workload or SEVEN],
        GUARANTEES[options.guarantee],
        options.records,
        options.repeat,
        options.timeout,
        options.idle_seconds,
        options.retry,
    )
    path = RESULTS / f"{options.into or f'peers-{options.broker}'}.json"
    server = broker if options.broker == "ours" else apache_kafka
    try:
        ledger = Ledger(path, about)
        if options.anew:
            ledger.forget(plan)
        failed = carry_out(plan, ledger, server, lambda key, outcome: _tell(console, key, outcome))
    except (BenchmarkError, UnavailableError) as error:
        console.print(f"[red]stopped:[/] {escape(str(error))}")
        return 1
    console.print(f"Kept in {path}; the page is made by: python -m benchmarks.performance_page")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--records", type=int, default=3_000_000, help="input of each workload (default 3,000,000)")
    parser.add_argument("--system", action="append", choices=list(peers()), help="default: all")
    parser.add_argument("--workload", action="append", choices=SEVEN, help="default: all seven")
    parser.add_argument("--guarantee", choices=list(GUARANTEES), default="both")
    parser.add_argument(
        "--broker", choices=["ours", "kafka"], default="ours", help="kafka: Apache Kafka, from KAFKA_LIBS or by Maven"
    )
    parser.add_argument("--repeat", type=int, default=1, help="turns of everything, one after the other")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds that one run may take (default 300)")
    parser.add_argument("--idle-seconds", type=float, default=0.0, help="how long idle CPU is watched (default: not)")
    parser.add_argument("--into", metavar="NAME", help="file in benchmarks/results; one that is there is resumed")
    parser.add_argument("--retry", action="store_true", help="make failed runs of a resumed file again")
    parser.add_argument("--anew", action="store_true", help="make runs again that another commit made")
    return parser


def _prepared(
    console: Console, known: dict[str, Peer], wanted: list[str] | None
) -> tuple[dict[str, Peer], dict[str, str]]:
    """Set up what was asked for. Shape: the systems that are there, and their versions."""
    chosen: dict[str, Peer] = {}
    versions: dict[str, str] = {}
    for name in wanted or known:
        peer = known[name]
        try:
            with console.status(f"setting up {name}"):
                versions[name] = peer.prepare() if peer.prepare else "this commit"
        except UnavailableError as error:
            console.print(f"[yellow]{name} is left out:[/] {escape(str(error))}")
            continue
        chosen[name] = peer
    return chosen, versions


def _tell(console: Console, key: Key, outcome: dict[str, Any]) -> None:
    where = f"{key.workload:12} {key.guarantee:15} {key.system:14}"
    if "error" in outcome:
        console.print(f"{where} [red]failed:[/] {escape(outcome['error'])}", markup=True)
        return
    result = outcome["result"]
    console.print(
        f"{where} {result['records_per_second']:>10,.0f} /s {result['records_per_cpu_second']:>10,.0f} per CPU s "
        f"{result['worker_mb']:>6,.0f} MB  ({result['records']:,} records)"
    )


if __name__ == "__main__":
    sys.exit(main())
