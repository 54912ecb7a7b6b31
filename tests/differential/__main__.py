"""python -m tests.differential --seed S --count N: random programs here and on Kafka Streams, compared.

Prints every difference with its case, shrunk to a few lines. Ends with 1 if there was any, with 2 if there is no Kafka.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.apache_kafka.libraries import KafkaMissingError
from tests.differential.answers import KnownAnswers
from tests.differential.cases import case_of
from tests.differential.comparison import Difference, compare, fed
from tests.differential.kafka import Kafka
from tests.differential.recording import recorded
from tests.differential.shrinking import shrunk


def main() -> int:
    """Compare, and say what came out."""
    options = arguments()
    logging.disable(logging.WARNING)  # dropped records are part of the game
    try:
        with Kafka() as kafka:
            return compare_all(kafka, options)
    except KafkaMissingError as missing:
        print(missing, file=sys.stderr)
        return 2


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--count", type=int, default=100, help="how many cases (default 100)")
    parser.add_argument("--keep-going", type=int, default=3, help="differences to show before stopping (default 3)")
    parser.add_argument("--no-shrink", action="store_true", help="show failing cases as they were drawn")
    parser.add_argument("--rocksdb", action="store_true", help="our stores in RocksDB instead of in memory")
    parser.add_argument("--known", type=Path, help="a file for Kafka's answers: cases that it has are not asked again")
    parser.add_argument("--save", type=Path, help="a folder for the shrunk cases, with Kafka's outputs")
    return parser.parse_args()


def compare_all(kafka: Kafka, options: argparse.Namespace) -> int:
    tally: Counter[str] = Counter()
    seeds = range(options.seed, options.seed + options.count)
    failing = []
    answers = KnownAnswers(kafka, options.known).answer(map(case_of, seeds))
    for seed, answer in zip(seeds, answers, strict=True):
        found = compare(answer, rocksdb=options.rocksdb)
        tally["refused by both" if answer.get("error") and not found else "differ" if found else "equal"] += 1
        if found:
            print(f"seed {seed}: {found.kind}: {found.text.splitlines()[0]}", flush=True)
            failing.append((seed, found))
    for seed, found in failing[: options.keep_going]:
        report(kafka, seed, found, options)
    print(", ".join(f"{count} {outcome}" for outcome, count in tally.items()))
    return 1 if failing else 0


def report(kafka: Kafka, seed: int, found: Difference, options: argparse.Namespace) -> None:
    """Print a failing case, small."""

    def answered_by_kafka(case: dict[str, Any]) -> dict[str, Any]:
        return next(iter(kafka.answer([case])))

    def fails(case: dict[str, Any]) -> bool:
        again = compare(answered_by_kafka(case), rocksdb=options.rocksdb)
        return again is not None and again.kind == found.kind

    case = case_of(seed)
    if not options.no_shrink:
        case = shrunk(case, fails)
    answer = answered_by_kafka(case)
    again = compare(answer, rocksdb=options.rocksdb) or found
    print(f"\n== seed {seed}: {again.kind}\n{shown(case)}\n{again.text}\n", flush=True)
    if options.save:
        options.save.mkdir(parents=True, exist_ok=True)
        (options.save / f"seed-{seed}.json").write_text(recorded(answer))


def shown(case: dict[str, Any]) -> str:
    """A case in a few lines."""
    lines = [f"config {json.dumps(case['config'])}  types {json.dumps(case['types'])}"]
    lines += [f"  {json.dumps(operation, ensure_ascii=False)}" for operation in case["topology"]]
    lines += [f"    {json.dumps(fed(step), ensure_ascii=False)}" for step in case["steps"]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
