"""What the three Python clients' programs share: results by name as one line of JSON, and who is asked for what."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

CODECS = ("gzip", "snappy", "lz4", "zstd")
ADDRESS = sys.argv[1]
results: dict[str, str] = {}


def holds(name: str, body: Callable[[], object]) -> None:
    """Note whether the body runs to its end."""
    try:
        body()
        results[name] = "ok"
    except Exception as error:
        results[name] = f"{type(error).__name__}: {error}"


def expect(condition: object, text: object) -> None:
    if not condition:
        raise RuntimeError(str(text))


def main(everything: Callable[[], None], member: Callable[[str, str], None]) -> None:
    """`program HOST:PORT`, or `program HOST:PORT member GROUP TOPIC`, which prints the values a member reads."""
    if len(sys.argv) > 2:
        member(*sys.argv[3:5])
    everything()
    print(json.dumps(results))
