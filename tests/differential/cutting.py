"""python -m tests.differential.cutting --seed S --count N: random programs in batches of one, two, seven and all.

Prints every case in which the cut can be seen. Ends with 1 if there was any.
"""

from __future__ import annotations

import argparse
import logging
import sys
from typing import Any

from streams.serdes import serde_for
from tests.differential.cases import case_of
from tests.oracle.cases import answered, config_of, python_types, topology_of
from tests.streams.operators.cutting import Input, cut_matters

CHUNKS = 3


def cut_seen(case: dict[str, Any]) -> str | None:
    """What shows how the records of a case were cut into batches; None if nothing does, or it cannot be run so."""
    if "error" in answered(case):
        return None
    topology, config = topology_of(case), config_of(case)
    if topology.global_stores:
        return None
    records = [record_of(case, *step["in"][:4]) for step in case["steps"] if "in" in step]
    length = -(-len(records) // CHUNKS)
    chunks = [records[start : start + length] for start in range(0, len(records), length)]
    skips = "processing_on_error" in case["config"]
    return cut_matters(topology, chunks, config.statestore_cache_max_bytes, skips=skips)


def record_of(case: dict[str, Any], topic: str, key: Any, value: Any, timestamp: int) -> Input:
    """A step's record as bytes."""
    written = (
        None if given is None else serde_for(kind).serialize(given)
        for given, kind in zip((key, value), python_types(case, topic), strict=True)
    )
    return (topic, *written, timestamp)  # type: ignore[return-value]  # two of them


def main() -> int:
    """Cut, and say what came out."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential.cutting", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--count", type=int, default=100, help="how many cases (default 100)")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    seen = 0
    for seed in range(options.seed, options.seed + options.count):
        if shown := cut_seen(case_of(seed)):
            seen += 1
            print(f"seed {seed}: {shown}", flush=True)
    print(f"{options.count} programs, the cut shows in {seen}")
    return 1 if seen else 0


if __name__ == "__main__":
    sys.exit(main())
