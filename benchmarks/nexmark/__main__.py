"""`python -m benchmarks.nexmark`: every query on the embedded broker, checked against DuckDB, with its throughput."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from zlib import crc32

from rich.console import Console

from benchmarks import machine, report
from benchmarks.load import Input
from benchmarks.measure import run
from benchmarks.nexmark.answers import QUERIES, Query, Row
from benchmarks.processes import BenchmarkError
from benchmarks.workloads import Workload, read_all
from streams import Record
from streams.clients.base import Clients


def workload(query: Query) -> Workload:
    """The query as the harness of the other benchmarks takes it."""

    def written(clients: Clients, topic: str) -> int:
        return _sum_of(query.written(_records(query, clients, topic)))

    def expected(inputs: Sequence[Input]) -> int:
        return _sum_of(query.answer(inputs))

    return Workload(
        name=f"nexmark-{query.name}",
        program=f"benchmarks.nexmark.queries:{query.name}",
        inputs=lambda events: [make(events) for make in query.inputs],
        outputs=(query.name,),
        expected=expected,
        written=written,
        group=query.program.name,
    )


def _records(query: Query, clients: Clients, topic: str) -> Iterator[Record]:
    """What lies in the query's topic, with keys and values as its program writes them."""
    types = query.program.topic_types(topic)
    assert types.key_serde is not None
    assert types.value_serde is not None
    read_key, read_value = types.key_serde.deserialize, types.value_serde.deserialize
    for columns in read_all(clients, topic):
        for key, value, timestamp in zip(*columns, strict=True):
            yield Record(read_key(key), None if value is None else read_value(value), timestamp)


def _sum_of(rows: Counter[Row]) -> int:
    """A number that is the same for the same rows, however they are ordered."""
    return sum(crc32(repr(row).encode()) * count for row, count in rows.items())


def main(arguments: list[str] | None = None) -> int:
    """Measure what was asked for. Returns the exit code: 0, or 1 when a query failed or its answer was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nexmark", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="persons, auctions and bids together")
    parser.add_argument("--query", action="append", choices=list(QUERIES), help="default: all")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the worker")
    options = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 160)
    results, failed = [], False
    for name in options.query or QUERIES:
        try:
            with console.status(f"{name}, {options.events:,} events"):
                results.append(run(workload(QUERIES[name]), options.events, options.set, idle_seconds=0))
        except BenchmarkError as error:
            failed = True
            console.print(f"[red]{name} failed:[/] {error}")
    if results:
        report.show(console, results)
        console.print(f"Saved to {report.save(machine.describe(), results, ())}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
