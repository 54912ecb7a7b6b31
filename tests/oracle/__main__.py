"""python -m tests.oracle: cases as JSON lines in, the same with our outputs and descriptions out."""

from __future__ import annotations

import json
import sys

from tests.oracle.cases import answered


def main() -> None:
    """Answer every line of standard input."""
    for line in sys.stdin:
        if line.strip():
            print(json.dumps(answered(json.loads(line)), ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
